//! `x-slipway`: what Slipway wants to know and Compose has no word for.

use crate::compose::field::{Field, Table};
use crate::compose::unsupported::{METRICS, SLIPWAY, SLIPWAY_TOP};
use crate::compose::{Context, words};
use crate::domain::name::Version;
use crate::domain::workload::{MetricsEndpoint, ServiceKind};

/// A service's `x-slipway`.
#[derive(Debug, Default)]
pub struct Extension {
    pub kind: Option<ServiceKind>,
    /// A task that runs on request alone.
    pub is_test: bool,
    pub exposed: bool,
    pub metrics: Option<MetricsEndpoint>,
}

/// The extension of the service `table`.
pub fn read(service: &Table<'_>, cx: &mut Context<'_>) -> Extension {
    let table = service.get("x-slipway").and_then(|field| field.table(&SLIPWAY, &mut cx.report));
    let Some(table) = table else {
        return Extension::default();
    };
    let kind = table.get("kind").and_then(|field| kind(&field, cx));
    Extension {
        kind: kind.map(|(kind, _)| kind),
        is_test: kind.is_some_and(|(_, is_test)| is_test),
        exposed: table.get("expose").and_then(|field| field.boolean(&mut cx.report)).unwrap_or(false),
        metrics: table.get("metrics").and_then(|field| metrics(&field, cx)),
    }
}

/// The kind, and whether it is a test.
fn kind(field: &Field<'_>, cx: &mut Context<'_>) -> Option<(ServiceKind, bool)> {
    match field.filled(&mut cx.report)? {
        "task" => Some((ServiceKind::Task, false)),
        "test" => Some((ServiceKind::Task, true)),
        "replicated" => Some((ServiceKind::Replicated, false)),
        other => {
            let hint = "Write `task` for what runs to its end, `test` for what does so on request and checks the others, \
                        or nothing for what is kept running.";
            field.refuse(&mut cx.report, format!("{other:?} is no kind of service"), hint);
            None
        }
    }
}

fn metrics(field: &Field<'_>, cx: &mut Context<'_>) -> Option<MetricsEndpoint> {
    let table = field.table(&METRICS, &mut cx.report)?;
    let port = table.need("port", "Write the port that answers metrics: `port: 8000`.", &mut cx.report)?;
    let port = u16::try_from(port.whole(1..=65_535, &mut cx.report)?).ok()?;
    let path = match table.get("path") {
        None => "/metrics",
        Some(field) => {
            let path = field.filled(&mut cx.report)?;
            if !path.starts_with('/')
                || path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')
            {
                field.refuse(
                    &mut cx.report,
                    format!("{path:?} is no path"),
                    "Write a path such as `/metrics`.",
                );
                return None;
            }
            path
        }
    };
    Some(MetricsEndpoint { port, path: path.to_owned() })
}

/// The version of the top-level `x-slipway`.
pub fn version(field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let field = field.table(&SLIPWAY_TOP, &mut cx.report)?.get("version")?;
    match Version::parse(field.filled(&mut cx.report)?) {
        Ok(version) => Some(version.to_string()),
        Err(error) => {
            field.refuse(&mut cx.report, words(&error), "Write a version such as `\"1.4.0\"`.");
            None
        }
    }
}
