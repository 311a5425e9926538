//! Backfills: the dates of a span that a DAG was not run for, one run each.
//!
//! ```text
//! created ──▶ active ⇄ paused ──▶ completed    its last date is done and its runs have ended
//!                └────────────────▶ cancelled    what waits is stopped, what runs goes on
//! ```
//!
//! Dates are found one by one, when there is room for a run: a million of them take no memory. How far it
//! has come is part of the record of each run and of each stretch that was passed over, so that a restart
//! goes on where it was. Which dates need no run, because there is one, only history knows: it is asked once
//! ([`Action::Look`]), and nothing is created before it has answered.
//!
//! A backfill has a bound of its own for its runs, and they run while their DAG is paused. A DAG has one
//! backfill at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::dag_state::DagState;
use super::dates::{backfill_timetable, is_wanted, next_date};
use super::event::{Action, Answer, BackfillChange, Look, NewBackfill, PastDate, Refusal};
use super::image::BackfillImage;
use super::record::{
    BackfillFact, BackfillFacts, BackfillNumber, Fact, Occasion, RunFact, RunFacts, RunNumber,
    RunType, StopReason,
};
use super::states::RunState;
use super::timers::Timer;
use super::{Scheduler, Turn};
use crate::timetable::Timestamp;

/// Dates that are looked at in one turn; then everybody else has one.
const DATES_PER_TURN: u32 = 1_000;
/// Runs that are created in one turn.
const RUNS_PER_TURN: u32 = 100;
/// Until the next turn.
const TURN: Duration = Duration::from_millis(1);

/// One backfill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// Whose dates they are.
    pub dag_id: Arc<str>,
    /// What was asked for.
    pub facts: Arc<BackfillFacts>,
    /// When.
    pub created_at: Timestamp,
    /// When it last changed, its runs apart.
    pub updated_at: Timestamp,
    /// When it was completed or cancelled.
    pub completed_at: Option<Timestamp>,
    /// Nothing of it starts.
    pub is_paused: bool,
    /// Somebody has ended it.
    pub is_cancelled: bool,
    /// The fire of the date that was run or passed over last.
    pub cursor: Option<Timestamp>,
    /// Dates that needed no run.
    pub passed: u64,
    /// How many of its runs are in each state.
    runs: [u64; 4],
}

impl Backfill {
    pub(super) fn new(dag_id: Arc<str>, facts: Arc<BackfillFacts>, at: Timestamp) -> Self {
        Self {
            dag_id,
            facts,
            created_at: at,
            updated_at: at,
            completed_at: None,
            is_paused: false,
            is_cancelled: false,
            cursor: None,
            passed: 0,
            runs: [0; 4],
        }
    }

    pub(super) fn restore(dag_id: Arc<str>, image: &BackfillImage) -> Self {
        let mut backfill = Self::new(dag_id, image.facts.clone(), image.created_at);
        backfill.updated_at = image.updated_at;
        backfill.completed_at = image.completed_at;
        backfill.is_paused = image.is_paused;
        backfill.is_cancelled = image.is_cancelled;
        backfill.cursor = image.cursor;
        backfill.passed = image.passed;
        backfill.runs[RunState::Success as usize] = image.success;
        backfill.runs[RunState::Failed as usize] = image.failed;
        backfill
    }

    /// All but its runs that are not over: they are restored with themselves.
    pub(super) fn image(&self) -> BackfillImage {
        BackfillImage {
            facts: self.facts.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            completed_at: self.completed_at,
            is_paused: self.is_paused,
            is_cancelled: self.is_cancelled,
            cursor: self.cursor,
            passed: self.passed,
            success: self.count(RunState::Success),
            failed: self.count(RunState::Failed),
        }
    }

    /// How many of its runs are in a state.
    pub fn count(&self, state: RunState) -> u64 {
        self.runs[state as usize]
    }

    /// Whether nothing more comes of it.
    pub fn is_over(&self) -> bool {
        self.completed_at.is_some()
    }

    /// A run of it came to another state, or into being.
    pub(super) fn recount(&mut self, was: Option<RunState>, is: RunState) {
        if let Some(was) = was {
            self.runs[was as usize] = self.runs[was as usize].saturating_sub(1);
        }
        self.runs[is as usize] += 1;
    }

    /// The date of this fire is done.
    pub(super) fn advance(&mut self, fire: Timestamp) {
        self.cursor = Some(match self.cursor {
            Some(cursor) if self.facts.newest_first => cursor.min(fire),
            Some(cursor) => cursor.max(fire),
            None => fire,
        });
    }

