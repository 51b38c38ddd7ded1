//! The log viewer's view: what is drawn at first, and where `static/logs.js` follows from there.

use super::Field;
use crate::domain::clock::Timestamp;

/// A viewer: a bar of filters, the lines at hand, and the stream of what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogView {
    /// A heading above the bar; empty where the page's own heading says it.
    pub title: String,
    /// The page itself: the bar is a form that gets it again, so filters work without scripts and as bookmarks.
    pub action: String,
    /// The event stream that begins after the last of `entries`; `None`: the log has ended.
    pub source: Option<String>,
    /// The whole log as a file.
    pub download: Option<String>,
    /// Selects that ask the server again: service, replica, since.
    pub picks: Vec<Field>,
    /// What is searched for.
    pub query: String,
    /// `debug`, `info`, `warn` or `error`: the least level shown; empty: all.
    pub level: String,
    pub entries: Vec<LogEntry>,
    /// As high as the window, where it is the page's one content.
    pub tall: bool,
}

/// One line as it is drawn, already free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub at: Timestamp,
    /// Replica, e.g. `api-0`, or the step of an update.
    pub who: String,
    /// `debug`, `info`, `warn`, `error`, or empty where it is not known.
    pub level: &'static str,
    pub text: String,
    /// Whether the filter leaves it out. It is there all the same: scripts filter again without asking.
    pub hidden: bool,
}

impl LogView {
    /// The same with the lines hidden that its search and its level leave out.
    #[must_use]
    pub fn filtered(mut self) -> Self {
        let (query, floor) = (self.query.to_lowercase(), rank(&self.level).unwrap_or(0));
        for entry in &mut self.entries {
            let grave = rank(entry.level).unwrap_or(1) >= floor;
            entry.hidden = !grave || !entry.text.to_lowercase().contains(&query);
        }
        self
    }

    /// The levels to pick from, with the one that is picked.
    pub fn levels(&self) -> [(&'static str, &'static str, bool); 4] {
        let picked = self.level.as_str();
        [
            ("", "all levels", picked.is_empty() || picked == "debug"),
            ("info", "from info", picked == "info"),
            ("warn", "from warnings", picked == "warn"),
            ("error", "errors only", picked == "error"),
        ]
    }
}

/// How grave a level is; `None` where it is not known.
fn rank(level: &str) -> Option<usize> {
    ["debug", "info", "warn", "error"].iter().position(|known| *known == level)
}

impl LogEntry {
    /// The time of day to the millisecond, in UTC.
    pub fn clock(&self) -> String {
        self.at.format("%H:%M:%S%.3f").to_string()
    }
}
