//! Which logical dates a DAG has been run for, as far as the segments still say.
//!
//! Every segment is read once, from the oldest on; what is held is one entry a run in the span.

use std::collections::BTreeMap;
use std::io;

use super::decode::{Entry, decode};
use super::disk::Disk;
use super::scan::{OpenError, limit, list, stretches};
use crate::scheduler::{Fact, PastDate, RunFact, RunFacts, RunNumber, RunState, RunType};
use crate::timetable::Timestamp;

/// A run in the span.
struct Dated {
    logical_date: Timestamp,
    state: RunState,
    is_backfill: bool,
}

/// The dates from one to another, both included, that a DAG has runs for, ascending. O(bytes of the
/// journal).
pub fn dates(
    disk: &dyn Disk,
    dag_id: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<PastDate>, OpenError> {
    let segments = list(disk)?;
    let mut runs: BTreeMap<RunNumber, Dated> = BTreeMap::new();
    let wanted = format!("\"run\":\"{dag_id}/");
    for (index, segment) in segments.iter().enumerate() {
        let limit = limit(&segments, index);
        let read = stretches(disk, &segment.file, &mut |stretch| {
            // The events of runs, and not of their tasks.
            let is_wanted = |text: &str| text.contains("\"ev\":\"run_") && text.contains(&wanted);
            let line = stretch.line.ok();
            let line = line.filter(|line| line.seq < limit && is_wanted(line.text));
            if let Some(Ok(Entry::Record(record))) = line.map(decode)
                && let Fact::Run(number, fact) = record.fact
                && *record.dag_id == *dag_id
            {
                note(&mut runs, number, &fact, (from, to));
            }
            true
        });
        match read {
            Ok(()) => {}
            // It was old, and is deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(by_date(runs))
}

fn note(
    runs: &mut BTreeMap<RunNumber, Dated>,
    number: RunNumber,
    fact: &RunFact,
    (from, to): (Timestamp, Timestamp),
) {
    let mut insert = |facts: &RunFacts, state| {
        if (from..=to).contains(&facts.logical_date) {
            let dated = Dated {
                logical_date: facts.logical_date,
                state,
                is_backfill: facts.run_type == RunType::Backfill,
            };
            runs.insert(number, dated);
        }
    };
    let state = match fact {
        RunFact::Created(facts) => return insert(facts, RunState::Queued),
        RunFact::Restored(image) => return insert(&image.facts, image.state),
        RunFact::Started => RunState::Running,
        RunFact::Ended { success: true } => RunState::Success,
        RunFact::Ended { success: false } => RunState::Failed,
        RunFact::Cleared(_) => RunState::Queued,
        RunFact::Deleted => {
            runs.remove(&number);
            return;
        }
        RunFact::Stopped(_) | RunFact::Noted(_) | RunFact::Task(..) => return,
    };
    if let Some(run) = runs.get_mut(&number) {
        run.state = state;
    }
}

/// The latest run of each date counts.
fn by_date(runs: BTreeMap<RunNumber, Dated>) -> Vec<PastDate> {
    let mut dates: BTreeMap<Timestamp, PastDate> = BTreeMap::new();
    for run in runs.into_values() {
        let date = dates.entry(run.logical_date).or_insert(PastDate {
            logical_date: run.logical_date,
            state: run.state,
            backfills: 0,
        });
        date.state = run.state;
        date.backfills += u32::from(run.is_backfill);
    }
    dates.into_values().collect()
}
