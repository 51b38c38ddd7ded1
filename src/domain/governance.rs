//! Governance: what is checked before something may run on an infrastructure, and what its policy makes of that.
//!
//! A plan is examined when it is saved; a second person's approval of exactly that plan ([`crate::domain::approval`])
//! answers for everything that was found.

use serde::{Deserialize, Serialize};

use crate::domain::approval::Standing;
use crate::domain::bundle::Bundle;
use crate::domain::deployment::Settings;
use crate::domain::health::{Message, Severity};
use crate::domain::infrastructure::GovernPolicy;
use crate::domain::name::ServiceName;
use crate::domain::plan::Plan;
use crate::domain::test::TestOutcome;
use crate::domain::workload::{Image, Resources, Service, ServiceKind};
use crate::domain::{Error, Kind, Problem, Result};

/// The message that an approval alone takes away.
pub const NOT_APPROVED: &str = "NOT_APPROVED";

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Images are named by digest: a tag may mean another image tomorrow.
    PinnedImages,
    /// Every service that stays has a health check, the engine's or one of a place that Slipway asks.
    HealthChecks,
    /// Memory and CPU of every service are bounded by the bundle or the settings, not by the infrastructure's default.
    Limits,
    /// Nothing asks for an exception from the workload policy.
    Exceptions,
    /// Every test of the bundle has passed somewhere. Looked up whenever it is asked for, since results come at any time.
    Tests,
}

impl Check {
    fn code(self) -> &'static str {
        match self {
            Self::PinnedImages => "IMAGES_NOT_PINNED",
            Self::HealthChecks => "NO_HEALTH_CHECK",
            Self::Limits => "NO_LIMITS",
            Self::Exceptions => "POLICY_EXCEPTION",
            Self::Tests => "TESTS_NOT_PASSED",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::PinnedImages => "Images are not pinned",
            Self::HealthChecks => "No health check",
            Self::Limits => "No limits",
            Self::Exceptions => "An exception from the policy is used",
            Self::Tests => "Tests have not passed",
        }
    }

    fn details(self) -> &'static str {
        match self {
            Self::PinnedImages => {
                "Name the image by its digest, name@sha256:…, in the compose file or as the settings' image tag."
            }
            Self::HealthChecks => "Give the service a healthcheck in the compose file.",
            Self::Limits => {
                "Set deploy.resources.limits with cpus and memory in the compose file or the settings."
            }
            Self::Exceptions => "Remove it from the compose file.",
            Self::Tests => "Run the tests of this bundle where it is deployed, on any infrastructure.",
        }
    }
}

/// One check that a plan did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub check: Check,
    /// What was found, where.
    pub message: String,
}

