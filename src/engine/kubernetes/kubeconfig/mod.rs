//! A kubeconfig that somebody gives is somebody's program: it can name commands to run, files to read and machines to
//! send a credential through. Of it only the chosen context's server, certificate authority and one credential are
//! kept; whatever would run, read or skip something is refused with its place and the way out.
//!
//! Nothing here opens a file or a connection, and no refusal repeats a value.

mod fields;
mod pem;
#[cfg(test)]
mod tests;
mod tree;

use secrecy::SecretString;

use crate::domain::cluster::{ClusterAccess, CredentialKind, is_dns_label, is_dns_name};
use crate::domain::{Problem, Result};
use fields::Fields;
use tree::{Node, Place, refused};

/// The longest text that is read.
pub const LONGEST: usize = 256 * 1024;

/// What is kept of a kubeconfig.
#[derive(Debug, Clone)]
pub struct Sanitised {
    /// Always [`ClusterAccess::Kubeconfig`].
    pub access: ClusterAccess,
    /// The context's namespace.
    pub namespace: Option<String>,
    /// The token as it is, or one PEM text of the client certificate, those above it, and its key.
    pub credential: SecretString,
}

/// Reads a kubeconfig, of which the context `context` counts, or else its current one.
///
/// # Errors
/// `kubeconfig_refused`, whose problems have the place `kubeconfig:LINE:COLUMN`.
pub fn sanitise(text: &str, context: Option<&str>) -> Result<Sanitised> {
    if text.len() > LONGEST {
        let message = format!("the kubeconfig has {} bytes; {LONGEST} are read", text.len());
        return Place::START.refuse(
            message,
            "Keep one context of it: `kubectl config view --raw --minify --flatten` prints that.",
        );
    }
    let root = tree::read(text)?;
    if root.entries().is_empty() {
        return root.at.refuse(
            "this is no kubeconfig: it holds no fields",
            "Paste what `kubectl config view --raw --minify --flatten` prints.",
        );
    }
    let mut problems = Vec::new();
    fields::judge(&root, fields::TOP, "the kubeconfig", &mut problems);
    if let Some(kind) = root.get("kind").filter(|kind| kind.text() != Some("Config")) {
        problems
            .push(kind.at.problem("this is no kubeconfig: its kind is not Config", "Paste a kubeconfig."));
    }
    let Some(chosen) = Chosen::find(&root, context, &mut problems) else {
        return Err(refused(problems));
    };
    match chosen.read(&mut problems) {
        Some(sanitised) if problems.is_empty() => Ok(sanitised),
        _ => Err(refused(problems)),
    }
}

/// The context that counts, and what it names.
struct Chosen<'n> {
    context: &'n Node,
    cluster: (&'n str, &'n Node),
    user: (&'n str, &'n Node),
}

impl<'n> Chosen<'n> {
    fn find(root: &'n Node, wanted: Option<&str>, problems: &mut Vec<Problem>) -> Option<Self> {
        let current = root.get("current-context").and_then(Node::text);
        let contexts = Named { list: "contexts", inner: "context", of: fields::CONTEXTS };
        let Some(name) = wanted.or(current) else {
            let hint = format!("Name one: {}.", contexts.known(root));
            problems.push(
                root.at.problem("no context is named, and the kubeconfig has no `current-context`", hint),
            );
            return None;
        };
        let context = contexts.get(root, name, root.at, problems)?;
        fields::judge(context, fields::CONTEXT, &format!("context {name}"), problems);
        let cluster = Named { list: "clusters", inner: "cluster", of: fields::CLUSTERS };
        let user = Named { list: "users", inner: "user", of: fields::USERS };
        let (cluster, user) = (
            cluster.of_context(root, context, name, problems),
            user.of_context(root, context, name, problems),
        );
        Some(Self { context, cluster: cluster?, user: user? })
    }

    fn read(&self, problems: &mut Vec<Problem>) -> Option<Sanitised> {
        let whose = format!("cluster {}", self.cluster.0);
        fields::judge(self.cluster.1, fields::CLUSTER, &whose, problems);
        let before = problems.len();
        let user = format!("user {}", self.user.0);
        fields::judge(self.user.1, fields::USER, &user, problems);
        // The credential is looked at where nothing else of its user is wrong: what is missing was refused by its name.
        let credential = (problems.len() == before).then(|| credential(self.user.1, &user));
        let mut took = |result: Result<Option<String>, Problem>| match result {
            Ok(value) => value,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let server = took(server(self.cluster.1, &whose).map(Some));
        let certificate_authority = took(authority(self.cluster.1, &whose));
        let tls_server_name = took(server_name(self.cluster.1, &whose));
        let namespace = took(namespace(self.context));
        let (kind, credential) = credential?.map_err(|problem| problems.push(problem)).ok()?;
        let access = ClusterAccess::Kubeconfig {
            server: server?,
            certificate_authority,
            tls_server_name,
            credential: kind,
        };
        Some(Sanitised { access, namespace, credential })
    }
}

/// A list of named things.
struct Named {
    list: &'static str,
    /// The field that holds the thing itself.
    inner: &'static str,
    of: Fields,
}

impl Named {
    /// Their names, for people.
    fn known(&self, root: &Node) -> String {
        let names: Vec<&str> = root
            .get(self.list)
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| item.get("name").and_then(Node::text))
            .collect();
        if names.is_empty() { "there is none".to_owned() } else { names.join(", ") }
    }

