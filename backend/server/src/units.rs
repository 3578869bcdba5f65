//! Sizes and durations as people write them.

use std::time::Duration;

/// A value that cannot be read; says what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct UnitError {
    value: String,
    expected: &'static str,
}

/// Suffixes of a size and the power of two they stand for. `m` and `Mi` are the same, as people
/// coming from Docker and from Kubernetes expect.
const SIZES: [(&str, u32); 5] = [("b", 0), ("k", 10), ("m", 20), ("g", 30), ("t", 40)];

/// Reads `1073741824`, `512Mi`, `1g` or `1GB` as bytes.
///
/// # Errors
/// Anything else, and more than 64 bits.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let error = || UnitError {
        value: text.to_owned(),
        expected: "a size: bytes, or a number with a unit, such as 512Mi or 1g",
    };
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let shift = if unit.is_empty() {
        0
    } else {
        SIZES
            .iter()
            .find(|(suffix, _)| {
                let rest = unit.strip_prefix(suffix);
                rest.is_some_and(|rest| matches!(rest, "" | "i" | "ib" | "b"))
            })
            .map(|(_, shift)| *shift)
            .ok_or_else(error)?
    };
    let Ok(whole) = number.parse::<u64>() else {
        return fraction(number, shift).ok_or_else(error);
    };
    whole.checked_mul(1 << shift).ok_or_else(error)
}

/// `1.5` of a unit of more than a byte, down to whole bytes.
fn fraction(number: &str, shift: u32) -> Option<u64> {
    let (whole, part) = number.split_once('.')?;
    let digits = u32::try_from(part.len())
        .ok()
        .filter(|it| (1..=6).contains(it))?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if shift == 0 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let scale = 10_u128.pow(digits);
    let value = whole.parse::<u128>().ok()?.checked_mul(scale)? + part.parse::<u128>().ok()?;
    u64::try_from(value.checked_shl(shift)? / scale).ok()
}

/// The longest duration: ten years, so that it can be added to any time.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads `90s`, `30m` or `8h`.
///
/// # Errors
/// Anything else, zero, and more than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(|| UnitError {
            value: text.to_owned(),
            expected: "a duration of at most ten years, such as 90s, 30m or 8h",
        })
}

/// Writes a duration as [`parse_duration`] reads it.
pub fn format_duration(duration: Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("512Mi", 512 << 20),
            ("512m", 512 << 20),
            ("1g", 1 << 30),
            ("1GB", 1 << 30),
            ("2 GiB", 2 << 30),
            ("7b", 7),
            ("1.5g", 3 << 29),
            ("0.25k", 256),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "g",
            "1x",
            "-1",
            "1.5",
            "1.5b",
            "1.g",
            ".5g",
            "1.2.3g",
            "1gg",
            "99999999999999g",
        ] {
            let error = parse_size(text).unwrap_err().to_string();
            assert!(error.contains("512Mi"), "{error}");
        }
    }

    #[test]
    fn durations_are_read_as_they_are_written() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("8h", 28800), ("1h30m", 5400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        assert_eq!(format_duration(Duration::from_mins(90)), "1h30m");
        for text in ["", "0s", "5", "soon", "11y", "9999999999999y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
