//! Waits that would never end.
//!
//! A run waits for the runs that its tasks have triggered (`wait`); if its tasks look back, for the run before it;
//! and while it is queued, for one of the active runs of its DAG to end. If such a way leads back to where it began, nothing on it
//! ends any more. So a task does not begin to wait if that would close a circle. A circle that closes otherwise (a
//! reload that lowers `max_active_runs`, a run that is cleared or comes between two others) is opened: of the waits for triggered
//! runs on it, that of the latest run fails.
//!
//! Whatever a person can end is no circle: a DAG that is paused, or not there, a run before that has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::child::current_child_id;
use super::event::Now;
use super::record::{Attempt, Exit, RunFacts, RunNumber, RunType};
use super::run::Run;
use super::settle::lane;
use super::state::State;
use super::states::{RunState, TaskState};
use super::{Scheduler, Turn};
use crate::dag::TaskIndex;

/// Task instances that wait for a run, and whether a circle may have been closed since that was last looked at.
#[derive(Debug, Default)]
pub(super) struct Tangle {
    /// Some of them may have ended meanwhile.
    waiting: BTreeSet<(RunNumber, TaskIndex)>,
    is_suspected: bool,
}

impl Tangle {
    pub(super) fn wait(&mut self, number: RunNumber, index: TaskIndex) {
        self.waiting.insert((number, index));
        self.is_suspected = true;
    }

    /// Those that wait, and perhaps some that have waited.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (RunNumber, TaskIndex)> {
        self.waiting.iter().copied()
    }

    pub(super) fn suspect(&mut self) {
        self.is_suspected = true;
    }
}

/// A run that is not there yet, and the task instance that would wait for it.
struct Wish {
    asking: (RunNumber, TaskIndex),
    number: RunNumber,
    run: Run,
}

/// Runs, and for each those that have to end before it can.
type Waits = BTreeMap<RunNumber, Vec<RunNumber>>;

impl Scheduler {
    /// Fails the latest wait of a circle, if there is one.
    pub(super) fn untangle(&mut self, turn: &mut Turn) -> bool {
        if !std::mem::take(&mut self.tangle.is_suspected) {
            return false;
        }
        let state = &self.state;
        // One whose DAG is not there waits, too, and looks again when that is back.
        self.tangle.waiting.retain(|(number, index)| {
            let waits = |run: &Run| run.task(*index).state == TaskState::UpForReschedule;
            state.run(*number).is_some_and(waits)
        });
        let waiting = &self.tangle.waiting;
        let waits = state.waits(waiting.iter().map(|(number, _)| *number), None);
        let stuck = state.stuck(waits, None);
        let latest = waiting.iter().rev().find_map(|(number, index)| {
            let (child, run) = state.awaited_by(*number, *index)?;
            let is_circle = stuck.contains_key(number)
                && stuck.contains_key(&child)
                && state.waits([child], None).contains_key(number);
            is_circle.then_some((*number, *index, run))
        });
        let Some((number, index, run)) = latest else {
            return false;
        };
        let why = format!(
            "it would never end: run `{}` of DAG `{}` waits, directly or not, for this one",
            run.facts.run_id, run.dag.dag_id
        );
        let attempt = Attempt {
            reason: Some(why),
            ..Attempt::unseen(Exit::Code(1), Duration::ZERO)
        };
        self.tangle.is_suspected = true;
        self.end_try(turn, number, index, attempt);
        true
    }
}

impl State {
    /// Whether a run may wait for a new run of a DAG: not if that waits for it, now and for ever.
    pub(super) fn check_wait(
        &self,
        now: Now,
        asking: (RunNumber, TaskIndex),
        dag_id: &str,
    ) -> Result<(), String> {
        let Some(known) = self.dag(dag_id) else {
            return Ok(());
        };
        let facts = RunFacts {
            run_id: "".into(),
            run_type: RunType::Manual,
            logical_date: now.wall.truncated_to_secs(),
            data_interval: None,
            params: BTreeMap::new(),
            clock: super::ClockTrust::default(),
            occasion: None,
        };
        let wish = Wish {
            asking,
            number: self.next_run(),
            run: Run::new(known.dag.clone(), Arc::new(facts), now.wall),
        };
        let waits = self.waits([wish.number], Some(&wish));
        if !waits.contains_key(&asking.0) {
            return Ok(());
        }
        let stuck = self.stuck(waits, Some(&wish));
        if !stuck.contains_key(&wish.number) {
            return Ok(());
        }
        if !self.has_room(wish.number, &wish.run, &stuck) {
            return Err(format!(
                "it would never begin: {} runs of DAG `{dag_id}` may be active at once, and as many wait, \
                 directly or not, for this one; raise its `max_active_runs`",
                known.dag.max_active_runs
            ));
        }
        let previous = self.previous(wish.number, &wish.run);
        Err(format!(
            "it would never end: its tasks wait for those of the run before, `{}`, which waits for it",
            previous.map_or("", |(_, run)| &run.facts.run_id)
        ))
    }

