//! How domain values lie in columns.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::types::Type;
use rusqlite::{Error as SqlError, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;

/// A time as the milliseconds that its column holds.
pub fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

/// A value as the JSON that its column holds.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what is stored holds only maps with text keys")
}

/// Groups as the JSON array that `json_each` reads.
pub fn groups(groups: &Groups) -> String {
    json(groups)
}

/// Reads columns by name into domain values; one that does not parse is an error that names the column.
pub trait Columns {
    /// Text that parses into `T`.
    fn parsed<T: std::str::FromStr>(&self, column: &str) -> rusqlite::Result<T>;
    /// JSON that parses into `T`.
    fn json<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<T>;
    /// JSON, or NULL.
    fn json_opt<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<Option<T>>;
    /// Milliseconds.
    fn time(&self, column: &str) -> rusqlite::Result<Timestamp>;
    /// Milliseconds, or NULL.
    fn time_opt(&self, column: &str) -> rusqlite::Result<Option<Timestamp>>;
    /// A SHA-256 in hex.
    fn digest(&self, column: &str) -> rusqlite::Result<crate::domain::bundle::Digest>;
}

impl Columns for Row<'_> {
    fn parsed<T: std::str::FromStr>(&self, column: &str) -> rusqlite::Result<T> {
        let text = self.get_ref(column)?.as_str()?;
        text.parse().map_err(|_| broken(column, text))
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<T> {
        let text = self.get_ref(column)?.as_str()?;
        serde_json::from_str(text)
            .map_err(|error| SqlError::FromSqlConversionFailure(0, Type::Text, error.into()))
    }

    fn json_opt<T: DeserializeOwned>(&self, column: &str) -> rusqlite::Result<Option<T>> {
        match self.get_ref(column)?.as_str_or_null()? {
            None => Ok(None),
            Some(text) => serde_json::from_str(text)
                .map(Some)
                .map_err(|error| SqlError::FromSqlConversionFailure(0, Type::Text, error.into())),
        }
    }

    fn time(&self, column: &str) -> rusqlite::Result<Timestamp> {
        Ok(moment(self.get(column)?))
    }

    fn time_opt(&self, column: &str) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.get::<_, Option<i64>>(column)?.map(moment))
    }

    fn digest(&self, column: &str) -> rusqlite::Result<crate::domain::bundle::Digest> {
        let text: String = self.get(column)?;
        crate::domain::bundle::Digest::parse(&text).ok_or_else(|| broken(column, &text))
    }
}

/// Reads a row's columns in the order of its SELECT: for long lists, where finding each by its name would cost more than
/// all the rest.
pub struct Cells<'a, 'statement> {
    row: &'a Row<'statement>,
    at: usize,
}

impl<'a, 'statement> Cells<'a, 'statement> {
    /// Begins at the first column.
    pub fn new(row: &'a Row<'statement>) -> Self {
        Self { row, at: 0 }
    }

    fn text(&mut self) -> rusqlite::Result<(usize, &'a str)> {
        let at = self.at;
        self.at += 1;
        Ok((at, self.row.get_ref(at)?.as_str()?))
    }

    /// The next column as it is.
    pub fn get<T: rusqlite::types::FromSql>(&mut self) -> rusqlite::Result<T> {
        self.at += 1;
        self.row.get(self.at - 1)
    }

    /// Text that parses into `T`.
    pub fn parsed<T: std::str::FromStr>(&mut self) -> rusqlite::Result<T> {
        let (at, text) = self.text()?;
        text.parse().map_err(|_| broken(&format!("{at}"), text))
    }

    /// The same, or NULL.
    pub fn parsed_opt<T: std::str::FromStr>(&mut self) -> rusqlite::Result<Option<T>> {
        let at = self.at;
        let text = self.get::<Option<String>>()?;
        let parsed = text.map(|text| text.parse().map_err(|_| broken(&format!("{at}"), &text)));
        parsed.transpose()
    }

    /// JSON that parses into `T`.
    pub fn json<T: DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        let (at, text) = self.text()?;
        serde_json::from_str(text)
            .map_err(|error| SqlError::FromSqlConversionFailure(at, Type::Text, error.into()))
    }

    /// The same, or NULL.
    pub fn json_opt<T: DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        let (at, text) = (self.at, self.get::<Option<String>>()?);
        let read = |text: String| serde_json::from_str(&text);
        text.map(read)
            .transpose()
            .map_err(|error| SqlError::FromSqlConversionFailure(at, Type::Text, error.into()))
    }

    /// Milliseconds.
    pub fn time(&mut self) -> rusqlite::Result<Timestamp> {
        Ok(moment(self.get()?))
    }
}

/// How many rows more a list asks for than it gives, so that some that can't be read do not end it early.
pub const SPARE: u32 = 64;

/// The first `limit` rows that can be read. One that can't is told to the log and left out: it harms nothing but its own
/// object.
///
/// # Errors
/// Whatever else SQLite says.
pub fn readable<T>(
    what: &'static str,
    rows: impl Iterator<Item = rusqlite::Result<T>>,
    limit: u32,
) -> rusqlite::Result<Vec<T>> {
    // Rows are large: a page's worth of them is not moved about while it grows.
    let mut found = Vec::with_capacity(limit.min(64) as usize);
    for row in rows {
        match row {
            Ok(row) => found.push(row),
            Err(error) if is_unreadable(&error) => {
                tracing::error!(what, %error, "a row can't be read and is left out");
            }
            Err(error) => return Err(error),
        }
        if found.len() >= limit as usize {
            break;
        }
    }
    Ok(found)
}

/// Whether an error speaks of what stands in a row, not of the database.
fn is_unreadable(error: &SqlError) -> bool {
    matches!(
        error,
        SqlError::FromSqlConversionFailure(..)
            | SqlError::InvalidColumnType(..)
            | SqlError::IntegralValueOutOfRange(..)
            | SqlError::Utf8Error(..)
    )
}

fn broken(column: &str, text: &str) -> SqlError {
    SqlError::FromSqlConversionFailure(0, Type::Text, format!("column {column} holds {text:?}").into())
}

fn moment(millis: i64) -> Timestamp {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}
