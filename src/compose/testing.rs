//! Tests among the services: what `x-slipway.kind: test` asks of one, and of the others.

use std::collections::BTreeSet;

use crate::compose::checks::Drafts;
use crate::compose::report::Report;
use crate::compose::service::Draft;
use crate::domain::name::ServiceName;
use crate::domain::workload::{HealthTest, Restart};

/// Settles the restart of tests, and reports what a test can't have and who can't wait for one.
pub fn settle(drafts: &mut Drafts, report: &mut Report) {
    let tests: BTreeSet<ServiceName> =
        drafts.iter().filter(|(_, draft)| draft.is_test).map(|(name, _)| name.clone()).collect();
    if let Some((name, draft)) = drafts.iter().next().filter(|_| tests.len() == drafts.len()) {
        let what =
            format!("services.{name}: every service is a test, and there is none that they could check");
        let hint = "Add the service that they check, or write `x-slipway.kind: task` for what runs with each update.";
        report.at(draft.place("x-slipway"), what, hint);
    }
    for (name, draft) in drafts.iter_mut() {
        if draft.is_test {
            restart(name, draft, report);
            serves_nobody(name, draft, report);
        } else {
            waits_for_none(draft, &tests, report);
        }
    }
}

fn restart(name: &ServiceName, draft: &mut Draft, report: &mut Report) {
    if !matches!(draft.restart, None | Some(Restart::No)) {
        let what = format!("services.{name}.restart: the service is a test, and its first end is its result");
        let hint = "Remove it; what may fail at first, the test itself tries again.";
        report.at(draft.place("restart"), what, hint);
    }
    draft.service.restart = Restart::No;
}

/// A test is there while it runs, and only to ask the others.
fn serves_nobody(name: &ServiceName, draft: &Draft, report: &mut Report) {
    let service = &draft.service;
    let checked = service.healthcheck.as_ref().is_some_and(|check| check.test != HealthTest::Disabled);
    let wrong = [
        (!service.ports.is_empty(), "ports", "ports", "nothing outside reaches a test"),
        (service.exposed, "x-slipway", "x-slipway.expose", "nothing outside reaches a test"),
        (service.metrics.is_some(), "x-slipway", "x-slipway.metrics", "a test is not measured"),
        (checked, "healthcheck", "healthcheck", "a test is judged by its exit code"),
    ];
    for (_, key, path, why) in wrong.into_iter().filter(|(holds, ..)| *holds) {
        report.at(draft.place(key), format!("services.{name}.{path}: {why}"), "Remove it.");
    }
}

/// An update starts no test, so what waits for one would never start.
fn waits_for_none(draft: &Draft, tests: &BTreeSet<ServiceName>, report: &mut Report) {
    for written in draft.depends.iter().filter(|written| tests.contains(written.on.as_str())) {
        let what = format!("{}: {} is a test, which no update starts", written.path, written.on);
        let hint = format!("Remove it, or write `x-slipway.kind: task` in {}.", written.on);
        report.at(written.at, what, hint);
    }
}
