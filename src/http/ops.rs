//! For operators: alive, ready, metrics. No credentials, an allow-list of their own.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::Error;
use crate::http::routes::Routes;
use crate::http::{State, error, proxy};

/// Labels of the request counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    status: u16,
}

/// What is counted, and where others register theirs.
pub struct Metrics {
    registry: std::sync::Mutex<Registry>,
    requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    seconds: Histogram,
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("slipway");
        let requests = Family::<RequestLabels, Counter<u64, AtomicU64>>::default();
        let seconds = Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]);
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register("http_request_seconds", "Time to an answer's first byte", seconds.clone());
        Self { registry: std::sync::Mutex::new(registry), requests, seconds }
    }

    /// Lets another part register what it counts.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Counts one answer.
    pub fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let method = if known.contains(method) { method.to_string() } else { "other".to_owned() };
        self.requests.get_or_create(&RequestLabels { method, status: status.as_u16() }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner))?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/healthz", healthz);
    routes.get("/readyz", readyz);
    routes.get("/metrics", metrics);
}

fn refuse_strangers(request: &HttpRequest, state: &State) -> Option<HttpResponse> {
    let address = proxy::client_address(request.head(), &state.settings.trusted_proxies);
    let allowed =
        address.is_some_and(|address| state.settings.ops_allowed.iter().any(|net| net.contains(&address)));
    (!allowed).then(|| error::respond(request, &Error::not_found("page", request.path())))
}

async fn healthz(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    refuse_strangers(&request, &state).unwrap_or_else(|| HttpResponse::Ok().body("ok\n"))
}

/// Ready: the database answers, and nothing drains.
async fn readyz(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    if let Some(refusal) = refuse_strangers(&request, &state) {
        return refusal;
    }
    if state.shutdown.is_cancelled() {
        return HttpResponse::ServiceUnavailable().body("stopping\n");
    }
    match state.app.store.read(|db| crate::store::meta::get(db, "instance")).await {
        Ok(_) => HttpResponse::Ok().body("ready\n"),
        Err(failure) => error::respond(&request, &failure),
    }
}

async fn metrics(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    if let Some(refusal) = refuse_strangers(&request, &state) {
        return refusal;
    }
    match state.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(failure) => error::respond(&request, &Error::internal(failure)),
    }
}
