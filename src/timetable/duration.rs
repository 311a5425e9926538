//! Lengths of time as people write them: `90s`, `10m`, `1h30m`, `1d`, `500ms`.
//!
//! [`duration_text`] and [`parse_duration`] are inverses for every duration of whole milliseconds up to
//! [`DURATION_MAX`]; nothing longer is ever accepted, so sums with a [`super::Timestamp`] cannot overflow.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// The longest duration that may be written: 100 years of 365.25 days.
pub const DURATION_MAX: Duration = Duration::from_secs(36_525 * 86_400);

/// The units, from large to small, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError {
    /// What is wrong with the whole.
    pub message: String,
    /// The bytes of the text that are at fault; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong with them.
    pub label: String,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.label)
    }
}

impl std::error::Error for DurationError {}

/// Reads one or more whole numbers with units, from large to small: `1d`, `1h30m`, `90s`, `500ms`.
///
/// At most [`DURATION_MAX`]; zero is a duration. A number without unit is an error here (in a DAG file a bare
/// JSON number is seconds, which is the loader's business).
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |span: Range<usize>, label: &str| DurationError {
        message: format!("`{}` is not a duration", excerpt(text)),
        span,
        label: label.to_owned(),
    };
    if text.is_empty() {
        return Err(fail(
            0..0,
            "a number and a unit are missing, such as 90s or 1h30m",
        ));
    }
    let (mut at, mut total_ms, mut units_left) = (0, 0u64, &UNITS[..]);
    while at < text.len() {
        let digits = run_length(&text[at..], |c| c.is_ascii_digit());
        if digits == 0 {
            let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
            return Err(fail(at..end, "expected a whole number here"));
        }
        let unit_at = at + digits;
        let unit_end = unit_at + run_length(&text[unit_at..], char::is_alphabetic);
        let unit = &text[unit_at..unit_end];
        if unit.is_empty() {
            let end = unit_at + text[unit_at..].chars().next().map_or(0, char::len_utf8);
            return Err(fail(unit_at..end, "expected a unit here: d, h, m, s or ms"));
        }
        let Some(place) = units_left.iter().position(|(name, _)| *name == unit) else {
            let label = if UNITS.iter().any(|(name, _)| *name == unit) {
                "units go from large to small, each once"
            } else {
                "unit must be d, h, m, s or ms"
            };
            return Err(fail(unit_at..unit_end, label));
        };
        total_ms = text[at..unit_at]
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(units_left[place].1))
            .and_then(|ms| ms.checked_add(total_ms))
            .filter(|&ms| Duration::from_millis(ms) <= DURATION_MAX)
            .ok_or_else(|| fail(0..text.len(), "at most 100 years (36525d)"))?;
        units_left = &units_left[place + 1..];
        at = unit_end;
    }
    Ok(Duration::from_millis(total_ms))
}

/// The shortest text that [`parse_duration`] reads back as this duration: `1h30m`, `0s`.
/// What is below a millisecond is dropped.
pub fn duration_text(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let parts = UNITS.map(|(unit, length_ms)| {
        let number = rest / u128::from(length_ms);
        rest %= u128::from(length_ms);
        if number == 0 {
            String::new()
        } else {
            format!("{number}{unit}")
        }
    });
    let text = parts.concat();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// The number of bytes at the beginning of `text` whose characters are all `wanted`.
fn run_length(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

/// What a message may quote of a text from outside: 60 characters at most, on one line.
pub(super) fn excerpt(text: &str) -> String {
    let mut quoted: String = text
        .chars()
        .take(60)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(60).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, ms) in [
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("90m", 5_400_000),
            ("1d", 86_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("500ms", 500),
            ("0s", 0),
            ("007m", 420_000),
            ("36525d", 3_155_760_000_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
    }

    #[test]
    fn text_and_duration_are_inverses() {
        for ms in [
            0,
            1,
            999,
            1_000,
            59_999,
            90_000,
            5_400_000,
            86_400_000,
            3_155_760_000_000,
        ] {
            let duration = Duration::from_millis(ms);
            let text = duration_text(duration);
            assert_eq!(parse_duration(&text), Ok(duration), "{text}");
        }
        assert_eq!(duration_text(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(duration_text(Duration::ZERO), "0s");
        assert_eq!(
            duration_text(Duration::MAX),
            "213503982334601d7h15s999ms",
            "no overflow"
        );
    }
}
