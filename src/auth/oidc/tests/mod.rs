//! The protocol against a provider that lies in every way: nothing but the honest answer is believed.

mod bearer;
mod issuer;
mod key;
mod logout;
mod provider;
mod sign_in;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use issuer::{Answer, Issuer, Token};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::domain::Result;
use crate::domain::clock::{Clock as _, ManualClock};

const CLIENT: &str = "slipway";
const SECRET: &str = "for-tests-only-for-tests-only-32";

/// A provider in this process and a client of it, both at a moment that the test sets.
struct Setup {
    issuer: Issuer,
    clock: Arc<ManualClock>,
    provider: Provider,
}

impl Setup {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let issuer = Issuer::start().await;
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
        let mut settings = Settings {
            issuer: issuer.url.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(SECRET.to_owned().into()),
            redirect_uri: "http://127.0.0.1:8080/auth/callback".to_owned(),
            post_logout_redirect: "http://127.0.0.1:8080/login".to_owned(),
            scopes: ["openid", "profile", "email", "groups"].map(String::from).to_vec(),
            groups_claim: ClaimPath::new("groups"),
            groups_from: GroupsFrom::Either,
            name_claim: ClaimPath::new("name"),
            username_claim: ClaimPath::new("preferred_username"),
            scope_claim: ClaimPath::new("scope"),
            keys: None,
            api_audiences: vec!["slipway-api".to_owned()],
            label: "Sign in".to_owned(),
            ca: None,
        };
        change(&mut settings);
        let provider = Provider::new(settings, clock.clone()).unwrap();
        Self { issuer, clock, provider }
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// What an honest provider says of Alice to our client.
    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer.url, "aud": CLIENT, "sub": "alice", "name": "Alice Admin", "sid": "session-1",
            "iat": self.now(), "exp": self.now() + 600, "groups": ["admins", "ml-deployers"],
        })
    }

    fn token(&self) -> Token {
        Token::new(self.claims())
    }
}

/// Every way in which a token of any kind must not be believed: what it is called, what it changes, what is said.
type Attack = (&'static str, fn(&mut Token), &'static str);

/// What is common to ID tokens, bearer tokens and logout tokens.
const ATTACKS: &[Attack] = &[
    ("no algorithm", |t| t.signed("none", "rsa", issuer::Signer::Nothing), ""),
    ("no algorithm, a signature", |t| t.signed("none", "rsa", issuer::Signer::Rs256), ""),
    ("no algorithm, spelled oddly", |t| t.signed("nOnE", "rsa", issuer::Signer::Nothing), ""),
    (
        "a MAC with the client's secret",
        |t| t.signed("HS256", "rsa", issuer::Signer::Hs256(SECRET.into())),
        "",
    ),
    (
        "a MAC with the public key",
        |t| t.signed("HS256", "rsa", issuer::Signer::Hs256(issuer::public_key_bytes())),
        "",
    ),
    ("an algorithm beyond the list", |t| t.signed("RS512", "rsa", issuer::Signer::Rs512), ""),
    ("a stranger's key under the provider's id", |t| t.signer = issuer::Signer::Stranger, "signature"),
    (
        "a stranger's key under an unknown id",
        |t| t.signed("RS256", "stranger", issuer::Signer::Stranger),
        "key",
    ),
    ("a key that encrypts", |t| t.signed("RS256", "for-encryption", issuer::Signer::Stranger), "key"),
    ("another algorithm than signed", |t| t.header["alg"] = json!("PS256"), "signature"),
    ("another kind of key than signed", |t| t.header["alg"] = json!("ES256"), ""),
    ("no signature", |t| t.signer = issuer::Signer::Nothing, "signature"),
    ("a critical extension", |t| t.header["crit"] = json!(["exp"]), ""),
    ("a kind of its own", |t| t.header["typ"] = json!("dpop+jwt"), "dpop+jwt"),
    ("another issuer", |t| t.set("iss", "https://id.example.org"), "issuer"),
    (
        "the issuer with a slash",
        |t| {
            let iss = format!("{}/", t.claims["iss"].as_str().unwrap());
            t.set("iss", iss)
        },
        "issuer",
    ),
    ("no issuer", |t| t.without("iss"), ""),
    ("another audience", |t| t.set("aud", "somebody-else"), "audience"),
    ("the audience as part of another", |t| t.set("aud", "slipway-2"), "audience"),
    ("no audience", |t| t.without("aud"), ""),
    ("expired", |t| t.set("exp", t.claims["exp"].as_i64().unwrap() - 3600), ""),
    ("no end", |t| t.without("exp"), ""),
    ("issued in the future", |t| t.set("iat", t.claims["iat"].as_i64().unwrap() + 300), "future"),
];

/// A token whose signed part was changed after signing.
fn tampered(token: &Token) -> String {
    let mut other = token.clone();
    other.set("sub", "mallory");
    let (honest, forged) = (token.compact(), other.compact());
    let signature = honest.rsplit('.').next().unwrap();
    let (signed, _) = forged.rsplit_once('.').unwrap();
    format!("{signed}.{signature}")
}

/// Asserts that nothing came of it, and that the words fit and say nothing of the token itself.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(name: &str, outcome: Result<T>, says: &str) {
    let error = outcome.expect_err(name);
    assert_eq!(error.kind, Kind::Unauthenticated, "{name}: {error:?}");
    assert!(error.message.contains(says), "{name}: {}", error.message);
    assert!(!error.message.contains("eyJ"), "{name} shows the token: {}", error.message);
}

fn later(setup: &Setup, seconds: i64) {
    setup.clock.advance(TimeDelta::seconds(seconds));
}

fn query(url: &str) -> std::collections::HashMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn put_json(setup: &Setup, path: &'static str, body: &Value) {
    setup.issuer.put(path, Answer::json(body));
}
