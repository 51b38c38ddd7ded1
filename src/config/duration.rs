//! Times as people write them: `500ms`, `30s`, `1h30m`, `7d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads one or more numbers, each with its unit.
///
/// # Errors
/// In words, empty where there is no more to say than what a time looks like.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(String::new());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| String::new())?;
        let millis = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis);
        let millis = millis.ok_or_else(|| match unit {
            "" => format!("{text:?} lacks a unit (ms, s, m, h or d)"),
            unit => format!("{unit:?} is no unit of time (ms, s, m, h or d)"),
        })?;
        total = number
            .checked_mul(millis)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("{text:?} is too long a time"))?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// Writes a time so that [`parse`] reads the same.
pub fn show(time: Duration) -> String {
    let mut millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, size) in UNITS.iter().rev() {
        if millis >= *size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown_alike() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("0s", 0)]
        {
            let time = parse(text).unwrap();
            assert_eq!(time, Duration::from_millis(millis), "{text}");
            assert_eq!(show(time), text);
        }
        assert_eq!(parse("1h 30m").unwrap(), parse("90m").unwrap());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["", "8", "h", "8 hours", "-1h", "1.5h", "99999999999999999d"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse("8").unwrap_err().contains("lacks a unit"));
    }
}
