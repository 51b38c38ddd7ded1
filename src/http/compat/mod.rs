//! Fronts for the clients of other systems. Each speaks that system's wire types, error envelope and credentials, and
//! calls the same use cases as the console; none has rules of its own. Cookies count nowhere here.

pub mod dataiku;
pub mod renga;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;

use crate::domain::Error;
use crate::domain::access::Origin;
use crate::http::State;
use crate::http::routes::Routes;

/// Whose manner a request is answered in, where that is not Slipway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// `/dip/publicapi`.
    Dataiku,
}

/// Every route of every front.
pub fn routes(routes: &mut Routes) {
    dataiku::routes(routes);
}

impl Front {
    /// By the request's path.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let base = request.app_data::<web::Data<State>>().map_or("", |state| state.settings.base_path());
        let path = request.path().strip_prefix(base)?.strip_prefix(dataiku::PREFIX)?;
        (path.is_empty() || path.starts_with('/')).then_some(Self::Dataiku)
    }

    /// What a request shows of who sends it.
    pub fn credential(self, headers: &HeaderMap) -> Option<SecretString> {
        match self {
            Self::Dataiku => dataiku::credential(headers),
        }
    }

    /// As what the journal names it.
    pub fn origin(self) -> Origin {
        match self {
            Self::Dataiku => Origin::Dataiku,
        }
    }

    /// How one signs in here, in words.
    pub fn way_in(self) -> &'static str {
        match self {
            Self::Dataiku => {
                "Give DSSClient an API key of this Slipway; the console makes them under Account."
            }
        }
    }

    /// An error as its clients read one.
    pub fn failure(self, error: &Error, id: Option<String>) -> HttpResponse {
        match self {
            Self::Dataiku => dataiku::failure::answer(error, id),
        }
    }

    /// A path that it does not know.
    pub fn no_such_operation(self, request: &HttpRequest) -> Error {
        match self {
            Self::Dataiku => {
                let (_, path) = request.path().split_once(dataiku::PREFIX).unwrap_or(("", request.path()));
                Error::not_found("operation", format!("{} {path}", request.method()))
                    .hint("Slipway speaks the project deployer and futures of Dataiku's public API.")
            }
        }
    }
}
