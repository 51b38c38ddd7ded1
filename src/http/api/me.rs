//! The caller itself: who it is here, how it likes the console, where it is signed in.

use actix_web::web::{Data, Json};
use serde::Serialize;
use uuid::Uuid;

use crate::app;
use crate::domain::access::SubjectKind;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::session;
use crate::domain::user::Preferences;
use crate::http::State;
use crate::http::api::Reply;
use crate::http::api::body::Body;
use crate::http::identity::Who;

noun! {
    get "/me" => get,
    put "/me/preferences" => save_preferences,
    get "/me/sessions" => sessions,
}

/// What kind of caller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    User,
    ApiKey,
    System,
}

/// Who the caller is here.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    pub kind: CallerKind,
    /// The user's or the key's.
    pub uuid: Option<Uuid>,
    pub name: String,
    #[schema(value_type = Vec<String>)]
    pub groups: Groups,
    /// A member of an admin group: may do all.
    pub is_admin: bool,
    pub preferences: Preferences,
}

/// A signed-in browser.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
    /// It ends then, whatever happens.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    pub user_agent: String,
    pub address: String,
}

impl From<session::Session> for Session {
    fn from(session: session::Session) -> Self {
        Self {
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
            address: session.address,
        }
    }
}

/// Say who the caller is.
#[utoipa::path(get, path = "/me", tag = "me", operation_id = "getMe",
    responses((status = 200, body = Me, example = json!({ "kind": "api_key", "uuid": "8a7e5c35-21a5-4b4c-9f57-1d5a1f1d7a10",
        "name": "ci", "groups": ["ml-deployers"], "isAdmin": false, "preferences": { "theme": "system", "keys": true } }))))]
async fn get(state: Data<State>, who: Who) -> Reply<Json<Me>> {
    let subject = who.subject.clone();
    let (kind, uuid) = match subject.kind {
        SubjectKind::User(id) => (CallerKind::User, Some(id)),
        SubjectKind::ApiKey(id) => (CallerKind::ApiKey, Some(id)),
        SubjectKind::System => (CallerKind::System, None),
    };
    Ok(Json(Me {
        kind,
        uuid,
        name: subject.name,
        groups: subject.groups,
        is_admin: subject.is_admin,
        preferences: app::user::preferences(&state.app, &who).await?,
    }))
}

/// Save how the caller likes the console.
#[utoipa::path(put, path = "/me/preferences", tag = "me", operation_id = "savePreferences",
    request_body(content = Preferences, example = json!({ "theme": "dark", "keys": false })),
    responses((status = 200, body = Preferences)))]
async fn save_preferences(state: Data<State>, who: Who, body: Body<Preferences>) -> Reply<Json<Preferences>> {
    app::user::set_preferences(&state.app, &who, body.value.clone()).await?;
    Ok(Json(body.value))
}

/// List the caller's own sessions, newest first.
///
/// A key has none.
#[utoipa::path(get, path = "/me/sessions", tag = "me", operation_id = "listSessions",
    responses((status = 200, body = [Session])))]
async fn sessions(state: Data<State>, who: Who) -> Reply<Json<Vec<Session>>> {
    let sessions = app::user::own_sessions(&state.app, &who).await?;
    Ok(Json(sessions.into_iter().map(Session::from).collect()))
}
