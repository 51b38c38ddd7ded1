//! The command line's entry.

fn main() -> std::process::ExitCode {
    slipway::cli::main()
}
