//! The journal of one deployment: who did what, from where and why, with the way back.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::{Frame, id_of, page};
use crate::app::audit::{self, Of};
use crate::domain::page::PageRequest;
use crate::http::routes::Routes;
use crate::http::web::journal::{self, Entry};
use crate::http::web::page::{Page, Pager};
use crate::http::web::visit::{Answer, Visit};

/// How many entries one page holds.
const ROWS: u32 = 50;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/deployments/{id}/history", show);
}

#[derive(Debug, Deserialize)]
struct After {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "deployment/history.html")]
struct History {
    page: Page,
    frame: Frame,
    entries: Vec<Entry>,
    pager: Pager,
}

async fn show(visit: Visit, path: web::Path<String>, asked: web::Query<After>) -> Answer {
    let id = id_of(&path)?;
    let (deployment, frame) = Frame::load(&visit, id.clone(), "History").await?;
    let request = PageRequest { limit: ROWS, after: asked.after.clone() };
    let found = audit::list(&visit.app, &visit.caller, Of::Deployment(id), request).await?;
    let entries: Vec<Entry> = found.items.iter().map(Entry::new).collect();
    let pager = Pager::new(journal::counted(entries.len()), &visit.here(), found.next.as_deref());
    visit.show(&History { page: page(&visit, &deployment), frame, entries, pager })
}
