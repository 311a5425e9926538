//! The wall-clock times of a crontab line, in a calendar without zones.
//!
//! The `cron` crate finds the matches, on wall-clock time dressed as UTC: with any other zone it loses fires in a gap and
//! repeats them out of order in a fold. Its dialect differs from Debian's (Sunday is 1, both day fields must match), so it
//! is only ever given explicit lists, made from our own reading of the line. It knows the years 1970 to 2100; other years
//! are looked up in a stand-in year with the same calendar.

use std::str::FromStr;

use chrono::DateTime;

use super::civil::{SECONDS_PER_DAY, days_from_civil, is_leap, weekday, year_of};
use super::crontab::{Fields, Set};
use super::schedule::ScheduleError;

/// What the crate can look into.
const CRATE_YEARS: std::ops::RangeInclusive<i64> = 1970..=2100;

/// A legal line names a date at least this often: 29 February on one weekday, across a year 2100 or the like.
const YEARS_BETWEEN_DATES_MAX: i64 = 40;

/// One crontab line. There is always a next match, until the calendar ends with the year 9999.
#[derive(Clone, Debug)]
pub(super) struct CronLine {
    text: Box<str>,
    counts_elapsed_time: bool,
    /// A moment matches if it matches one of them.
    alternatives: Vec<cron::Schedule>,
}

impl CronLine {
    /// Reads `line` in Debian's dialect; `shown` is its text for people.
    pub(super) fn parse(
        line: &str,
        shown: &str,
        with_seconds: bool,
    ) -> Result<Self, ScheduleError> {
        let fields = Fields::parse(line, with_seconds)?;
        Ok(Self {
            text: shown.into(),
            counts_elapsed_time: fields.counts_elapsed_time(),
            alternatives: alternatives(&fields),
        })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it counts elapsed time rather than naming times of day; see [`Fields::counts_elapsed_time`].
    pub(super) fn counts_elapsed_time(&self) -> bool {
        self.counts_elapsed_time
    }

    /// The first match strictly after `wall`. Both are seconds since 1970-01-01T00:00:00 on the wall clock.
    pub(super) fn next_after(&self, wall: i64) -> Option<i64> {
        let first = |wall: i64| {
            let wall = DateTime::from_timestamp(wall, 0)?;
            let next = |line: &cron::Schedule| line.after(&wall).next();
            Some(self.alternatives.iter().filter_map(next).min()?.timestamp())
        };
        let mut year = year_of(wall + 1);
        if CRATE_YEARS.contains(&year) {
            if let Some(found) = first(wall) {
                return Some(found);
            }
            year = CRATE_YEARS.end() + 1;
        }
        (year..=(year + YEARS_BETWEEN_DATES_MAX).min(9999)).find_map(|year| {
            let shift = year_start(year) - year_start(stand_in(year));
            let found = first(wall.max(year_start(year) - 1) - shift)? + shift;
            (year_of(found) == year).then_some(found)
        })
    }

    /// The last match strictly before `wall`.
    pub(super) fn last_before(&self, wall: i64) -> Option<i64> {
        let last = |wall: i64| {
            let wall = DateTime::from_timestamp(wall, 0)?;
            let last = |line: &cron::Schedule| line.after(&wall).next_back();
            Some(self.alternatives.iter().filter_map(last).max()?.timestamp())
        };
        let mut year = year_of(wall - 1);
        if CRATE_YEARS.contains(&year) {
            if let Some(found) = last(wall) {
                return Some(found);
            }
            year = CRATE_YEARS.start() - 1;
        }
        ((year - YEARS_BETWEEN_DATES_MAX).max(0)..=year)
            .rev()
            .find_map(|year| {
                let shift = year_start(year) - year_start(stand_in(year));
                let found = last(wall.min(year_start(year + 1)) - shift)? + shift;
                (year_of(found) == year).then_some(found)
            })
    }
}

/// The line in the crate's dialect. Two lines where a day is due by its date *or* by its weekday.
fn alternatives(fields: &Fields) -> Vec<cron::Schedule> {
    let list = |set: Set, from: u32, shift: u32, size: usize| {
        let numbers: Vec<String> = set
            .iter()
            .filter(|&number| number >= from)
            .map(|number| (number + shift).to_string())
            .collect();
        if numbers.len() == size {
            "*".to_owned()
        } else {
            numbers.join(",")
        }
    };
    let line = |days_of_month: &str, days_of_week: &str| {
        let text = format!(
            "{} {} {} {days_of_month} {} {days_of_week}",
            list(fields.seconds, 0, 0, 60),
            list(fields.minutes, 0, 0, 60),
            list(fields.hours, 0, 0, 24),
            list(fields.months, 1, 0, 12),
        );
        cron::Schedule::from_str(&text)
            .expect("checked sets, written as lists, are in the crate's grammar")
    };
    let days_of_month = list(fields.days_of_month, 1, 0, 31);
    let days_of_week = list(fields.days_of_week, 0, 1, 7);
    if !fields.either_day() {
        return vec![line(&days_of_month, &days_of_week)];
    }
    let mut alternatives = vec![line("*", &days_of_week)];
    // The crate would look for 30 February up to the year 2100, each time.
    if fields.has_date() {
        alternatives.push(line(&days_of_month, "*"));
    }
    alternatives
}

/// A year that the crate knows and that has the same length and the same weekdays.
fn stand_in(year: i64) -> i64 {
    let kind = |year| (is_leap(year), weekday(days_from_civil(year, 1, 1)));
    // The calendar repeats every 28 years there, so all fourteen kinds occur.
    (1972..2000)
        .find(|&candidate| kind(candidate) == kind(year))
        .expect("28 years in a row without a century hold every kind of year")
}

/// The first second of a year.
fn year_start(year: i64) -> i64 {
    days_from_civil(year, 1, 1) * SECONDS_PER_DAY
}
