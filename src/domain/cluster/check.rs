//! What a cluster's settings may say. Whether the builder exists is for those who know the other infrastructures.

use super::{Cluster, Publish};
use crate::domain::Problem;

/// What templates of [`Publish::Ingress`] may name.
const PLACEHOLDERS: [&str; 3] = ["deployment", "service", "port"];

/// Whether Kubernetes takes it as a namespace's name: up to 63 lower-case letters, digits and inner hyphens.
pub fn is_dns_label(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (1..=63).contains(&text.len()) && inner && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether it is labels with dots between them, 253 characters at most: a host's name, or an object's.
pub fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

impl Cluster {
    /// Everything that is wrong, by places such as `engine.namespace`.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |good: bool, place: &str, message: String, hint: &str| {
            if !good {
                problems.push(Problem::new(format!("engine.{place}"), message).hint(hint));
            }
        };
        check(
            is_dns_label(&self.namespace),
            "namespace",
            format!("{:?} is no name of a namespace", self.namespace),
            "Give up to 63 lower-case letters, digits and hyphens, such as `slipway-prod`.",
        );
        let registry = self.registry.as_deref();
        check(
            registry.is_none_or(is_repository),
            "registry",
            format!("{:?} is no place in a registry", registry.unwrap_or_default()),
            "Give a host and a path without a scheme, such as `registry.example.org/slipway`.",
        );
        for (host, mirror) in &self.mirrors {
            check(
                is_host(host) && is_repository(mirror),
                "mirrors",
                format!("{host:?} = {mirror:?} names no two registries"),
                "Give hosts without a scheme, such as `docker.io=mirror.example.org/hub`.",
            );
        }
        let class = self.storage_class.as_deref();
        check(
            class.is_none_or(is_dns_name),
            "storageClass",
            format!("{:?} is no name of a storage class", class.unwrap_or_default()),
            "Give a name that `kubectl get storageclass` shows, or none.",
        );
        check(
            is_quantity(&self.volume_size),
            "volumeSize",
            format!("{:?} is no size", self.volume_size),
            "Give a number and a unit, such as `1Gi` or `500Mi`.",
        );
        problems.extend(self.publish.problems());
        problems
    }
}

impl Publish {
    fn problems(&self) -> Vec<Problem> {
        let Self::Ingress { class, host, path, tls_secret } = self else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        let mut check = |good: bool, place: &str, message: String, hint: &str| {
            if !good {
                problems.push(Problem::new(format!("engine.publish.{place}"), message).hint(hint));
            }
        };
        let mut template =
            |text: &str, place: &str, fits: fn(&str) -> bool, what: &str, hint: &str| match filled(text) {
                Err(unknown) => check(
                    false,
                    place,
                    format!("there is no placeholder {unknown}"),
                    "`{deployment}`, `{service}` and `{port}` stand for the names.",
                ),
                Ok(sample) => {
                    check(sample.is_empty() || fits(&sample), place, format!("{text:?} is no {what}"), hint)
                }
            };
        template(
            host,
            "host",
            is_ingress_host,
            "host name",
            "Give one such as `{service}-{deployment}.apps.example.org`.",
        );
        template(path, "path", is_path, "path", "Begin it with `/`, as in `/{deployment}/{service}`.");
        check(!path.is_empty(), "path", "it is empty".into(), "Give `/` for every path.");
        for (name, place) in [(class, "class"), (tls_secret, "tlsSecret")] {
            let name = name.as_deref();
            check(
                name.is_none_or(is_dns_name),
                place,
                format!("{:?} is no name in Kubernetes", name.unwrap_or_default()),
                "Give lower-case letters, digits, hyphens and dots, or none.",
            );
        }
        problems
    }
}

/// The template with samples in it, or the first placeholder that is not known.
fn filled(template: &str) -> Result<String, String> {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once(['{', '}']) {
        let opens = rest.as_bytes()[before.len()] == b'{';
        let Some((name, behind)) =
            after.split_once('}').filter(|(name, _)| opens && PLACEHOLDERS.contains(name))
        else {
            let name = after.split('}').next().unwrap_or_default();
            return Err(if opens { format!("{{{name}}}") } else { "without an opening brace".to_owned() });
        };
        text.push_str(before);
        text.push_str(if name == "port" { "80" } else { "x" });
        rest = behind;
    }
    Ok(text + rest)
}

