//! `healthcheck`.

use crate::compose::Context;
use crate::compose::field::{Field, Table};
use crate::compose::units::milliseconds;
use crate::compose::unsupported::HEALTHCHECK;
use crate::domain::workload::{HealthTest, Healthcheck};

const TEST: &str = "Write `test: [\"CMD\", \"program\", \"argument\"]`, or `test: a shell's line`.";
/// Compose's default, and Docker's.
const DEFAULT_MS: u64 = 30_000;
const DEFAULT_RETRIES: u32 = 3;

/// The health check of the service `table`.
pub fn read(service: &Table<'_>, cx: &mut Context<'_>) -> Option<Healthcheck> {
    let field = service.get("healthcheck")?;
    let table = field.table(&HEALTHCHECK, &mut cx.report)?;
    let disable = table.get("disable").and_then(|field| field.boolean(&mut cx.report)).unwrap_or(false);
    // What is refused here is still there for those who wait for it to be healthy.
    let refused = || HealthTest::Shell(String::new());
    let test = match table.get("test") {
        Some(field) => test(&field, cx).unwrap_or_else(refused),
        None if disable => HealthTest::Disabled,
        None => {
            let hint = "Write the test out, the image's own too: its times can't be changed without it.";
            table.refuse(&mut cx.report, "test is missing", hint);
            refused()
        }
    };
    let test = if disable { HealthTest::Disabled } else { test };
    let interval_ms = time(&table, "interval", cx).unwrap_or(DEFAULT_MS);
    let timeout_ms = time(&table, "timeout", cx).unwrap_or(DEFAULT_MS);
    let start_period_ms = time(&table, "start_period", cx).unwrap_or(0);
    let start_interval_ms = time(&table, "start_interval", cx);
    let retries = table.get("retries").and_then(|field| field.whole(0..=1_000, &mut cx.report));
    let retries = retries.and_then(|retries| u32::try_from(retries).ok()).filter(|retries| *retries > 0);
    let retries = retries.unwrap_or(DEFAULT_RETRIES);
    Some(Healthcheck { test, interval_ms, timeout_ms, retries, start_period_ms, start_interval_ms })
}

fn test(field: &Field<'_>, cx: &mut Context<'_>) -> Option<HealthTest> {
    if !field.is_list() {
        let line = field.filled(&mut cx.report)?;
        return Some(HealthTest::Shell(line.to_owned()));
    }
    let items = field.items("", &mut cx.report)?;
    let words: Vec<&str> = items.iter().map(|item| item.text(&mut cx.report)).collect::<Option<_>>()?;
    match words.as_slice() {
        ["NONE"] => Some(HealthTest::Disabled),
        ["CMD-SHELL", line] if !line.trim().is_empty() => Some(HealthTest::Shell((*line).to_owned())),
        ["CMD", program, ..] if !program.is_empty() => {
            Some(HealthTest::Exec(words[1..].iter().map(|word| (*word).to_owned()).collect()))
        }
        [] | ["CMD" | "CMD-SHELL"] => {
            field.refuse(&mut cx.report, "the test is empty", TEST);
            None
        }
        ["CMD-SHELL", ..] => {
            field.refuse(&mut cx.report, "CMD-SHELL takes one line", "Write the line as one item.");
            None
        }
        _ => {
            field.refuse(&mut cx.report, "the list must begin with CMD, CMD-SHELL or NONE", TEST);
            None
        }
    }
}

/// A time in milliseconds; zero is as good as unset, as everywhere in Compose.
fn time(table: &Table<'_>, key: &str, cx: &mut Context<'_>) -> Option<u64> {
    duration(&table.get(key)?, cx).filter(|ms| *ms > 0)
}

/// A duration in milliseconds, reported when it is none.
pub fn duration(field: &Field<'_>, cx: &mut Context<'_>) -> Option<u64> {
    let text = field.filled(&mut cx.report)?;
    let ms = milliseconds(text);
    if ms.is_none() {
        let hint = "Write a number with its unit, such as `30s`, `500ms` or `1m30s`.";
        field.refuse(&mut cx.report, format!("{text:?} is no duration"), hint);
    }
    ms
}
