//! The whole journal, and whether its chain is unbroken.

use actix_web::web;
use askama::Template;

use super::{After, page};
use crate::app::audit::{self, Of, Verdict};
use crate::domain::page::PageRequest;
use crate::domain::{Error, Result};
use crate::http::routes::Routes;
use crate::http::web::journal::{self, Entry};
use crate::http::web::page::{Note, Page, Pager, Tab, Tone};
use crate::http::web::visit::{Answer, Visit};

/// How many entries one page holds.
const ROWS: u32 = 100;

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/admin/journal", show);
    routes.post("/admin/journal/verify", verify);
}

#[derive(Template)]
#[template(path = "administration/journal.html")]
struct Journal {
    page: Page,
    tabs: Vec<Tab>,
    verdict: Option<Note>,
    entries: Vec<Entry>,
    pager: Pager,
}

async fn draw(visit: &Visit, after: Option<String>) -> Result<Journal, Error> {
    let (page, tabs) = page(visit, "Journal")?;
    let request = PageRequest { limit: ROWS, after };
    let found = audit::list(&visit.app, &visit.caller, Of::Everything, request).await?;
    let entries: Vec<Entry> = found.items.iter().map(Entry::new).collect();
    let pager = Pager::new(journal::counted(entries.len()), &visit.here(), found.next.as_deref());
    Ok(Journal { page, tabs, verdict: None, entries, pager })
}

async fn show(visit: Visit, asked: web::Query<After>) -> Answer {
    let page = draw(&visit, asked.after.clone()).await?;
    visit.show(&page)
}

/// Walks the whole chain, and answers with the page and what was found.
async fn verify(visit: Visit) -> Answer {
    let verdict = audit::verify(&visit.app, &visit.caller).await?;
    let mut page = draw(&visit, None).await?;
    page.verdict = Some(match verdict {
        Verdict::Whole { entries } => Note::new(
            Tone::Ok,
            "The journal is whole",
            format!("All {entries} entries carry the hash that they should."),
        ),
        Verdict::Broken { sequence } => Note::new(
            Tone::Bad,
            format!("The chain breaks at entry {sequence}"),
            "That entry or the one before it was changed or removed from outside. Compare with a backup.",
        ),
    });
    visit.show(&page)
}
