//! kill -9 anywhere in an update, then a restart: it ends as it would have, nothing lost, nothing doubled, and what
//! is not ours is not touched.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerSummary};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use serde_json::Value;

use crate::harness::process::House;

const FOREIGN: usize = 50;
const UPDATES: usize = 20;

fn compose(version: usize) -> String {
    format!(
        "services:
  web:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"mkdir -p /tmp/w && echo {version} > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w\"]
    init: true
    stop_grace_period: 1s
    deploy: {{replicas: 2}}
    healthcheck: {{test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"-\", \"http://127.0.0.1:8080/\"], interval: 1s, timeout: 2s, retries: 10}}
    depends_on: {{db: {{condition: service_started}}, setup: {{condition: service_completed_successfully}}}}
  db:
    image: busybox:lab
    command: sleep 100000
    init: true
    stop_grace_period: 0s
    volumes: [\"data:/data\"]
    environment: {{V: \"{}\"}}
  setup:
    image: busybox:lab
    command: [\"sh\", \"-c\", \"echo set up {version}\"]
    x-slipway: {{kind: task}}
volumes: {{data: {{}}}}
",
        version / 3
    )
}

/// Containers that have nothing to do with us, removed at the end whatever happens.
struct Foreign {
    docker: Docker,
    prefix: String,
}

impl Foreign {
    async fn make(docker: &Docker) -> Self {
        let prefix = format!("slwtest-foreign-{}", std::process::id());
        for number in 0..FOREIGN {
            let options =
                CreateContainerOptionsBuilder::default().name(&format!("{prefix}-{number}")).build();
            let labels = [("io.slipway.instance".to_owned(), "somebody-else".to_owned())];
            let body = ContainerCreateBody {
                image: Some("busybox:lab".into()),
                cmd: Some(vec!["sleep".into(), "100000".into()]),
                // Half of them belong to another Slipway, the others to nobody.
                labels: (number % 2 == 0).then(|| labels.into_iter().collect()),
                ..ContainerCreateBody::default()
            };
            docker.create_container(Some(options), body).await.unwrap();
        }
        docker.start_container(&format!("{prefix}-0"), None).await.unwrap();
        docker.start_container(&format!("{prefix}-1"), None).await.unwrap();
        Self { docker: docker.clone(), prefix }
    }

    /// Id and state of each.
    async fn states(&self) -> BTreeSet<(String, String)> {
        let all = containers(&self.docker, &format!("name={}", self.prefix)).await;
        all.into_iter()
            .map(|one| {
                (one.id.unwrap_or_default(), one.state.map(|state| state.to_string()).unwrap_or_default())
            })
            .collect()
    }

    async fn remove(self) {
        for number in 0..FOREIGN {
            let options = RemoveContainerOptionsBuilder::default().force(true).build();
            self.docker.remove_container(&format!("{}-{number}", self.prefix), Some(options)).await.unwrap();
        }
    }
}

async fn containers(docker: &Docker, filter: &str) -> Vec<ContainerSummary> {
    let (key, value) = filter.split_once('=').unwrap();
    let filters = [(key.to_owned(), vec![value.to_owned()])];
    let options =
        ListContainersOptionsBuilder::default().all(true).filters(&filters.into_iter().collect()).build();
    docker.list_containers(Some(options)).await.unwrap()
}

/// Service, state and update of every container of the deployment.
async fn ours(docker: &Docker, id: &str) -> Vec<(String, String)> {
    let mut found: Vec<_> = containers(docker, &format!("label=io.slipway.workload={id}"))
        .await
        .into_iter()
        .map(|one| {
            let labels = one.labels.unwrap_or_default();
            (
                labels["io.slipway.service"].clone(),
                one.state.map(|state| state.to_string()).unwrap_or_default(),
            )
        })
        .collect();
    found.sort();
    found
}

/// What twenty kills did harm to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Replicas that should run, and do not; updates that were acknowledged and are not there.
    lost: usize,
    /// Replicas and updates that are there more than once, or that nobody wants any more.
    doubled: usize,
}

impl Tally {
    /// Counts what differs between what should be there and what is.
    fn count(&mut self, expected: &[(String, String)], mut found: Vec<(String, String)>) {
        for one in expected {
            match found.iter().position(|other| other == one) {
                Some(at) => drop(found.remove(at)),
                None => self.lost += 1,
            }
        }
        self.doubled += found.len();
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(service, state)| ((*service).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_killed_anywhere_ends_as_it_would_have() {
    slipway::tls::install();
    let docker = Docker::connect_with_unix_defaults().unwrap();
    let foreign = Foreign::make(&docker).await;
    let before = foreign.states().await;
    let body = tokio::spawn(twenty_killed_updates(docker.clone())).await;
    let after = foreign.states().await;
    foreign.remove().await;
    body.unwrap();
    let touched = before.symmetric_difference(&after).count();
    println!("foreign touched: {touched} of {}", before.len());
    assert_eq!((before.len(), touched), (FOREIGN, 0), "what is not ours was touched");
}

async fn twenty_killed_updates(docker: Docker) {
    let id = format!("kill-{}", std::process::id());
    let mut house = House::fresh().await;
    for version in 0..=UPDATES {
        house.publish("kill", &version.to_string(), &compose(version)).await;
    }
    house.deploy(&id, "kill", "0").await;
    house.update(&id).await;
    let (mut tally, mut slowest) = (Tally::default(), Duration::ZERO);
    for version in 1..=UPDATES {
        house.choose(&id, &version.to_string()).await;
        let number = house.ask(&id).await;
        // Somewhere between "accepted" and "ended": the spread covers every step of an update of this size.
        let pause = u64::from(slipway::domain::random::bytes::<1>()[0]) * 16;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        house.stop(false);
        let begun = std::time::Instant::now();
        house.start();
        let update = house.wait(&id, number).await;
        slowest = slowest.max(begun.elapsed());
        assert_eq!(update["spec"]["bundle"], version.to_string(), "killed after {pause} ms");
        let expected =
            pairs(&[("db", "running"), ("setup", "exited"), ("web", "running"), ("web", "running")]);
        let found = ours(&docker, &id).await;
        tally.count(&expected, found.clone());
        assert_eq!(found, expected, "killed after {pause} ms in update {number}: {tally:?}");
    }
    let updates: Value =
        house.call(reqwest::Method::GET, &format!("/deployments/{id}/updates?limit=100"), None).await;
    let count = updates.as_array().unwrap().len();
    tally.lost += (UPDATES + 1).saturating_sub(count);
    tally.doubled += count.saturating_sub(UPDATES + 1);
    println!(
        "{UPDATES} updates killed: lost {}, doubled {}, the slowest went on for {slowest:?}",
        tally.lost, tally.doubled
    );
    assert_eq!(tally, Tally::default(), "each asked for once, each there once");
    house.remove(&id).await;
    assert_eq!(ours(&docker, &id).await, pairs(&[]));
}
