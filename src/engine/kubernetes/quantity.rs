//! Amounts as Kubernetes writes them.

/// The number of `250m`, `1Gi`, `1500n`, `128974848`; `None` where it is none.
pub(super) fn amount(text: &str) -> Option<f64> {
    if text.starts_with(|c: char| c.is_ascii_digit())
        && let Ok(plain) = text.parse()
    {
        return Some(plain);
    }
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let cases = [
            ("250m", 0.25),
            ("1500000n", 0.0015),
            ("2", 2.0),
            ("1e3", 1_000.0),
            ("32Mi", 33_554_432.0),
            ("8Gi", 8_589_934_592.0),
        ];
        for (text, value) in cases {
            assert!((amount(text).unwrap() - value).abs() < 1e-9, "{text}");
        }
        assert_eq!((amount("much"), amount("1x"), amount("inf")), (None, None, None));
    }
}
