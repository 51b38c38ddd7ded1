//! The journal, and the check of its chain.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::app;
use crate::app::audit::{Of, Verdict};
use crate::domain::audit::AuditEvent;
use crate::domain::page::PageRequest;
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::api::query::Query;
use crate::http::api::{Reply, answer, named, query};
use crate::http::identity::Who;

noun! {
    get "/journal" => list,
    get "/journal/verify" => verify,
}

/// Whose entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only what concerns this project.
    project: Option<String>,
    /// Only what concerns this infrastructure.
    infrastructure: Option<String>,
    /// Only what concerns this deployment.
    deployment: Option<String>,
    /// At most this many entries, 1 to 500. Without it all come.
    limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    after: Option<String>,
}

impl Filter {
    async fn of(&self, state: &State, who: &Who) -> Result<Of> {
        match (&self.project, &self.infrastructure, &self.deployment) {
            (None, None, None) => Ok(Of::Everything),
            (Some(key), None, None) => Ok(Of::Project(named("project", key)?)),
            (None, Some(id), None) => Ok(Of::Infrastructure(named("infrastructure", id)?)),
            (None, None, Some(id)) => Ok(Of::Deployment(app::deployment::id_of(&state.app, who, id).await?)),
            _ => Err(Error::field("query", "project, infrastructure and deployment exclude each other")
                .hint("Name one of them.")),
        }
    }
}

/// Whether the journal's chain is whole.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    pub whole: bool,
    /// How many entries were checked, when it is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<i64>,
    /// The first entry that does not carry the hash it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<i64>,
}

/// Read the journal, newest first: whole by administrators, of one object by those who may see it.
#[utoipa::path(get, path = "/journal", tag = "journal", operation_id = "listJournal", params(Filter),
    responses((status = 200, body = [AuditEvent])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Filter>,
) -> Reply<HttpResponse> {
    let filter = query.0;
    let page = query::page(filter.limit, filter.after.clone())?;
    let of = filter.of(&state, &who).await?;
    let fetch = move |page: PageRequest| {
        let (state, who, of) = (state.clone(), who.clone(), of.clone());
        async move { app::audit::list(&state.app, &who, of, page).await }
    };
    answer::list(&request, page, fetch).await
}

/// Check the journal's whole chain.
///
/// Takes an administrator.
#[utoipa::path(get, path = "/journal/verify", tag = "journal", operation_id = "verifyJournal",
    responses((status = 200, body = ChainReport, example = json!({ "whole": true, "entries": 42 }))))]
async fn verify(state: Data<State>, who: Who) -> Reply<Json<ChainReport>> {
    let report = match app::audit::verify(&state.app, &who).await? {
        Verdict::Whole { entries } => ChainReport { whole: true, entries: Some(entries), broken_at: None },
        Verdict::Broken { sequence } => {
            ChainReport { whole: false, entries: None, broken_at: Some(sequence) }
        }
    };
    Ok(Json(report))
}
