//! Where the state and the configuration file are, before anything of the file is known.

use std::path::{Path, PathBuf};

use crate::domain::{Error, Problem, Result};

/// The file's name within the data directory.
pub const FILE: &str = "config.toml";

/// The data directory where nobody names one.
///
/// # Errors
/// `no_data_dir` when neither `XDG_DATA_HOME` nor `HOME` is set.
pub fn default_dir(environment: &[(String, String)]) -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/slipway".into());
    }
    let variable = |name: &str| {
        let found = environment.iter().find(|(variable, value)| variable == name && !value.is_empty());
        found.map(|(_, value)| PathBuf::from(value))
    };
    variable("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("slipway"))
        .ok_or_else(|| {
            Error::invalid("no_data_dir", "no place for the state is known: HOME is not set")
                .hint("Name one with --data-dir or SLIPWAY_DATA_DIR.")
        })
}

/// The text of the file, with its path: the one that was named, which must be there, else that of the data directory,
/// if there is one.
///
/// # Errors
/// `config_unreadable`.
pub fn read(named: Option<&Path>, data_dir: &Path) -> Result<Option<(PathBuf, String)>> {
    let path = named.map_or_else(|| data_dir.join(FILE), Path::to_owned);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(Error::problems(
            "config_unreadable",
            vec![Problem::new(
                path.display().to_string(),
                format!("the configuration can't be read: {error}"),
            )],
        )),
    }
}
