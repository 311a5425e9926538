//! What is: every DAG, its live runs and their task instances, as the records say.
//!
//! [`State::apply`] is the only thing that changes it, live and at replay alike, and it refuses a
//! record that does not follow from the ones before it. So two states that have applied the same
//! records are equal, and a state never holds what no record says.
//!
//! Finished runs stay for a while ([`RUNS_KEPT_MAX`]) so that they can be cleared; history is the
//! journal's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::backfill::Backfill;
use super::choice::XCOM_RUN_BYTES_MAX;
use super::ran::Ran;
use super::record::{
    BackfillFact, BackfillNumber, Fact, Occasion, Record, RunFact, RunNumber, RunType, RunsOver,
    TaskFact,
};
use super::run::Run;
use super::states::RunState;
use crate::dag::{Dag, TimetableKind};
use crate::timetable::Timestamp;

/// Finished runs of one DAG that are kept in memory.
pub const RUNS_KEPT_MAX: usize = 8;
/// Backfills of one DAG that are kept in memory.
const BACKFILLS_KEPT_MAX: usize = 8;
/// Task instances of finished runs of one DAG that are kept in memory, if that is fewer runs.
const TASKS_KEPT_MAX: usize = 1_000;

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
    /// that was far ahead has been set back ([`Fact::Rewound`]).
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
    backfills: VecDeque<BackfillNumber>,
    /// The finished runs, in the order they finished.
    finished: VecDeque<RunNumber>,
    finished_tasks: usize,
}

impl DagState {
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

    fn schedule_until(&mut self, fire: Timestamp) {
        self.scheduled_until = self.scheduled_until.max(Some(fire));
    }

    /// What it was due for is done with.
    fn serve(&mut self, occasion: &Occasion) {
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
    fn lane(&mut self, run_type: RunType) -> (&mut BTreeSet<RunNumber>, &mut u32) {
        match run_type {
            RunType::Scheduled | RunType::Manual => (&mut self.queued, &mut self.active_runs),
            RunType::Backfill => (&mut self.backfill_queued, &mut self.backfill_running),
        }
    }

    /// Keeps count of a run, of so many tasks, that has changed.
    fn apply(&mut self, number: RunNumber, run_type: RunType, tasks: usize, fact: &RunFact) {
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
            RunFact::Deleted => {
                self.finished.retain(|known| *known != number);
                self.finished_tasks -= tasks;
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
            | RunFact::Task(..) => {}
        }
    }
}

/// The record does not follow from the ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyError(pub(super) String);

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ApplyError {}

/// Everything the scheduler knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    dags: BTreeMap<Arc<str>, DagState>,
    runs: BTreeMap<RunNumber, Run>,
    runs_created: u64,
    backfills: BTreeMap<BackfillNumber, Backfill>,
    backfills_created: u64,
}

impl State {
    /// Offers a DAG, or a new version of one: runs created from now on use it.
    pub fn insert_dag(&mut self, dag: Arc<Dag>) {
        if let Some(known) = self.dags.get_mut(&dag.dag_id) {
            known.dag = dag;
            known.is_removed = false;
            return;
        }
        let known = DagState {
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
        };
        self.dags.insert(known.dag.dag_id.clone(), known);
    }

    /// Offers a DAG no more: nobody can trigger it. What is known of it stays, in case it comes back.
    pub fn remove_dag(&mut self, dag_id: &str) {
        if let Some(known) = self.dags.get_mut(dag_id) {
            known.is_removed = true;
        }
    }

    /// A DAG by its id.
    pub fn dag(&self, dag_id: &str) -> Option<&DagState> {
        self.dags.get(dag_id)
    }

    /// Every DAG, ordered by id.
    pub fn dags(&self) -> impl Iterator<Item = &DagState> {
        self.dags.values()
    }

    /// A run that is held in memory.
    pub fn run(&self, number: RunNumber) -> Option<&Run> {
        self.runs.get(&number)
    }

    /// A run by its name.
    pub fn find_run(&self, dag_id: &str, run_id: &str) -> Option<(RunNumber, &Run)> {
        let number = *self.dags.get(dag_id)?.runs.get(run_id)?;
        Some((number, self.runs.get(&number)?))
    }

