//! Answers: settings with their ETag, lists as bare arrays, paged with a `Link` header or streamed whole.

use std::future::Future;

use actix_web::http::header::{self, ContentType, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use url::form_urlencoded;

use crate::domain::page::{Page, PageRequest};
use crate::domain::{Error, Kind, Result};
use crate::http::State;
use crate::http::api::Reply;

/// Settings, with their revision as the ETag that a save may name in `If-Match`.
pub fn tagged(revision: u32, resource: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, format!("\"{revision}\""))).json(resource)
}

/// The revision that a save expects: from `If-Match`, where it comes. A tag that is none of ours matches nothing.
///
/// # Errors
/// `changed_meanwhile` for a foreign or weak tag.
pub fn if_match(request: &HttpRequest) -> Result<Option<u32>> {
    let Some(value) = request.headers().get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match revision.and_then(|text| text.parse().ok()) {
        Some(revision) => Ok(Some(revision)),
        None => {
            Err(Error::new(Kind::Stale, "changed_meanwhile", format!("{text} is no ETag of these settings"))
                .hint("Read them again, and send back the ETag that comes with them."))
        }
    }
}

/// A list: one page with the address of the next, or, where no page was asked for, everything as one stream.
pub async fn list<T, F, Fut>(
    request: &HttpRequest,
    page: Option<PageRequest>,
    fetch: F,
) -> Reply<HttpResponse>
where
    T: Serialize + 'static,
    F: Fn(PageRequest) -> Fut + 'static,
    Fut: Future<Output = Result<Page<T>>> + 'static,
{
    match page {
        Some(page) => {
            let found = fetch(page).await?;
            let mut response = HttpResponse::Ok();
            if let Some(next) = &found.next {
                response.insert_header((header::LINK, next_link(request, next)?));
            }
            Ok(response.json(&found.items))
        }
        None => whole(fetch).await,
    }
}

fn next_link(request: &HttpRequest, next: &str) -> Result<HeaderValue> {
    let kept = form_urlencoded::parse(request.query_string().as_bytes()).filter(|(name, _)| name != "after");
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("after", next)
        .finish();
    let origin = request
        .app_data::<web::Data<State>>()
        .map(|state| state.settings.base_url.origin().ascii_serialization())
        .unwrap_or_default();
    let link = format!("<{origin}{}?{query}>; rel=\"next\"", request.path());
    HeaderValue::from_str(&link).map_err(Error::internal)
}

/// Everything, page by page, so that memory stays flat. The first page is read before the answer begins: what is
/// refused is refused with its status.
async fn whole<T, F, Fut>(fetch: F) -> Reply<HttpResponse>
where
    T: Serialize + 'static,
    F: Fn(PageRequest) -> Fut + 'static,
    Fut: Future<Output = Result<Page<T>>> + 'static,
{
    let first = fetch(PageRequest::first(PageRequest::MOST)).await?;
    if first.next.is_none() {
        return Ok(HttpResponse::Ok().json(&first.items));
    }
    let pages = stream::try_unfold(Some((first, true)), move |state| {
        let later = state.as_ref().and_then(|(page, _)| page.next.clone());
        let fetched = later.map(|after| fetch(PageRequest { limit: PageRequest::MOST, after: Some(after) }));
        async move {
            let Some((page, is_first)) = state else {
                return Ok(None);
            };
            let chunk = chunk(&page.items, is_first, page.next.is_none())?;
            let next = match fetched {
                Some(fetched) => Some((fetched.await?, false)),
                None => None,
            };
            Ok::<_, Error>(Some((chunk, next)))
        }
    });
    Ok(HttpResponse::Ok().content_type(ContentType::json()).streaming(pages))
}

fn chunk<T: Serialize>(items: &[T], is_first: bool, is_last: bool) -> Result<Bytes> {
    let mut text = Vec::with_capacity(64 * 1024);
    text.push(if is_first { b'[' } else { b',' });
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, item).map_err(Error::internal)?;
    }
    if is_last {
        text.push(b']');
    }
    Ok(text.into())
}
