//! A password from a file, from a pipe, or from whoever sits at the terminal, to whom it is not shown.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use crate::domain::{Error, Problem, Result};

#[derive(Debug, clap::Args)]
pub struct Source {
    /// A file that holds the password; `-` reads it from standard input [default: asks]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// A file that can't be read; two entries at the terminal that differ.
    pub fn read(&self) -> Result<SecretString> {
        match &self.password_file {
            Some(path) if path == Path::new("-") => line(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let why = format!("the password can't be read: {error}");
                    Error::problems("password_file", vec![Problem::new(path.display().to_string(), why)])
                })?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned().into())
            }
            None if std::io::stdin().is_terminal() => asked(),
            None => line(),
        }
    }
}

fn line() -> Result<SecretString> {
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).map_err(Error::internal)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text.into())
}

fn asked() -> Result<SecretString> {
    use secrecy::ExposeSecret as _;
    let quiet = Quiet::begin()?;
    let first = prompted("Password: ")?;
    let second = prompted("Again: ")?;
    drop(quiet);
    if first.expose_secret() == second.expose_secret() {
        return Ok(first);
    }
    Err(Error::field("password", "the two passwords differ"))
}

fn prompted(prompt: &str) -> Result<SecretString> {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{prompt}").and_then(|()| out.flush());
    let text = line();
    let _ = writeln!(out);
    text
}

/// While it lives, the terminal does not show what is typed.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).map_err(Error::internal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet).map_err(Error::internal)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
