//! Static files, embedded in the binary, under a path that changes with their content: cached for ever.

use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::RustEmbed;

use crate::domain::Error;
use crate::domain::bundle::Digest;
use crate::http::error;
use crate::http::routes::Routes;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A hash over all static files: part of their path.
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let hashes: Vec<u8> = Files::iter()
            .filter_map(|path| Files::get(&path))
            .flat_map(|file| file.metadata.sha256_hash())
            .collect();
        Digest::of(&hashes).short().to_owned()
    })
}

/// The routes of this file.
pub fn routes(routes: &mut Routes) {
    routes.get("/static/{version}/{path:.*}", file);
}

async fn file(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (_, path) = path.into_inner();
    match Files::get(&path) {
        None => error::respond(&request, &Error::not_found("file", &path)),
        Some(file) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .content_type(file.metadata.mimetype())
            .body(file.data),
    }
}
