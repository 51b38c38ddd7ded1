//! Killed or told to stop while it writes: what was acknowledged is there, what was not may be repeated.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Writers, projects, repeat, somewhere_within, sound};
use crate::harness::process::House;

const ROUNDS: usize = 6;
const WRITERS: usize = 8;

/// Waits until writing is well under way.
async fn under_way(writers: &Writers) {
    let begun = std::time::Instant::now();
    while writers.acknowledged() < WRITERS * 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is acknowledged");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn ended_while_writing(cleanly: bool) {
    slipway::tls::install();
    let mut house = House::fresh().await;
    let (mut acknowledged, mut unanswered) = (BTreeSet::new(), Vec::new());
    for round in 0..ROUNDS {
        let writers = Writers::start(&house, &format!("r{round}"), WRITERS);
        under_way(&writers).await;
        somewhere_within(120).await;
        if cleanly {
            let child = house.child.as_ref().unwrap();
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            let mut child = house.child.take().unwrap();
            let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
            assert_eq!(status.code(), Some(0), "it ends in good order");
        } else {
            house.stop(false);
        }
        let seen = writers.end().await;
        assert!(seen.refused.iter().all(|(_, status)| *status == 503), "{:?}", seen.refused);
        acknowledged.extend(seen.acknowledged);
        unanswered.extend(seen.unanswered);
        house.start();
        let present: BTreeSet<String> = projects(&house).await.into_iter().collect();
        let lost: Vec<&String> = acknowledged.difference(&present).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
        let strangers: Vec<&String> = present
            .iter()
            .filter(|name| !acknowledged.contains(*name) && !unanswered.contains(name))
            .collect();
        assert!(strangers.is_empty(), "nobody asked for {strangers:?}");
    }
    let present = projects(&house).await;
    println!(
        "{} acknowledged, {} unanswered, {} present; acknowledged minus present: 0",
        acknowledged.len(),
        unanswered.len(),
        present.len()
    );
    // Whether it was done or not: repeated with its key it is there once.
    for name in &unanswered {
        repeat(&house, name).await;
        repeat(&house, name).await;
    }
    assert_eq!(projects(&house).await.len(), acknowledged.len() + unanswered.len());
    sound(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_kill() {
    ended_while_writing(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_being_told_to_stop() {
    ended_while_writing(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_reaches_who_is_being_answered() {
    slipway::tls::install();
    let mut house = House::fresh().await;
    let writers = Writers::start(&house, "w", WRITERS);
    under_way(&writers).await;
    house.stop(true);
    let seen = writers.end().await;
    // A request that the server has taken is answered; at most one a connection was on its way when the door closed.
    assert!(seen.unanswered.len() <= WRITERS, "{:?}", seen.unanswered);
    house.start();
    let present: BTreeSet<String> = projects(&house).await.into_iter().collect();
    let done_and_not_told: Vec<&String> =
        seen.unanswered.iter().filter(|name| present.contains(*name)).collect();
    assert!(done_and_not_told.is_empty(), "done, and nobody was told: {done_and_not_told:?}");
}
