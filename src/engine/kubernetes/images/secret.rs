//! What nodes prove themselves with to the registries that they pull from.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::auth;
use super::name::{self, Name};
use crate::engine::{RegistryCredentials, ResolvedImage};

/// The registry hosts that nodes pull prepared images from.
pub fn hosts<'a>(images: impl Iterator<Item = &'a ResolvedImage>) -> BTreeSet<String> {
    let pulled = images.map(|image| image.pull_digest.as_ref().unwrap_or(&image.reference));
    pulled.filter_map(|image| Some(Name::parse(image, &BTreeMap::new()).ok()?.place.host)).collect()
}

/// `.dockerconfigjson` of a pull secret for `hosts`; `None` where nobody has to prove anything to any of them. It holds
/// passwords: it goes into the Secret and nowhere else.
pub fn pull_secret(
    registries: &BTreeMap<String, RegistryCredentials>,
    hosts: &BTreeSet<String>,
) -> Option<Vec<u8>> {
    let auths: Map<String, Value> = hosts
        .iter()
        .filter_map(|host| {
            let who = name::credentials(registries, host)?;
            let entry = json!({
                "username": who.username,
                "password": who.password.expose_secret(),
                "auth": auth::pair(who),
            });
            Some((name::secret_key(host).to_owned(), entry))
        })
        .collect();
    (!auths.is_empty()).then(|| json!({ "auths": auths }).to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hosts_that_are_pulled_from_are_told() {
        let who =
            |name: &str| RegistryCredentials { username: name.into(), password: "pw".to_owned().into() };
        let registries = BTreeMap::from([
            ("index.docker.io".to_owned(), who("hub")),
            ("h:5000".to_owned(), who("lab")),
            ("other".to_owned(), who("nobody")),
        ]);
        let pinned = ResolvedImage {
            pull_digest: Some(format!("h:5000/a@sha256:{}", "a".repeat(64))),
            ..ResolvedImage::new("sha256:a", "a:1")
        };
        let hosts = hosts([pinned, ResolvedImage::new("redis:7", "redis:7")].iter());
        assert_eq!(hosts, ["docker.io".to_owned(), "h:5000".to_owned()].into());
        let secret: Value = serde_json::from_slice(&pull_secret(&registries, &hosts).unwrap()).unwrap();
        let auths = secret["auths"].as_object().unwrap();
        assert_eq!(auths.len(), 2);
        assert_eq!(auths["h:5000"]["auth"], "bGFiOnB3");
        assert_eq!(auths["https://index.docker.io/v1/"]["username"], "hub");
        assert_eq!(pull_secret(&registries, &["elsewhere".to_owned()].into()), None);
    }
}
