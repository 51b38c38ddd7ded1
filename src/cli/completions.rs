//! `slipway completions bash`: for `source <(slipway completions bash)` and packages.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::domain::Result;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    shell: Shell,
}

/// Writes the completions of a shell.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "slipway", &mut text);
    super::print(&String::from_utf8_lossy(&text))
}
