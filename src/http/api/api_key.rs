//! API keys: the secret is answered once, when a key is made.

use actix_web::web::{Data, Json, Path};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app;
use crate::app::api_key::NewKey;
use crate::domain::api_key;
use crate::domain::clock::Timestamp;
use crate::domain::group::Groups;
use crate::domain::name::Label;
use crate::http::State;
use crate::http::api::body::Body;
use crate::http::api::query::Query;
use crate::http::api::{Reply, named};
use crate::http::identity::Who;

noun! {
    get "/api-keys" => list,
    post "/api-keys" => create,
    delete "/api-keys/{id}" => revoke,
}

/// An API key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub uuid: Uuid,
    pub name: Label,
    /// The whole key. Only in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Its first characters, to tell keys apart.
    pub hint: String,
    /// What it acts as.
    #[schema(value_type = Vec<String>)]
    pub groups: Groups,
    /// Who made it; absent when the command line did.
    pub owner: Option<Uuid>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

impl From<api_key::ApiKey> for ApiKey {
    fn from(key: api_key::ApiKey) -> Self {
        Self {
            uuid: key.id,
            name: key.name,
            secret: None,
            hint: key.hint,
            groups: key.groups,
            owner: key.owner,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyRequest {
    pub name: Label,
    /// What it may act as; never more than its maker.
    #[schema(value_type = Vec<String>)]
    pub groups: Groups,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// Whose keys are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// `true`: everybody's, for administrators.
    #[serde(default)]
    #[param(required = false)]
    all: bool,
}

/// List the caller's own keys, or with `all=true` everybody's.
#[utoipa::path(get, path = "/api-keys", tag = "api-keys", operation_id = "listApiKeys", params(Whose),
    responses((status = 200, body = [ApiKey])))]
async fn list(state: Data<State>, who: Who, query: Query<Whose>) -> Reply<Json<Vec<ApiKey>>> {
    let keys = if query.0.all {
        app::api_key::list_all(&state.app, &who).await?
    } else {
        app::api_key::list_own(&state.app, &who).await?
    };
    Ok(Json(keys.into_iter().map(ApiKey::from).collect()))
}

/// Make a key.
///
/// Its secret comes with this answer and never again.
#[utoipa::path(post, path = "/api-keys", tag = "api-keys", operation_id = "createApiKey",
    request_body(content = ApiKeyRequest, example = json!({ "name": "ci", "groups": ["ml-deployers"], "expiresAt": "2027-01-31T00:00:00Z" })),
    responses((status = 200, body = ApiKey)))]
async fn create(state: Data<State>, who: Who, body: Body<ApiKeyRequest>) -> Reply<Json<ApiKey>> {
    let ApiKeyRequest { name, groups, expires_at } = body.value;
    let new = NewKey { name, groups, expires_at };
    let (key, secret) = app::api_key::create(&state.app, &who, new).await?;
    Ok(Json(ApiKey { secret: Some(secret.expose_secret().to_owned()), ..key.into() }))
}

/// Revoke a key: one's own, or any by an administrator.
///
/// It opens nothing from now on.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "api-keys", operation_id = "revokeApiKey",
    params(("id" = Uuid, Path, description = "The key's uuid")),
    responses((status = 200, body = ApiKey)))]
async fn revoke(state: Data<State>, who: Who, id: Path<String>) -> Reply<Json<ApiKey>> {
    let key = app::api_key::revoke(&state.app, &who, named("key", &id)?).await?;
    Ok(Json(key.into()))
}
