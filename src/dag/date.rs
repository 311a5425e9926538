//! Dates as people write them: with an offset they are moments, without one they are in the DAG's zone.

use std::fmt;

use time::{Date, Month, PrimitiveDateTime, Time};

use crate::timetable::{Timestamp, Zone};

/// A date in a DAG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Written with an offset.
    Zoned(Timestamp),
    /// Written without: wall-clock time in the DAG's zone.
    Local(PrimitiveDateTime),
}

/// From when on a DAG is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartDate {
    /// A date.
    Moment(Moment),
    /// This many midnights, in the DAG's zone, before the DAG was first seen.
    DaysAgo(u32),
}

impl StartDate {
    /// The moment that it means for a DAG in `zone` that was first seen at `first_seen`.
    pub fn instant(self, zone: &Zone, first_seen: Timestamp) -> Timestamp {
        match self {
            Self::Moment(moment) => moment.instant(zone),
            Self::DaysAgo(days) => zone.midnight_days_ago(first_seen, days),
        }
    }
}

impl Moment {
    /// The moment that it means for a DAG in `zone`; of a wall-clock time that comes twice, the first.
    pub fn instant(self, zone: &Zone) -> Timestamp {
        match self {
            Self::Zoned(moment) => moment,
            Self::Local(wall) => zone.moment(wall),
        }
    }

    /// Reads `2026-05-01`, `2026-05-01T06:00`, `2026-05-01T06:00:00.5`, and the same with `Z` or `+09:00`; a blank may
    /// stand for the `T`. None for anything else, and for a day or time that no calendar has.
    pub fn parse(text: &str) -> Option<Self> {
        let year: i32 = number(text, 0..4)?;
        let month = Month::try_from(number::<u8>(text, 5..7)?).ok()?;
        let day = number(text, 8..10)?;
        let date = Date::from_calendar_date(year, month, day).ok()?;
        let separators = [text.as_bytes()[4], text.as_bytes()[7]];
        if separators != *b"--" {
            return None;
        }
        if text.len() == 10 {
            return Some(Self::Local(date.midnight()));
        }
        let clock = text[10..].strip_prefix(['T', ' '])?;
        let offset_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
        let (clock, offset) = clock.split_at(offset_at);
        let time = time_of_day(clock)?;
        let local = PrimitiveDateTime::new(date, time);
        if offset.is_empty() {
            return Some(Self::Local(local));
        }
        let (hour, minute, second) = time.as_hms();
        let milli = time.millisecond();
        let date = &text[..10];
        let rfc3339 = format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}{offset}");
        Timestamp::parse(&rfc3339).ok().map(Self::Zoned)
    }
}

/// `06:00`, `06:00:00`, `06:00:00.5`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = (number(text, 0..2)?, number(text, 3..5)?);
    if text.as_bytes()[2] != b':' {
        return None;
    }
    if text.len() == 5 {
        return Time::from_hms(hour, minute, 0).ok();
    }
    let second = number(text, 6..8)?;
    if text.as_bytes()[5] != b':' {
        return None;
    }
    let milli = match text[8..].strip_prefix('.') {
        Some(digits)
            if matches!(digits.len(), 1..=9) && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            // Digits below the millisecond are dropped, as `Timestamp` does.
            format!("{digits:0<3}").get(..3)?.parse().ok()?
        }
        None if text.len() == 8 => 0,
        Some(_) | None => return None,
    };
    Time::from_hms_milli(hour, minute, second, milli).ok()
}

/// The digits at a place, and nothing but digits.
fn number<T: std::str::FromStr>(text: &str, at: std::ops::Range<usize>) -> Option<T> {
    let digits = text.get(at)?;
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok()).flatten()
}

/// As it can be written in a DAG file.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zoned(moment) => moment.fmt(f),
            Self::Local(local) => {
                let (date, (hour, minute, second)) = (local.date(), local.time().as_hms());
                write!(f, "{date}T{hour:02}:{minute:02}:{second:02}")?;
                match local.time().millisecond() {
                    0 => Ok(()),
                    milli => write!(f, ".{milli:03}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_with_and_without_time_and_offset() {
        let check = |text: &str, expect: &str| {
            let moment = Moment::parse(text).expect(text);
            assert_eq!(moment.to_string(), expect, "{text}");
            assert_eq!(Moment::parse(expect), Some(moment), "{text}");
        };
        check("2026-05-01", "2026-05-01T00:00:00");
        check("2026-05-01T06:30", "2026-05-01T06:30:00");
        check("2026-05-01 06:30:15", "2026-05-01T06:30:15");
        check("2026-05-01T06:30:15.1239", "2026-05-01T06:30:15.123");
        check("2026-05-01T06:30:15.5", "2026-05-01T06:30:15.500");
        check("2026-05-01T06:30Z", "2026-05-01T06:30:00+00:00");
        check("2026-05-01 06:30:15+09:00", "2026-04-30T21:30:15+00:00");
        check("2024-02-29", "2024-02-29T00:00:00");
    }

    #[test]
    fn what_no_calendar_has_is_no_date() {
        for text in [
            "",
            "2026",
            "2026-5-1",
            "2026/05/01",
            "2026-02-29",
            "2026-13-01",
            "2026-05-01T",
            "2026-05-01T24:00",
            "2026-05-01T06",
            "2026-05-01T06:00:61",
            "2026-05-01T06:00+9",
            "2026-05-01T06:00:00.",
            "2026-05-01x",
            "now",
            "2026-05-0１",
            "+026-05-01",
            "2026-05-01T06:00:00.1234567890",
            "2026-05-01T06:00 KST",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
