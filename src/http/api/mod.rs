//! Slipway's own REST API under `/api/v1`, in DataCater's manner: resources of `name`, `spec` and `status`, lists as
//! bare arrays, writes that answer 200 with the resource.
//!
//! One file a noun, named as in `domain`, `store` and `app`. Each ends with its [`noun!`] table, which registers the
//! routes and gathers the same handlers into the OpenAPI document, so that neither can forget the other. Nothing here
//! decides anything: a handler extracts, calls a use case and renders.

/// A noun's routes and its part of the OpenAPI document, from one table.
macro_rules! noun {
    ($($method:ident $path:literal => $handler:ident),+ $(,)?) => {
        /// Registers the routes of this file.
        pub(super) fn routes(routes: &mut $crate::http::routes::Routes) {
            $(routes.$method(concat!("/api/v1", $path), $handler);)+
        }

        /// What this file adds to the OpenAPI document.
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($handler),+))]
        pub(super) struct Document;
    };
}

pub(in crate::http) mod answer;
pub mod api_key;
pub mod approval;
pub mod audit;
pub(in crate::http) mod body;
pub mod bundle;
pub(in crate::http) mod bundle_upload;
pub mod context;
pub mod deployment;
mod deployment_action;
mod deployment_body;
mod deployment_event;
mod deployment_object;
mod deployment_status;
pub mod execution;
pub mod group;
pub mod infrastructure;
pub mod live;
pub mod log;
pub mod log_text;
pub mod me;
pub mod openapi;
pub mod pipeline;
mod pipeline_deployment;
pub mod probe;
pub mod project;
pub(in crate::http) mod query;
mod resource;
pub(in crate::http) mod settings;
pub mod stage;
pub mod stats;
pub mod stream;
pub mod test;
pub mod update;
mod update_watch;
pub mod user;

use std::str::FromStr;

use crate::domain::{Error, Result};
use crate::http::error::ApiError;
use crate::http::routes::Routes;

/// What handlers answer.
pub(in crate::http) type Reply<T> = std::result::Result<T, ApiError>;

/// Every route of the API.
pub fn routes(routes: &mut Routes) {
    stage::routes(routes);
    infrastructure::routes(routes);
    project::routes(routes);
    bundle::routes(routes);
    bundle_upload::routes(routes);
    deployment::routes(routes);
    deployment_action::routes(routes);
    deployment_event::routes(routes);
    log::routes(routes);
    stats::routes(routes);
    probe::routes(routes);
    stream::routes(routes);
    pipeline::routes(routes);
    context::routes(routes);
    execution::routes(routes);
    test::routes(routes);
    update::routes(routes);
    update_watch::routes(routes);
    api_key::routes(routes);
    approval::routes(routes);
    user::routes(routes);
    group::routes(routes);
    audit::routes(routes);
    me::routes(routes);
    openapi::routes(routes);
}

/// A name from the path. One that breaks its grammar cannot exist, so it answers like one that is absent.
pub(in crate::http) fn named<T: FromStr>(noun: &'static str, text: &str) -> Result<T> {
    let shown = || text.chars().take(80).collect::<String>();
    text.parse().map_err(|_| Error::not_found(noun, shown()))
}
