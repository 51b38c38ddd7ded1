//! The tests of a deployment: what each came to last, and the button that runs them.

use actix_web::web;

use super::id_of;
use crate::app::test::{self, TestStatus};
use crate::domain::Kind;
use crate::domain::text::capital;
use crate::http::routes::Routes;
use crate::http::web::page::{TestRow, Tone};
use crate::http::web::visit::{Answer, Visit};

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.post("/deployments/{id}/tests", run);
}

/// The part of the overview that lists a deployment's tests.
pub struct TestsView {
    pub version: String,
    pub rows: Vec<TestRow>,
    /// The run that is queued or under way.
    pub open: Option<u32>,
    /// Why they can't be run now; empty: they can.
    pub refusal: String,
}

impl TestsView {
    /// Of a bundle with tests; `None` for one that has none.
    pub fn new(status: TestStatus) -> Option<Self> {
        if status.tests.is_empty() {
            return None;
        }
        let refusal = status.refusal.map(|error| match &error.hint {
            Some(hint) => format!("{}. {hint}", capital(&error.message)),
            None => capital(&error.message),
        });
        Some(Self {
            version: status.version.to_string(),
            rows: status.tests.iter().map(TestRow::from).collect(),
            open: status.open.map(|update| update.number),
            refusal: refusal.unwrap_or_default(),
        })
    }
}

async fn run(visit: Visit, path: web::Path<String>) -> Answer {
    let id = id_of(&path)?;
    match test::run(&visit.app, &visit.caller, id.clone(), None, None).await {
        Ok(update) => Ok(visit.leave(&format!("/deployments/{id}/updates/{}", update.number))),
        Err(error) if error.kind == Kind::Conflict => {
            visit.go(&format!("/deployments/{id}"), Tone::Warn, &capital(&error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
