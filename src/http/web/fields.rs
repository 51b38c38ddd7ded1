//! What a form sent, field by field, before it is parsed into newtypes.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::failure::PageError;
use crate::domain::{Error, Kind};
use crate::http::State;

/// The fields of an urlencoded form, in order; a name may come more than once.
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
