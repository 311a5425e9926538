//! Commands: what people and other programs may ask for.
//!
//! A command that is refused has changed nothing, but that the run it names may be on record once more.

use std::sync::Arc;

use super::dag_state::DagState;
use super::event::{Answer, Command, Refusal, Selection, Trigger};
use super::image::RunImage;
use super::record::{Fact, Occasion, RunFact, RunFacts, RunNumber, StopCause, StopReason};
use super::run::Run;
use super::schedule::data_interval;
use super::states::TaskState;
use super::timers::Timer;
use super::{RUN_ID_BYTES_MAX, RUNS_QUEUED_MAX, Scheduler, Turn};
use crate::dag::{Task, TaskIndex};

impl Scheduler {
    pub(super) fn command(&mut self, turn: &mut Turn, command: Command) -> Result<Answer, Refusal> {
        if let Command::Clear { dag_id, run_id, .. }
        | Command::Mark { dag_id, run_id, .. }
        | Command::Note { dag_id, run_id, .. }
        | Command::Delete { dag_id, run_id } = &command
        {
            self.keep(turn, dag_id, run_id);
        }
        match command {
            Command::Trigger(trigger) => self.trigger(turn, trigger),
            Command::Cancel { dag_id, run_id } => self.cancel(turn, &dag_id, &run_id),
            Command::Clear {
                dag_id,
                run_id,
                selection,
            } => self.clear(turn, &dag_id, &run_id, &selection),
            Command::Mark {
                dag_id,
                run_id,
                tasks,
                mark,
            } => self.mark(turn, (&dag_id, &run_id), &tasks, mark),
            Command::Note {
                dag_id,
                run_id,
                task_id,
                note,
            } => self.note(turn, (&dag_id, &run_id), task_id.as_deref(), &note),
            Command::Delete { dag_id, run_id } => self.delete(turn, (&dag_id, &run_id)),
            Command::Pause { dag_id, is_paused } => self.pause(turn, &dag_id, is_paused),
            Command::Backfill(new) => self.create_backfill(turn, new),
            Command::ChangeBackfill(number, change) => self.change_backfill(turn, number, change),
        }
    }

    /// Takes a run of the past back into memory, on record, if that is possible.
    pub(super) fn recalled(
        &mut self,
        turn: &mut Turn,
        dag_id: &Arc<str>,
        number: RunNumber,
        image: Box<RunImage>,
    ) {
        let is_there = self.state.run(number).is_some();
        let is_fit = |known: &DagState| !known.runs.contains_key(&image.facts.run_id);
        if !is_there && image.state.is_finished() && self.state.dag(dag_id).is_some_and(is_fit) {
            let fact = RunFact::Restored(image);
            self.record(turn, dag_id, Fact::Run(number, fact));
            self.touch_all_following(number);
        }
    }

    /// Puts a run on record as it is, if it may be only history where a DAG is there that is not here: what becomes of it
    /// then finds it.
    fn keep(&mut self, turn: &mut Turn, dag_id: &str, run_id: &str) {
        let Ok((number, run)) = self.find(dag_id, run_id) else {
            return;
        };
        if run.state.is_finished() && self.state.has_orphans(dag_id) {
            let fact = RunFact::Restored(Box::new(run.image()));
            self.record_run(turn, number, fact);
        }
    }

    fn trigger(&mut self, turn: &mut Turn, trigger: Trigger) -> Result<Answer, Refusal> {
        if self.is_shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        let run_id = self.create_triggered(turn, trigger, None)?;
        Ok(Answer::Triggered(run_id))
    }

    /// Creates a run that somebody asks for, or a task.
    pub(super) fn create_triggered(
        &mut self,
        turn: &mut Turn,
        trigger: Trigger,
        occasion: Option<Occasion>,
    ) -> Result<Arc<str>, Refusal> {
        let known = self
            .state
            .dag(&trigger.dag_id)
            .filter(|known| !known.is_removed)
            .ok_or_else(|| Refusal::NoDag(trigger.dag_id.clone()))?;
        let dag_id = known.dag.dag_id.clone();
        let logical_date = trigger
            .logical_date
            .unwrap_or(turn.now.wall)
            .truncated_to_secs();
        let run_id = trigger
            .run_id
            .unwrap_or_else(|| format!("{}__{logical_date}", trigger.run_type.name()));
        if !is_run_id(&run_id) {
            return Err(Refusal::BadRunId(run_id));
        }
        if let Some((existing, _)) = known.runs.get_key_value(run_id.as_str()) {
            return Err(Refusal::RunExists(existing.clone()));
        }
        if known.queued.len() >= RUNS_QUEUED_MAX {
            return Err(Refusal::TooManyQueued(trigger.dag_id));
        }
        if let Err(why) = known.dag.check_params(&trigger.params) {
            return Err(Refusal::BadParams(why));
        }
        let first_seen = known.first_seen.unwrap_or(turn.now.wall);
        let data_interval = trigger
            .data_interval
            .or_else(|| data_interval(&known.dag, first_seen, logical_date));
        let run_id: Arc<str> = run_id.into();
        let facts = RunFacts {
            run_id: run_id.clone(),
            run_type: trigger.run_type,
            logical_date,
            data_interval,
            params: trigger.params,
            clock: self.verdict.trust,
            occasion,
        };
        let fact = RunFact::Created(Arc::new(facts));
        let number = self.state.next_run();
        self.record(turn, &dag_id, Fact::Run(number, fact));
        self.touch_all_following(number);
        self.waking.push_back(dag_id);
        Ok(run_id)
    }

