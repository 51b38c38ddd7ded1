//! Where a browser that is not signed in is sent.

use actix_web::HttpRequest;

use crate::http::State;

/// The login page's address. Where the visitor wanted to go is kept server-side once the login begins; until then it
/// travels as a path of ours, which the login checks again.
pub fn location(state: &State, request: &HttpRequest) -> String {
    let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let base = state.settings.base_path();
    let encoded: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("{base}/login?to={encoded}")
}
