//! What the daemon counts, for whoever draws curves of it. Counted since this start; a restart begins at zero.

use std::time::Duration;

use crate::scheduler::{Ended, Fact, Record, RunFact, RunType, State, TaskFact, TaskState};
use crate::timetable::Timestamp;

/// Upper bounds of the buckets of every histogram, in milliseconds; the last has none.
pub const BUCKETS_MS: [u64; 14] = [
    1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000, 300_000, 1_800_000, 7_200_000, 43_200_000,
];

/// How often something took how long.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Of each bucket alone; the last is of what is longer than all.
    pub counts: [u64; BUCKETS_MS.len() + 1],
    /// All of it together.
    pub sum: Duration,
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MS.partition_point(|bound| *bound < millis);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(took);
    }
}

/// All that is counted.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// From the moment that a run was due to its creation.
    pub lateness: Histogram,
    /// From the moment that a task instance could begin its first attempt to that attempt.
    pub queue_time: Histogram,
    /// Of runs that succeeded, and that failed.
    pub run_duration: [Histogram; 2],
    /// Of attempts.
    pub attempt_duration: Histogram,
    /// Runs that were created: by the schedule, by hand, by a backfill.
    pub runs_created: [u64; 3],
    /// Attempts by how they ended, in the order of [`Meters::ENDS`].
    pub attempts: [u64; Self::ENDS.len()],
    /// Records that were handed to the journal.
    pub records: u64,
    /// Times that the journal was synced.
    pub syncs: u64,
}

impl Meters {
    /// How attempts end.
    pub const ENDS: [&'static str; 5] = [
        "success",
        "failed",
        "skipped",
        "up_for_retry",
        "interrupted",
    ];
    /// Who asks for runs.
    pub const RUN_TYPES: [RunType; 3] = [RunType::Scheduled, RunType::Manual, RunType::Backfill];

    /// Counts these records; `state` is that after them.
    pub(super) fn record(&mut self, records: &[Record], state: &State) {
        for record in records {
            self.records += 1;
            if let Fact::Run(number, fact) = &record.fact {
                self.run(record.at, state.run(*number), fact);
            }
        }
    }

    fn run(&mut self, at: Timestamp, run: Option<&crate::scheduler::Run>, fact: &RunFact) {
        if let RunFact::Created(facts) = fact {
            let types = Self::RUN_TYPES.iter().zip(&mut self.runs_created);
            for (_, count) in types.filter(|(known, _)| **known == facts.run_type) {
                *count += 1;
            }
            if facts.run_type == RunType::Scheduled {
                let due = facts
                    .data_interval
                    .map_or(facts.logical_date, |(_, end)| end);
                self.lateness.add(at.since(due));
            }
        }
        let Some(run) = run else {
            return;
        };
        if let RunFact::Ended { success } = fact {
            let took = run.started_at.map(|started| at.since(started));
            self.run_duration[usize::from(!*success)].add(took.unwrap_or_default());
        }
        let RunFact::Task(task_id, fact) = fact else {
            return;
        };
        if let (TaskFact::Started { try_number: 1 }, Some(index)) = (fact, run.dag.find(task_id)) {
            let upstream = run.dag.task(index).upstream.iter();
            let ended = upstream.filter_map(|index| run.task(*index).ended_at).max();
            if let Some(ready) = ended.max(run.started_at) {
                self.queue_time.add(at.since(ready));
            }
        }
        if let TaskFact::Ended { state, attempt, .. } = fact {
            self.attempt_duration.add(attempt.duration);
            let name = if *state == Ended::Interrupted {
                "interrupted"
            } else {
                TaskState::from(*state).name()
            };
            let ends = Self::ENDS.iter().zip(&mut self.attempts);
            for (_, count) in ends.filter(|(end, _)| **end == name) {
                *count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for millis in [0, 1, 2, 5, 6, 43_200_000, 43_200_001] {
            histogram.add(Duration::from_millis(millis));
        }
        assert_eq!(histogram.counts[..3], [2, 2, 1]);
        assert_eq!(histogram.counts[13..], [1, 1]);
        assert_eq!(histogram.sum.as_millis(), 86_400_015);
    }
}
