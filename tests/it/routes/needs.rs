//! What each route needs of who asks.

use super::Route;

/// The least that a route takes, in the order of what a group may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing at all: what is open to all.
    Open,
    /// To be signed in; it speaks of the caller's own things alone.
    Own,
    /// To see the object that the path or the body names.
    View,
    Publish,
    Deploy,
    /// `admin` on the object.
    Admin,
    /// To be an administrator of this Slipway; who sees the object is told so.
    Instance,
    /// To be its owner, or an administrator: to others it is absent.
    Owner,
    /// A case of its own, with a test of its own.
    Elsewhere,
}

/// What `route` needs; one that is not named here fails the test.
pub fn needs(route: &Route) -> Needs {
    let text = route.to_string();
    let of_api = text.replacen(" /api/v1", " ", 1);
    let known = match route.of_dataiku() {
        Some(path) => of_dataiku(&format!("{} {path}", route.method)),
        None if route.pattern.starts_with("/api/v1") => of_the_api(&of_api),
        None if route.pattern.starts_with("/v1/") => of_renga(&text),
        None => of_the_console(&text),
    };
    known.unwrap_or_else(|| panic!("say in tests/it/routes/needs.rs what {route} needs"))
}

fn of_the_api(route: &str) -> Option<Needs> {
    Some(match route {
        "GET /openapi.json" => Needs::Open,
        "GET /stages"
        | "GET /infrastructures"
        | "GET /projects"
        | "GET /deployments"
        | "GET /approvals"
        | "GET /groups"
        | "GET /me"
        | "GET /me/sessions"
        | "PUT /me/preferences"
        | "GET /api-keys" => Needs::Own,
        // A key makes no keys, and the first of a project makes it: see `api_access` and `api_manner`.
        "POST /api-keys" | "POST /projects" | "POST /bundles" => Needs::Elsewhere,
        // An approval is its deployment's, and who decides is a question of its own: see `api_approval`.
        _ if route.contains("/approvals/{uuid}") => Needs::Elsewhere,
        // What belongs to one group: see `api_pipeline`.
        "GET /streams" | "GET /pipelines" => Needs::Own,
        // Likewise: see `renga`.
        "GET /contexts" | "GET /executions" => Needs::Own,
        _ if route.contains(" /contexts") || route.contains(" /executions") => Needs::Elsewhere,
        _ if route.contains(" /streams") || route.contains(" /pipelines") => Needs::Elsewhere,
        "PUT /stages"
        | "POST /infrastructures"
        | "GET /users"
        | "PUT /users/{id}"
        | "POST /users/{id}/revoke-sessions"
        | "GET /journal"
        | "GET /journal/verify"
        | "DELETE /infrastructures/{id}" => Needs::Instance,
        "DELETE /api-keys/{id}" => Needs::Owner,
        // An archive is read before it is said whose project it is for: see `api_manner`.
        "POST /projects/{key}/bundles" => Needs::Elsewhere,
        "POST /infrastructures/{id}/test" => Needs::View,
        "PUT /projects/{key}"
        | "DELETE /projects/{key}"
        | "DELETE /projects/{key}/bundles/{version}"
        | "PUT /infrastructures/{id}" => Needs::Admin,
        "POST /deployments" => Needs::Deploy,
        _ if route.contains("/grants/{group}") || route.contains("/approvers/{group}") => Needs::Admin,
        _ if route.starts_with("GET ") && route.contains('{') => Needs::View,
        _ if route.contains(" /deployments/{id}") => Needs::Deploy,
        _ => return None,
    })
}

/// What the client's own tests show besides stands in `tests/clients/dataiku`.
fn of_dataiku(route: &str) -> Option<Needs> {
    let route = route.replacen(" /project-deployer", " ", 1);
    Some(match route.as_str() {
        "GET /stages" | "GET /infras" | "GET /projects" | "GET /deployments" | "GET /futures/" => Needs::Own,
        // As in the API; and what a time or a job's id names, only its deployment tells.
        "POST /projects" | "POST /projects/bundles" => Needs::Elsewhere,
        _ if route.contains("{timestamp}") || route.contains("{job}") => Needs::Elsewhere,
        "POST /infras" | "DELETE /infras/{id}" => Needs::Instance,
        "POST /infras/{id}/generate-personal-api-key" => Needs::View,
        "PUT /infras/{id}/settings"
        | "PUT /projects/{key}/settings"
        | "DELETE /projects/{key}"
        | "DELETE /projects/{key}/bundles/{version}" => Needs::Admin,
        _ if route.starts_with("GET ") => Needs::View,
        _ if route.contains(" /deployments") => Needs::Deploy,
        _ => return None,
    })
}