    /// The run that a task instance waits for, if that is not over.
    fn awaited_by(&self, number: RunNumber, index: TaskIndex) -> Option<(RunNumber, &Run)> {
        let (run, trigger) = self.triggers(number, index)?;
        let waits = trigger.wait && run.task(index).state == TaskState::UpForReschedule;
        let run_id = waits.then(|| current_child_id(run, number, index))?;
        let child = self.find_run(&trigger.dag_id, &run_id);
        child.filter(|(_, child)| !child.state.is_finished())
    }

    /// Everything that these runs wait for, directly or not, and they themselves. O(tasks of all of them).
    fn waits(&self, from: impl IntoIterator<Item = RunNumber>, wish: Option<&Wish>) -> Waits {
        let mut waits = Waits::new();
        let mut fresh: Vec<_> = from.into_iter().collect();
        while let Some(number) = fresh.pop() {
            let run = self.or_wished(number, wish);
            let run = run.filter(|run| !run.state.is_finished() && !waits.contains_key(&number));
            let Some(run) = run else {
                continue;
            };
            let mut awaited: Vec<_> = run
                .dag
                .indices()
                .filter_map(|index| Some(self.awaited_by(number, index)?.0))
                .collect();
            awaited.extend(self.previous_that_holds(number, run, wish));
            awaited.extend(wish.filter(|it| it.asking.0 == number).map(|it| it.number));
            fresh.extend(&awaited);
            if run.state == RunState::Queued {
                fresh.extend(self.before(number, run));
            }
            waits.insert(number, awaited);
        }
        waits
    }

    /// Those of them that never end: each waits for one that does not, or has no room because of such.
    fn stuck(&self, mut waits: Waits, wish: Option<&Wish>) -> Waits {
        loop {
            let ends = |(number, awaited): (&RunNumber, &Vec<RunNumber>)| {
                let run = self.or_wished(*number, wish)?;
                let may_begin = run.state == RunState::Running
                    || self.has_room(*number, run, &waits)
                    || self.is_awaited(*number);
                let is_free = awaited.iter().all(|other| !waits.contains_key(other));
                (is_free && may_begin).then_some(*number)
            };
            let ending: Vec<_> = waits.iter().filter_map(ends).collect();
            if ending.is_empty() {
                return waits;
            }
            waits.retain(|number, _| !ending.contains(number));
        }
    }

    fn or_wished<'s>(&'s self, number: RunNumber, wish: Option<&'s Wish>) -> Option<&'s Run> {
        let wished = wish.filter(|wish| wish.number == number);
        wished.map(|wish| &wish.run).or_else(|| self.run(number))
    }

    /// Whether a queued run gets a place if none of these ends. Backfills bound theirs themselves, and nobody triggers one.
    fn has_room(&self, number: RunNumber, run: &Run, stuck: &Waits) -> bool {
        let in_the_way = self.before(number, run);
        let in_the_way = in_the_way.filter(|other| stuck.contains_key(other));
        let most = self
            .dag(&run.dag.dag_id)
            .map_or(0, |known| known.dag.max_active_runs);
        lane(run).is_backfill || in_the_way.count() < most as usize
    }

    /// The runs that have a place before a queued one: those that are active, and those that are queued before it.
    fn before(&self, number: RunNumber, run: &Run) -> impl Iterator<Item = RunNumber> {
        let runs = self.dag(&run.dag.dag_id).into_iter();
        let runs = runs.flat_map(|known| known.runs.values().copied());
        let is_backfill = lane(run).is_backfill;
        runs.filter(move |other| {
            self.run(*other).is_some_and(|run| {
                let is_first = match run.state {
                    RunState::Running => true,
                    RunState::Queued => *other < number,
                    RunState::Success | RunState::Failed => false,
                };
                is_first && lane(run).is_backfill == is_backfill
            })
        })
    }

    /// The run before, if it has to go on before a run can, and does not do so by itself.
    fn previous_that_holds(
        &self,
        number: RunNumber,
        run: &Run,
        wish: Option<&Wish>,
    ) -> Option<RunNumber> {
        let open = |index: &TaskIndex| {
            let state = run.task(*index).state;
            !state.is_finished() && state != TaskState::Running
        };
        let mut looking = run
            .dag
            .indices()
            .filter(|_| run.dag.looks_back)
            .filter(open);
        looking.find_map(|index| {
            let (previous, of_it, missing) = self.missing_in_past(number, run, index)?;
            let is_held = match of_it.state {
                RunState::Queued => true,
                RunState::Running => self.is_held((previous, missing), of_it, wish),
                RunState::Success | RunState::Failed => false,
            };
            is_held.then_some(previous)
        })
    }

    /// Whether a task instance, or what comes before it, waits for more than processes.
    fn is_held(
        &self,
        (number, index): (RunNumber, TaskIndex),
        run: &Run,
        wish: Option<&Wish>,
    ) -> bool {
        let mut seen = BTreeSet::new();
        let mut fresh = vec![index];
        while let Some(index) = fresh.pop() {
            if run.task(index).state.is_finished() || !seen.insert(index) {
                continue;
            }
            let is_asking = wish.is_some_and(|wish| wish.asking == (number, index));
            if is_asking
                || self.awaited_by(number, index).is_some()
                || self.missing_in_past(number, run, index).is_some()
            {
                return true;
            }
            fresh.extend(&run.dag.task(index).upstream);
        }
        false
    }
}
