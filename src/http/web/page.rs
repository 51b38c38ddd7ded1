//! What every page is made with: the frame around it and the small views its parts are drawn from.
//!
//! A page is a struct beside its handler, with a field `page: Page` that `templates/base.html` and every macro under
//! `templates/parts/` read. Nothing here asks the store or knows actix: a handler fills it in, askama renders it, and
//! askama escapes it. No value of this module is ever markup, so nothing needs (or may use) the `safe` filter.

mod confirm;
mod form;
mod list;
mod logs;
mod message;
mod query;
mod state;
mod steps;
mod tested;
#[cfg(test)]
mod tests;
mod words;

pub use confirm::{Also, Confirm};
pub use form::{Choice, Control, Field, Trouble, TroubleItem, blame};
pub use list::{Column, Pager, Tab};
pub use logs::{LogEntry, LogView};
pub use message::{Note, Tone, sentence};
pub use query::Query;
pub use state::State;
pub use steps::{DiffLine, StepView, progress};
pub use tested::TestRow;
pub use words::{age, exact, iso, memory, percent, plural, size, took};

use chrono::TimeDelta;

use crate::domain::clock::Timestamp;
use crate::domain::user::Theme;

/// The frame of a page: who looks at it, where it stands, and how they like the console.
#[derive(Debug, Clone)]
pub struct Page {
    /// The heading and the first part of the window's title, e.g. `churn on prod`.
    pub title: String,
    /// Which entry of the navigation it belongs to.
    pub section: Section,
    /// URL prefix without a slash at its end: empty, or e.g. `/slipway`.
    pub base: String,
    /// Where static files lie, without a slash at its end: `{base}/static/{hash}`.
    pub asset: String,
    /// The token that forms and htmx send back.
    pub csrf: String,
    /// `None` on the pages before login: no navigation, no search.
    pub user: Option<UserView>,
    /// What the last request has to say, once.
    pub flash: Option<Flash>,
    /// Why this user makes no projects, or empty.
    pub no_projects: String,
    pub theme: Theme,
    /// Whether single-key shortcuts are on.
    pub keys_on: bool,
    /// The way down to this page, without the page itself.
    pub crumbs: Vec<Crumb>,
    /// The URL of the event stream that keeps this page live; `None`: it is not live.
    pub live: Option<String>,
    pub nav: Nav,
    /// The moment that ages are counted to.
    pub now: Timestamp,
    /// Minutes east of UTC in which exact times are written.
    pub offset_minutes: i32,
}

/// The signed-in user, as far as the frame shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    pub name: String,
    pub groups: Vec<String>,
    pub is_admin: bool,
}

/// What the last request has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub tone: Tone,
    pub text: String,
}

/// One step of the breadcrumb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crumb {
    pub label: String,
    /// With the prefix.
    pub href: String,
}

/// Which optional entries the navigation has, and the counts beside entries where they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nav {
    pub clusters: bool,
    pub approvals: bool,
    pub count_projects: Option<u64>,
    pub count_deployments: Option<u64>,
    pub count_infrastructures: Option<u64>,
    pub count_approvals: Option<u64>,
}

/// One entry of the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavItem {
    pub label: &'static str,
    pub href: String,
    /// The symbol in the sprite.
    pub icon: &'static str,
    pub current: bool,
    pub count: Option<u64>,
    /// A line stands above it.
    pub starts_group: bool,
}

/// The entries of the navigation, and the places outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Home,
    Projects,
    Deployments,
    Pipelines,
    Clusters,
    Jobs,
    Infrastructures,
    Approvals,
    Administration,
    Account,
    Search,
    /// Login, setup and errors: only `Slipway` follows the title.
    Outside,
}

impl Section {
    /// Its word in the navigation.
    pub fn label(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Projects => "Projects",
            Self::Deployments => "Deployments",
            Self::Pipelines => "Pipelines",
            Self::Clusters => "Clusters",
            Self::Jobs => "Jobs",
            Self::Infrastructures => "Infrastructures",
            Self::Approvals => "Approvals",
            Self::Administration => "Administration",
            Self::Account => "My account",
            Self::Search => "Search",
            Self::Outside => "",
        }
    }

    /// Path under the prefix, and symbol.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Home | Self::Outside => ("/", "nav-home"),
            Self::Projects => ("/projects", "nav-projects"),
            Self::Deployments => ("/deployments", "nav-deployments"),
            Self::Pipelines => ("/pipelines", "activity"),
            Self::Clusters => ("/clusters", "nav-clusters"),
            Self::Jobs => ("/executions", "nav-jobs"),
            Self::Infrastructures => ("/infrastructures", "nav-infrastructures"),
            Self::Approvals => ("/approvals", "nav-approvals"),
            Self::Administration => ("/admin", "nav-administration"),
            Self::Account => ("/account", "user"),
            Self::Search => ("/search", "search"),
        }
    }
}