    pub(super) fn apply(&mut self, at: Timestamp, fact: &BackfillFact) {
        self.updated_at = at;
        match fact {
            BackfillFact::Created(_) | BackfillFact::Restored(_) => {}
            BackfillFact::Paused(is_paused) => self.is_paused = *is_paused,
            BackfillFact::Passed { until, dates } => {
                self.passed += u64::from(*dates);
                self.advance(*until);
            }
            BackfillFact::Cancelled => {
                self.is_cancelled = true;
                self.completed_at = Some(at);
            }
            BackfillFact::Completed => self.completed_at = Some(at),
        }
    }
}

/// What history has said of the dates of active backfills; `None`: it was asked.
pub(super) type Looked = BTreeMap<BackfillNumber, Option<Vec<PastDate>>>;

impl Scheduler {
    pub(super) fn create_backfill(
        &mut self,
        turn: &mut Turn,
        new: NewBackfill,
    ) -> Result<Answer, Refusal> {
        if self.is_shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        let known = self
            .state
            .dag(&new.dag_id)
            .filter(|known| !known.is_removed);
        let known = known.ok_or_else(|| Refusal::NoDag(new.dag_id.clone()))?;
        if backfill_timetable(known, turn.now.wall).is_none() {
            return Err(Refusal::NoDates(new.dag_id));
        }
        if new.facts.from > new.facts.to {
            return Err(Refusal::BadSpan("it ends before it begins"));
        }
        if new.facts.to > turn.now.wall {
            return Err(Refusal::BadSpan("it ends in the future"));
        }
        if let Some(number) = known.active_backfill {
            return Err(Refusal::BackfillExists(new.dag_id, number));
        }
        let dag_id = known.dag.dag_id.clone();
        let number = self.state.next_backfill();
        let fact = BackfillFact::Created(Arc::new(new.facts));
        self.record(turn, &dag_id, Fact::Backfill(number, fact));
        self.waking.push_back(dag_id);
        Ok(Answer::Backfill(number))
    }

    pub(super) fn change_backfill(
        &mut self,
        turn: &mut Turn,
        number: BackfillNumber,
        change: BackfillChange,
    ) -> Result<Answer, Refusal> {
        let backfill = self.state.backfill(number);
        let backfill = backfill.ok_or(Refusal::NoBackfill(number))?;
        if backfill.is_over() {
            return Err(Refusal::BackfillOver(number));
        }
        let dag_id = backfill.dag_id.clone();
        let fact = match change {
            BackfillChange::Pause => BackfillFact::Paused(true),
            BackfillChange::Unpause => BackfillFact::Paused(false),
            BackfillChange::Cancel => BackfillFact::Cancelled,
        };
        if fact != BackfillFact::Paused(backfill.is_paused) {
            self.record(turn, &dag_id, Fact::Backfill(number, fact));
        }
        if change == BackfillChange::Cancel {
            let queued = self.state.dag(&dag_id).map(|known| &known.backfill_queued);
            for run in queued.cloned().unwrap_or_default() {
                self.stop_run(turn, run, StopReason::Cancelled);
            }
            self.looked.remove(&number);
        }
        self.waking.push_back(dag_id);
        Ok(Answer::Backfill(number))
    }

    /// History has said which dates have runs.
    pub(super) fn found(&mut self, number: BackfillNumber, mut dates: Vec<PastDate>) {
        let backfill = self.state.backfill(number);
        let Some(backfill) = backfill.filter(|backfill| !backfill.is_over()) else {
            return;
        };
        dates.sort_unstable_by_key(|date| date.logical_date);
        self.looked.insert(number, Some(dates));
        self.waking.push_back(backfill.dag_id.clone());
    }

    /// How many runs of backfills a DAG may have at once.
    pub(super) fn backfill_runs_max(&self, known: &DagState) -> u32 {
        let backfill = known
            .active_backfill
            .and_then(|number| self.state.backfill(number));
        match backfill {
            Some(backfill) if backfill.is_paused => 0,
            Some(backfill) => backfill.facts.max_active_runs,
            // What is left is runs that somebody has cleared.
            None => known.dag.max_active_runs,
        }
    }

    /// Creates the runs of a DAG's backfill that have room, and completes it when there are no more.
    pub(super) fn fill(&mut self, turn: &mut Turn, dag_id: &Arc<str>) {
        let mut dates = 0;
        while let Some((number, is_done)) = self.fill_once(turn, dag_id, &mut dates) {
            if is_done {
                self.record(
                    turn,
                    dag_id,
                    Fact::Backfill(number, BackfillFact::Completed),
                );
                self.looked.remove(&number);
                return;
            }
            turn.backfilled += 1;
            if turn.backfilled >= RUNS_PER_TURN || dates >= DATES_PER_TURN {
                return self
                    .timers
                    .set(Timer::Backfill(number), turn.now.monotonic.after(TURN));
            }
        }
    }

