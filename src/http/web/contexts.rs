//! Contexts: the list.

use actix_web::web;
use askama::Template;

use super::executions::tabs;
use super::page::{Page, Pager, Query, Section, Tab, plural};
use super::streams::Asked;
use super::visit::{Answer, Visit};
use crate::app::context;
use crate::domain::context::Context;
use crate::http::routes::Routes;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/contexts", list);
}

#[derive(Template)]
#[template(path = "context/list.html", blocks = ["live"])]
struct List {
    page: Page,
    here: Query,
    tabs: Vec<Tab>,
    text: String,
    rows: Vec<(Context, u32)>,
    pager: Pager,
    filtered: bool,
}

async fn list(visit: Visit, asked: web::Query<Asked>) -> Answer {
    let found = context::list(&visit.app, &visit.caller, asked.text(), asked.request()).await?;
    let here = visit.here();
    let page = List {
        page: visit.page("Contexts", Section::Jobs).live("/events?topics=resources,deployments"),
        tabs: tabs(&visit, "Contexts"),
        text: asked.q.clone(),
        pager: Pager::new(plural(found.items.len() as u64, "context"), &here, found.next.as_deref()),
        filtered: here.is_filtered(&["after"]),
        rows: found.items,
        here,
    };
    if visit.wants("live") {
        return visit.show_part(&page.as_live());
    }
    visit.show(&page)
}
