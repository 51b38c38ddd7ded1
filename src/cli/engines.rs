//! Which engine serves which kind of connection: the one place that names them all.

use std::sync::Arc;

use secrecy::SecretString;

use super::open::Kubeconfigs;
use crate::app::infrastructure::connection;
use crate::crypto::KeyRing;
use crate::domain::clock::{SharedClock, SystemClock};
use crate::domain::cluster::{Cluster, ClusterAccess};
use crate::domain::infrastructure::{EngineConnection, Infrastructure};
use crate::engine::broken::Broken;
use crate::engine::docker::DockerEngine;
use crate::engine::fake::FakeEngine;
use crate::engine::kubernetes::KubernetesEngine;
use crate::engine::registry::Factory;
use crate::engine::{Engine, EngineError, EngineResult};

/// Makes engines for the instance of this id; `keys` open the credentials of their connections, `kubeconfigs` are the
/// configuration's. A connection that can't be used at all makes an engine that says why whenever it is called.
pub fn factory(instance: &str, keys: Arc<KeyRing>, kubeconfigs: Kubeconfigs) -> Factory {
    let maker = Maker { instance: instance.to_owned(), clock: Arc::new(SystemClock), keys, kubeconfigs };
    Box::new(move |infrastructure| {
        maker.engine(infrastructure).unwrap_or_else(|error| Arc::new(Broken::new(error)))
    })
}

struct Maker {
    instance: String,
    clock: SharedClock,
    keys: Arc<KeyRing>,
    kubeconfigs: Kubeconfigs,
}

impl Maker {
    fn engine(&self, infrastructure: &Infrastructure) -> EngineResult<Arc<dyn Engine>> {
        match &infrastructure.engine {
            EngineConnection::Fake {} => Ok(Arc::new(FakeEngine::new(Arc::clone(&self.clock)))),
            connection @ EngineConnection::Docker { .. } => {
                Ok(Arc::new(DockerEngine::connect(connection, &self.instance, Arc::clone(&self.clock))?))
            }
            EngineConnection::Kubernetes(cluster) => {
                let (cluster, credential) = self.cluster(infrastructure, cluster)?;
                let clock = Arc::clone(&self.clock);
                let engine = KubernetesEngine::connect(&cluster, credential.as_ref(), &self.instance, clock)?;
                Ok(Arc::new(engine))
            }
        }
    }

    /// The cluster as it is reached, and its credential in clear.
    fn cluster(
        &self,
        infrastructure: &Infrastructure,
        cluster: &Cluster,
    ) -> EngineResult<(Cluster, Option<SecretString>)> {
        if let ClusterAccess::Configured { name } = &cluster.access {
            let read = self.kubeconfigs.get(name).ok_or_else(|| {
                EngineError::Unsupported(format!(
                    "this connection: the configuration has no [kubeconfig.{name}] with a file"
                ))
            })?;
            let cluster = Cluster { access: read.access.clone(), ..cluster.clone() };
            return Ok((cluster, Some(read.credential.clone())));
        }
        let opened =
            infrastructure.credential.as_ref().map(|credential| self.open(infrastructure, credential));
        Ok((cluster.clone(), opened.transpose()?))
    }

    fn open(
        &self,
        infrastructure: &Infrastructure,
        credential: &crate::domain::infrastructure::SealedCredential,
    ) -> EngineResult<SecretString> {
        let place = connection::place(&infrastructure.id, credential.version);
        let opened = self.keys.open(&place, &credential.sealed);
        opened.ok().and_then(|clear| std::str::from_utf8(&clear).ok().map(SecretString::from)).ok_or_else(|| {
            EngineError::Unsupported(
                "this connection: its credential can't be opened with the keys of this instance; give it a kubeconfig \
                 again"
                    .to_owned(),
            )
        })
    }
}
