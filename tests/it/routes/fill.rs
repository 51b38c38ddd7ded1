//! Ids for a route's path, and a body that it takes.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Route;
use crate::harness::Client;

/// Ids to put into paths and bodies.
#[derive(Debug, Clone)]
pub struct Names {
    pub deployment: String,
    pub infrastructure: String,
    pub project: String,
    pub version: &'static str,
    /// Of a user, and of an API key.
    pub user: String,
    pub key: String,
}

impl Names {
    /// What nobody has.
    pub fn absent() -> Self {
        Self {
            deployment: "nothing-here".into(),
            infrastructure: "nowhere".into(),
            project: "nobodys".into(),
            version: "1.0",
            user: "b6cf4b5a-5e0a-4b0b-8b0e-3a4c9f2d6a11".into(),
            key: "c7d05c6b-6f1b-4c1c-9c1f-4b5daf3e7b22".into(),
        }
    }

    fn id_in(&self, pattern: &str) -> &str {
        let path = ["/api/v1", "/dip/publicapi/project-deployer"]
            .iter()
            .find_map(|prefix| pattern.strip_prefix(prefix))
            .unwrap_or(pattern);
        match path.split("/{id}").next().unwrap_or_default() {
            "/deployments" => &self.deployment,
            "/infrastructures" | "/infras" => &self.infrastructure,
            "/users" | "/admin/users" => &self.user,
            "/api-keys" | "/account/keys" | "/admin/keys" => &self.key,
            other => panic!("whose id stands in {other}?"),
        }
    }

    /// A path that the pattern matches.
    pub fn path(&self, pattern: &str) -> String {
        let id = if pattern.contains("{id}") { self.id_in(pattern) } else { "" };
        let path = pattern
            .replace("{id}", id)
            .replace("{key}", &self.project)
            .replace("/static/{version}", "/static/0")
            .replace("{version}/diff", &format!("{}/diff?with=1.1", self.version))
            .replace("{version}", self.version)
            .replace("{number}", "1")
            .replace("{group}", "ml")
            .replace("{timestamp}", "1")
            .replace("{job}", "d8e16d7c7a2c4d2d8d2e5c6eaf4f8c33-1")
            .replace("generate-personal-api-key", "generate-personal-api-key?label=k")
            .replace("{uuid}", "d8e16d7c-7a2c-4d2d-8d2e-5c6eaf4f8c33")
            .replace("{path:.+}", "compose.yaml")
            .replace("{path:.*}", "nothing.css")
            .replace("{file:.*}", "index.html");
        match path.as_str() {
            "/events" => format!("/events?topics=deployment:{}", self.deployment),
            "/search" => format!("/search?q={}", self.project),
            "/deployments/new" => {
                format!("/deployments/new?project={}&infrastructure={}", self.project, self.infrastructure)
            }
            _ => path,
        }
    }

    /// `text` with every id of these taken out.
    pub fn blank(&self, text: &str) -> String {
        // The longer ones first: they may hold the shorter ones.
        [&self.deployment, &self.user, &self.key, &self.infrastructure, &self.project]
            .iter()
            .fold(text.to_owned(), |text, id| text.replace(id.as_str(), "ID"))
    }

    /// A JSON body that the route takes, naming these ids where it takes any.
    fn json(&self, route: &Route) -> Value {
        if let Some(path) = route.of_dataiku() {
            return match format!("{} {path}", route.method).as_str() {
                "POST /project-deployer/infras" => json!({ "id": "new", "stage": "dev" }),
                "POST /project-deployer/projects" => json!({ "publishedProjectKey": self.project }),
                "POST /project-deployer/deployments" => {
                    json!({ "deploymentId": format!("{}-too", self.deployment),
                    "publishedProjectKey": self.project, "infraId": self.infrastructure, "bundleId": self.version })
                }
                _ => json!({}),
            };
        }
        let spec =
            json!({ "project": self.project, "bundle": self.version, "infrastructure": self.infrastructure });
        let path = route.pattern.strip_prefix("/api/v1").unwrap_or_default();
        match format!("{} {path}", route.method).as_str() {
            "PUT /stages" => json!([{ "id": "dev", "description": "Dev" }]),
            "POST /infrastructures" => json!({ "name": "new", "spec": { "stage": "dev" } }),
            "PUT /infrastructures/{id}" => json!({ "spec": { "stage": "dev" } }),
            "PUT /infrastructures/{id}/grants/{group}" | "PUT /projects/{key}/grants/{group}" => {
                json!({ "right": "admin" })
            }
            "POST /projects" => json!({ "name": self.project }),
            "PUT /projects/{key}" => json!({ "spec": { "description": "mine" } }),
            "POST /deployments" | "PUT /deployments/{id}" => json!({ "spec": spec }),
            "PATCH /deployments/{id}" => json!({ "spec": { "enabled": false } }),
            "POST /deployments/{id}/promote" => json!({ "to": self.infrastructure }),
            "POST /deployments/{id}/rollback" => json!({ "to": 1 }),
            "PUT /users/{id}" => json!({ "disabled": true }),
            "POST /api-keys" => json!({ "name": "k", "groups": ["ml"] }),
            "PUT /me/preferences" => json!({ "theme": "dark", "keys": true }),
            _ => json!({}),
        }
    }

    /// The fields of a console form; what is left out makes the form be shown again.
    fn fields(&self, route: &Route) -> Vec<(&'static str, String)> {
        let field = |name: &'static str, value: &str| (name, value.to_owned());
        match route.pattern.as_str() {
            "/deployments/new" => vec![
                field("project", &self.project),
                field("version", self.version),
                field("infrastructure", &self.infrastructure),
            ],
            "/deployments/{id}/promote" => vec![field("to", &self.infrastructure)],
            "/deployments/{id}/roll-back" => vec![field("to", "1")],
            "/deployments/{id}/secrets" => vec![field("name", "T"), field("value", "t")],
            "/projects/{key}/permissions" | "/infrastructures/{id}/permissions" => {
                vec![field("group", "ml"), field("right", "admin")]
            }
            "/infrastructures/{id}/approvers" => vec![field("group", "ml"), field("may", "yes")],
            "/projects/{key}/settings" => vec![field("description", "mine"), field("revision", "1")],
            "/projects/{key}/delete" => vec![field("name", &self.project)],
            "/deployments/{id}/delete" | "/deployments/{id}/stop" => vec![field("name", &self.deployment)],
            "/infrastructures/{id}/delete" => vec![field("name", &self.infrastructure)],
            "/projects/{key}/bundles/{version}/delete" => vec![field("name", self.version)],
            "/account" | "/account/theme" => vec![field("theme", "dark")],
            _ => Vec::new(),
        }
    }

    /// The request of the route with these ids, as `client` sends it; a session proves where it comes from.
    pub fn request(&self, client: &Client, route: &Route) -> RequestBuilder {
        let request = client.request(route.method.clone(), &self.path(&route.pattern));
        if route.method == Method::GET {
            return request;
        }
        if route.is_api() {
            return request.json(&self.json(route));
        }
        let request = request.header("x-csrf-token", client.csrf()).header("sec-fetch-site", "same-origin");
        if route.pattern.ends_with("/upload") {
            let body = "--X\r\nContent-Disposition: form-data; name=\"version\"\r\n\r\n1\r\n--X--\r\n";
            return request.header("content-type", "multipart/form-data; boundary=X").body(body);
        }
        request.form(&self.fields(route))
    }
}
