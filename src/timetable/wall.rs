//! The wall-clock times of a crontab line, in a calendar without zones.
//!
//! The `cron` crate finds the matches, on wall-clock time dressed as UTC: with any other zone it loses fires in a gap and
//! repeats them out of order in a fold. Its dialect differs from Debian's (Sunday is 1, both day fields must match), so it
//! is only ever given explicit lists, made from our own reading of the line. It knows the years 1970 to 2100 only, so it
//! looks into stand-in years with the same calendar as those that are meant; every year is alike to us.

use std::str::FromStr;
use std::sync::Arc;

use chrono::DateTime;

use super::civil::{SECONDS_PER_DAY, days_from_civil, is_leap, weekday, year_of};
use super::crontab::{Fields, Set};
use super::schedule::ScheduleError;

/// A legal line names a date at least this often: 29 February on one weekday, across a year 2100 or the like.
const YEARS_BETWEEN_DATES_MAX: i64 = 40;

/// The years that the clocks of some zone show at some [`super::Timestamp`].
const YEARS: std::ops::RangeInclusive<i64> = -1..=10_000;

/// 28 years in a row without a century hold every calendar once; with 40 more on either side, the crate knows them.
const STAND_IN_YEARS: std::ops::Range<i64> = 2014..2042;

/// One crontab line. There is always a next match, until the years of [`super::Timestamp`] end.
#[derive(Clone, Debug)]
pub(super) struct CronLine {
    text: Box<str>,
    counts_elapsed_time: bool,
    /// A moment matches if it matches one of them. Shared: a line that is cloned is of a DAG like many others.
    alternatives: Arc<[cron::Schedule]>,
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
            alternatives: alternatives(&fields).into(),
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
        let mut first = year_of(wall + 1);
        let end = (first + YEARS_BETWEEN_DATES_MAX).min(*YEARS.end());
        while first <= end {
            let last = (first..end)
                .find(|&year| !same_pattern(year, year + 1))
                .unwrap_or(end);
            let shift = year_start(first) - year_start(stand_in(first));
            let from = DateTime::from_timestamp(wall.max(year_start(first) - 1) - shift, 0)?;
            let next = |line: &cron::Schedule| line.after(&from).next();
            if let Some(found) = self.alternatives.iter().filter_map(next).min() {
                let found = found.timestamp() + shift;
                if found < year_start(last + 1) {
                    return Some(found);
                }
            }
            first = last + 1;
        }
        None
    }

    /// The last match strictly before `wall`.
    pub(super) fn last_before(&self, wall: i64) -> Option<i64> {
        let mut last = year_of(wall - 1);
        let end = (last - YEARS_BETWEEN_DATES_MAX).max(*YEARS.start());
        while last >= end {
            let first = (end..last)
                .rev()
                .find(|&year| !same_pattern(year, year + 1))
                .map_or(end, |year| year + 1);
            let shift = year_start(last) - year_start(stand_in(last));
            let from = DateTime::from_timestamp(wall.min(year_start(last + 1)) - shift, 0)?;
            let previous = |line: &cron::Schedule| line.after(&from).next_back();
            if let Some(found) = self.alternatives.iter().filter_map(previous).max() {
                let found = found.timestamp() + shift;
                if found >= year_start(first) {
                    return Some(found);
                }
            }
            last = first - 1;
        }
        None
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

/// Whether a year is one of the three centuries in four whose leap day is left out.
fn lacks_leap_day(year: i64) -> bool {
    year % 4 == 0 && !is_leap(year)
}

/// Whether two neighbouring years follow one another as their stand-ins do.
fn same_pattern(year: i64, next: i64) -> bool {
    !lacks_leap_day(year) && !lacks_leap_day(next)
}

/// A year of the same length, with the same weekdays and, if it is no such century, the same distance to leap years.
fn stand_in(year: i64) -> i64 {
    let first_weekday = |year| weekday(days_from_civil(year, 1, 1));
    STAND_IN_YEARS
        .filter(|&candidate| candidate % 4 == year.rem_euclid(4) || lacks_leap_day(year))
        .filter(|&candidate| is_leap(candidate) == is_leap(year))
        .find(|&candidate| first_weekday(candidate) == first_weekday(year))
        .expect("28 years in a row without a century hold every calendar")
}

/// The first second of a year.
fn year_start(year: i64) -> i64 {
    days_from_civil(year, 1, 1) * SECONDS_PER_DAY
}