    /// Every run that is held in memory, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = (RunNumber, &Run)> {
        self.runs.iter().map(|(number, run)| (*number, run))
    }

    /// The number of the next run that is created.
    pub fn next_run(&self) -> RunNumber {
        RunNumber(self.runs_created + 1)
    }

    /// A backfill that is held in memory.
    pub fn backfill(&self, number: BackfillNumber) -> Option<&Backfill> {
        self.backfills.get(&number)
    }

    /// Every backfill that is held in memory, oldest first.
    pub fn backfills(&self) -> impl Iterator<Item = (BackfillNumber, &Backfill)> {
        let backfills = self.backfills.iter();
        backfills.map(|(number, backfill)| (*number, backfill))
    }

    /// The number of the next backfill that is created.
    pub fn next_backfill(&self) -> BackfillNumber {
        BackfillNumber(self.backfills_created + 1)
    }

    /// Numbers up to this one are taken, by backfills of DAGs that are not there.
    pub fn skip_backfills(&mut self, number: BackfillNumber) {
        self.backfills_created = self.backfills_created.max(number.0);
    }

    /// Numbers up to this one are taken, by runs of DAGs that are not there.
    pub fn skip_runs(&mut self, runs_created: u64) {
        self.runs_created = self.runs_created.max(runs_created);
    }

    /// Takes note of what a record says of a DAG, if its run finds no place: one of another version may not.
    pub fn note_run(&mut self, dag_id: &str, number: RunNumber, fact: &RunFact) {
        self.skip_runs(number.0);
        let Some(dag) = self.dags.get_mut(dag_id) else {
            return;
        };
        match fact {
            RunFact::Created(facts) => {
                if let Some(occasion) = &facts.occasion {
                    dag.serve(occasion);
                }
                if let (Some(Occasion::Backfill(number)), Some((_, fire))) =
                    (&facts.occasion, facts.data_interval)
                    && let Some(backfill) = self.backfills.get_mut(number)
                {
                    backfill.advance(fire);
                }
            }
            RunFact::Ended { success } => {
                dag.successes += u64::from(*success);
                let was = self.runs.get(&number).map(|run| run.state);
                dag.over.recount(was, Some(RunState::over(*success)));
            }
            RunFact::Restored(_)
            | RunFact::Started
            | RunFact::Stopped(_)
            | RunFact::Cleared(_)
            | RunFact::Noted(_)
            | RunFact::Deleted
            | RunFact::Task(..) => {}
        }
    }

    /// Changes the state as `record` says, or changes nothing and says why the record cannot be true.
    /// O(log n) in DAGs and runs; O(downstream) for a task, O(tasks of the run) for a run.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        let dag_id = &record.dag_id;
        let Some(dag) = self.dags.get_mut(dag_id) else {
            return Err(ApplyError(format!("there is no DAG `{dag_id}`")));
        };
        match &record.fact {
            Fact::Seen { is_paused } => {
                dag.first_seen = Some(record.at.truncated_to_secs());
                dag.is_paused = *is_paused;
            }
            Fact::Paused(is_paused) => dag.is_paused = *is_paused,
            Fact::Skipped { until } => dag.schedule_until(*until),
            Fact::Rewound { until } => dag.scheduled_until = Some(*until),
            Fact::Passed(occasion) => dag.serve(occasion),
            Fact::Restored {
                is_paused,
                first_seen,
                scheduled_until,
                boot_id,
                heard,
                ran,
                successes,
                over,
                runs_created,
            } => {
                dag.is_paused = *is_paused;
                dag.first_seen = *first_seen;
                dag.scheduled_until = *scheduled_until;
                dag.ran = ran.clone();
                dag.boot_id.clone_from(boot_id);
                dag.heard.clone_from(heard);
                dag.successes = *successes;
                let runs = &self.runs;
                let counted = || {
                    let mut over = RunsOver::default();
                    for run in dag.finished.iter().filter_map(|number| runs.get(number)) {
                        over.recount(None, Some(run.state));
                    }
                    over
                };
                dag.over = over.unwrap_or_else(counted);
                self.runs_created = self.runs_created.max(*runs_created);
            }
            Fact::Backfill(number, fact) => {
                self.apply_backfill(record.at, dag_id, *number, fact)?;
            }
            Fact::Run(number, RunFact::Created(facts)) => {
                let run = Run::new(dag.dag.clone(), facts.clone(), record.at);
                if number.0 <= self.runs_created {
                    return Err(ApplyError(format!(
                        "run {} of `{dag_id}` is not new",
                        number.0
                    )));
                }
                self.insert_run(*number, run)?;
                if let (Some(dag), Some(occasion)) = (self.dags.get_mut(dag_id), &facts.occasion) {
                    dag.serve(occasion);
                }
            }
            Fact::Run(number, RunFact::Restored(image)) => {
                let run = Run::restore(dag.dag.clone(), image);
                // One that was history then may be kept here: that depends on which DAGs are there.
                if dag.finished.contains(number) && run.state.is_finished() {
                    self.forget_run(dag_id, *number);
                }
                self.insert_run(*number, run)?;
            }
            Fact::Run(number, fact) => {
                let Some(run) = self
                    .runs
                    .get_mut(number)
                    .filter(|run| run.dag.dag_id == *dag_id)
                else {
                    return Err(ApplyError(format!("`{dag_id}` has no run {}", number.0)));
                };
                let was = run.state;
                run.apply(record.at, fact)?;
                dag.apply(*number, run.facts.run_type, run.tasks().len(), fact);
                let is = (*fact != RunFact::Deleted).then_some(run.state);
                if is != Some(was) {
                    dag.over.recount(Some(was), is);
                }
                if was != run.state
                    && let Some(Occasion::Backfill(of)) = run.facts.occasion
                    && let Some(backfill) = self.backfills.get_mut(&of)
                {
                    backfill.recount(Some(was), run.state);
                }
                if *fact == RunFact::Deleted
                    && let Some(run) = self.runs.remove(number)
                {
                    dag.runs.remove(&run.facts.run_id);
                    dag.by_date.remove(&(run.facts.logical_date, *number));
                }
                self.forget_old_runs(dag_id);
            }
        }
        Ok(())
    }

    fn apply_backfill(
        &mut self,
        at: Timestamp,
        dag_id: &Arc<str>,
        number: BackfillNumber,
        fact: &BackfillFact,
    ) -> Result<(), ApplyError> {
        let refuse = |what| {
            Err(ApplyError(format!(
                "backfill {} of `{dag_id}` {what}",
                number.0
            )))
        };
        let Some(dag) = self.dags.get_mut(dag_id) else {
            return refuse("is of no DAG");
        };
        let fresh = match fact {
            BackfillFact::Created(facts) => Backfill::new(dag_id.clone(), facts.clone(), at),
            BackfillFact::Restored(image) => Backfill::restore(dag_id.clone(), image),
            BackfillFact::Paused(_)
            | BackfillFact::Passed { .. }
            | BackfillFact::Cancelled
            | BackfillFact::Completed => {
                let backfill = self.backfills.get_mut(&number);
                let Some(backfill) = backfill.filter(|backfill| !backfill.is_over()) else {
                    return refuse("changes, but there is none that is not over");
                };
                backfill.apply(at, fact);
                if backfill.is_over() {
                    dag.active_backfill = None;
                }
                return Ok(());
            }
        };
        if self.backfills.contains_key(&number) || dag.active_backfill.is_some() {
            return refuse("is not new, or the DAG has another");
        }
        if !fresh.is_over() {
            dag.active_backfill = Some(number);
        }
        dag.backfills.push_back(number);
        if dag.backfills.len() > BACKFILLS_KEPT_MAX
            && let Some(oldest) = dag.backfills.pop_front()
        {
            self.backfills.remove(&oldest);
        }
        self.backfills.insert(number, fresh);
        self.skip_backfills(number);
        Ok(())
    }

    fn insert_run(&mut self, number: RunNumber, run: Run) -> Result<(), ApplyError> {
        let (dag_id, run_id) = (&run.dag.dag_id, &run.facts.run_id);
        let Some(dag) = self
            .dags
            .get_mut(dag_id)
            .filter(|_| !self.runs.contains_key(&number))
        else {
            return Err(ApplyError(format!("there is a run {} already", number.0)));
        };
        if dag.runs.contains_key(run_id) {
            return Err(ApplyError(format!(
                "there is a run `{dag_id}/{run_id}` already"
            )));
        }
        dag.runs.insert(run_id.clone(), number);
        dag.by_date.insert((run.facts.logical_date, number));
        let (queued, running) = dag.lane(run.facts.run_type);
        match run.state {
            RunState::Queued => {
                queued.insert(number);
            }
            RunState::Running => *running += 1,
            RunState::Success | RunState::Failed => {
                dag.finished.push_back(number);
                dag.finished_tasks += run.tasks().len();
            }
        }
        // One that is over was counted when it was created.
        let is_new = run.state == RunState::Queued;
        if let (RunType::Scheduled, Some(interval)) = (run.facts.run_type, run.facts.data_interval)
            && is_new
        {
            dag.schedule_until(interval.1);
            dag.ran.take(run.facts.logical_date, interval);
        }
        if let (Some(Occasion::Backfill(of)), Some((_, fire))) =
            (&run.facts.occasion, run.facts.data_interval)
            && let Some(backfill) = self.backfills.get_mut(of)
        {
            backfill.advance(fire);
            // Those that are over are in its image.
            if !run.state.is_finished() {
                backfill.recount(None, run.state);
            }
        }
        self.runs_created = self.runs_created.max(number.0);
        let dag_id = dag_id.clone();
        self.runs.insert(number, run);
        self.forget_old_runs(&dag_id);
        Ok(())
    }

    /// Records that make an equal state of one that knows the DAGs and nothing else. Runs that are over
    /// come last, in the order they ended: the others say which of them are needed. A DAG comes after its runs:
    /// what the schedule has done is not what they would make of it if the clock was set back since.
    pub fn snapshot(&self, at: Timestamp) -> impl Iterator<Item = Record> {
        let runs_created = self.runs_created;
        self.dags.values().flat_map(move |dag| {
            let record = move |fact| Record {
                at,
                dag_id: dag.dag.dag_id.clone(),
                fact,
            };
            let restored = record(Fact::Restored {
                is_paused: dag.is_paused,
                first_seen: dag.first_seen,
                scheduled_until: dag.scheduled_until,
                ran: dag.ran.clone(),
                boot_id: dag.boot_id.clone(),
                heard: dag.heard.clone(),
                successes: dag.successes,
                over: Some(dag.over),
                runs_created,
            });
            let backfills = dag.backfills.iter().filter_map(move |number| {
                let image = self.backfills.get(number)?.image();
                let fact = BackfillFact::Restored(Box::new(image));
                Some(record(Fact::Backfill(*number, fact)))
            });
            let is_live = |number: &&RunNumber| !dag.finished.contains(*number);
            let live = dag.runs.values().filter(is_live);
            let numbers = live.chain(dag.finished.iter());
            let runs = numbers.filter_map(move |number| {
                let image = self.runs.get(number)?.image();
                let fact = RunFact::Restored(Box::new(image));
                Some(record(Fact::Run(*number, fact)))
            });
            let restored = std::iter::once(restored);
            backfills.chain(runs).chain(restored)
        })
    }

    /// The end of what the last successful run of a DAG before `logical_date` was about: of its data interval,
    /// or its logical date if it has none. Of the runs in memory, among which the last success always is.
    pub fn previous_success(&self, dag_id: &str, logical_date: Timestamp) -> Option<Timestamp> {
        let numbers = self.dags.get(dag_id)?.finished.iter();
        let runs = numbers.filter_map(|number| self.runs.get(number));
        let before = runs
            .filter(|run| run.state == RunState::Success && run.facts.logical_date < logical_date);
        let facts = &before.max_by_key(|run| run.facts.logical_date)?.facts;
        Some(
            facts
                .data_interval
                .map_or(facts.logical_date, |(_, end)| end),
        )
    }

    /// Keeps the latest finished run of a DAG, its last success and those that others ask for
    /// ([`State::is_needed`]) always, and more while they are few and small.
    pub(super) fn forget_old_runs(&mut self, dag_id: &str) {
        while let Some(number) = self.run_to_forget(dag_id) {
            self.forget_run(dag_id, number);
        }
    }

    fn forget_run(&mut self, dag_id: &str, number: RunNumber) {
        if let (Some(dag), Some(run)) = (self.dags.get_mut(dag_id), self.runs.remove(&number)) {
            dag.finished.retain(|finished| *finished != number);
            dag.finished_tasks -= run.tasks().len();
            dag.runs.remove(&run.facts.run_id);
            dag.by_date.remove(&(run.facts.logical_date, number));
        }
    }

    /// Of too many finished runs, or too large ones, the oldest that nobody needs.
    fn run_to_forget(&self, dag_id: &str) -> Option<RunNumber> {
        let dag = self.dags.get(dag_id)?;
        let of = |number: &RunNumber| self.runs.get(number);
        // Those that a DAG may ask for that is not there do not count: what else is kept is what would be without them.
        // The latest would be there with that DAG, too.
        let finished = dag
            .finished
            .iter()
            .filter_map(|number| Some((number, of(number)?)));
        let (extra, counted): (Vec<_>, Vec<_>) = finished
            .partition(|(number, run)| dag.finished.back() != Some(*number) && self.is_orphan(run));
        let tasks_of_extra: usize = extra.iter().map(|(_, run)| run.tasks().len()).sum();
        let xcom_bytes = counted.iter().map(|(_, run)| run.xcom_bytes);
        if counted.len() <= RUNS_KEPT_MAX
            && dag.finished_tasks - tasks_of_extra <= TASKS_KEPT_MAX
            && xcom_bytes.sum::<usize>() <= XCOM_RUN_BYTES_MAX
        {
            return None;
        }
        let is_success =
            |number: &&RunNumber| of(number).is_some_and(|run| run.state == RunState::Success);
        let successes = dag.finished.iter().filter(is_success);
        let last = successes.max_by_key(|number| of(number).map(|run| run.facts.logical_date));
        let mut needed = self.is_needed(dag);
        needed.extend(last);
        needed.extend(dag.finished.back());
        let mut oldest_first = dag.finished.iter();
        oldest_first
            .find(|number| !needed.contains(number))
            .copied()
    }
}
