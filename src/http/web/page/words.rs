//! Numbers and moments in words. Every number gets its unit, every time its age; `static/times.js` keeps the
//! ages fresh by the same rules, so a change here is a change there.

use chrono::{Datelike as _, FixedOffset, NaiveDateTime, TimeDelta, Timelike as _};

use crate::domain::clock::Timestamp;

/// How long before `now` the moment was: `12 s`, `4 min`, `2 h`, `6 d`, `2 y`; what lies ahead is `in 30 d`.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = (now - at).num_seconds();
    let words = match seconds.unsigned_abs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3_600 => format!("{} min", s / 60),
        s @ 3_600..86_400 => format!("{} h", s / 3_600),
        s @ 86_400..63_072_000 => format!("{} d", s / 86_400),
        s => format!("{} y", s / 31_536_000),
    };
    if seconds < 0 { format!("in {words}") } else { words }
}

/// The moment to the second with its zone: `2026-11-19 16:02:07 UTC`, `2026-11-19 17:02:07 +01:00`.
pub fn exact(at: Timestamp, offset_minutes: i32) -> String {
    match FixedOffset::east_opt(offset_minutes * 60) {
        Some(offset) if offset_minutes != 0 => {
            let local = at.with_timezone(&offset);
            let (sign, minutes) = (if offset_minutes < 0 { '-' } else { '+' }, offset_minutes.abs());
            format!("{} {sign}{:02}:{:02}", moment(local.naive_local(), ' '), minutes / 60, minutes % 60)
        }
        _ => moment(at.naive_utc(), ' ') + " UTC",
    }
}

/// RFC 3339 in UTC with milliseconds.
pub fn iso(at: Timestamp) -> String {
    let (mut text, millis) = (moment(at.naive_utc(), 'T'), at.timestamp_subsec_millis().min(999));
    text.push('.');
    text.extend(char::from_digit(millis / 100, 10));
    digits(&mut text, millis % 100);
    text.push('Z');
    text
}

/// `2026-11-19 16:02:07`. Written out, since a page has a hundred of them and a format of chrono's is read anew each time.
fn moment(at: NaiveDateTime, between: char) -> String {
    let mut text = String::with_capacity(24);
    match u32::try_from(at.year()) {
        Ok(year @ 0..10_000) => [year / 100, year % 100].into_iter().for_each(|two| digits(&mut text, two)),
        _ => text.push_str(&at.year().to_string()),
    }
    let rest =
        [('-', at.month()), ('-', at.day()), (between, at.hour()), (':', at.minute()), (':', at.second())];
    for (before, two) in rest {
        text.push(before);
        digits(&mut text, two);
    }
    text
}

/// Two digits of a number below 100.
fn digits(text: &mut String, number: u32) {
    for digit in [number / 10, number % 10] {
        text.extend(char::from_digit(digit % 10, 10));
    }
}

/// A duration: `0.1 s`, `22.4 s`, `3 min 12 s`, `1 h 04 min`.
pub fn took(span: TimeDelta) -> String {
    let tenths = (span.num_milliseconds().max(0) + 50) / 100;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{}.{} s", seconds, tenths % 10),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Bytes on disk or on the wire, in powers of 1000: `812 B`, `1.4 kB`, `18 MB`.
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1000, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Bytes of memory, in powers of 1024: `214 MiB`, `2 GiB`.
pub fn memory(bytes: u64) -> String {
    scaled(bytes, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Two digits at least, three at most, rounded half up; whole numbers without a point.
fn scaled(bytes: u64, base: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut divisor: u128 = 1;
    let bytes = u128::from(bytes);
    let base = u128::from(base);
    // What would round up to 1000 (or 1024) of one unit is shown as 1 of the next.
    while unit + 1 < units.len() && (bytes * 2 + divisor) / (divisor * 2) >= base {
        divisor *= base;
        unit += 1;
    }
    let tenths = (bytes * 20 + divisor) / (divisor * 2);
    let name = units.get(unit).copied().unwrap_or_default();
    if tenths < 100 && !tenths.is_multiple_of(10) {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", (bytes * 2 + divisor) / (divisor * 2))
    }
}

/// A share in whole per cent; nothing of nothing is 0 %.
pub fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

/// `1 replica`, `3 replicas`.
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
