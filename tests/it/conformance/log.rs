//! What containers print.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use slipway::domain::clock::Timestamp;
use slipway::domain::workload::ServiceKind;
use slipway::engine::{ContainerLine, LogOptions, LogStream, SlotRef};

use super::bed::{Bed, Harness, Lacks, sh};

async fn task<H: Harness>(bed: &Bed<H>, script: &str) -> SlotRef {
    let mut service = sh(script);
    service.kind = ServiceKind::Task;
    let up = bed.up(service, 1).await;
    up.ensured.slots[0].clone()
}

async fn read<H: Harness>(bed: &Bed<H>, slot: &SlotRef, options: LogOptions) -> Vec<ContainerLine> {
    let stream = bed.engine.logs(slot, &options).await.unwrap();
    let all = stream.try_collect::<Vec<_>>();
    let batches = tokio::time::timeout(Duration::from_secs(60), all).await.expect("the stream ends");
    batches.unwrap().concat()
}

fn text(lines: &[ContainerLine]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
}

pub async fn lines_come_in_order_from_both_outputs<H: Harness>(bed: &Bed<H>) {
    let slot = task(bed, "echo one; echo two; sleep 0.2; echo oops >&2; sleep 0.2; seq 1 5000").await;
    bed.exited(&slot).await;
    let lines = read(bed, &slot, LogOptions::default()).await;
    assert_eq!(lines.len(), 5003);
    assert_eq!(text(&lines[..3]), ["one", "two", "oops"]);
    let oops: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].stream == LogStream::Stderr).collect();
    assert_eq!(oops, if bed.lacks(Lacks::SeparateOutputs) { vec![] } else { vec![2] });
    let numbers: Vec<String> = (1..=5000).map(|number| number.to_string()).collect();
    assert_eq!(text(&lines[3..]), numbers);
    assert!(lines.is_sorted_by_key(|line| line.at_nanos));
    let state = bed.exited(&slot).await;
    let started = state.started_at.unwrap().timestamp_nanos_opt().unwrap();
    assert!(lines[0].at_nanos.abs_diff(started) < 5_000_000_000);
}

pub async fn the_tail_is_the_end<H: Harness>(bed: &Bed<H>) {
    let slot = task(bed, "seq 1 100").await;
    bed.exited(&slot).await;
    let tail = |lines| LogOptions { tail: Some(lines), ..LogOptions::default() };
    assert_eq!(text(&read(bed, &slot, tail(2)).await), ["99", "100"]);
    assert_eq!(read(bed, &slot, tail(500)).await.len(), 100);
    assert_eq!(read(bed, &slot, tail(0)).await, []);
}

pub async fn since_and_until_cut_exactly<H: Harness>(bed: &Bed<H>) {
    let slot = task(bed, "echo one; sleep 0.3; echo two; sleep 0.3; echo three").await;
    bed.exited(&slot).await;
    let all = read(bed, &slot, LogOptions::default()).await;
    assert_eq!(all.len(), 3);
    let at = |line: &ContainerLine| Timestamp::from_timestamp_nanos(line.at_nanos);
    let since = LogOptions { since: Some(at(&all[1])), ..LogOptions::default() };
    assert_eq!(text(&read(bed, &slot, since).await), ["two", "three"]);
    let until = LogOptions { until: Some(at(&all[1])), ..LogOptions::default() };
    assert_eq!(text(&read(bed, &slot, until).await), ["one"]);
    let both = LogOptions { since: Some(at(&all[1])), until: Some(at(&all[2])), ..LogOptions::default() };
    assert_eq!(text(&read(bed, &slot, both).await), ["two"]);
}

pub async fn following_ends_with_the_replica<H: Harness>(bed: &Bed<H>) {
    let slot = task(bed, "echo one; sleep 0.9; echo two").await;
    bed.begun(&slot).await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    assert_eq!(text(&read(bed, &slot, follow).await), ["one", "two"]);
}

pub async fn a_line_is_seen_while_the_replica_runs<H: Harness>(bed: &Bed<H>) {
    let up = bed.up(sh("echo up; sleep 600"), 1).await;
    bed.running(&up.ensured.slots[0]).await;
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    let mut stream = bed.engine.logs(&up.ensured.slots[0], &follow).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    assert_eq!(text(&first.unwrap().unwrap().unwrap()), ["up"]);
    let more = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
    assert!(more.is_err(), "the stream stays open and silent");
    bed.engine.retire(&up.ensured.slots[0]).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    let end = end.unwrap();
    assert!(end.is_none(), "it ends with the replica: {end:?}");
}
