//! Durations, byte counts and CPU counts, in the notations of the Compose Specification.

/// A duration such as `1m30s`, `500ms` or `1.5h`, in milliseconds; `None` when it is none, or longer than a year.
pub fn milliseconds(text: &str) -> Option<u64> {
    const YEAR: f64 = 366.0 * 86_400_000.0;
    let mut rest = text;
    let mut total = 0.0;
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "us" => 0.001,
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = &unit[end..];
    }
    (total <= YEAR).then_some(total.round() as u64)
}

/// A byte count such as `512m`, `1.5g`, `64kb` or `1024`, in powers of 1024.
pub fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) =
        lower.split_at(lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len()));
    let power = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 1,
        "m" | "mb" | "mi" | "mib" => 2,
        "g" | "gb" | "gi" | "gib" => 3,
        "t" | "tb" | "ti" | "tib" => 4,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * 1024f64.powi(power);
    (value.is_finite() && value < 2f64.powi(60)).then_some(value as u64)
}

/// A number of CPUs such as `0.5`, in thousandths.
pub fn milli_cpus(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let milli = (plain.then(|| text.parse::<f64>().ok())??) * 1_000.0;
    (milli <= 4_000_000.0).then_some(milli.round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("10s", Some(10_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5h", Some(5_400_000)),
            ("1h5m30s20ms", Some(3_930_020)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("10", None),
            ("", None),
            ("s", None),
            ("10 s", None),
            ("-5s", None),
            ("1.2.3s", None),
            ("400d", None),
            ("10parsec", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn byte_counts() {
        for (text, expected) in [
            ("512M", Some(512 << 20)),
            ("1.5g", Some(3 << 29)),
            ("64kb", Some(64 << 10)),
            ("64 KiB", Some(64 << 10)),
            ("1024", Some(1_024)),
            ("10b", Some(10)),
            ("1x", None),
            ("m", None),
            ("-1m", None),
            ("99999999t", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn cpu_counts() {
        for (text, expected) in [
            ("0.5", Some(500)),
            ("2", Some(2_000)),
            (".25", Some(250)),
            ("0.0001", Some(0)),
            ("1e3", None),
            ("-1", None),
            ("inf", None),
            ("", None),
        ] {
            assert_eq!(milli_cpus(text), expected, "{text}");
        }
    }
}
