//! Every request gets an id: in its log line, in its answer's `X-Request-Id`, in the journal and in error bodies.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, web};
use tracing::Instrument as _;

use crate::domain::random;
use crate::http::State;

/// The id of the request in hand.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Gives the request an id, logs it, counts it.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let id = random::uuid().simple().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let state = request.app_data::<web::Data<State>>().cloned();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let span = tracing::info_span!("request", id = %id, %method, path = %path);
    let begun = Instant::now();
    let mut response = CURRENT.scope(id.clone(), next.call(request).instrument(span.clone())).await?;
    let (status, took) = (response.status(), begun.elapsed());
    if let Some(state) = state {
        state.metrics.count(&method, status, took);
    }
    span.in_scope(|| {
        tracing::debug!(status = status.as_u16(), took_ms = took.as_secs_f64() * 1e3, "answered")
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    Ok(response)
}
