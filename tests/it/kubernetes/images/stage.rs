//! A bundle, a plan, base images, and a node that pulls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, LogsOptions, PushImageOptions, RemoveContainerOptions,
    RemoveImageOptions, TagImageOptions, WaitContainerOptions,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::secrets::RegistryAuth;
use slipway::domain::bundle::Digest;
use slipway::domain::cluster::{Cluster, ClusterAccess};
use slipway::domain::name::ServiceName;
use slipway::domain::plan::Plan;
use slipway::domain::policy::Profile;
use slipway::domain::workload::{FileMount, Image, Service, Workload};
use slipway::engine::kubernetes::images::{self, Prepared};
use slipway::engine::{EngineResult, PrepareRequest, RegistryCredentials};

use super::counter::Counter;
use crate::conformance::Lines;
use crate::docker::harness::aside;

/// The lab's registry as it is named without the counter.
pub const LAB: &str = "127.0.0.1:5000";

/// Pushes an image that the lab's engine has to the lab's registry.
pub async fn push(docker: &Docker, image: &str, repo: &str, tag: &str) {
    let options = TagImageOptions { repo: Some(repo.to_owned()), tag: Some(tag.to_owned()) };
    docker.tag_image(image, Some(options)).await.unwrap();
    let options = PushImageOptions { tag: Some(tag.to_owned()), ..Default::default() };
    let told: Vec<_> = docker.push_image(repo, Some(options), Some(lab())).try_collect().await.unwrap();
    assert!(!told.is_empty());
}

/// One cluster's settings, one bundle, one instance.
pub struct Stage {
    pub instance: String,
    pub cluster: Cluster,
    pub counter: Counter,
    pub bundle: tempfile::TempDir,
    pub password: &'static str,
    pub lines: Lines,
    docker: Docker,
}

impl Stage {
    /// With a registry.
    pub async fn new() -> Self {
        slipway::tls::install();
        let counter = Counter::new().await;
        let registry = Some(format!("{}/slwtest", counter.host()));
        let cluster = Cluster {
            access: ClusterAccess::InCluster {},
            namespace: "slipway".into(),
            registry,
            mirrors: BTreeMap::new(),
            builder: None,
            publish: Default::default(),
            storage_class: None,
            volume_size: "1Gi".into(),
        };
        Self {
            instance: uuid::Uuid::new_v4().simple().to_string(),
            cluster,
            counter,
            bundle: tempfile::tempdir().unwrap(),
            password: "lab-secret",
            lines: Lines::default(),
            docker: crate::docker::harness::Docker::by_hand(),
        }
    }

