//! A moment on the wall clock, and its one text form.
//!
//! `Display` and `parse` are inverses for every moment between the years 0 and 9999, which are the years RFC 3339 can write.

use std::fmt;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::civil::{SECONDS_PER_DAY, days_from_civil};

/// A moment on the wall clock: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date and time with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampError;

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date and time such as 2026-11-22T06:00:00+00:00")
    }
}

impl std::error::Error for TimestampError {}

impl Timestamp {
    /// The last millisecond of the year 9999, the latest moment RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// The first millisecond of the year 0.
    pub const MIN: Self = Self(-62_167_219_200_000);

    /// From milliseconds since the epoch, clamped to [`Timestamp::MIN`] and [`Timestamp::MAX`].
    pub fn from_millis(millis: i64) -> Self {
        Self(millis).clamp(Self::MIN, Self::MAX)
    }

    /// From whole seconds since the epoch, clamped as [`Timestamp::from_millis`].
    pub fn from_secs(secs: i64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same moment without its fraction of a second.
    pub fn truncated_to_secs(self) -> Self {
        Self::from_secs(self.secs())
    }

    /// This much later, at most [`Timestamp::MAX`].
    pub fn after(self, duration: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This much earlier, at least [`Timestamp::MIN`].
    pub fn before(self, duration: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 with a zone: `2026-11-22T06:00:00+09:00`, `2026-11-22T06:00:00.5Z`.
    /// Digits below the millisecond are dropped.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        if let Some(moment) = plain(text.as_bytes()) {
            return Ok(moment);
        }
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let millis = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000))
            .map_err(|_| TimestampError)?;
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(TimestampError)
        }
    }

    /// The calendar reading of this moment in UTC.
    pub fn to_utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(UtcOffset::UTC)
    }
}

/// `2026-11-22T06:00:00.000Z`, of which a journal has a hundred thousand; only days that every month has.
fn plain(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; 24] = text.try_into().ok()?;
    let marks = [
        text[4], text[7], text[10], text[13], text[16], text[19], text[23],
    ];
    let mut are_digits = true;
    let mut digit = |at: usize| {
        let digit = text[at].wrapping_sub(b'0');
        are_digits &= digit < 10;
        i64::from(digit)
    };
    let mut two = |at: usize| digit(at) * 10 + digit(at + 1);
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let millis = two(20) * 10 + digit(22);
    let is_plain = are_digits
        && marks == *b"--T::.Z"
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let day = days_from_civil(year, month, day);
    let seconds = day * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    is_plain.then_some(Timestamp(seconds * 1000 + millis))
}

/// RFC 3339 in UTC as Airflow writes it: `2026-11-22T06:00:00+00:00`, with `.123` only when there is a fraction.
/// Digit by digit: a list of DAGs has hundreds of dates, and `write!` takes five times as long.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = OffsetDateTime::from_unix_timestamp(self.secs());
        let utc = utc.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = utc.to_calendar_date();
        let (hour, minute, second) = utc.to_hms();
        let year = u16::try_from(year).unwrap_or(0);
        let millis = u16::try_from(self.0.rem_euclid(1000)).unwrap_or(0);
        let digit = |number: u16| b"0123456789"[usize::from(number % 10)];
        let mut text = *b"0000-00-00T00:00:00.000+00:00";
        let mut put = |at: usize, number: u16| {
            text[at] = digit(number / 10);
            text[at + 1] = digit(number);
        };
        put(0, year / 100);
        put(2, year);
        put(5, u8::from(month).into());
        put(8, day.into());
        put(11, hour.into());
        put(14, minute.into());
        put(17, second.into());
        put(20, millis / 10);
        text[22] = digit(millis);
        let text = str::from_utf8(&text).map_err(|_| fmt::Error)?;
        if millis == 0 {
            f.write_str(&text[..19])?;
            return f.write_str(&text[23..]);
        }
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_moment_are_inverses() {
        for millis in [
            0,
            1,
            -1,
            999,
            1_795_334_488_160,
            Timestamp::MIN.0,
            Timestamp::MAX.0,
            2_147_483_648_000,
        ] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(
                Timestamp::parse(&moment.to_string()),
                Ok(moment),
                "{moment}"
            );
        }
        for (millis, text) in [
            (1_795_334_488_160, "2026-11-22T08:01:28.160+00:00"),
            (1_795_334_488_000, "2026-11-22T08:01:28+00:00"),
            (-7, "1969-12-31T23:59:59.993+00:00"),
            (Timestamp::MIN.0, "0000-01-01T00:00:00+00:00"),
            (Timestamp::MAX.0, "9999-12-31T23:59:59.999+00:00"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn the_journals_own_form_is_read_as_every_other() {
        for text in [
            "2026-11-22T08:01:28.160Z",
            "0000-01-01T00:00:00.000Z",
            "9999-12-28T23:59:59.999Z",
            "2024-02-28T12:00:00.001Z",
            "1969-03-01T00:00:00.000Z",
        ] {
            let other = text.replace('Z', "0+00:00");
            assert!(plain(text.as_bytes()).is_some(), "{text}");
            assert_eq!(Timestamp::parse(text), Timestamp::parse(&other), "{text}");
        }
        for text in [
            "2026-00-22T08:01:28.160Z",
            "2026-13-22T08:01:28.160Z",
            "2026-11-00T08:01:28.160Z",
            "2026-11-22T24:01:28.160Z",
            "2026-11-22T08:60:28.160Z",
            "2026-11-22T08:01:60.160Z",
            "2026-11-22T08:01:28.1x0Z",
            "2026-11-22T08:01:28.160z",
            "2026-11-22t08:01:28.160Z",
            "+026-11-22T08:01:28.160Z",
        ] {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_zone_is_required_and_honoured() {
        assert_eq!(
            Timestamp::parse("2026-11-22T06:00:00+09:00"),
            Timestamp::parse("2026-11-21T21:00:00Z")
        );
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T06:00:00",
            "2026-02-30T06:00:00Z",
            "now",
        ] {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
        }
    }
}
