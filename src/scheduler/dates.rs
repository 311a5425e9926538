//! The dates of a backfill: which there are in a span, one after the other, and which of them are run.

use super::dag_state::DagState;
use super::record::{BackfillFacts, Reprocess};
use super::schedule::{run_dates, timetable};
use super::states::RunState;
use crate::dag::TimetableKind;
use crate::timetable::{Schedule, Timestamp, Timetable};

/// A date of a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillDate {
    /// What its run is named after.
    pub logical_date: Timestamp,
    /// The time it is about; it ends at the fire.
    pub data_interval: (Timestamp, Timestamp),
}

/// The date after one whose fire was `cursor`, or the first. A date whose fire comes after `until` is none.
pub fn next_date(
    timetable: &Timetable,
    kind: TimetableKind,
    facts: &BackfillFacts,
    cursor: Option<Timestamp>,
    until: Timestamp,
) -> Option<BackfillDate> {
    let before = |moment: Timestamp| Timestamp::from_millis(moment.millis() - 1);
    let date = |fire: Timestamp| {
        // Oldest first, what lies before the last date is done, even if the schedule has changed since.
        let done = cursor.filter(|_| !facts.newest_first);
        let (logical_date, data_interval) = run_dates(kind, timetable, done, fire);
        BackfillDate {
            logical_date,
            data_interval,
        }
    };
    let last = |at: Timestamp| timetable.latest_at_or_before(at);
    if facts.newest_first {
        let mut fire = match (cursor, kind) {
            (Some(cursor), _) => last(before(cursor))?,
            (None, TimetableKind::Trigger) => last(facts.to.min(until))?,
            (None, TimetableKind::Interval) => {
                let after = timetable.next_after(facts.to).filter(|fire| *fire <= until);
                after.or_else(|| last(until))?
            }
        };
        // What has no interval is named after its fire.
        while date(fire).logical_date > facts.to {
            fire = last(before(fire))?;
        }
        return Some(date(fire)).filter(|date| date.logical_date >= facts.from);
    }
    let mut fire = timetable.next_after(cursor.unwrap_or_else(|| before(facts.from)))?;
    // Named after its beginning, the interval that ends in the span may begin before it.
    while date(fire).logical_date < facts.from {
        fire = timetable.next_after(fire)?;
    }
    Some(date(fire)).filter(|date| fire <= until && date.logical_date <= facts.to)
}

/// When a DAG is due, if dates can be told from that.
pub fn backfill_timetable(known: &DagState, now: Timestamp) -> Option<Timetable> {
    let timetable = timetable(&known.dag, known.first_seen.unwrap_or(now))?;
    match timetable.schedule {
        Schedule::Cron(_) | Schedule::Every(_) | Schedule::Once => Some(timetable),
        Schedule::Reboot | Schedule::Continuous | Schedule::AfterDags(_) => None,
    }
}

/// Whether a date is run, if the latest run of it is in this state; `None` without one.
pub fn is_wanted(reprocess: Reprocess, latest: Option<RunState>) -> bool {
    match (latest, reprocess) {
        (None, _)
        | (Some(RunState::Failed), Reprocess::Failed | Reprocess::Completed)
        | (Some(RunState::Success), Reprocess::Completed) => true,
        (Some(RunState::Queued | RunState::Running), _)
        | (Some(RunState::Failed), Reprocess::None)
        | (Some(RunState::Success), Reprocess::None | Reprocess::Failed) => false,
    }
}
