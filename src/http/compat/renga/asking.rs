//! Who asks at renga-deployer's API. The caller is to be had only by naming the scopes that the request takes, so that
//! no operation forgets them; and an identifier only as a uuid.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use uuid::Uuid;

use crate::auth::Identity;
use crate::auth::scope::Scope;
use crate::domain::access::Caller;
use crate::domain::{Error, Result};
use crate::http::error::ApiError;
use crate::http::identity::Who;

/// Somebody who is known, and whose scopes were not asked for yet.
pub struct Asking {
    caller: Caller,
    identity: Identity,
}

impl Asking {
    /// The caller, who has every one of these scopes.
    ///
    /// # Errors
    /// `scope_missing`.
    pub fn with(&self, needed: &[Scope]) -> Result<&Caller> {
        self.identity.demand(needed).map(|()| &self.caller)
    }
}

impl FromRequest for Asking {
    type Error = ApiError;
    type Future = std::future::Ready<std::result::Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let identity = request.extensions().get::<Identity>().cloned();
        let who = Who::from_request(request, payload).into_inner();
        let asking = who.and_then(|Who(caller)| match identity {
            Some(identity) => Ok(Self { caller, identity }),
            None => Err(ApiError(Error::internal("a caller without an identity"))),
        });
        std::future::ready(asking)
    }
}

/// An identifier of a path.
///
/// # Errors
/// 400, as upstream answers what is no uuid.
pub fn identifier(place: &'static str, text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        Error::field(place, format!("{shown:?} is no uuid"))
            .hint("Take the `identifier` that the list answers.")
    })
}