/// A host as an Ingress takes it; its first label may be `*`.
fn is_ingress_host(text: &str) -> bool {
    is_dns_name(text.strip_prefix("*.").unwrap_or(text))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text.len() <= 200
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// `host[:port]`
fn is_host(text: &str) -> bool {
    match text.split_once(':') {
        Some((host, port)) => is_dns_name(host) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_dns_name(text),
    }
}

/// `host[:port][/path]`, where the host shows by a dot, a port or its name that it is one.
fn is_repository(text: &str) -> bool {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.bytes().all(inner) && part.starts_with(ends) && part.ends_with(ends)
    };
    let shows = host.contains(['.', ':']) || host == "localhost";
    text.len() <= 200 && shows && is_host(host) && path.is_none_or(|path| path.split('/').all(part))
}

/// A positive amount of bytes as Kubernetes writes it.
fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let units = ["", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    units.contains(&unit) && digits && number.parse::<f64>().is_ok_and(|number| number > 0.0)
}

/// Whether a label's name is one for Kubernetes: `[prefix/]name`, and no prefix of its own.
pub fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |text: &str, more: &[char]| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
            && edge(text.chars().next())
            && edge(text.chars().last())
    };
    let reserved = |prefix: &str| prefix.ends_with("kubernetes.io") || prefix.ends_with("k8s.io");
    name.len() <= 63
        && inner(name, &['-', '_', '.'])
        && prefix.is_none_or(|prefix| {
            prefix.len() <= 253
                && inner(prefix, &['-', '.'])
                && prefix.to_lowercase() == prefix
                && !reserved(prefix)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(change: &str) -> Vec<String> {
        let mut value = serde_json::json!({ "access": { "by": "in_cluster" }, "namespace": "ml" });
        let change: serde_json::Value = serde_json::from_str(change).unwrap();
        value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let cluster: Cluster = serde_json::from_value(value).unwrap();
        cluster.problems().into_iter().map(|problem| problem.place).collect()
    }

    #[test]
    fn what_clusters_have_is_taken() {
        for good in [
            r#"{}"#,
            r#"{"registry": "127.0.0.1:5000/slipway"}"#,
            r#"{"registry": "registry.example.org/a-b/c_d.e", "mirrors": {"docker.io": "mirror:5000/hub"}}"#,
            r#"{"storageClass": "fast.ssd", "volumeSize": "1.5Gi"}"#,
            r#"{"publish": {"by": "ingress"}}"#,
            r#"{"publish": {"by": "ingress", "class": "nginx", "host": "{service}-{port}.{deployment}.example.org",
                "path": "/{deployment}/{service}", "tlsSecret": "wildcard"}}"#,
            r#"{"publish": {"by": "ingress", "host": "*.example.org"}}"#,
            r#"{"publish": {"by": "nowhere"}, "volumeSize": "10737418240"}"#,
        ] {
            assert_eq!(cluster(good), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn each_mistake_is_told_at_its_place() {
        for (bad, place) in [
            (r#"{"namespace": "ML"}"#, "engine.namespace"),
            (r#"{"namespace": "a.b"}"#, "engine.namespace"),
            (r#"{"namespace": "-a"}"#, "engine.namespace"),
            (r#"{"registry": "https://registry.example.org"}"#, "engine.registry"),
            (r#"{"registry": "hub"}"#, "engine.registry"),
            (r#"{"registry": "registry.example.org/"}"#, "engine.registry"),
            (r#"{"registry": "registry.example.org:x/a"}"#, "engine.registry"),
            (r#"{"mirrors": {"docker.io": "https://m.example.org"}}"#, "engine.mirrors"),
            (r#"{"storageClass": "Fast"}"#, "engine.storageClass"),
            (r#"{"volumeSize": "1 GB"}"#, "engine.volumeSize"),
            (r#"{"volumeSize": "0"}"#, "engine.volumeSize"),
            (r#"{"volumeSize": "-1Gi"}"#, "engine.volumeSize"),
            (r#"{"publish": {"by": "ingress", "host": "{name}.example.org"}}"#, "engine.publish.host"),
            (r#"{"publish": {"by": "ingress", "host": "service}.example.org"}}"#, "engine.publish.host"),
            (r#"{"publish": {"by": "ingress", "host": "{service.example.org"}}"#, "engine.publish.host"),
            (r#"{"publish": {"by": "ingress", "host": "a b"}}"#, "engine.publish.host"),
            (r#"{"publish": {"by": "ingress", "path": "{deployment}"}}"#, "engine.publish.path"),
            (r#"{"publish": {"by": "ingress", "path": ""}}"#, "engine.publish.path"),
            (r#"{"publish": {"by": "ingress", "class": "a b"}}"#, "engine.publish.class"),
            (r#"{"publish": {"by": "ingress", "tlsSecret": "A"}}"#, "engine.publish.tlsSecret"),
        ] {
            assert_eq!(cluster(bad), [place], "{bad}");
        }
    }
}
