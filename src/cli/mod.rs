//! The command line: one file a subcommand. What a program reads goes to standard output, everything else to standard
//! error; a command ends with 0, with 1 when it failed, with 2 when it was not understood.

mod admin;
mod completions;
mod config;
mod engines;
mod healthcheck;
mod metrics;
mod open;
mod serve;
mod version;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Flags, Loaded};
use crate::domain::{Error, Result};

/// Slipway deploys data projects: it takes bundles, and runs them on Docker engines for those who may.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    places: Places,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Debug, clap::Args)]
struct Places {
    /// The configuration file [default: config.toml in the data directory; SLIPWAY_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the state is kept [default: /var/lib/slipway for root, else ~/.local/share/slipway; SLIPWAY_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The address and port of the server [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the console and the API
    Serve,
    /// Looks at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Makes keys and users, gives rights; works beside a running server
    #[command(subcommand)]
    Admin(admin::Command),
    /// Asks the server of this configuration whether it is ready
    Healthcheck,
    /// Says which version this is
    Version,
    /// Writes completions for a shell
    Completions(completions::Arguments),
}

impl Places {
    fn load(self) -> Result<Loaded> {
        let flags = Flags { config: self.config, data_dir: self.data_dir, listen: self.listen };
        Config::load(&flags, &crate::config::environment())
    }
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let places = arguments.places;
    match arguments.command {
        Command::Serve => serve::run(places.load()?.config),
        Command::Config(command) => config::run(command, places),
        Command::Admin(command) => wait_for(admin::run(command, places.load()?.config)),
        Command::Healthcheck => wait_for(healthcheck::run(places.load()?.config)),
        Command::Version => version::run(),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// Runs a short command to its end.
fn wait_for(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    runtime.block_on(work)
}

/// Tells a failure with every place and way out.
fn report(error: &Error) {
    let mut out = std::io::stderr().lock();
    let _ = match error.problems.as_slice() {
        [] => writeln!(out, "slipway: {}", error.message),
        [one] => writeln!(out, "slipway: {}: {}", one.place, one.message),
        many => writeln!(out, "slipway: {} problems", many.len()),
    };
    if error.problems.len() > 1 {
        for problem in &error.problems {
            let _ = writeln!(out, "  {}: {}", problem.place, problem.message);
            if let Some(hint) = &problem.hint {
                let _ = writeln!(out, "      {hint}");
            }
        }
    }
    if let Some(hint) = &error.hint {
        let _ = writeln!(out, "  {hint}");
    }
    if let Some(cause) = &error.cause {
        let _ = writeln!(out, "  ({cause})");
    }
}

/// Writes to standard output; a reader that went away is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::internal(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