fn of_renga(route: &str) -> Option<Needs> {
    Some(match route {
        "GET /v1/swagger.json" | "GET /v1/ui" | "GET /v1/ui/{file:.*}" => Needs::Open,
        "GET /v1/contexts" => Needs::Own,
        // What belongs to one group: see `renga`.
        _ if route.contains(" /v1/contexts") => Needs::Elsewhere,
        _ => return None,
    })
}

fn of_the_console(route: &str) -> Option<Needs> {
    Some(match route {
        "GET /healthz"
        | "GET /readyz"
        | "GET /metrics"
        | "GET /static/{version}/{path:.*}"
        | "GET /api/docs"
        | "GET /api/docs/{file:.*}"
        | "GET /login"
        | "POST /login"
        | "GET /setup"
        | "POST /setup"
        | "GET /auth/login"
        | "GET /auth/callback"
        | "POST /auth/backchannel-logout" => Needs::Open,
        "GET /"
        | "GET /projects"
        | "GET /projects/new"
        | "POST /projects/new"
        | "GET /upload"
        | "POST /upload"
        | "GET /deployments"
        | "GET /deployments.csv"
        | "GET /infrastructures"
        | "GET /pipelines"
        | "GET /pipelines/new"
        | "POST /pipelines/new"
        | "GET /streams"
        | "GET /streams/new"
        | "POST /streams/new"
        | "GET /executions"
        | "GET /contexts"
        | "GET /contexts/new"
        | "POST /contexts/new"
        | "GET /approvals"
        | "GET /search"
        | "GET /account"
        | "POST /account"
        | "POST /account/theme"
        | "GET /account/keys"
        | "POST /account/keys"
        | "GET /account/sessions" => Needs::Own,
        // As in the API; see `web::pipelines` and `web::executions`.
        _ if route.contains("/approvals/{uuid}") => Needs::Elsewhere,
        _ if route.contains("/pipelines/{uuid}") || route.contains("/streams/{uuid}") => Needs::Elsewhere,
        _ if route.contains("/contexts/{uuid}") || route.contains("/executions/{uuid}") => Needs::Elsewhere,
        "GET /deployments/{id}/pipeline" | "POST /deployments/{id}/pipeline" => Needs::Elsewhere,
        // They end the session that asks.
        "POST /logout" | "POST /account/sessions" => Needs::Elsewhere,
        "POST /account/keys/{id}/revoke" => Needs::Owner,
        "GET /infrastructures/new"
        | "POST /infrastructures/new"
        | "GET /infrastructures/{id}/delete"
        | "POST /infrastructures/{id}/delete" => Needs::Instance,
        _ if route.contains(" /admin") => Needs::Instance,
        "GET /events" | "GET /deployments/new" | "POST /infrastructures/{id}/test" => Needs::View,
        "GET /projects/{key}/upload" | "POST /projects/{key}/upload" => Needs::Publish,
        "POST /deployments/new" => Needs::Deploy,
        "GET /deployments/{id}/stop"
        | "GET /deployments/{id}/roll-back"
        | "GET /deployments/{id}/promote"
        | "GET /deployments/{id}/delete" => Needs::Deploy,
        "GET /projects/{key}/delete" | "GET /projects/{key}/bundles/{version}/delete" => Needs::Admin,
        _ if route.starts_with("POST /projects/{key}") || route.starts_with("POST /infrastructures/{id}") => {
            Needs::Admin
        }
        _ if route.starts_with("POST /deployments/{id}") => Needs::Deploy,
        _ if route.starts_with("GET ") && route.contains('{') => Needs::View,
        _ => return None,
    })
}
