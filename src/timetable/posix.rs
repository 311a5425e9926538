//! Rules for local time in a POSIX `TZ` string: `CET-1CEST,M3.5.0,M10.5.0/3`, `<+1030>-10:30<+11>-11,M10.1.0,M4.1.0`.
//!
//! Source: POSIX.1-2017 chapter 8.3, and RFC 8536 section 3.3.1 for times before midnight and beyond 24 hours. What POSIX
//! leaves to the implementation (daylight time without rules, a leading colon) is refused. The reading always ends, in one
//! pass over the text.

use std::ops::Range;

use super::civil::{SECONDS_PER_DAY, days_from_civil, is_leap, weekday, year_of};
use super::duration::excerpt;
use super::zone::{LocalTime, Span, ZoneError};

/// Standard time, and daylight time with its two days of change if there is any.
#[derive(Debug)]
pub(super) struct PosixRules {
    standard: LocalTime,
    daylight: Option<Daylight>,
}

#[derive(Debug)]
struct Daylight {
    local: LocalTime,
    begins: Change,
    ends: Change,
}

/// A moment of every year, on the wall clock that is in force until then.
#[derive(Debug)]
struct Change {
    day: Day,
    /// Seconds after the day's midnight, -167 h to 167 h.
    time_s: i64,
}

#[derive(Debug)]
enum Day {
    /// `J1` to `J365`; 29 February is not counted.
    Julian(i64),
    /// `0` to `365`; 29 February is counted.
    ZeroBased(i64),
    /// `M3.5.0`: the last (5) or n-th given weekday of a month.
    Weekday { month: i64, week: i64, weekday: i64 },
}

impl PosixRules {
    /// The span of unchanging local time that holds `at` (seconds since the epoch).
    pub(super) fn span_at(&self, at: i64) -> Span<'_> {
        let Some(daylight) = &self.daylight else {
            return Span {
                start: None,
                end: None,
                local: &self.standard,
            };
        };
        let standard_s = i64::from(self.standard.offset_s);
        let daylight_s = i64::from(daylight.local.offset_s);
        let year = year_of(at + standard_s);
        let (mut start, mut end) = (None, None);
        // A change may lie eight days outside its year, so the neighbours' neighbours matter too. Where daylight time ends
        // and begins at once (it lasts all year), beginning comes last.
        for year in year - 2..=year + 2 {
            for (moment, local) in [
                (daylight.ends.moment(year) - daylight_s, &self.standard),
                (daylight.begins.moment(year) - standard_s, &daylight.local),
            ] {
                if moment > at {
                    end = Some(end.map_or(moment, |earliest: i64| earliest.min(moment)));
                } else if start.is_none_or(|(latest, _)| latest <= moment) {
                    start = Some((moment, local));
                }
            }
        }
        Span {
            start: start.map(|(moment, _)| moment),
            end,
            local: start.map_or(&self.standard, |(_, local)| local),
        }
    }

    /// Reads the whole text.
    pub(super) fn parse(text: &str) -> Result<Self, ZoneError> {
        let mut reader = Reader { text, at: 0 };
        let name = reader.name()?;
        let standard = LocalTime {
            offset_s: -reader.offset()?,
            abbreviation: name,
        };
        if reader.rest().is_empty() {
            return Ok(Self {
                standard,
                daylight: None,
            });
        }
        let name = reader.name()?;
        let offset_s = if reader.rest().starts_with([',']) || reader.rest().is_empty() {
            standard.offset_s + 3600
        } else {
            -reader.offset()?
        };
        let local = LocalTime {
            offset_s,
            abbreviation: name,
        };
        let begins = reader.change()?;
        let ends = reader.change()?;
        if !reader.rest().is_empty() {
            return Err(reader.fail(reader.at..text.len(), "nothing may follow the second rule"));
        }
        Ok(Self {
            standard,
            daylight: Some(Daylight {
                local,
                begins,
                ends,
            }),
        })
    }
}