    /// Creates one run, or passes over dates that need none. `None`: it has to wait. True: it is done.
    fn fill_once(
        &mut self,
        turn: &mut Turn,
        dag_id: &Arc<str>,
        dates: &mut u32,
    ) -> Option<(BackfillNumber, bool)> {
        let known = self.state.dag(dag_id)?;
        let number = known.active_backfill?;
        let backfill = self.state.backfill(number)?;
        // Dates hang on when it was seen, and a clock that is not believed does not say.
        let is_seen = known.first_seen.is_some();
        if known.is_removed
            || !is_seen
            || !self.may_start()
            || self.timers.is_set(Timer::Backfill(number))
        {
            return None;
        }
        let Some(looked) = self.looked.get(&number) else {
            let facts = &backfill.facts;
            let look = Look {
                backfill: number,
                dag_id: dag_id.clone(),
                from: facts.from,
                to: facts.to,
            };
            self.looked.insert(number, None);
            turn.actions.push(Action::Look(look));
            return None;
        };
        let (dag, facts) = (known.dag.clone(), backfill.facts.clone());
        let active = known.backfill_running + u32::try_from(known.backfill_queued.len()).ok()?;
        let looked = looked.as_deref()?;
        if backfill.is_paused || active >= facts.max_active_runs {
            return None;
        }
        let timetable = backfill_timetable(known, turn.now.wall);
        let mut cursor = backfill.cursor;
        let mut passed = 0;
        let found = loop {
            let Some(timetable) = &timetable else {
                break None;
            };
            let until = backfill.created_at;
            let date = next_date(timetable, dag.timetable, &facts, cursor, until);
            let Some(date) = date else {
                break None;
            };
            let (latest, names) = self.latest(known, looked, date.logical_date);
            let is_new = !self.has_filled(known, number, date.logical_date);
            if is_new && is_wanted(facts.reprocess, latest) {
                break Some((date, names));
            }
            cursor = Some(date.data_interval.1);
            passed += 1;
            *dates += 1;
            if *dates >= DATES_PER_TURN {
                break None;
            }
        };
        let is_at_the_end = found.is_none() && *dates < DATES_PER_TURN;
        if let Some(until) = cursor.filter(|_| passed > 0) {
            let fact = BackfillFact::Passed {
                until,
                dates: passed,
            };
            self.record(turn, dag_id, Fact::Backfill(number, fact));
        }
        let Some((date, names)) = found else {
            let is_done = is_at_the_end && active == 0;
            return (is_done || !is_at_the_end).then_some((number, is_done));
        };
        let facts = RunFacts {
            run_id: self.fresh_run_id(dag_id, date.logical_date, names),
            run_type: RunType::Backfill,
            logical_date: date.logical_date,
            data_interval: Some(date.data_interval),
            params: facts.params.clone(),
            clock: self.verdict.trust,
            occasion: Some(Occasion::Backfill(number)),
        };
        let fact = RunFact::Created(Arc::new(facts));
        let run = self.state.next_run();
        self.record(turn, dag_id, Fact::Run(run, fact));
        self.touch_all_following(run);
        Some((number, false))
    }

    /// Whether a backfill has run a date: under another schedule, it may be named again.
    fn has_filled(&self, known: &DagState, number: BackfillNumber, date: Timestamp) -> bool {
        let of_date = (date, RunNumber(0))..=(date, RunNumber(u64::MAX));
        let mut runs = known.by_date.range(of_date);
        runs.any(|(_, run)| {
            let run = self.state.run(*run);
            run.is_some_and(|run| run.facts.occasion == Some(Occasion::Backfill(number)))
        })
    }

    /// The state of the latest run of a date, and how many runs of backfills it has had.
    fn latest(
        &self,
        known: &DagState,
        looked: &[PastDate],
        date: Timestamp,
    ) -> (Option<RunState>, u32) {
        let past = looked.binary_search_by_key(&date, |past| past.logical_date);
        let past = past.ok().map(|at| &looked[at]);
        // What is in memory may have come since.
        let runs = known.runs.values().rev();
        let runs = runs.filter_map(|number| Some((*number, self.state.run(*number)?)));
        let held = runs
            .filter(|(_, run)| run.facts.logical_date == date)
            .max_by_key(|(number, _)| *number);
        let latest = held
            .map(|(_, run)| run.state)
            .or(past.map(|past| past.state));
        (latest, past.map_or(0, |past| past.backfills))
    }

    /// `backfill__<logical date>`, with a number if it is not the first.
    fn fresh_run_id(&self, dag_id: &str, date: Timestamp, names: u32) -> Arc<str> {
        let name = |n: u32| match n {
            0 => format!("{}__{date}", RunType::Backfill.name()),
            n => format!("{}__{date}__{}", RunType::Backfill.name(), n + 1),
        };
        let is_taken = |name: &str| self.state.find_run(dag_id, name).is_some();
        let mut n = names;
        while is_taken(&name(n)) {
            n += 1;
        }
        name(n).into()
    }
}
