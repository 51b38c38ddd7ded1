//! How registries ask who one is: RFC 7617 and the token scheme of the distribution project.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret as _;

use crate::engine::RegistryCredentials;

/// What a registry wants to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token from the server at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The first challenge that can be met, of the values of `WWW-Authenticate`.
pub(super) fn challenge(values: &[&str]) -> Option<Challenge> {
    values.iter().find_map(|value| {
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        let known = scheme.eq_ignore_ascii_case("bearer");
        let realm = known.then(|| parameter(rest, "realm")).flatten()?;
        Some(Challenge::Bearer { realm, service: parameter(rest, "service") })
    })
}

/// `name="value"` or `name=value` among parameters separated by commas.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_start_matches([',', ' ']).trim().eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = left;
    }
}

/// Where a token for `scopes` is had; `None` where the realm is no address.
pub(super) fn token_url(realm: &str, service: Option<&str>, scopes: &[String]) -> Option<Url> {
    let mut url = Url::parse(realm).ok()?;
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    for scope in scopes {
        query.append_pair("scope", scope);
    }
    drop(query);
    Some(url)
}

/// The token of a token server's answer, as a header.
pub(super) fn token(body: &[u8]) -> Option<HeaderValue> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let token = value.get("token").or_else(|| value.get("access_token"))?.as_str()?;
    secret(&format!("Bearer {token}"))
}

/// Name and password as a header.
pub(super) fn basic(who: &RegistryCredentials) -> Option<HeaderValue> {
    secret(&format!("Basic {}", pair(who)))
}

/// `name:password` in base64.
pub(super) fn pair(who: &RegistryCredentials) -> String {
    STANDARD.encode(format!("{}:{}", who.username, who.password.expose_secret()))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(Into::into) })
        };
        for (value, expected) in [
            (r#"Basic realm="lab""#, Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://auth.example.org/token",service="registry, one",scope="repository:a/b:pull""#,
                bearer("https://auth.example.org/token", Some("registry, one")),
            ),
            (r#"bearer service=s, realm="https://a/t?x=y""#, bearer("https://a/t?x=y", Some("s"))),
            (r#"Bearer realm="https://a""#, bearer("https://a", None)),
            ("Bearer", None),
            ("Negotiate", None),
        ] {
            assert_eq!(challenge(&[value]), expected, "{value}");
        }
        assert_eq!(challenge(&["Negotiate", "Basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn a_token_is_asked_for_with_every_scope() {
        let scopes = ["repository:a/b:pull,push".to_owned(), "repository:c:pull".to_owned()];
        let url = token_url("https://a/t?x=y", Some("s"), &scopes).unwrap();
        assert_eq!(
            url.query().unwrap(),
            "x=y&service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        let header = token(br#"{"access_token":"t0k"}"#).unwrap();
        assert!(header.is_sensitive() && header.to_str().unwrap() == "Bearer t0k");
        assert_eq!(token(b"{}"), None);
    }
}
