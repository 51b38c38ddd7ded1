//! Two instances on one data directory: one leads, the other changes nothing and says why; the next one leads as soon
//! as the first is gone, however it went.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{Writers, projects, sound};
use crate::harness::process::House;

/// A second server on the same data, run to its end.
fn second(house: &House) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&house.dir);
    command.stdin(Stdio::null()).output().unwrap()
}

fn signal(house: &House, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(house.child.as_ref().unwrap());
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_changes_nothing_while_the_first_writes() {
    slipway::tls::install();
    let house = House::fresh().await;
    let writers = Writers::start(&house, "w", 4);
    for _ in 0..5 {
        let output = second(&house);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("another Slipway already serves") && said.contains("--data-dir"), "{said}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("http://"), "it listened");
    }
    let seen = writers.end().await;
    assert!(seen.unanswered.is_empty() && seen.refused.is_empty(), "{seen:?}");
    let mut present = projects(&house).await;
    let mut acknowledged = seen.acknowledged;
    present.sort();
    acknowledged.sort();
    assert_eq!(present, acknowledged);
    sound(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stands_still_is_not_taken_for_dead() {
    slipway::tls::install();
    let house = House::fresh().await;
    signal(&house, rustix::process::Signal::STOP);
    let output = second(&house);
    signal(&house, rustix::process::Signal::CONT);
    assert_eq!(output.status.code(), Some(1), "whoever wakes again would write beside it");
    assert!(String::from_utf8_lossy(&output.stderr).contains("another Slipway already serves"));
    sound(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_one_leads_as_soon_as_the_first_was_killed() {
    slipway::tls::install();
    let mut house = House::fresh().await;
    let writers = Writers::start(&house, "w", 4);
    while writers.acknowledged() < 20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.stop(false);
    let begun = Instant::now();
    house.start();
    println!("the next one answers {:?} after the kill", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(10), "a lock was left behind");
    let seen = writers.end().await;
    let present = projects(&house).await;
    assert!(seen.acknowledged.iter().all(|name| present.contains(name)));
    sound(&house).await;
}
