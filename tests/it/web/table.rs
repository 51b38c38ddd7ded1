//! Every page of the console, by its route.

use std::collections::BTreeSet;

use actix_web::http::Method;
use slipway::http::all_routes;

use crate::harness::TestApp;

/// Each page's route, and where it is once `iris-on-local` runs.
pub const PAGES: &[(&str, &str)] = &[
    ("/", "/"),
    ("/projects", "/projects"),
    ("/projects/new", "/projects/new"),
    ("/projects/{key}", "/projects/iris"),
    ("/projects/{key}/upload", "/projects/iris/upload"),
    ("/projects/{key}/deployments", "/projects/iris/deployments"),
    ("/projects/{key}/settings", "/projects/iris/settings"),
    ("/projects/{key}/permissions", "/projects/iris/permissions"),
    ("/projects/{key}/activity", "/projects/iris/activity"),
    ("/projects/{key}/delete", "/projects/iris/delete"),
    ("/projects/{key}/bundles/{version}", "/projects/iris/bundles/1.0"),
    ("/projects/{key}/bundles/{version}/diff", "/projects/iris/bundles/1.1/diff?with=1.0"),
    ("/projects/{key}/bundles/{version}/delete", "/projects/iris/bundles/1.1/delete"),
    ("/upload", "/upload"),
    ("/pipelines", "/pipelines"),
    ("/pipelines/new", "/pipelines/new"),
    ("/streams", "/streams"),
    ("/streams/new", "/streams/new"),
    ("/executions", "/executions"),
    ("/contexts", "/contexts"),
    ("/contexts/new", "/contexts/new"),
    ("/deployments", "/deployments"),
    ("/deployments/new", "/deployments/new?project=iris"),
    ("/deployments/{id}", "/deployments/iris-on-local"),
    ("/deployments/{id}/updates", "/deployments/iris-on-local/updates"),
    ("/deployments/{id}/updates/{number}", "/deployments/iris-on-local/updates/1"),
    ("/deployments/{id}/update", "/deployments/iris-on-local/update"),
    ("/deployments/{id}/logs", "/deployments/iris-on-local/logs"),
    ("/deployments/{id}/metrics", "/deployments/iris-on-local/metrics"),
    ("/deployments/{id}/settings", "/deployments/iris-on-local/settings"),
    ("/deployments/{id}/history", "/deployments/iris-on-local/history"),
    ("/deployments/{id}/stop", "/deployments/iris-on-local/stop"),
    ("/deployments/{id}/roll-back", "/deployments/iris-on-local/roll-back"),
    ("/deployments/{id}/promote", "/deployments/iris-on-local/promote"),
    ("/deployments/{id}/delete", "/deployments/iris-on-local/delete"),
    ("/approvals", "/approvals"),
    ("/infrastructures", "/infrastructures"),
    ("/infrastructures/new", "/infrastructures/new"),
    ("/infrastructures/{id}", "/infrastructures/local"),
    ("/infrastructures/{id}/settings", "/infrastructures/local/settings"),
    ("/infrastructures/{id}/permissions", "/infrastructures/local/permissions"),
    ("/infrastructures/{id}/activity", "/infrastructures/local/activity"),
    ("/infrastructures/{id}/delete", "/infrastructures/local/delete"),
    ("/admin", "/admin"),
    ("/admin/keys", "/admin/keys"),
    ("/admin/stages", "/admin/stages"),
    ("/admin/journal", "/admin/journal"),
    ("/admin/system", "/admin/system"),
    ("/account", "/account"),
    ("/account/keys", "/account/keys"),
    ("/account/sessions", "/account/sessions"),
    ("/search", "/search?q=iris"),
];

/// Pages before a login.
pub const OUTSIDE: &[&str] = &["/login", "/setup"];

/// Routes of the console that answer no page: streams, files, redirects.
const OTHERS: &[&str] = &[
    "/events",
    "/deployments.csv",
    "/deployments/{id}/logs/stream",
    "/deployments/{id}/logs/download",
    "/deployments/{id}/updates/{number}/log",
    "/deployments/{id}/updates/{number}/log.txt",
    "/projects/{key}/bundles/{version}/archive",
    "/auth/login",
    "/auth/callback",
];

/// Pages whose address is not known before: `browser::approvals`, `browser::pipelines` and `browser::executions` look at
/// them.
const FOUND: &[&str] = &[
    "/approvals/{uuid}",
    "/pipelines/{uuid}",
    "/pipelines/{uuid}/edit",
    "/pipelines/{uuid}/deploy",
    "/pipelines/{uuid}/delete",
    "/deployments/{id}/pipeline",
    "/contexts/{uuid}",
    "/contexts/{uuid}/run",
    "/contexts/{uuid}/delete",
    "/executions/{uuid}",
    "/executions/{uuid}/stop",
    "/executions/{uuid}/remove",
    "/streams/{uuid}",
    "/streams/{uuid}/edit",
    "/streams/{uuid}/delete",
];

#[tokio::test]
async fn every_route_is_a_page_that_is_looked_at_or_none() {
    let it = TestApp::builder().start().await;
    let table = all_routes(&it.state.settings).table();
    let foreign = ["/api/", "/dip/", "/v1/", "/static/", "/healthz", "/readyz", "/metrics"];
    let routes: BTreeSet<&str> = table
        .iter()
        .filter(|(method, path)| {
            *method == Method::GET && !foreign.iter().any(|prefix| path.starts_with(prefix))
        })
        .map(|(_, path)| path.as_str())
        .collect();
    let known: BTreeSet<&str> = PAGES
        .iter()
        .map(|(route, _)| *route)
        .chain(OUTSIDE.iter().copied())
        .chain(OTHERS.iter().copied())
        .chain(FOUND.iter().copied())
        .collect();
    assert_eq!(routes, known);
}
