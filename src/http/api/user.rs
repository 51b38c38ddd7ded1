//! Users, for administrators.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::page::Page;
use crate::domain::user;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::query::{Paging, Query};
use crate::http::api::{Reply, answer, named};
use crate::http::identity::Who;

noun! {
    get "/users" => list,
    put "/users/{id}" => save,
    post "/users/{id}/revoke-sessions" => revoke_sessions,
}

/// Somebody who has signed in at least once, or a local user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub uuid: Uuid,
    pub name: String,
    /// The identity provider's URL, or `local`.
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    /// As of the last login.
    #[schema(value_type = Vec<String>)]
    pub groups: Groups,
    pub disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login_at: Option<Timestamp>,
}

impl From<user::User> for User {
    fn from(user: user::User) -> Self {
        Self {
            uuid: user.id,
            name: user.name,
            issuer: user.issuer,
            subject: user.subject,
            email: user.email,
            groups: user.groups,
            disabled: user.disabled,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// What can be changed of a user.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// A disabled user's sessions end, and its keys open nothing.
    pub disabled: bool,
}

/// How many sessions ended.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Revoked {
    pub sessions: usize,
}

/// List the users.
///
/// Takes an administrator.
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "listUsers", params(Paging),
    responses((status = 200, body = [User])))]
async fn list(
    request: HttpRequest,
    state: Data<State>,
    who: Who,
    query: Query<Paging>,
) -> Reply<HttpResponse> {
    let page = query.0.page()?;
    let fetch = move |page: crate::domain::page::PageRequest| {
        let (state, who) = (state.clone(), who.clone());
        async move {
            let limit = page.limit;
            let mut items = app::user::list(&state.app, &who, page.after, limit + 1).await?;
            let more = items.len() > limit as usize;
            items.truncate(limit as usize);
            let next = items.last().filter(|_| more).map(|user| user.id.to_string());
            Ok(Page { items, next }.map(User::from))
        }
    };
    answer::list(&request, page, fetch).await
}

/// Disable or enable a user.
///
/// Takes an administrator.
#[utoipa::path(put, path = "/users/{id}", tag = "users", operation_id = "saveUser",
    params(("id" = Uuid, Path, description = "The user's uuid")),
    request_body(content = UserChange, example = json!({ "disabled": true })),
    responses((status = 200, body = User)))]
async fn save(state: Data<State>, who: Who, id: Path<String>, body: Body<UserChange>) -> Reply<Json<User>> {
    let id = named("user", &id)?;
    let user = app::user::set_disabled(&state.app, &who, id, body.value.disabled).await?;
    Ok(Json(user.into()))
}

/// End all sessions of a user: one's own, or anybody's by an administrator.
#[utoipa::path(post, path = "/users/{id}/revoke-sessions", tag = "users", operation_id = "revokeSessions",
    params(("id" = Uuid, Path, description = "The user's uuid")),
    responses((status = 200, body = Revoked)))]
async fn revoke_sessions(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<Revoked>> {
    let sessions = app::user::revoke_sessions(&state.app, &who, named("user", &id)?).await?;
    Ok(Json(Revoked { sessions }))
}
