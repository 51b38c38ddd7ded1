//! PyPI `dataiku-api-client` against `/dip/publicapi`.

use super::{Stage, note};

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            Stage::new("dataiku").await.tests(concat!("test_", stringify!($name)), None, &[]).await;
        }
    )+};
}

scripts!(deployer, infra, project, deployment, governance, scenarios, release, wrong);

#[tokio::test(flavor = "multi_thread")]
async fn future() {
    Stage::new("dataiku").await.tests("test_future", Some("Future"), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_outlives_the_process() {
    let mut stage = Stage::new("dataiku").await;
    let (_folder, note) = note();
    let phase = |phase| [("SLIPWAY_PHASE", phase), ("SLIPWAY_NOTE", note.as_str())];
    stage.tests("test_future", Some("AcrossRestart.test_before"), &phase("before")).await;
    stage.house.stop(false);
    stage.house.start();
    stage.tests("test_future", Some("AcrossRestart.test_after"), &phase("after")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_client_is_covered() {
    let said = Stage::new("dataiku").await.run(&["coverage.py"], &[]).await;
    assert!(said.contains("operations of the client: "), "{said}");
}
