//! A tiny provider in this process that says whatever a test wants, with keys of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Every key that signs here; `stranger` is never published.
pub struct Keys {
    pub provider: RsaKeyPair,
    pub stranger: RsaKeyPair,
    pub elliptic: EcdsaKeyPair,
    pub edwards: Ed25519KeyPair,
}

pub static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let rsa = |pem: &str| {
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap()
    };
    let elliptic = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let edwards = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    Keys {
        provider: rsa(include_str!("keys/provider.pem")),
        stranger: rsa(include_str!("keys/stranger.pem")),
        elliptic: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, elliptic.as_ref(), &random)
            .unwrap(),
        edwards: Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap(),
    }
});

fn rsa_jwk(kid: &str, pair: &RsaKeyPair) -> Value {
    let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": encode(public.n), "e": encode(public.e) })
}

/// The provider's published keys.
pub fn jwks() -> Value {
    let point = KEYS.elliptic.public_key().as_ref();
    json!({ "keys": [
        rsa_jwk("rsa", &KEYS.provider),
        { "kty": "EC", "kid": "ec", "use": "sig", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) },
        { "kty": "OKP", "kid": "ed", "use": "sig", "crv": "Ed25519", "x": encode(KEYS.edwards.public_key()) },
        { "kty": "RSA", "kid": "for-encryption", "use": "enc", "n": rsa_jwk("", &KEYS.stranger)["n"], "e": "AQAB" },
        // A provider may publish what nobody here understands.
        { "kty": "FUTURE", "kid": "future" },
    ] })
}

/// The stranger's key as the provider's next.
pub fn rotated_jwks() -> Value {
    json!({ "keys": [rsa_jwk("next", &KEYS.stranger)] })
}

/// The provider's public key as the bytes that a confused verifier would take for a shared secret.
pub fn public_key_bytes() -> Vec<u8> {
    KEYS.provider.public_key().as_ref().to_vec()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How a token is signed.
#[derive(Debug, Clone)]
pub enum Signer {
    Rs256,
    Rs512,
    Ps256,
    Es256,
    EdDsa,
    /// RS256 by the key that is not published.
    Stranger,
    Hs256(Vec<u8>),
    Nothing,
}

/// A token to be.
#[derive(Debug, Clone)]
pub struct Token {
    pub header: Value,
    pub claims: Value,
    pub signer: Signer,
}

impl Token {
    /// Signed as most providers sign.
    pub fn new(claims: Value) -> Self {
        Self { header: json!({ "alg": "RS256", "typ": "JWT", "kid": "rsa" }), claims, signer: Signer::Rs256 }
    }

    pub fn set(&mut self, claim: &str, value: impl Into<Value>) {
        self.claims[claim] = value.into();
    }

    pub fn without(&mut self, claim: &str) {
        self.claims.as_object_mut().unwrap().remove(claim);
    }

    pub fn signed(&mut self, alg: &str, kid: &str, signer: Signer) {
        self.header["alg"] = alg.into();
        self.header["kid"] = kid.into();
        self.signer = signer;
    }

    /// In compact form.
    pub fn compact(&self) -> String {
        let signed = format!("{}.{}", encode(self.header.to_string()), encode(self.claims.to_string()));
        format!("{signed}.{}", encode(self.signature(signed.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, padding: &'static dyn ring::signature::RsaEncoding| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(padding, &random, message, &mut signature).unwrap();
            signature
        };
        match &self.signer {
            Signer::Rs256 => rsa(&KEYS.provider, &RSA_PKCS1_SHA256),
            Signer::Rs512 => rsa(&KEYS.provider, &RSA_PKCS1_SHA512),
            Signer::Ps256 => rsa(&KEYS.provider, &RSA_PSS_SHA256),
            Signer::Stranger => rsa(&KEYS.stranger, &RSA_PKCS1_SHA256),
            Signer::Es256 => KEYS.elliptic.sign(&random, message).unwrap().as_ref().to_vec(),
            Signer::EdDsa => KEYS.edwards.sign(message).as_ref().to_vec(),
            Signer::Hs256(key) => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
                ring::hmac::sign(&key, message).as_ref().to_vec()
            }
            Signer::Nothing => Vec::new(),
        }
    }
}

/// One route's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    pub location: Option<String>,
    pub body: String,
}

impl Answer {
    pub fn json(body: &Value) -> Self {
        Self { status: 200, kind: "application/json", location: None, body: body.to_string() }
    }
}

/// What the provider was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub authorization: Option<String>,
    pub body: String,
}

#[derive(Default)]
struct State {
    answers: HashMap<&'static str, Answer>,
    asked: Vec<Asked>,
}

/// The provider, answering on a port of its own.
#[derive(Clone)]
pub struct Issuer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    /// An honest one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Self { url, state: Arc::default() };
        issuer.put("/.well-known/openid-configuration", Answer::json(&issuer.document()));
        issuer.put("/jwks", Answer::json(&jwks()));
        let state = Arc::clone(&issuer.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
        });
        issuer
    }

    /// The discovery document of an honest provider.
    pub fn document(&self) -> Value {
        let url = &self.url;
        json!({
            "issuer": url, "jwks_uri": format!("{url}/jwks"),
            "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/userinfo"), "end_session_endpoint": format!("{url}/logout"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "groups"],
        })
    }

    pub fn put(&self, path: &'static str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(path, answer);
    }

    /// How often a path was asked for.
    pub fn count(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| asked.path == path).count()
    }

    /// The last request to a path.
    pub fn last(&self, path: &str) -> Asked {
        let state = self.state.lock().unwrap();
        state.asked.iter().rev().find(|asked| asked.path == path).unwrap().clone()
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length, mut authorization) = (String::new(), 0, None);
    stream.read_line(&mut line).await.unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await.unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = header.split_once(':').unwrap();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let answer = {
        let mut state = state.lock().unwrap();
        let body = String::from_utf8(body).unwrap();
        let answer = state.answers.get(path.as_str()).cloned();
        state.asked.push(Asked { path, authorization, body });
        answer.unwrap_or(Answer { status: 404, ..Answer::json(&json!({})) })
    };
    let location = answer.location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    let (status, kind, length) = (answer.status, answer.kind, answer.body.len());
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{location}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}{}", answer.body).as_bytes()).await;
}
