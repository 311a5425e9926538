//! What is known of one DAG: where its schedule stands, which of its runs wait, run and are over.
//!
//! [`super::State`] changes it as records say and holds the runs themselves; here are their numbers, in the
//! orders that others ask for, so that no question needs a look at every run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::ran::Ran;
use super::record::{BackfillNumber, Occasion, RunFact, RunNumber, RunType, TaskFact};
use super::states::RunState;
use crate::dag::{Dag, TimetableKind};
use crate::timetable::Timestamp;

/// One DAG and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DagState {
    /// The version that new runs get.
    pub dag: Arc<Dag>,
    /// Its file is gone; its runs go on to their end.
    pub is_removed: bool,
    /// Nothing of a paused DAG starts.
    pub is_paused: bool,
    /// When it was seen for the first time, in whole seconds.
    pub first_seen: Option<Timestamp>,
    /// The last fire that was run or skipped; the schedule looks at those after it. It grows, unless a clock
    /// that was far ahead has been set back ([`Fact::Rewound`](super::Fact::Rewound)).
    pub scheduled_until: Option<Timestamp>,
    /// What the schedule has run, and will never run again.
    pub ran: Ran,
    /// The latest boot of the host that it was run for, or passed over.
    pub boot_id: Option<Arc<str>>,
    /// How often each DAG that it waits for had succeeded when it was last due, or began to wait.
    pub heard: BTreeMap<Arc<str>, u64>,
    /// How often a run of it has succeeded. A run that is cleared and succeeds again counts again.
    pub successes: u64,
    /// Every run of it that is over, be it in memory or not.
    pub over: RunsOver,
    /// Every run that is held in memory.
    pub runs: BTreeMap<Arc<str>, RunNumber>,
    /// The `queued` ones that are no backfill's, oldest first.
    pub queued: BTreeSet<RunNumber>,
    /// Every run that is held in memory, by its logical date.
    pub(super) by_date: BTreeSet<(Timestamp, RunNumber)>,
    /// How many of these are `running`.
    pub active_runs: u32,
    /// The `queued` ones of backfills.
    pub backfill_queued: BTreeSet<RunNumber>,
    /// How many of these are `running`.
    pub backfill_running: u32,
    /// The backfill that is not over.
    pub active_backfill: Option<BackfillNumber>,
    /// Every backfill that is held in memory, oldest first.
    pub(super) backfills: VecDeque<BackfillNumber>,
    /// The finished runs, in the order they finished.
    pub(super) finished: VecDeque<RunNumber>,
    pub(super) finished_tasks: usize,
}

impl DagState {
    /// One of which nothing is known yet.
    pub(super) fn new(dag: Arc<Dag>) -> Self {
        Self {
            is_removed: false,
            is_paused: dag.is_paused_upon_creation,
            dag,
            first_seen: None,
            scheduled_until: None,
            ran: Ran::default(),
            boot_id: None,
            heard: BTreeMap::new(),
            successes: 0,
            over: RunsOver::default(),
            runs: BTreeMap::new(),
            queued: BTreeSet::new(),
            by_date: BTreeSet::new(),
            active_runs: 0,
            backfill_queued: BTreeSet::new(),
            backfill_running: 0,
            active_backfill: None,
            backfills: VecDeque::new(),
            finished: VecDeque::new(),
            finished_tasks: 0,
        }
    }

    /// Where the next data interval begins at the earliest. One that gives its run the name begins a moment after
    /// one that has got the name already: of a run that was about no time, or was named after its end.
    pub fn done_until(&self) -> Option<Timestamp> {
        let until = self.scheduled_until?;
        let is_named = self.dag.timetable == TimetableKind::Interval && self.ran.ends_at(until);
        Some(if is_named {
            self.ran.free_from(until)
        } else {
            until
        })
    }

    pub(super) fn schedule_until(&mut self, fire: Timestamp) {
        self.scheduled_until = self.scheduled_until.max(Some(fire));
    }

    /// What it was due for is done with.
    pub(super) fn serve(&mut self, occasion: &Occasion) {
        match occasion {
            Occasion::Boot(boot_id) => self.boot_id = Some(boot_id.clone()),
            Occasion::After(counts) => {
                let counts = counts.iter().map(|(id, count)| (id.clone(), *count));
                self.heard.extend(counts);
            }
            Occasion::Backfill(_) | Occasion::Task(_) => {}
        }
    }

    /// Where it keeps its runs of a type: the queued ones, and how many are running.
    pub(super) fn lane(&mut self, run_type: RunType) -> (&mut BTreeSet<RunNumber>, &mut u32) {
        match run_type {
            RunType::Scheduled | RunType::Manual => (&mut self.queued, &mut self.active_runs),
            RunType::Backfill => (&mut self.backfill_queued, &mut self.backfill_running),
        }
    }

    /// Keeps count of a run, of so many tasks, that has changed.
    pub(super) fn apply(
        &mut self,
        number: RunNumber,
        run_type: RunType,
        tasks: usize,
        fact: &RunFact,
    ) {
        let (queued, running) = self.lane(run_type);
        match fact {
            RunFact::Started => {
                queued.remove(&number);
                *running += 1;
            }
            RunFact::Ended { success } => {
                *running -= u32::from(!queued.remove(&number));
                self.successes += u64::from(*success);
                self.finished.push_back(number);
                self.finished_tasks += tasks;
            }
            RunFact::Cleared(_) | RunFact::Task(_, TaskFact::Marked(_)) => {
                if let Some(place) = self.finished.iter().position(|n| *n == number) {
                    self.finished.remove(place);
                    self.finished_tasks -= tasks;
                    self.lane(run_type).0.insert(number);
                }
            }
            RunFact::Created(_)
            | RunFact::Restored(_)
            | RunFact::Stopped(_)
            | RunFact::Noted(_)
            | RunFact::Deleted
            | RunFact::Task(..) => {}
        }
    }
}

/// How many runs of a DAG have ended each way, each counted as it ended last. Those that retention has let go
/// count; those that somebody had deleted do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunsOver {
    /// `success`
    pub success: u64,
    /// `failed`
    pub failed: u64,
}

impl RunsOver {
    /// Counts a run that went from one state to another; `None`: it was not there, or is not any more.
    pub(super) fn recount(&mut self, was: Option<RunState>, is: Option<RunState>) {
        if let Some(count) = self.of(was) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.of(is) {
            *count += 1;
        }
    }

    fn of(&mut self, state: Option<RunState>) -> Option<&mut u64> {
        match state? {
            RunState::Success => Some(&mut self.success),
            RunState::Failed => Some(&mut self.failed),
            RunState::Queued | RunState::Running => None,
        }
    }
}
