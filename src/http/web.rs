//! The console: server-rendered pages and their fragments. Every core flow works as form, redirect, page.
//!
//! A page is a struct beside its handler; a handler is extract, call, render. What a page shows comes from use cases
//! alone, so that it cannot show more than the caller may see.

pub mod account;
pub mod administration;
pub mod approval;
pub mod bundle;
pub mod changes;
pub mod context;
pub mod contexts;
pub mod deployment;
pub mod deployments;
pub mod execution;
pub mod executions;
pub mod failure;
pub mod fields;
pub mod home;
pub mod infrastructure;
pub mod infrastructures;
pub mod journal;
pub mod live;
pub mod log;
pub mod login;
pub mod page;
pub mod pipeline;
pub mod pipelines;
pub mod project;
pub mod projects;
pub mod search;
pub mod streams;
pub mod update;
pub mod upload;
pub mod visit;

use crate::http::routes::Routes;

/// Every route of the console, in matching order.
pub fn routes(routes: &mut Routes) {
    login::routes(routes);
    home::routes(routes);
    projects::routes(routes);
    upload::routes(routes);
    project::routes(routes);
    bundle::routes(routes);
    deployments::routes(routes);
    pipelines::routes(routes);
    pipeline::routes(routes);
    streams::routes(routes);
    executions::routes(routes);
    execution::routes(routes);
    contexts::routes(routes);
    context::routes(routes);
    deployment::routes(routes);
    log::routes(routes);
    live::routes(routes);
    update::routes(routes);
    approval::routes(routes);
    infrastructures::routes(routes);
    infrastructure::routes(routes);
    administration::routes(routes);
    account::routes(routes);
    search::routes(routes);
}