impl Page {
    /// A page with this title in `section`; everything else as it is before login.
    pub fn new(title: impl Into<String>, section: Section, base: &str, asset: &str, now: Timestamp) -> Self {
        Self {
            title: title.into(),
            section,
            base: base.to_owned(),
            asset: asset.to_owned(),
            csrf: String::new(),
            user: None,
            flash: None,
            no_projects: String::new(),
            theme: Theme::System,
            keys_on: true,
            crumbs: Vec::new(),
            live: None,
            nav: Nav::default(),
            now,
            offset_minutes: 0,
        }
    }

    /// The same page one level further down: `path` is under the prefix.
    #[must_use]
    pub fn below(mut self, label: impl Into<String>, path: &str) -> Self {
        let href = self.url(path);
        self.crumbs.push(Crumb { label: label.into(), href });
        self
    }

    /// The same page, kept live by the event stream at `path` under the prefix.
    #[must_use]
    pub fn live(mut self, path: &str) -> Self {
        self.live = Some(self.url(path));
        self
    }

    /// Why this user can begin nothing, or empty: every right belongs to a group.
    pub fn no_rights(&self) -> &'static str {
        match &self.user {
            Some(user) if user.groups.is_empty() && !user.is_admin => {
                "This takes a right that a group of yours holds, and you are in no group. Ask your identity provider's \
                 administrator for one, then sign in again."
            }
            _ => "",
        }
    }

    /// `path` (with its leading slash) under the prefix.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The window's title: `churn on prod · deployments · Slipway`.
    pub fn head_title(&self) -> String {
        let section = self.section.label();
        if section.is_empty() || section == self.title {
            format!("{} · Slipway", self.title)
        } else {
            format!("{} · {} · Slipway", self.title, section.to_lowercase())
        }
    }

    /// `data-theme` of the document; empty: as the system says.
    pub fn theme_word(&self) -> &'static str {
        match self.theme {
            Theme::System => "",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The entries of the navigation that this user has.
    pub fn nav_items(&self) -> Vec<NavItem> {
        let is_admin = self.user.as_ref().is_some_and(|user| user.is_admin);
        let entries = [
            (Section::Home, true, None),
            (Section::Projects, true, self.nav.count_projects),
            (Section::Deployments, true, self.nav.count_deployments),
            (Section::Pipelines, true, None),
            (Section::Clusters, self.nav.clusters, None),
            (Section::Jobs, true, None),
            (Section::Infrastructures, true, self.nav.count_infrastructures),
            (Section::Approvals, self.nav.approvals, self.nav.count_approvals),
            (Section::Administration, is_admin, None),
        ];
        entries
            .into_iter()
            .filter(|(_, shown, _)| *shown)
            .map(|(section, _, count)| self.nav_item(section, count))
            .collect()
    }

    fn nav_item(&self, section: Section, count: Option<u64>) -> NavItem {
        let (path, icon) = section.place();
        NavItem {
            label: section.label(),
            href: self.url(path),
            icon,
            current: section == self.section,
            count,
            starts_group: section == Section::Infrastructures,
        }
    }

    /// How long ago `at` was (or how far ahead): `4 min`, `2 h`, `6 d`, `in 30 d`.
    pub fn age(&self, at: &Timestamp) -> String {
        age(*at, self.now)
    }

    /// The exact moment, in the user's time zone: `2026-11-19 16:02:07 UTC`.
    pub fn exact(&self, at: &Timestamp) -> String {
        exact(*at, self.offset_minutes)
    }

    /// For `datetime` attributes.
    pub fn iso(&self, at: &Timestamp) -> String {
        iso(*at)
    }

    /// A duration in milliseconds: `14.2 s`, `3 min 12 s`.
    pub fn took(&self, milliseconds: &i64) -> String {
        took(TimeDelta::milliseconds(*milliseconds))
    }

    /// The start of a digest: `6f1c2b779a02…`; shorter texts stay whole.
    pub fn short(&self, digest: &str) -> String {
        match digest.char_indices().nth(12) {
            Some((end, _)) => format!("{}…", &digest[..end]),
            None => digest.to_owned(),
        }
    }

    /// Bytes of a file: `18 MB`.
    pub fn size(&self, bytes: &u64) -> String {
        size(*bytes)
    }

    /// Bytes of memory: `214 MiB`.
    pub fn memory(&self, bytes: &u64) -> String {
        memory(*bytes)
    }
}
