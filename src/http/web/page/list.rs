//! Lists: sortable columns, pages, tabs.

use super::Query;

/// A table's column that can be sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub label: &'static str,
    /// Where a click goes: the same list, sorted by it; the other way round when it already is.
    pub href: String,
    /// For `aria-sort`: `ascending`, `descending` or `none`.
    pub direction: &'static str,
    /// Numbers stand at the right.
    pub numeric: bool,
}

impl Column {
    /// The column `key` of the list at `query`, whose `sort` parameter is `key` or `-key` (descending);
    /// `default` is the sort without a parameter. A click starts again at the first page.
    pub fn new(label: &'static str, key: &str, query: &Query, default: &str) -> Self {
        let sort = match query.get("sort") {
            "" => default,
            sort => sort,
        };
        let (direction, next) = match sort.strip_prefix('-') {
            Some(by) if by == key => ("descending", key.to_owned()),
            None if sort == key => ("ascending", format!("-{key}")),
            _ => ("none", key.to_owned()),
        };
        Self { label, href: query.without("after").with("sort", &next).href(), direction, numeric: false }
    }

    /// The same column with its numbers at the right.
    #[must_use]
    pub fn numeric(self) -> Self {
        Self { numeric: true, ..self }
    }
}

/// The foot of a list. Pages are found by key, not by number, so there is a first one and a next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    /// E.g. `50 deployments` or `3 of 41 deployments`.
    pub summary: String,
    /// Absent on the first page.
    pub first: Option<String>,
    /// Absent on the last page.
    pub next: Option<String>,
}

impl Pager {
    /// For the list at `query` whose `after` parameter is a cursor; `next` is the cursor of what follows.
    pub fn new(summary: impl Into<String>, query: &Query, next: Option<&str>) -> Self {
        let at_start = query.get("after").is_empty();
        Self {
            summary: summary.into(),
            first: (!at_start).then(|| query.without("after").href()),
            next: next.map(|cursor| query.with("after", cursor).href()),
        }
    }
}

/// One tab of a page that has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab {
    pub label: &'static str,
    pub href: String,
    pub current: bool,
    pub count: Option<u64>,
}

impl Tab {
    /// Tabs from `(label, href)`, of which the one labelled `current` is shown now.
    pub fn all(current: &str, tabs: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Self> {
        tabs.into_iter()
            .map(|(label, href)| Self { label, href, current: label == current, count: None })
            .collect()
    }
}
