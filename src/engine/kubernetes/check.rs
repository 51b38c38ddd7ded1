//! The connection test: which version, how much room, and each right that Slipway needs asked of the cluster itself.
//!
//! One table says what is needed. The questions and the Role to copy both come from it, so that they can't disagree.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};

use super::{Core, error, quantity};
use crate::engine::{EngineReport, EngineResult};

/// The oldest minor version of Kubernetes 1 that Slipway works with.
const OLDEST: u32 = 20;

/// How many questions are asked at a time.
const AT_ONCE: usize = 8;

/// What is asked for of one kind of object.
struct Right {
    /// Empty for Kubernetes' own.
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    reach: Reach,
    /// What does not work without an optional right; empty where Slipway can't do its work at all.
    without: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Namespace,
    Cluster,
}

const fn needed(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Right {
    Right { group, resource, verbs, reach: Reach::Namespace, without: "" }
}

/// To make, keep and remove objects.
const KEPT: &[&str] = &["get", "list", "create", "patch", "delete"];

/// And to follow them.
const WATCHED: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// Everything that Slipway asks of a cluster.
static RIGHTS: [Right; 18] = [
    needed("", "pods", &["get", "list", "watch", "delete"]),
    needed("", "pods/log", &["get"]),
    // A WebSocket begins with a GET, which older clusters take for `get`, newer ones for `create`.
    needed("", "pods/portforward", &["get", "create"]),
    needed("", "events", &["list", "watch"]),
    needed("apps", "deployments", &["get", "list", "watch", "create", "update", "patch", "delete"]),
    needed("apps", "replicasets", &["list"]),
    needed("batch", "jobs", WATCHED),
    needed("", "services", WATCHED),
    needed("", "configmaps", KEPT),
    needed("", "secrets", KEPT),
    needed("", "persistentvolumeclaims", KEPT),
    needed("networking.k8s.io", "ingresses", WATCHED),
    needed("networking.k8s.io", "networkpolicies", KEPT),
    Right {
        group: "",
        resource: "pods",
        verbs: &["patch"],
        reach: Reach::Namespace,
        without: "executions can't be stopped without being removed",
    },
    Right {
        group: "",
        resource: "pods/exec",
        verbs: &["get", "create"],
        reach: Reach::Namespace,
        without: "commands can't be run inside replicas",
    },
    Right {
        group: "autoscaling",
        resource: "horizontalpodautoscalers",
        verbs: &["list", "watch"],
        reach: Reach::Namespace,
        without: "what an autoscaler does may look like a hand's work",
    },
    Right {
        group: "metrics.k8s.io",
        resource: "pods",
        verbs: &["get"],
        reach: Reach::Namespace,
        without: "what replicas use is not measured",
    },
    Right {
        group: "",
        resource: "nodes",
        verbs: &["list"],
        reach: Reach::Cluster,
        without: "the capacity is not known",
    },
];

impl Right {
    /// `deployments.apps`, `pods/log`
    fn name(&self) -> String {
        match self.group {
            "" => self.resource.to_owned(),
            group => format!("{}.{group}", self.resource),
        }
    }

    fn is_optional(&self) -> bool {
        !self.without.is_empty()
    }

    fn review(&self, verb: &str, namespace: &str) -> SelfSubjectAccessReview {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, sub)) => (resource, Some(sub.to_owned())),
            None => (self.resource, None),
        };
        let attributes = ResourceAttributes {
            namespace: (self.reach == Reach::Namespace).then(|| namespace.to_owned()),
            group: Some(self.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        }
    }
}

impl Core {
    pub(super) async fn report(&self) -> EngineResult<EngineReport> {
        let api = self.client.api().await?;
        let version = self.client.call("the cluster's version", || api.apiserver_version()).await?;
        let lacking = self.lacking(&api).await?;
        let (mut missing, mut warnings) = (Vec::new(), Vec::new());
        let name = version.git_version.trim_start_matches('v');
        let (major, minor) = numbers(name);
        if major == 1 && minor < OLDEST {
            missing.push(format!(
                "It is version 1.{minor}, and 1.{OLDEST} is the oldest that Slipway works with; upgrade the cluster."
            ));
        }
        missing.extend(self.without_namespace(&api).await);
        for (at, verbs) in &lacking {
            let right = &RIGHTS[*at];
            let verbs = verbs.join(", ");
            let place = match right.reach {
                Reach::Namespace => format!("in namespace {}", self.cluster.namespace),
                Reach::Cluster => "in the cluster".to_owned(),
            };
            match right.is_optional() {
                true => {
                    warnings.push(format!("It may not {verbs} {} {place}: {}.", right.name(), right.without))
                }
                false => missing.push(format!("It may not {verbs} {} {place}.", right.name())),
            }
        }
        let nodes_hidden = lacking.keys().any(|at| RIGHTS[*at].resource == "nodes");
        let (cpus, memory_bytes) = if nodes_hidden { (0, 0) } else { self.capacity(&api).await? };
        Ok(EngineReport {
            version: format!("Kubernetes {name}"),
            api_version: format!("{major}.{minor}"),
            cpus,
            memory_bytes,
            missing,
            warnings,
        })
    }

