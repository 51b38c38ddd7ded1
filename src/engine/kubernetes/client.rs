//! The connection to a cluster's API server, and a limit in time on every call.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::AuthInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::error;
use crate::domain::cluster::{Cluster, ClusterAccess, CredentialKind};
use crate::engine::{EngineError, EngineResult};

/// How long one question or change may take.
pub(super) const ASK: Duration = Duration::from_secs(20);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// What stands between the certificates and their key.
const LAST_CERTIFICATE: &str = "-----END CERTIFICATE-----\n";

/// One cluster's API, connected when it is first asked.
pub(super) struct Client {
    access: ClusterAccess,
    credential: Option<SecretString>,
    made: tokio::sync::OnceCell<kube::Client>,
}

impl Client {
    /// # Errors
    /// `Unsupported` when the connection can't be used at all: an address that is none, certificates that can't be read.
    pub(super) fn new(cluster: &Cluster, credential: Option<&SecretString>) -> EngineResult<Self> {
        let client = Self {
            access: cluster.access.clone(),
            credential: credential.cloned(),
            made: tokio::sync::OnceCell::new(),
        };
        if !matches!(client.access, ClusterAccess::InCluster {}) {
            client.config()?;
        }
        Ok(client)
    }

    /// The API, connected lazily.
    pub(super) async fn api(&self) -> EngineResult<kube::Client> {
        let made = self.made.get_or_try_init(|| async {
            kube::Client::try_from(self.config()?).map_err(|error| unusable(&error.to_string()))
        });
        made.await.cloned()
    }

    /// Makes a call within [`ASK`], again where the server asks for patience or another was quicker; `what` is for people.
    pub(super) async fn call<T, F>(&self, what: &str, mut call: impl FnMut() -> F) -> EngineResult<T>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let patient = async {
            loop {
                match call().await {
                    Err(failed) => match error::again_after(&failed) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error::refused(what, failed)),
                    },
                    Ok(answer) => return Ok(answer),
                }
            }
        };
        match tokio::time::timeout(ASK, patient).await {
            Ok(answer) => answer,
            Err(_) => Err(EngineError::Timeout { what: what.to_owned(), seconds: ASK.as_secs() }),
        }
    }

    fn config(&self) -> EngineResult<kube::Config> {
        let mut config = match &self.access {
            // The token's file is read again by itself: the cluster exchanges it every hour.
            ClusterAccess::InCluster {} => kube::Config::incluster_env().map_err(|error| {
                unusable(&format!(
                    "Slipway itself has to run in a pod with a service account for this, and it seems not to: {}",
                    error::innermost(&error)
                ))
            })?,
            ClusterAccess::Configured { name } => {
                return Err(unusable(&format!("the configuration has no [kubeconfig.{name}]")));
            }
            ClusterAccess::Kubeconfig { server, certificate_authority, tls_server_name, credential } => {
                if !server.starts_with("https://") {
                    return Err(unusable(&format!("{server:?} does not begin with https://")));
                }
                let url = server.parse().map_err(|_| unusable(&format!("{server:?} is no address")))?;
                let mut config = kube::Config::new(url);
                config.root_cert = certificate_authority.as_deref().map(certificates).transpose()?;
                config.tls_server_name.clone_from(tls_server_name);
                config.auth_info = self.auth_info(*credential)?;
                config
            }
        };
        config.connect_timeout = Some(CONNECT);
        // Watches and logs are silent for as long as they like; calls have a limit of their own.
        config.read_timeout = None;
        // Only what the connection itself says: nothing of this process's environment, and every certificate is checked.
        config.proxy_url = None;
        config.accept_invalid_certs = false;
        Ok(config)
    }

    fn auth_info(&self, kind: CredentialKind) -> EngineResult<AuthInfo> {
        let credential = self.credential.as_ref().ok_or_else(|| unusable("its credential is missing"))?;
        Ok(match kind {
            CredentialKind::Token => AuthInfo { token: Some(credential.clone()), ..AuthInfo::default() },
            CredentialKind::Certificate => {
                // One text: the certificates, then their key.
                let text = credential.expose_secret();
                let end = text.rfind(LAST_CERTIFICATE).map(|at| at + LAST_CERTIFICATE.len());
                let end = end.ok_or_else(|| unusable("its client certificate can't be read"))?;
                let (certificates, key) = text.split_at(end);
                AuthInfo {
                    client_certificate_data: Some(STANDARD.encode(certificates)),
                    client_key_data: Some(STANDARD.encode(key).into()),
                    ..AuthInfo::default()
                }
            }
        })
    }
}

fn certificates(pem: &str) -> EngineResult<Vec<Vec<u8>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read =
        read.map_err(|error| unusable(&format!("its certificate authority can't be read: {error}")))?;
    Ok(read.into_iter().map(|certificate| certificate.to_vec()).collect())
}

fn unusable(why: &str) -> EngineError {
    EngineError::Unsupported(format!("this connection: {why}"))
}
