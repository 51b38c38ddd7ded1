//! `build:` for a cluster: a Docker engine builds and pushes.

use std::collections::BTreeMap;

use slipway::domain::workload::{Build, FileMount, Image, Protocol, Service};
use slipway::engine::EngineError;

use super::counter::writes;
use super::stage::Stage;
use crate::conformance::Harness as _;
use crate::docker::harness::Docker;

fn built() -> Service {
    let mut service = Service::new(Image::Build(Build {
        context: "app".into(),
        dockerfile: "Dockerfile".into(),
        target: None,
        args: BTreeMap::new(),
    }));
    service.files = vec![FileMount { source: "a.txt".into(), target: "/opt/a.txt".into() }];
    service
}

/// A bundle whose build is this run's own.
fn write_bundle(stage: &Stage) {
    let own = &stage.instance;
    stage.write("app/Dockerfile", format!("FROM busybox:lab\nRUN echo {own} >/built\nEXPOSE 8080 53/udp\n"));
    stage.write("a.txt", "a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_built_is_pushed_once_and_runs_with_its_files() {
    let stage = Stage::new().await;
    write_bundle(&stage);
    let builder = Docker::named(&stage.instance);
    let mut request = stage.request(stage.plan(&[("api", built())], "first"));
    request.builder = Some(builder.engine());
    let made = stage.prepare(&request).await.unwrap().into_values().next().unwrap();
    assert_eq!(made.image.exposed, [(53, Protocol::Udp), (8080, Protocol::Tcp)].into());
    let image = made.image.pull_digest.clone().unwrap();
    let said = stage.run(&image, "cat /built /opt/a.txt").await;
    assert_eq!(said, format!("{}\na file", stage.instance));
    let told = stage.told();
    assert!(told.contains("pushing its image to") && !told.contains("lab-secret"), "{told}");

    stage.counter.take();
    let again = stage.prepare(&request).await.unwrap().into_values().next().unwrap();
    assert_eq!(again, made);
    let asked = stage.counter.take();
    assert_eq!(writes(&asked), Vec::<&String>::new(), "neither the engine nor we push it again");

    // Of the build one tag is left on the builder, under a name of ours.
    let left =
        Docker::by_hand().list_images(None::<bollard::query_parameters::ListImagesOptions>).await.unwrap();
    let tags: Vec<String> = left.into_iter().flat_map(|image| image.repo_tags).collect();
    let short = &stage.instance[..8];
    let ours: Vec<&String> = tags.iter().filter(|tag| tag.contains(short)).collect();
    assert!(ours.len() == 1 && ours[0].starts_with(&format!("slipway/{short}/iris:publish-")), "{ours:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_without_builder_or_registry_says_which_is_missing() {
    let mut stage = Stage::new().await;
    write_bundle(&stage);
    let request = stage.request(stage.plan(&[("api", built())], "first"));
    let error = stage.prepare(&request).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Refused(_)) && error.to_string().contains("name a builder in"),
        "{error}"
    );
    stage.cluster.registry = None;
    let error = stage.prepare(&request).await.unwrap_err();
    assert!(error.to_string().contains("name a registry and a builder in"), "{error}");
    let builder = Docker::named(&stage.instance);
    let mut request = request;
    request.builder = Some(builder.engine());
    let error = stage.prepare(&request).await.unwrap_err();
    assert!(error.to_string().contains("name a registry in"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_with_a_wrong_password_fails_inside_its_stream() {
    let mut stage = Stage::new().await;
    write_bundle(&stage);
    stage.password = "wrong-secret";
    let builder = Docker::named(&stage.instance);
    let mut request = stage.request(stage.plan(&[("api", built())], "first"));
    request.builder = Some(builder.engine());
    let error = stage.prepare(&request).await.unwrap_err();
    assert!(matches!(&error, EngineError::ImageDenied { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("credentials") && !said.contains("wrong-secret"), "{said}");
}
