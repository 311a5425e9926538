//! What is: every DAG, its live runs and their task instances, as the records say.
//!
//! [`State::apply`] is the only thing that changes it, live and at replay alike, and it refuses a
//! record that does not follow from the ones before it. So two states that have applied the same
//! records are equal, and a state never holds what no record says.
//!
//! Finished runs stay for a while (`kept`) so that they can be cleared; history is the
//! journal's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::backfill::Backfill;
use super::dag_state::{DagState, RunsOver};
use super::record::{
    BackfillFact, BackfillNumber, Fact, Occasion, Record, RunFact, RunNumber, RunType,
};
use super::run::Run;
use super::states::RunState;
use crate::dag::Dag;
use crate::timetable::Timestamp;

/// Backfills of one DAG that are kept in memory.
const BACKFILLS_KEPT_MAX: usize = 8;

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
        let known = DagState::new(dag);
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
                if *fact == RunFact::Deleted {
                    self.forget_run(dag_id, *number);
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

    /// Lets go of a run that is over.
    pub(super) fn forget_run(&mut self, dag_id: &str, number: RunNumber) {
        if let (Some(dag), Some(run)) = (self.dags.get_mut(dag_id), self.runs.remove(&number)) {
            dag.finished.retain(|finished| *finished != number);
            dag.finished_tasks -= run.tasks().len();
            dag.runs.remove(&run.facts.run_id);
            dag.by_date.remove(&(run.facts.logical_date, number));
        }
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
}
