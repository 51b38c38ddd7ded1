//! Keyset pages: the cursor is the sort key of the last row, so that any page costs what the first does.

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many rows, 1 to 500.
    pub limit: u32,
    /// Continue after the row that this opaque cursor names.
    pub after: Option<String>,
}

impl PageRequest {
    /// The largest page.
    pub const MOST: u32 = 500;

    /// The first page of `limit` rows, cut to what is allowed.
    pub fn first(limit: u32) -> Self {
        Self { limit: limit.clamp(1, Self::MOST), after: None }
    }
}

/// One part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next part; `None` at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page with every item turned into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}
