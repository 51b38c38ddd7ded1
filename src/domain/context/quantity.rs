//! Quantities as Kubernetes writes them: `500m`, `0.5`, `128Mi`, `1G`, `2e9`.

/// How much `text` is in units of one `unit`th, rounded up; `None` when it is no quantity, or beyond counting.
pub fn count(text: &str, unit: u128) -> Option<u128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || number.len() > 30 || whole.len() + fraction.len() == 0 {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse::<u128>().ok()?;
    let (times, parts) = scale(suffix)?;
    let divisor = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(parts)?;
    Some(digits.checked_mul(times)?.checked_mul(unit)?.div_ceil(divisor))
}

/// What a suffix multiplies by, and divides by.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let decimal = |power| Some((10u128.pow(power), 1));
    let binary = |power: u32| Some((1u128 << (10 * power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(suffix),
    }
}

/// `e9`, `E+9`, `e-3`
fn exponent(suffix: &str) -> Option<(u128, u128)> {
    let power = suffix.strip_prefix(['e', 'E'])?;
    let (negative, digits) = match power.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, power.strip_prefix('+').unwrap_or(power)),
    };
    let plain = !digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let factor = 10u128.checked_pow(digits.parse().ok().filter(|_| plain)?)?;
    Some(if negative { (1, factor) } else { (factor, 1) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities() {
        for (text, unit, expected) in [
            ("1", 1_000, Some(1_000)),
            ("500m", 1_000, Some(500)),
            ("0.5", 1_000, Some(500)),
            (".5", 1_000, Some(500)),
            ("2.", 1_000, Some(2_000)),
            ("100u", 1_000, Some(1)),
            ("1n", 1_000, Some(1)),
            ("0", 1, Some(0)),
            ("128Mi", 1, Some(128 << 20)),
            ("1.5Gi", 1, Some(3 << 29)),
            ("1G", 1, Some(1_000_000_000)),
            ("1k", 1, Some(1_000)),
            ("123e6", 1, Some(123_000_000)),
            ("12E-1", 1, Some(2)),
            ("1E", 1, Some(1_000_000_000_000_000_000)),
            ("128974848000m", 1, Some(128_974_848)),
        ] {
            assert_eq!(count(text, unit), expected, "{text}");
        }
        for bad in [
            "", ".", "Mi", "1K", "1mi", "1 Gi", "-1", "+1", "1.2.3", "e9", "1e", "1e999", "1ee3", "0x10", "١",
        ] {
            assert_eq!(count(bad, 1), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in any::<String>(), digits in "[0-9.]{0,40}(m|Ei|e[0-9]{1,3})?") {
            let _ = count(&text, 1_000);
            let _ = count(&digits, 1_000);
        }

        #[test]
        fn whole_numbers_are_themselves(number in any::<u64>()) {
            prop_assert_eq!(count(&number.to_string(), 1), Some(u128::from(number)));
            prop_assert_eq!(count(&format!("{number}m"), 1_000), Some(u128::from(number)));
        }
    }
}
