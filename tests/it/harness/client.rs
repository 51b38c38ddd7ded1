//! An HTTP client with one identity.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// Sends requests as somebody.
#[derive(Clone)]
pub struct Client {
    base: String,
    inner: reqwest::Client,
    headers: HeaderMap,
    csrf: Option<String>,
}

/// What came back, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text))
    }

    /// The same answer when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Client {
    /// Nobody.
    pub fn new(base: &str) -> Self {
        let inner = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: base.to_owned(), inner, headers: HeaderMap::new(), csrf: None }
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With a session's cookie; unsafe requests carry its token and same-origin metadata.
    #[must_use]
    pub fn session(mut self, cookie: &str, csrf: &str) -> Self {
        self.csrf = Some(csrf.to_owned());
        self.header("cookie", cookie).header("accept", "text/html")
    }

    /// With one more header on every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// The session's CSRF token.
    pub fn csrf(&self) -> &str {
        self.csrf.as_deref().unwrap_or_default()
    }

    /// A request to be finished by the test. Nothing of a session's proof is added.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.inner.request(method, format!("{}{path}", self.base)).headers(self.headers.clone())
    }

    /// Sends a request and reads its answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    fn proven(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.csrf {
            Some(token) => request.header("x-csrf-token", token).header("sec-fetch-site", "same-origin"),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.proven(self.request(Method::DELETE, path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.proven(self.request(Method::POST, path)).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.proven(self.request(Method::PUT, path)).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.proven(self.request(Method::PATCH, path)).json(body)).await
    }

    /// Sends a form as a browser does.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.proven(self.request(Method::POST, path)).form(fields)).await
    }
}