    /// A name that is this test's own, below the lab's registry.
    pub fn base(&self, name: &str) -> String {
        format!("slwtest/{}/{name}", self.instance)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.bundle.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A plan with these services; what their files hold is covered by `content`.
    pub fn plan(&self, services: &[(&str, Service)], content: &str) -> Plan {
        let services: BTreeMap<ServiceName, Service> =
            services.iter().map(|(name, service)| (name.parse().unwrap(), service.clone())).collect();
        let inputs = services.keys().map(|name| (name.clone(), Digest::of(content.as_bytes()))).collect();
        Plan {
            deployment: "iris".parse().unwrap(),
            project: "p".parse().unwrap(),
            version: "1".parse().unwrap(),
            bundle: Digest::of(content.as_bytes()),
            infrastructure: "cluster".parse().unwrap(),
            enabled: true,
            profile: Profile::Baseline,
            workload: Workload { services, ..Workload::default() },
            inputs,
            secrets: BTreeMap::new(),
            testing: Default::default(),
        }
    }

    pub fn registries(&self) -> BTreeMap<String, RegistryCredentials> {
        let who = RegistryCredentials { username: "lab".into(), password: self.password.to_owned().into() };
        BTreeMap::from([(self.counter.host(), who.clone()), (LAB.to_owned(), who)])
    }

    pub fn request(&self, plan: Plan) -> PrepareRequest {
        PrepareRequest {
            plan: Arc::new(plan),
            files: Some(self.bundle.path().to_owned()),
            registries: self.registries(),
            pinned: BTreeMap::new(),
            builder: None,
        }
    }

    pub async fn prepare(&self, request: &PrepareRequest) -> EngineResult<BTreeMap<ServiceName, Prepared>> {
        images::prepare(&self.cluster, &self.instance, request, &self.lines).await
    }

    /// Prepares one service.
    pub async fn one(&self, service: Service, content: &str) -> EngineResult<Prepared> {
        let request = self.request(self.plan(&[("api", service)], content));
        Ok(self.prepare(&request).await?.into_values().next().unwrap())
    }

    pub fn told(&self) -> String {
        self.lines.0.lock().unwrap().join("\n")
    }

    /// Pushes the lab's small image as a base, with the real engine.
    pub async fn push_busybox(&self, name: &str, tag: &str) {
        let repo = format!("{LAB}/{name}");
        push(&self.docker, "busybox:lab", &repo, tag).await;
        self.untag(&format!("{repo}:{tag}")).await;
    }

    /// Pushes an image of one layer, with another client than ours; answers its manifest's digest.
    pub async fn push_layer(
        &self,
        name: &str,
        tag: &str,
        layer: Vec<u8>,
        config: serde_json::Value,
    ) -> String {
        let client = other_client();
        let reference: oci_client::Reference = format!("{LAB}/{name}:{tag}").parse().unwrap();
        let who = RegistryAuth::Basic("lab".into(), "lab-secret".into());
        let layers = [ImageLayer::oci_v1_gzip(layer, None)];
        let config = Config::oci_v1(config.to_string().into_bytes(), None);
        client.push(&reference, &layers, config, &who, None).await.unwrap();
        client.fetch_manifest_digest(&reference, &who).await.unwrap()
    }

    /// Pulls an image as a node does, runs a line of shell in it, and answers what that wrote.
    pub async fn run(&self, image: &str, script: &str) -> String {
        let options = CreateImageOptions { from_image: Some(image.to_owned()), ..Default::default() };
        let pull = self.docker.create_image(Some(options), None, Some(lab()));
        pull.try_collect::<Vec<_>>().await.unwrap();
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["sh".into(), "-c".into(), script.into()]),
            user: Some("1000:1000".into()),
            ..Default::default()
        };
        let made = self.docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
        self.docker.start_container(&made, None).await.unwrap();
        let waited = self.docker.wait_container(&made, None::<WaitContainerOptions>).next().await;
        let options = LogsOptions { stdout: true, stderr: true, ..Default::default() };
        let lines: Vec<_> = self.docker.logs(&made, Some(options)).try_collect().await.unwrap();
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        self.docker.remove_container(&made, Some(options)).await.unwrap();
        self.untag(image).await;
        let said: String = lines.iter().map(ToString::to_string).collect();
        assert!(matches!(waited, Some(Ok(_))), "{waited:?}: {said}");
        said
    }

    async fn untag(&self, image: &str) {
        self.docker.remove_image(image, None::<RemoveImageOptions>, None).await.unwrap();
    }

    /// Asks the lab's registry by hand.
    pub async fn ask(&self, method: reqwest::Method, path: &str) -> reqwest::Response {
        let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
        let request = reqwest::Client::new().request(method, format!("http://{LAB}/v2/{path}"));
        request.basic_auth("lab", Some("lab-secret")).header("Accept", accept).send().await.unwrap()
    }

    /// Takes the digest out of `…@sha256:…` and asks for it in JSON.
    pub async fn manifest(&self, pull_digest: &str) -> serde_json::Value {
        let (place, digest) = pull_digest.split_once('@').unwrap();
        let (_, repository) = place.split_once('/').unwrap();
        self.ask(reqwest::Method::GET, &format!("{repository}/manifests/{digest}"))
            .await
            .json()
            .await
            .unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (docker, own) = (self.docker.clone(), self.instance.clone());
        let short = own[..8].to_owned();
        aside(async move {
            let images =
                docker.list_images(None::<bollard::query_parameters::ListImagesOptions>).await.unwrap();
            for image in images {
                let names: BTreeSet<&String> = image.repo_tags.iter().chain(&image.repo_digests).collect();
                let ours = |name: &&&String| name.contains(&own) || name.contains(&format!("/{short}"));
                for name in names.iter().filter(ours) {
                    let _ = docker.remove_image(name, None::<RemoveImageOptions>, None).await;
                }
            }
        });
    }
}

/// A client of registries that is not ours.
pub fn other_client() -> oci_client::Client {
    let config = ClientConfig { protocol: ClientProtocol::Http, ..Default::default() };
    oci_client::Client::try_from(config).unwrap()
}

fn lab() -> DockerCredentials {
    DockerCredentials {
        username: Some("lab".into()),
        password: Some("lab-secret".into()),
        serveraddress: Some(LAB.into()),
        ..Default::default()
    }
}

/// A service of an image with files of the bundle.
pub fn service(image: &str, files: &[(&str, &str)]) -> Service {
    let mut service = Service::new(Image::Reference(image.into()));
    let mount =
        |(source, target): &(&str, &str)| FileMount { source: (*source).into(), target: (*target).into() };
    service.files = files.iter().map(mount).collect();
    service
}

/// A layer of one file, packed, and the digest of what is packed.
pub fn layer(path: &str, content: &[u8]) -> (Vec<u8>, String) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append_data(&mut header, path, content).unwrap();
    let tar = builder.into_inner().unwrap();
    let diff_id = format!("sha256:{}", Digest::of(&tar));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &tar).unwrap();
    (packed.finish().unwrap(), diff_id)
}

/// A configuration for one layer.
pub fn config(machine: &str, diff_id: &str, port: u16) -> serde_json::Value {
    serde_json::json!({
        "architecture": machine,
        "os": "linux",
        "config": { "ExposedPorts": { format!("{port}/tcp"): {} } },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created_by": "a test" }],
    })
}
