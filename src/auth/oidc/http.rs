//! Requests to the provider: never redirected, bounded in time and size, and encrypted but on loopback.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use url::{Host, Url};

use crate::domain::{Error, Result};
use crate::tls;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);
/// The longest answer: a key set or a person's claims are far shorter.
const LONGEST: usize = 1 << 20;

/// Sends requests to the provider.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    /// The issuer is a plain one on loopback, so its endpoints may be, too.
    plain_loopback: bool,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{0} is not an https address")]
    Plain(String),
    #[error("its answer is longer than {LONGEST} bytes")]
    TooLong,
    #[error("{0}")]
    Failed(String),
}

impl HttpError {
    /// From the innermost cause, which says what happened ("connection refused"); the outer ones say where.
    fn of(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Failed("it does not answer in time".to_owned());
        }
        let mut inner: &dyn StdError = &error;
        while let Some(cause) = inner.source() {
            inner = cause;
        }
        Self::Failed(inner.to_string())
    }
}

impl Http {
    /// A client for the provider at `issuer`, which trusts `ca` besides the system's certificates.
    ///
    /// # Errors
    /// `oidc_ca` when `ca` holds no certificate; internal ones.
    pub fn new(issuer: &Url, ca: Option<&[u8]>) -> Result<Self> {
        tls::install();
        let plain_loopback = issuer.scheme() == "http" && is_loopback(issuer);
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
        let builder = match (plain_loopback, ca) {
            // Nothing is encrypted: a machine without any certificates will do.
            (true, _) => builder.no_proxy().tls_certs_only([]),
            (false, Some(pem)) => builder.tls_certs_merge(certificates(pem)?),
            (false, None) => builder,
        };
        Ok(Self { client: builder.build().map_err(Error::internal)?, plain_loopback })
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(HttpError::of)?;
        self.demand_encrypted(request.url())?;
        let mut answer = self.client.execute(request).await.map_err(HttpError::of)?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(HttpError::of)? {
            if body.len() + part.len() > LONGEST {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&part);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    /// Refuses an address that the discovery document names without encryption.
    pub fn demand_encrypted(&self, url: &Url) -> Result<(), HttpError> {
        let plain = self.plain_loopback && url.scheme() == "http" && is_loopback(url);
        if url.scheme() == "https" || plain {
            return Ok(());
        }
        Err(HttpError::Plain(url.to_string()))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>> {
    let found = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::invalid("oidc_ca", "the file of oidc.ca_file holds no certificate in PEM")
            .hint("It begins with -----BEGIN CERTIFICATE-----."));
    }
    Ok(found)
}
