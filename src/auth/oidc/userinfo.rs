//! The userinfo endpoint (OpenID Connect Core, section 5.3): believed only when it speaks of the ID token's subject.

use openidconnect::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use openidconnect::{AccessToken, HttpRequest};

use crate::auth::oidc::claims::Claims;
use crate::auth::oidc::provider::{Known, Provider};
use crate::auth::oidc::{refused, unavailable};
use crate::domain::{Error, Result};

const WHAT: &str = "userinfo";

impl Provider {
    /// What userinfo says of `subject`; nothing where the provider has no such endpoint.
    ///
    /// # Errors
    /// `token_refused` when it speaks of somebody else; `provider_unavailable`.
    pub(super) async fn userinfo(
        &self,
        known: &Known,
        access: &AccessToken,
        subject: &str,
    ) -> Result<Claims> {
        let Some(endpoint) = known.metadata.userinfo_endpoint() else {
            return Ok(Claims::default());
        };
        let mut token = HeaderValue::from_str(&format!("Bearer {}", access.secret()))
            .map_err(|_| refused("access token", "it holds characters that no header takes"))?;
        token.set_sensitive(true);
        let request = openidconnect::http::Request::get(endpoint.url().as_str())
            .header(ACCEPT, "application/json, application/jwt")
            .header(AUTHORIZATION, token)
            .body(Vec::new());
        let request: HttpRequest = request.map_err(Error::internal)?;
        let answer = self.http.send(request).await.map_err(|error| unavailable(self.issuer(), error))?;
        if !answer.status().is_success() {
            let status = answer.status();
            return Err(unavailable(self.issuer(), format!("its userinfo answers {status}")));
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let claims = if kind.is_some_and(|kind| kind.starts_with("application/jwt")) {
            self.signed_userinfo(answer.body()).await?
        } else {
            Claims::parse(answer.body()).ok_or_else(|| refused(WHAT, "it is no JSON object"))?
        };
        if claims.text("sub") == Some(subject) {
            return Ok(claims);
        }
        Err(refused(WHAT, "it speaks of somebody else than the ID token (sub)"))
    }

    async fn signed_userinfo(&self, body: &[u8]) -> Result<Claims> {
        let token = std::str::from_utf8(body).map_err(|_| refused(WHAT, "it is not a signed token"))?;
        let claims = self.signed_claims(WHAT, token.trim(), &["jwt"]).await?;
        let client = [self.settings.client_id.as_str()];
        self.issued_for(&claims, client.into_iter()).map_err(|why| refused(WHAT, why))?;
        Ok(claims)
    }
}