/// Everything that a plan does not pass. A plan that stops everything passes.
pub fn examine(plan: &Plan, bundle: &Bundle, settings: &Settings) -> Vec<Finding> {
    if !plan.enabled {
        return Vec::new();
    }
    let declared = |name: &ServiceName| {
        let of_bundle = bundle.manifest.workload.any(name).map(|service| service.resources);
        let of_settings = settings.services.get(name).map(|settings| settings.resources);
        [of_bundle, of_settings].into_iter().flatten().collect::<Vec<_>>()
    };
    let unpinned = |_: &ServiceName, service: &Service| match &service.image {
        Image::Reference(reference) if !reference.contains("@sha256:") => Some(reference.clone()),
        _ => None,
    };
    let unchecked = |_: &ServiceName, service: &Service| {
        let is_checked = service.healthcheck.is_some() || service.health.is_some();
        (service.kind != ServiceKind::Task && !is_checked).then(String::new)
    };
    let unbounded = |name: &ServiceName, _: &Service| (!is_bounded(&declared(name))).then(String::new);
    let excepted = |_: &ServiceName, service: &Service| {
        let names: Vec<String> = service.exceptions.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let found = [
        (Check::PinnedImages, "Named by tag alone", services(plan, unpinned)),
        (Check::HealthChecks, "Nothing tells whether these work", services(plan, unchecked)),
        (Check::Limits, "Bounded by the infrastructure's default alone", services(plan, unbounded)),
        (Check::Exceptions, "Allowed here by an exception alone", services(plan, excepted)),
    ];
    let found = found.into_iter().filter(|(.., services)| !services.is_empty());
    found
        .map(|(check, what, services)| Finding {
            check,
            message: format!("{what}: {}.", services.join(", ")),
        })
        .collect()
}

/// What is found of the newest results of a bundle's tests; `None` where all have passed, or there are none.
pub fn untested(newest: &[(ServiceName, Option<TestOutcome>)]) -> Option<Finding> {
    let of = |wanted: fn(TestOutcome) -> bool| {
        let is = |(name, outcome): &(ServiceName, Option<TestOutcome>)| {
            outcome.is_some_and(wanted).then(|| name.to_string())
        };
        newest.iter().filter_map(is).collect::<Vec<_>>()
    };
    let never = newest.iter().filter(|(_, outcome)| outcome.is_none());
    let said = [
        ("Failed", of(|outcome| outcome == TestOutcome::Failed)),
        ("Aborted", of(|outcome| outcome == TestOutcome::Aborted)),
        ("Never run", never.map(|(name, _)| name.to_string()).collect()),
    ];
    let said = said.iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> = said.map(|(what, names)| format!("{what}: {}.", names.join(", "))).collect();
    (!said.is_empty()).then(|| Finding { check: Check::Tests, message: said.join(" ") })
}

/// The services of which `wrong` says something, each with what it says.
fn services(plan: &Plan, wrong: impl Fn(&ServiceName, &Service) -> Option<String>) -> Vec<String> {
    let found = plan.workload.all().filter_map(|(name, service)| {
        let words = wrong(name, service)?;
        Some(if words.is_empty() { name.to_string() } else { format!("{name} ({words})") })
    });
    found.collect()
}

fn is_bounded(declared: &[Resources]) -> bool {
    declared.iter().any(|one| one.cpu_limit_milli.is_some())
        && declared.iter().any(|one| one.memory_limit_bytes.is_some())
}

/// What an infrastructure's policy says of a plan: nothing where it checks nothing or the plan is approved.
pub fn messages(policy: GovernPolicy, standing: Standing, findings: &[Finding]) -> Vec<Message> {
    let (severity, is_fatal) = match policy {
        GovernPolicy::NoCheck => return Vec::new(),
        GovernPolicy::Warn => (Severity::Warning, false),
        GovernPolicy::Prevent => (Severity::Error, true),
    };
    if standing == Standing::Approved {
        return Vec::new();
    }
    let (text, details) = match standing {
        Standing::Pending => (
            "Somebody else's approval was asked for.",
            "It waits among the approvals for one who may decide.",
        ),
        Standing::Rejected => {
            ("This plan was rejected.", "Change what the comment says, or ask again with a reason.")
        }
        Standing::None | Standing::Approved => (
            "Nobody has approved this plan.",
            "Ask for an approval; whoever may approve on the infrastructure can give it.",
        ),
    };
    let said = |code: &str, title: &str, message: &str, details: &str| Message {
        severity,
        code: code.to_owned(),
        title: title.to_owned(),
        message: message.to_owned(),
        details: details.to_owned(),
        is_fatal,
    };
    let mut messages = vec![said(NOT_APPROVED, "Not approved", text, details)];
    messages.extend(findings.iter().map(|finding| {
        let check = finding.check;
        said(check.code(), check.title(), &finding.message, check.details())
    }));
    messages
}

/// Refuses a save that only warnings stand against, unless its sender ignores them.
///
/// # Errors
/// `governance_warns`, with every message.
pub fn refuse_warned(messages: &[Message], ignore: bool) -> Result<()> {
    let warned = messages.iter().any(|message| !message.is_fatal);
    if ignore || !warned {
        return Ok(());
    }
    let error = Error::new(Kind::Warned, "governance_warns", summed(messages));
    Err(with(error, messages).hint("Mend it, or save again and ignore the warnings (`ignoreWarnings=true`)."))
}

/// The code of a refusal because governance prevents an update.
pub const PREVENTS: &str = "governance_prevents";

/// Refuses an update of a plan that governance prevents.
///
/// # Errors
/// `governance_prevents`, with every message.
pub fn refuse_prevented(messages: &[Message]) -> Result<()> {
    if messages.iter().all(|message| !message.is_fatal) {
        return Ok(());
    }
    let error = Error::conflict(PREVENTS, summed(messages));
    Err(with(error, messages).hint("Ask for an approval of this plan, or mend what is named."))
}

fn summed(messages: &[Message]) -> String {
    let titles: Vec<&str> = messages.iter().map(|message| message.title.as_str()).collect();
    format!("governance: {}", titles.join("; "))
}

fn with(error: Error, messages: &[Message]) -> Error {
    let problem = |message: &Message| {
        Problem::new(message.code.as_str(), format!("{}: {}", message.title, message.message))
            .hint(&*message.details)
    };
    Error { problems: messages.iter().map(problem).collect(), ..error }
}
