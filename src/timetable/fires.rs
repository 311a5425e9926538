//! The fires of a schedule: the moments at which a DAG is due.
//!
//! Moments handed out increase strictly, whatever the zone's rules are; this is asserted in release builds too.
//! Daylight saving time, for crontab lines:
//! - a line that names times of day fires at the first moment at which the clocks show that time *or a later one*: once,
//!   after a gap; at the first coming, in a fold;
//! - a line whose minute or hour field begins with `*` counts elapsed time: it fires whenever the clocks show a matching
//!   time, so in both passes of a fold, and not for times in a gap.

use super::schedule::{Period, Schedule};
use super::wall::CronLine;
use super::zone::OFFSETS_S;
use super::{Timestamp, Zone};

/// How far the search for a fire of a line that counts elapsed time goes: 100 years of 365.25 days. Only a line whose every
/// date falls into a gap has none in that time (`* 2 29 3 */7` in Berlin: on a Sunday, 29 March begins summer time).
const SEARCH_S: i64 = 36_525 * 86_400;

/// When a DAG is due.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// The rule.
    pub schedule: Schedule,
    /// Where its wall clock hangs.
    pub zone: Zone,
    /// No fire before this moment; a fire at it counts.
    pub start: Option<Timestamp>,
    /// No fire after this moment; a fire at it counts.
    pub end: Option<Timestamp>,
    /// A moment that the fires of [`Schedule::Every`] are counted from, and that [`Schedule::Once`] fires at without a
    /// start: the start date, else when the DAG was first seen.
    pub anchor: Timestamp,
}

impl Timetable {
    /// The first fire strictly after `after`, or `None` past the end.
    ///
    /// Schedules that wait for an event rather than a moment (`@reboot`, `@continuous`, after other DAGs) have none.
    /// Wall-clock times that DST skips fire once, at the first moment after the gap; repeated ones fire once.
    /// Source: POSIX.1-2017 `crontab`, Debian cron 3.0pl1 (`entry.c`, `cron.c`). The `cron` crate differs on both.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let before_start = |start: Timestamp| Timestamp::from_millis(start.millis() - 1);
        let from = self
            .start
            .map_or(after, |start| after.max(before_start(start)));
        let fire = match &self.schedule {
            Schedule::Cron(lines) => {
                let next = |line| next_of_line(line, &self.zone, from.secs());
                moment(
                    lines
                        .as_slice()
                        .iter()
                        .filter_map(next)
                        .min()?
                        .checked_mul(1000)?,
                )?
            }
            Schedule::Every(period) => self.tick(*period, from, 1)?,
            Schedule::Once => Some(self.once()).filter(|once| *once > from)?,
            Schedule::Reboot | Schedule::Continuous | Schedule::AfterDags(_) => return None,
        };
        assert!(
            fire > from,
            "a fire must lie after the moment it is asked for"
        );
        self.end.is_none_or(|end| fire <= end).then_some(fire)
    }

    /// The last fire at or before `at`, or `None` if there was none since the start.
    pub fn latest_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        let fire = self.unbounded_at_or_before(self.end.map_or(at, |end| at.min(end)))?;
        self.start.is_none_or(|start| fire >= start).then_some(fire)
    }

    /// The last moment strictly before `before` that the schedule names, be it before the start or after the end: where the
    /// data interval of a fire at `before` begins.
    pub fn previous_before(&self, before: Timestamp) -> Option<Timestamp> {
        if before == Timestamp::MIN {
            return None;
        }
        self.unbounded_at_or_before(Timestamp::from_millis(before.millis() - 1))
    }

    fn unbounded_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        let fire = match &self.schedule {
            Schedule::Cron(lines) => {
                let last = |line| last_of_line(line, &self.zone, at.secs());
                moment(
                    lines
                        .as_slice()
                        .iter()
                        .filter_map(last)
                        .max()?
                        .checked_mul(1000)?,
                )?
            }
            Schedule::Every(period) => self.tick(*period, at, 0)?,
            Schedule::Once => Some(self.once()).filter(|once| *once <= at)?,
            Schedule::Reboot | Schedule::Continuous | Schedule::AfterDags(_) => return None,
        };
        assert!(fire <= at, "a past fire must not lie ahead");
        Some(fire)
    }

    fn once(&self) -> Timestamp {
        self.start.unwrap_or(self.anchor)
    }

    /// The `ticks`-th tick after the last one at or before `at`.
    fn tick(&self, period: Period, at: Timestamp, ticks: i64) -> Option<Timestamp> {
        let period_ms = i64::try_from(period.get().as_millis()).ok()?;
        let passed = (at.millis() - self.anchor.millis()).div_euclid(period_ms);
        moment(self.anchor.millis() + (passed + ticks) * period_ms)
    }
}

/// A moment that the calendar has.
fn moment(millis: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(millis)).filter(|moment| moment.millis() == millis)
}

/// The first fire of one line strictly after a second.
fn next_of_line(line: &CronLine, zone: &Zone, after: i64) -> Option<i64> {
    if !line.counts_elapsed_time() {
        return Some(zone.first_showing(line.next_after(zone.latest_shown(after))?));
    }
    let mut from = after + 1;
    while from <= after + SEARCH_S {
        let span = zone.span_at(from);
        let named = line.next_after(from - 1 + span.offset())?;
        match span.end {
            Some(end) if named - span.offset() >= end => {
                // From the end on, the clocks show at least `lowest`; so where the next time that the line names is far, no
                // span until then matters. That time is `named`, unless the clocks may show an earlier one then; and where
                // even `named` is near, the end is where to go on.
                let lowest = end + i64::from(*OFFSETS_S.start());
                let reach = i64::from(*OFFSETS_S.end());
                let is_known = from + span.offset() <= lowest || named - reach <= end;
                let next = if is_known {
                    named
                } else {
                    line.next_after(lowest - 1)?
                };
                from = end.max(next - reach);
            }
            Some(_) | None => return Some(named - span.offset()),
        }
    }
    None
}

/// The last fire of one line at or before a second.
fn last_of_line(line: &CronLine, zone: &Zone, at: i64) -> Option<i64> {
    if !line.counts_elapsed_time() {
        return Some(zone.first_showing(line.last_before(zone.latest_shown(at) + 1)?));
    }
    let mut to = at;
    while to >= at - SEARCH_S {
        let span = zone.span_at(to);
        let named = line.last_before(to + 1 + span.offset())?;
        match span.start {
            Some(start) if named - span.offset() < start => {
                let highest = start + i64::from(*OFFSETS_S.end());
                let reach = i64::from(*OFFSETS_S.start());
                let is_known = highest <= to + 1 + span.offset() || named - reach >= start - 1;
                let last = if is_known {
                    named
                } else {
                    line.last_before(highest)?
                };
                to = (start - 1).min(last - reach);
            }
            Some(_) | None => return Some(named - span.offset()),
        }
    }
    None
}
