//! The real route table, of console and API, walked by everybody: what each route needs stands in one place
//! ([`needs`]), and a route that is not there fails the tests.

pub mod fill;
mod forged;
pub mod needs;
mod open;
mod principals;
mod redirects;
mod streams;

use reqwest::Method;
use slipway::http::all_routes;

use crate::harness::TestApp;

/// A route of the table: method, and path pattern below the base path.
#[derive(Debug, Clone)]
pub struct Route {
    pub method: Method,
    pub pattern: String,
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.pattern)
    }
}

impl Route {
    /// Whether programs ask for it, with keys: Slipway's own API, or a front of another system's.
    pub fn is_api(&self) -> bool {
        self.pattern.starts_with("/api/") || self.pattern.starts_with("/v1/") || self.of_dataiku().is_some()
    }

    /// The path below Dataiku's public API, where it is there.
    pub fn of_dataiku(&self) -> Option<&str> {
        self.pattern.strip_prefix("/dip/publicapi")
    }
}

/// Every route that is served, in matching order.
pub fn table(it: &TestApp) -> Vec<Route> {
    let routes = all_routes(&it.state.settings).table().into_iter();
    routes.map(|(method, pattern)| Route { method: method.as_str().parse().unwrap(), pattern }).collect()
}
