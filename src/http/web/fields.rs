//! What a form sent, field by field, before it is parsed into newtypes.

use std::future::Future;
use std::pin::Pin;

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::failure::PageError;
use crate::domain::{Error, Kind};
use crate::http::State;

/// The fields of a form, in order; a name may come more than once. Large files have an extractor of their own.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// From pairs that came another way than by a form: a query, a test.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The first value of `name` without white space around it; empty when it did not come.
    pub fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first value of `name` as it came: passwords and secrets keep their white space.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The value where one was given.
    pub fn optional(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// Every value of `name`, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a check box was checked.
    pub fn is_checked(&self, name: &str) -> bool {
        self.get(name) == "true"
    }

    /// Every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl FromRequest for Fields {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<web::Data<State>>().map_or(1 << 20, |state| state.settings.body_limit);
        if request.content_type() == "multipart/form-data" {
            let form = Multipart::new(request.headers(), payload.take());
            return Box::pin(parts(form, limit));
        }
        let body = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let broken = || Error::invalid("body_broken", "the form's body broke off").hint("Send it again.");
            let body = body.await.map_err(|_| broken())?;
            let bytes = match body.to_bytes_limited(limit).await {
                Ok(read) => read.map_err(|_| broken())?,
                Err(_) => {
                    let text = format!("the form is larger than the {limit} bytes that this server takes");
                    return Err(PageError(Error::new(Kind::TooLarge, "body_too_large", text)));
                }
            };
            Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
        })
    }
}

/// The parts of a form with small text files in it, each as its text; an empty file input is left out.
async fn parts(mut form: Multipart, limit: usize) -> Result<Fields, PageError> {
    let broken = || Error::invalid("body_broken", "the form's body broke off").hint("Send it again.");
    let (mut found, mut read) = (Vec::new(), 0);
    while let Some(part) = form.next().await {
        let mut part = part.map_err(|_| broken())?;
        let name = part.name().unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = part.try_next().await.map_err(|_| broken())? {
            read += chunk.len();
            if read > limit {
                let text = format!("the form is larger than the {limit} bytes that this server takes");
                return Err(PageError(Error::new(Kind::TooLarge, "body_too_large", text)));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::field(name.clone(), "this is no text").hint("Choose another file."))?;
        // Browsers send line ends as CRLF.
        found.push((name, text.replace("\r\n", "\n")));
    }
    Ok(Fields(found))
}
