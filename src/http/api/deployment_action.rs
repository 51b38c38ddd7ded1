//! What a deployment can be asked to do: show its plan, update, stop, resume, go on to another infrastructure, go back.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::app;
use crate::domain::bundle::Digest;
use crate::domain::diff::Change;
use crate::domain::health::Message;
use crate::domain::name::Version;
use crate::domain::page::PageRequest;
use crate::domain::plan::Downtime;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::deployment::answered;
use crate::http::api::deployment_body::{Promotion, Reason, RollBack};
use crate::http::api::deployment_status::Deployment;
use crate::http::api::query::{Paging, Query};
use crate::http::api::update::Update;
use crate::http::api::{Reply, answer};
use crate::http::identity::Who;

noun! {
    get "/deployments/{id}/plan" => plan,
    get "/deployments/{id}/updates" => list_updates,
    post "/deployments/{id}/updates" => start,
    post "/deployments/{id}/stop" => stop,
    post "/deployments/{id}/resume" => resume,
    post "/deployments/{id}/promote" => promote,
    post "/deployments/{id}/rollback" => roll_back,
}

/// What an update would do now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// Covers everything that would change what runs.
    pub digest: Digest,
    pub bundle: Version,
    /// `false`: everything would stop.
    pub enabled: bool,
    /// Against what runs, place by place; empty when nothing would change. Secrets appear by version only.
    pub changes: Vec<Change>,
    /// Which services it would interrupt, and why.
    pub downtime: Vec<Downtime>,
    /// What the engine does otherwise than the bundle says, a line for each: e.g. which fixed port a cluster does not
    /// give.
    pub differences: Vec<String>,
    /// What the infrastructure's governance says of it; an entry that is fatal keeps it from running.
    pub governance: Vec<Message>,
}

/// Show what an update would change now, before it is asked for.
#[utoipa::path(get, path = "/deployments/{id}/plan", tag = "deployments", operation_id = "previewUpdate",
    params(("id" = String, Path, description = "The deployment's id or uuid")),
    responses((status = 200, body = Preview)))]
async fn plan(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Preview>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let preview = app::update::preview(&state.app, &who, id).await?;
    Ok(Json(Preview {
        digest: preview.plan.digest(),
        bundle: preview.plan.version.clone(),
        enabled: preview.plan.enabled,
        changes: preview.changes,
        downtime: preview.downtime,
        differences: preview.differences,
        governance: preview.governance,
    }))
}

/// List a deployment's updates, newest first.
#[utoipa::path(get, path = "/deployments/{id}/updates", tag = "updates", operation_id = "listUpdates",
    params(("id" = String, Path, description = "The deployment's id or uuid"), Paging),
    responses((status = 200, body = [Update])))]
async fn list_updates(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    id: Path<String>,
    query: Query<Paging>,
) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let fetch = move |page: PageRequest| {
        let (state, who, id) = (state.clone(), who.clone(), id.clone());
        async move { Ok(app::update::list(&state.app, &who, id, page).await?.map(Update::from)) }
    };
    answer::list(&request, query.0.page()?, fetch).await
}

/// Ask for an update: the world is made to match the saved settings.
///
/// Answers at once; follow it by its number.
#[utoipa::path(post, path = "/deployments/{id}/updates", tag = "updates", operation_id = "startUpdate",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = Option<Reason>, example = json!({ "reason": "release 1.1" })),
    responses((status = 200, body = Update)))]
async fn start(state: Data<State>, who: Who, id: Path<String>, body: Body<Reason>) -> Reply<Json<Update>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let update = app::update::start(&state.app, &who, id, body.value.reason, body.once).await?;
    Ok(Json(update.into()))
}

/// Disable a deployment and ask for the update that stops it.
#[utoipa::path(post, path = "/deployments/{id}/stop", tag = "deployments", operation_id = "stopDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = Option<Reason>, example = json!({ "reason": "not needed over the holidays" })),
    responses((status = 200, body = Update)))]
async fn stop(state: Data<State>, who: Who, id: Path<String>, body: Body<Reason>) -> Reply<Json<Update>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let update = app::update::stop(&state.app, &who, id, body.value.reason, body.once).await?;
    Ok(Json(update.into()))
}

/// Enable a stopped deployment and ask for the update that starts it.
#[utoipa::path(post, path = "/deployments/{id}/resume", tag = "deployments", operation_id = "resumeDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = Option<Reason>, example = json!({})),
    responses((status = 200, body = Update)))]
async fn resume(state: Data<State>, who: Who, id: Path<String>, body: Body<Reason>) -> Reply<Json<Update>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let update = app::update::resume(&state.app, &who, id, body.value.reason, body.once).await?;
    Ok(Json(update.into()))
}

/// Take a deployment's bundle to another infrastructure.
///
/// Makes the deployment there, or moves the one that is there to the same bundle. Answers with that deployment; it runs
/// after its next update. Secrets do not travel.
#[utoipa::path(post, path = "/deployments/{id}/promote", tag = "deployments", operation_id = "promoteDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = Promotion, example = json!({ "to": "production" })),
    responses((status = 200, body = Deployment)))]
async fn promote(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<Promotion>,
) -> Reply<HttpResponse> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let Promotion { to, as_id, ignore_warnings } = body.value;
    let promotion = app::deployment::Promotion { to, as_id, ignore_warnings };
    let there = app::deployment::promote(&state.app, &who, id, promotion, body.once).await?;
    Ok(answered(&state, &who, there.id.clone()).await?)
}

/// Ask for an update back to what an earlier one had: its bundle and settings; secrets stay as they are now.
#[utoipa::path(post, path = "/deployments/{id}/rollback", tag = "deployments", operation_id = "rollBackDeployment",
    params(("id" = String, Path, description = "The deployment's id or uuid"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating the request with the same key answers with the first result")),
    request_body(content = RollBack, example = json!({ "to": 3, "reason": "1.1 answers slowly" })),
    responses((status = 200, body = Update)))]
async fn roll_back(
    state: Data<State>,
    who: Who,
    id: Path<String>,
    body: Body<RollBack>,
) -> Reply<Json<Update>> {
    let id = app::deployment::id_of(&state.app, &who, &id).await?;
    let RollBack { to, reason } = body.value;
    let update = app::update::roll_back(&state.app, &who, id, to, reason, body.once).await?;
    Ok(Json(update.into()))
}
