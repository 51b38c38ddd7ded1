//! The authorization code flow with PKCE: the address that a browser is sent to, and what comes back with it.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
    CoreTokenResponse,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, StandardErrorResponse, TokenResponse as _,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::auth::oidc::claims::Claims;
use crate::auth::oidc::http::HttpError;
use crate::auth::oidc::provider::{Known, Provider};
use crate::auth::oidc::{GroupsFrom, SignedIn, provider_said, refused, unavailable};
use crate::domain::{Error, Result, random};

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A sign-in that a browser is sent off with.
#[derive(Debug)]
pub struct Started {
    /// Where the browser goes.
    pub url: String,
    /// What names the sign-in when the browser comes back.
    pub state: String,
    pub pending: Pending,
}

/// What is kept on our side until the browser comes back.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    nonce: String,
    verifier: String,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// What the browser brings back, besides `state`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Callback {
    pub code: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

impl Provider {
    /// Begins a sign-in.
    ///
    /// # Errors
    /// `provider_unavailable`.
    pub async fn begin(&self) -> Result<Started> {
        let known = self.known().await?;
        let authorization = known.metadata.authorization_endpoint().url();
        self.http.demand_encrypted(authorization).map_err(|error| unavailable(self.issuer(), error))?;
        let verifier = random::token();
        let client = self.client(&known)?;
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.clone()));
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(random::token()),
                || Nonce::new(random::token()),
            )
            .add_scopes(self.scopes(&known))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Started {
            url: url.into(),
            state: state.into_secret(),
            pending: Pending { nonce: nonce.secret().clone(), verifier },
        })
    }

    /// Ends a sign-in with what the browser brought back.
    ///
    /// # Errors
    /// `provider_refused` with the provider's own words; `token_refused`; `provider_unavailable`.
    pub async fn finish(&self, callback: Callback, pending: Pending) -> Result<SignedIn> {
        let known = self.known().await?;
        self.check_sender(&known, &callback)?;
        if let Some(error) = &callback.error {
            return Err(provider_said(error, callback.error_description.as_deref()));
        }
        let code = callback.code.ok_or_else(|| refused("answer", "it carries no code"))?;
        let answer = self.exchange(&known, code, pending.verifier).await?;
        let id_token = answer.id_token().ok_or_else(|| refused("answer", "it carries no ID token"))?;
        let nonce = Nonce::new(pending.nonce);
        let claims = self.id_token_claims(id_token, answer.access_token(), &nonce).await?;
        self.signed_in(&known, &answer, id_token, claims).await
    }

    async fn signed_in(
        &self,
        known: &Known,
        answer: &CoreTokenResponse,
        id_token: &CoreIdToken,
        claims: Claims,
    ) -> Result<SignedIn> {
        let subject = claims.subject().ok_or_else(|| refused("ID token", "it has no subject"))?.to_owned();
        let sid = claims.text("sid").map(str::to_owned);
        let has_groups = claims.at(&self.settings.groups_claim).is_some();
        let all = match self.settings.groups_from {
            GroupsFrom::IdToken => claims,
            GroupsFrom::Either if has_groups => claims,
            GroupsFrom::Either => claims.or(self.userinfo(known, answer.access_token(), &subject).await?),
            // What userinfo says comes first, so that a groups claim of the ID token does not count.
            GroupsFrom::Userinfo => {
                let without = claims.without(&self.settings.groups_claim);
                self.userinfo(known, answer.access_token(), &subject).await?.or(without)
            }
        };
        Ok(SignedIn {
            person: all.person(&subject, &self.settings),
            sid,
            id_token: SecretString::from(id_token.to_string()),
        })
    }

    /// Refuses an answer of another provider (RFC 9207), whatever it holds.
    fn check_sender(&self, known: &Known, callback: &Callback) -> Result<()> {
        let promised = known.metadata.additional_metadata().authorization_response_iss_parameter_supported;
        match callback.iss.as_deref() {
            Some(issuer) if issuer != self.issuer() => Err(refused("answer", "it comes from another issuer")),
            None if promised => Err(refused("answer", "it does not say which issuer it comes from")),
            _ => Ok(()),
        }
    }

    async fn exchange(&self, known: &Known, code: String, verifier: String) -> Result<CoreTokenResponse> {
        let request = self.client(known)?;
        let request = request
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| unavailable(self.issuer(), "its discovery document names no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        request.request_async(&self.http).await.map_err(|error| self.exchange_failed(error))
    }

    fn exchange_failed(
        &self,
        error: RequestTokenError<HttpError, StandardErrorResponse<CoreErrorResponseType>>,
    ) -> Error {
        match error {
            RequestTokenError::ServerResponse(said) => {
                provider_said(said.error().as_ref(), said.error_description().map(String::as_str))
            }
            RequestTokenError::Request(error) => unavailable(self.issuer(), error),
            // The body may hold tokens, and is not told to anybody.
            RequestTokenError::Parse(error, _) => refused("answer", format!("it can't be read: {error}")),
            RequestTokenError::Other(said) => unavailable(self.issuer(), said),
        }
    }

    fn client(&self, known: &Known) -> Result<Client> {
        let settings = &self.settings;
        let secret = settings
            .client_secret
            .as_ref()
            .map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let redirect = RedirectUrl::new(settings.redirect_uri.clone()).map_err(Error::internal)?;
        let client = ClientId::new(settings.client_id.clone());
        let client = CoreClient::from_provider_metadata(known.metadata.clone(), client, secret);
        Ok(client.set_auth_type(auth_type(known)).set_redirect_uri(redirect))
    }

    /// The configured scopes, but for those that the provider says it does not know.
    fn scopes(&self, known: &Known) -> Vec<Scope> {
        let supported = known.metadata.scopes_supported();
        let knows = |scope: &&String| {
            supported.is_none_or(|supported| supported.iter().any(|one| one.as_str() == scope.as_str()))
        };
        // openidconnect adds `openid` itself.
        let wanted = self.settings.scopes.iter().filter(|scope| *scope != "openid");
        wanted.filter(knows).cloned().map(Scope::new).collect()
    }
}

/// How the client shows its secret: in the header, unless the provider takes it in the body alone.
fn auth_type(known: &Known) -> AuthType {
    let methods = known.metadata.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_some_and(|methods| methods.contains(&method));
    if takes(CoreClientAuthMethod::ClientSecretPost) && !takes(CoreClientAuthMethod::ClientSecretBasic) {
        return AuthType::RequestBody;
    }
    AuthType::BasicAuth
}