    fn get<'n>(
        &self,
        root: &'n Node,
        name: &str,
        at: Place,
        problems: &mut Vec<Problem>,
    ) -> Option<&'n Node> {
        let items = root.get(self.list).map(Node::items).unwrap_or_default();
        let mut found = items.iter().filter(|item| item.get("name").and_then(Node::text) == Some(name));
        let Some(item) = found.next() else {
            let hint = format!("The kubeconfig has: {}.", self.known(root));
            problems.push(at.problem(format!("there is no {} {name}", self.inner), hint));
            return None;
        };
        if let Some(twice) = found.next() {
            let message = format!("there are two called {name} among its {}", self.list);
            problems.push(twice.at.problem(message, "Keep one of the two."));
        }
        fields::judge(item, self.of, &format!("{} {name}", self.inner), problems);
        let inner = item.get(self.inner);
        if inner.is_none() {
            let hint = "Paste what `kubectl config view --raw --minify --flatten` prints.";
            problems.push(item.at.problem(format!("{} {name} is empty", self.inner), hint));
        }
        inner
    }

    /// The one that a context names.
    fn of_context<'n>(
        &self,
        root: &'n Node,
        context: &'n Node,
        name: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<(&'n str, &'n Node)> {
        let Some(node) = context.get(self.inner) else {
            let hint = format!("Name one: {}.", self.known(root));
            problems.push(context.at.problem(format!("context {name} names no {}", self.inner), hint));
            return None;
        };
        let wanted = node.text().unwrap_or_default();
        Some((wanted, self.get(root, wanted, node.at, problems)?))
    }
}

fn server(cluster: &Node, whose: &str) -> Result<String, Problem> {
    let hint = "Write the API server's address, such as `https://cluster.example.org:6443`.";
    let Some(node) = cluster.get("server") else {
        return Err(cluster.at.problem(format!("{whose} has no `server`"), hint));
    };
    let refuse = |why: &str| Err(node.at.problem(format!("{whose}: `server` {why}"), hint));
    let Ok(url) = url::Url::parse(node.text().unwrap_or_default()) else {
        return refuse("is no address");
    };
    match url.scheme() {
        "https" => {}
        "http" => return refuse("begins with http://, where anybody on the way reads the credential"),
        _ => return refuse("does not begin with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("holds a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or fragment");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn authority(cluster: &Node, whose: &str) -> Result<Option<String>, Problem> {
    let Some(node) = cluster.get("certificate-authority-data") else {
        return Ok(None);
    };
    let read = pem::decoded(node.text()).and_then(|text| pem::authorities(&text));
    read.map(Some).map_err(|why| {
        let message = format!("{whose}: `certificate-authority-data` {why}");
        node.at.problem(message, "It takes the certificate authority's PEM file in base64.")
    })
}

fn server_name(cluster: &Node, whose: &str) -> Result<Option<String>, Problem> {
    let Some(node) = cluster.get("tls-server-name") else {
        return Ok(None);
    };
    let name = node.text().unwrap_or_default();
    if is_dns_name(name) || name.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Some(name.to_owned()));
    }
    let hint = "Write the name that the server's certificate bears, or remove the field.";
    Err(node.at.problem(format!("{whose}: `tls-server-name` is no host name"), hint))
}

fn namespace(context: &Node) -> Result<Option<String>, Problem> {
    let Some(node) = context.get("namespace") else {
        return Ok(None);
    };
    let name = node.text().unwrap_or_default();
    if is_dns_label(name) {
        return Ok(Some(name.to_owned()));
    }
    let hint = "A namespace is up to 63 lower-case letters, digits and `-`.";
    Err(node.at.problem("the context's `namespace` is no name of a namespace", hint))
}

fn credential(user: &Node, whose: &str) -> Result<(CredentialKind, SecretString), Problem> {
    let (token, certificate, key) =
        (user.get("token"), user.get("client-certificate-data"), user.get("client-key-data"));
    match (token, certificate, key) {
        (Some(token), None, None) => {
            let text = token.text().unwrap_or_default();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                let hint = "A token is one word of letters, digits and signs; paste it whole.";
                return Err(token.at.problem(format!("{whose}: `token` is no token"), hint));
            }
            Ok((CredentialKind::Token, text.to_owned().into()))
        }
        (None, Some(certificate), Some(key)) => {
            let wrong = |node: &Node, field: &str, why: &str| {
                let hint = format!(
                    "It takes the PEM file in base64, as under `{field}` of a kubeconfig that works."
                );
                node.at.problem(format!("{whose}: `{field}` {why}"), hint)
            };
            let chain = pem::decoded(certificate.text())
                .map_err(|why| wrong(certificate, "client-certificate-data", why))?;
            let private = pem::decoded(key.text()).map_err(|why| wrong(key, "client-key-data", why))?;
            let pair = pem::pair(&chain, &private).map_err(|(of_key, why)| match of_key {
                true => wrong(key, "client-key-data", why),
                false => wrong(certificate, "client-certificate-data", why),
            })?;
            Ok((CredentialKind::Certificate, pair))
        }
        (None, None, None) => {
            let hint = "Give `token`, or `client-certificate-data` with `client-key-data`.";
            Err(user.at.problem(format!("{whose} has no credential that Slipway takes"), hint))
        }
        (None, _, _) => {
            let hint = "Give both `client-certificate-data` and `client-key-data`.";
            Err(user.at.problem(format!("{whose} has half of a client certificate"), hint))
        }
        (Some(token), _, _) => {
            let hint = "Remove the one that the cluster does not need.";
            Err(token.at.problem(format!("{whose} has both a token and a client certificate"), hint))
        }
    }
}