impl Change {
    /// When it comes in a year, in seconds on the wall clock.
    fn moment(&self, year: i64) -> i64 {
        let day = match self.day {
            Day::Julian(day) => {
                let leap_day = i64::from(is_leap(year) && day > 59);
                days_from_civil(year, 1, 1) + day - 1 + leap_day
            }
            Day::ZeroBased(day) => days_from_civil(year, 1, 1) + day,
            Day::Weekday {
                month,
                week,
                weekday: wanted,
            } => {
                let first = days_from_civil(year, month, 1);
                let next_month = days_from_civil(year + month / 12, month % 12 + 1, 1);
                let day = first + (wanted - weekday(first)).rem_euclid(7) + (week - 1) * 7;
                // Only the fifth can lie outside, and then the fourth is the last.
                if day < next_month { day } else { day - 7 }
            }
        };
        day * SECONDS_PER_DAY + self.time_s
    }
}

/// Reads from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail(&self, span: Range<usize>, label: &str) -> ZoneError {
        ZoneError {
            message: format!("`{}` is not a POSIX time zone", excerpt(self.text)),
            span,
            label: label.to_owned(),
        }
    }

    /// Takes the leading characters that are `wanted`.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Takes this character if it comes next.
    fn skip(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    /// `CET` or `<+0330>`.
    fn name(&mut self) -> Result<Box<str>, ZoneError> {
        let start = self.at;
        let name = if self.skip('<') {
            let name = self.take(|c| c.is_ascii_alphanumeric() || c == '+' || c == '-');
            if !self.skip('>') {
                return Err(self.fail(start..self.at, "this name needs a closing `>`"));
            }
            name
        } else {
            self.take(|c| c.is_ascii_alphabetic())
        };
        if name.len() < 3 {
            return Err(self.fail(
                start..self.at,
                "expected a name of three letters or more, or one in `<` `>`",
            ));
        }
        Ok(name.into())
    }

    /// `[+-]hh[:mm[:ss]]`, at most 24 hours; seconds west of Greenwich.
    fn offset(&mut self) -> Result<i32, ZoneError> {
        let start = self.at;
        self.time(24)
            .and_then(|seconds| i32::try_from(seconds).ok())
            .ok_or_else(|| {
                self.fail(
                    start..self.at,
                    "expected an offset from -24 to 24 hours, such as -9 or 3:30",
                )
            })
    }

    fn time(&mut self, hours_max: i64) -> Option<i64> {
        let negative = self.skip('-');
        if !negative {
            self.skip('+');
        }
        let mut seconds = self.number(0..=hours_max)? * 3600;
        for unit in [60, 1] {
            if !self.skip(':') {
                break;
            }
            seconds += self.number(0..=59)? * unit;
        }
        let seconds = (seconds <= hours_max * 3600).then_some(seconds)?;
        Some(if negative { -seconds } else { seconds })
    }

    fn number(&mut self, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let digits = self.take(|c| c.is_ascii_digit());
        // Longer ones would be out of range anyway.
        let number = (digits.len() <= 3).then(|| digits.parse().ok())??;
        range.contains(&number).then_some(number)
    }

    /// `,M3.5.0`, `,J60/2`, `,59/-1:30`.
    fn change(&mut self) -> Result<Change, ZoneError> {
        if !self.skip(',') {
            return Err(self.fail(
                self.at..self.at,
                "daylight time needs two rules, such as `,M3.5.0,M10.5.0/3`",
            ));
        }
        let day_at = self.at;
        let day = self.day().ok_or_else(|| {
            self.fail(
                day_at..self.at,
                "expected a day: M1.1.0 to M12.5.6, J1 to J365 or 0 to 365",
            )
        })?;
        let time_at = self.at;
        let time_s = if self.skip('/') {
            self.time(167).ok_or_else(|| {
                self.fail(time_at..self.at, "expected a time from -167 to 167 hours")
            })?
        } else {
            2 * 3600
        };
        Ok(Change { day, time_s })
    }

    fn day(&mut self) -> Option<Day> {
        if self.skip('J') {
            return Some(Day::Julian(self.number(1..=365)?));
        }
        if !self.skip('M') {
            return Some(Day::ZeroBased(self.number(0..=365)?));
        }
        let month = self.number(1..=12)?;
        let week = self.skip('.').then(|| self.number(1..=5))??;
        let weekday = self.skip('.').then(|| self.number(0..=6))??;
        Some(Day::Weekday {
            month,
            week,
            weekday,
        })
    }
}
