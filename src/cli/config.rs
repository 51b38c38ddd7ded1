//! `slipway config check`, `slipway config print`, `slipway config example`

use clap::Subcommand;

use crate::cli::Places;
use crate::config::print;
use crate::domain::Result;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says what is wrong with the configuration, all of it at once
    Check,
    /// Prints what takes effect, and where each value comes from; secrets stay hidden
    Print,
    /// Prints every option, commented, with its default
    Example,
}

/// Looks at the configuration.
pub fn run(command: Command, places: Places) -> Result<()> {
    match command {
        Command::Check => {
            let loaded = places.load()?;
            super::open::kubeconfigs(&loaded.config)?;
            super::open::renga(&loaded.config)?;
            let read = loaded.file.map_or("no file".into(), |path| path.display().to_string());
            super::print(&format!("the configuration is good ({read})\n"))
        }
        Command::Print => super::print(&print::effective(&places.load()?.entries)),
        Command::Example => super::print(&print::example()),
    }
}
