//! Query parameters, read strictly: one that a route does not know is refused by its name, an empty one is absent.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::domain::page::PageRequest;
use crate::domain::{Error, Problem, Result};
use crate::http::api::body;
use crate::http::error::ApiError;

/// A route's parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = std::future::Ready<std::result::Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse(request.query_string()).map(Self).map_err(ApiError))
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    let given = form_urlencoded::parse(text.as_bytes()).filter(|(_, value)| !value.is_empty());
    let given: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(given.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|failure| {
        let place = body::place(&failure.path().to_string(), "query");
        Error::problems("invalid_input", vec![Problem::new(place, failure.inner().to_string())])
    })
}

/// Which part of a list is asked for; `None`: all of it.
pub fn page(limit: Option<u32>, after: Option<String>) -> Result<Option<PageRequest>> {
    match (limit, after) {
        (None, None) => Ok(None),
        (Some(limit), _) if limit == 0 || limit > PageRequest::MOST => {
            Err(Error::field("limit", format!("a page has 1 to {} entries", PageRequest::MOST)))
        }
        (limit, after) => Ok(Some(PageRequest { limit: limit.unwrap_or(PageRequest::MOST), after })),
    }
}

/// The parameters of a list that has no filters.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// At most this many entries, 1 to 500. Without it the whole list comes.
    pub limit: Option<u32>,
    /// The cursor of the page before, from its `Link` header.
    pub after: Option<String>,
}

impl Paging {
    /// Which part is asked for.
    pub fn page(self) -> Result<Option<PageRequest>> {
        page(self.limit, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_parameter_is_named() {
        let error = parse::<Paging>("limit=many").unwrap_err();
        assert_eq!(error.problems[0].place, "limit");
        let error = parse::<Paging>("limits=5").unwrap_err();
        assert!(error.message.contains("`limits`"), "{}", error.message);
    }

    #[test]
    fn an_empty_parameter_is_absent() {
        let paging = parse::<Paging>("limit=&after=").unwrap();
        assert_eq!(paging.page().unwrap(), None);
        assert!(page(Some(501), None).is_err());
    }
}