    /// The verbs that are not allowed, by the right's place in the table.
    async fn lacking(&self, api: &kube::Client) -> EngineResult<BTreeMap<usize, Vec<&'static str>>> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(api.clone());
        let mut questions = Vec::new();
        for (at, right) in RIGHTS.iter().enumerate() {
            questions.extend(right.verbs.iter().map(|verb| self.may(reviews.clone(), at, verb)));
        }
        let answers: Vec<_> = stream::iter(questions).buffered(AT_ONCE).try_collect().await?;
        let mut lacking = BTreeMap::<usize, Vec<&'static str>>::new();
        for (at, verb, allowed) in answers {
            if !allowed {
                lacking.entry(at).or_default().push(verb);
            }
        }
        Ok(lacking)
    }

    /// Asks for one verb of one right.
    async fn may(
        &self,
        reviews: Api<SelfSubjectAccessReview>,
        at: usize,
        verb: &'static str,
    ) -> EngineResult<(usize, &'static str, bool)> {
        let review = RIGHTS[at].review(verb, &self.cluster.namespace);
        let parameters = PostParams::default();
        let answer =
            self.client.call("which rights there are", || reviews.create(&parameters, &review)).await?;
        Ok((at, verb, answer.status.is_some_and(|status| status.allowed)))
    }

    /// What to say where the namespace is not there: only a change shows it to those who may not look at namespaces.
    async fn without_namespace(&self, api: &kube::Client) -> Option<String> {
        let namespace = &self.cluster.namespace;
        let probe = ConfigMap {
            metadata: ObjectMeta { generate_name: Some("slipway-test-".into()), ..ObjectMeta::default() },
            ..ConfigMap::default()
        };
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let config_maps: Api<ConfigMap> = Api::namespaced(api.clone(), namespace);
        let tried = tokio::time::timeout(super::client::ASK, config_maps.create(&dry, &probe)).await.ok()?;
        let gone = tried.is_err_and(|failed| error::is_missing(&failed));
        gone.then(|| {
            format!("There is no namespace {namespace}; have it made (kubectl create namespace {namespace}), or set another.")
        })
    }

    /// CPUs and bytes of memory of all nodes together.
    async fn capacity(&self, api: &kube::Client) -> EngineResult<(u32, u64)> {
        let nodes: Api<Node> = Api::all(api.clone());
        let all = ListParams::default();
        let found = self.client.call("the cluster's nodes", || nodes.list(&all)).await?;
        let (mut cpus, mut bytes) = (0.0, 0.0);
        for node in found.items {
            let room = node.status.and_then(|status| status.allocatable).unwrap_or_default();
            cpus += room.get("cpu").and_then(|amount| quantity::amount(&amount.0)).unwrap_or(0.0);
            bytes += room.get("memory").and_then(|amount| quantity::amount(&amount.0)).unwrap_or(0.0);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "amounts are positive, casts saturate"
        )]
        Ok((cpus as u32, bytes as u64))
    }
}

/// Major and minor version of a name such as `1.29.4-gke.100`; 0 where it is none.
fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The smallest Role for a namespace with its RoleBinding, as YAML to copy; optional rights stand in it as comments.
pub fn role(namespace: &str) -> String {
    let mut text = format!(
        "# What Slipway needs in namespace {namespace}, and nothing beyond it.\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: slipway\n  namespace: {namespace}\nrules:\n"
    );
    for right in RIGHTS.iter().filter(|right| !right.is_optional()) {
        let _ = writeln!(text, "{}", rule(right));
    }
    for right in RIGHTS.iter().filter(|right| right.is_optional() && right.reach == Reach::Namespace) {
        let _ = writeln!(text, "# Optional; without it {}:\n# {}", right.without, rule(right));
    }
    let _ = write!(
        text,
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: slipway\n  \
         namespace: {namespace}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: slipway}}\nsubjects:\n\
         # Or whom else the kubeconfig stands for.\n- {{kind: ServiceAccount, name: slipway, namespace: {namespace}}}\n"
    );
    for right in RIGHTS.iter().filter(|right| right.reach == Reach::Cluster) {
        let _ = write!(
            text,
            "# Optional; without it {}: a ClusterRole with the rule\n# {}\n# bound by a ClusterRoleBinding to the same \
             subject.\n",
            right.without,
            rule(right)
        );
    }
    text
}

fn rule(right: &Right) -> String {
    let verbs = right.verbs.join(", ");
    format!("- {{apiGroups: [\"{}\"], resources: [{}], verbs: [{verbs}]}}", right.group, right.resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_has_every_right_that_is_needed_and_comments_the_rest() {
        let text = role("ml");
        for right in &RIGHTS {
            let at = text.lines().find(|line| line.trim_start_matches("# ") == rule(right));
            let line = at.unwrap_or_else(|| panic!("{} is missing", right.name()));
            assert_eq!(line.starts_with('#'), right.is_optional(), "{line}");
        }
        assert_eq!(text.matches("namespace: ml").count(), 3);
    }

    #[test]
    fn versions_are_read() {
        assert_eq!((numbers("1.20.2"), numbers("1.33+"), numbers("")), ((1, 20), (1, 33), (0, 0)));
    }
}
