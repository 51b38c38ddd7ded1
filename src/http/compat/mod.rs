//! Fronts for the clients of other systems. Each speaks that system's wire types, error envelope and credentials, and
//! calls the same use cases as the console; none has rules of its own. Cookies count nowhere here.

pub mod dataiku;
pub mod renga;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::{Auth, Identity};
use crate::domain::access::Origin;
use crate::domain::{Error, Result};
use crate::http::State;
use crate::http::routes::Routes;

/// Whose manner a request is answered in, where that is not Slipway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// `/dip/publicapi`.
    Dataiku,
    /// `/v1/contexts`, and what describes it.
    Renga,
}

/// Every route of every front.
pub fn routes(routes: &mut Routes) {
    dataiku::routes(routes);
    renga::routes(routes);
}

impl Front {
    /// By the request's path, as it is routed: however its letters are escaped.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let base = request.app_data::<web::Data<State>>().map_or("", |state| state.settings.base_path());
        let path = request.match_info().as_str().strip_prefix(base)?;
        [Self::Dataiku, Self::Renga].into_iter().find(|front| front.holds(path))
    }

    /// Whether a path below the base path is this front's.
    fn holds(self, path: &str) -> bool {
        let prefixes: &[&str] = match self {
            Self::Dataiku => &[dataiku::PREFIX],
            Self::Renga => &renga::PREFIXES,
        };
        let rests = prefixes.iter().filter_map(|prefix| path.strip_prefix(prefix));
        rests.into_iter().any(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What a request shows of who sends it.
    pub fn credential(self, headers: &HeaderMap) -> Option<SecretString> {
        match self {
            Self::Dataiku => dataiku::credential(headers),
            Self::Renga => renga::credential(headers),
        }
    }

    /// Who shows it.
    ///
    /// # Errors
    /// See [`Auth::by_bearer`].
    pub async fn holder(self, auth: &Auth, credential: &SecretString) -> Result<Option<Identity>> {
        match self {
            Self::Dataiku => auth.by_bearer(credential.expose_secret()).await,
            Self::Renga => auth.by_renga_bearer(credential.expose_secret()).await,
        }
    }

    /// As what the journal names it.
    pub fn origin(self) -> Origin {
        match self {
            Self::Dataiku => Origin::Dataiku,
            Self::Renga => Origin::Renga,
        }
    }

    /// How one signs in here, in words.
    pub fn way_in(self) -> &'static str {
        match self {
            Self::Dataiku => {
                "Give DSSClient an API key of this Slipway; the console makes them under Account."
            }
            Self::Renga => {
                "Send `Authorization: Bearer …` with a token of the issuer, or with an API key of this Slipway."
            }
        }
    }

    /// An error as its clients read one.
    pub fn failure(self, error: &Error, status: StatusCode, id: Option<String>) -> HttpResponse {
        match self {
            Self::Dataiku => dataiku::failure::answer(error, status, id),
            Self::Renga => renga::failure::answer(error, status, id),
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
            Self::Renga => Error::not_found("operation", format!("{} {}", request.method(), request.path()))
                .hint("`GET /v1/swagger.json` describes every operation that there is."),
        }
    }
}