    fn cancel(&mut self, turn: &mut Turn, dag_id: &str, run_id: &str) -> Result<Answer, Refusal> {
        let (number, run) = self.find(dag_id, run_id)?;
        if run.state.is_finished() {
            return Err(Refusal::RunFinished(run_id.to_owned()));
        }
        self.stop_run(turn, number, StopReason::Cancelled);
        Ok(Answer::Cancelled)
    }

    fn clear(
        &mut self,
        turn: &mut Turn,
        dag_id: &str,
        run_id: &str,
        selection: &Selection,
    ) -> Result<Answer, Refusal> {
        let (number, run) = self.find(dag_id, run_id)?;
        if run.stopped.is_some() {
            return Err(Refusal::RunStopping(run_id.to_owned()));
        }
        let selected = selection.of(run)?;
        let dag = run.dag.clone();
        let tasks: Vec<_> = selected
            .iter()
            .map(|i| dag.task(*i).task_id.clone())
            .collect();
        if tasks.is_empty() {
            return Ok(Answer::Cleared(tasks));
        }
        for index in &selected {
            self.withdraw(number, *index);
            self.timers.cancel(Timer::GiveUp(number, *index));
            self.put_on_record(turn, number, *index);
            self.stop_attempt(turn, number, *index, StopCause::Cleared);
        }
        self.record_run(turn, number, RunFact::Cleared(tasks.clone()));
        self.touch_all_following(number);
        for index in &selected {
            self.touched.push_back((number, *index));
            let downstream = &dag.task(*index).downstream;
            self.touched
                .extend(downstream.iter().map(|index| (number, *index)));
        }
        self.waking.push_back(dag.dag_id.clone());
        Ok(Answer::Cleared(tasks))
    }

    fn pause(&mut self, turn: &mut Turn, dag_id: &str, paused: bool) -> Result<Answer, Refusal> {
        let known = self
            .state
            .dag(dag_id)
            .ok_or_else(|| Refusal::NoDag(dag_id.to_owned()))?;
        let dag_id = known.dag.dag_id.clone();
        if known.is_paused != paused {
            self.record(turn, &dag_id, Fact::Paused(paused));
            self.open_or_shut(&dag_id);
            self.touch_triggers(&dag_id);
            self.waking.push_back(dag_id);
        }
        Ok(Answer::Paused)
    }

    pub(super) fn find(&self, dag_id: &str, run_id: &str) -> Result<(RunNumber, &Run), Refusal> {
        if self.state.dag(dag_id).is_none() {
            return Err(Refusal::NoDag(dag_id.to_owned()));
        }
        self.state
            .find_run(dag_id, run_id)
            .ok_or_else(|| Refusal::NoRun(run_id.to_owned()))
    }
}

impl Selection {
    /// The task instances of a run that [`Command::Clear`] would run again, in the DAG's order.
    /// O(tasks + dependencies).
    pub fn of(&self, run: &Run) -> Result<Vec<TaskIndex>, Refusal> {
        let mut is_selected = vec![self.tasks.is_empty(); run.tasks().len()];
        let mut named = Vec::new();
        for task_id in &self.tasks {
            let index = run
                .dag
                .find(task_id)
                .ok_or_else(|| Refusal::NoTask(task_id.clone()))?;
            is_selected[index.get()] = true;
            named.push(index);
        }
        let mut walk = |next_to: fn(&Task) -> &[TaskIndex]| {
            let mut seen = vec![false; run.tasks().len()];
            let mut fresh = named.clone();
            while let Some(index) = fresh.pop() {
                is_selected[index.get()] = true;
                if !std::mem::replace(&mut seen[index.get()], true) {
                    fresh.extend(next_to(run.dag.task(index)));
                }
            }
        };
        if self.upstream {
            walk(|task| &task.upstream);
        }
        if self.downstream {
            walk(|task| &task.downstream);
        }
        let is_any = !self.only_failed && !self.only_running;
        let is_wanted = |index: &TaskIndex| {
            let state = run.task(*index).state;
            let has_failed = matches!(state, TaskState::Failed | TaskState::UpstreamFailed);
            let is_meant =
                self.only_failed && has_failed || self.only_running && state == TaskState::Running;
            is_selected[index.get()] && (is_any || is_meant)
        };
        Ok(run.dag.indices().filter(is_wanted).collect())
    }
}

/// Names a folder of logs, so: no separator, and no leading dot. May stand as an argument of a command, so: no
/// leading dash. And `~` is every run in the paths of the API, so: no leading tilde.
fn is_run_id(text: &str) -> bool {
    (1..=RUN_ID_BYTES_MAX).contains(&text.len())
        && !text.starts_with(['.', '-', '~'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.:+-~".contains(&b))
}
