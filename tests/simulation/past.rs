//! The run before another, which its tasks may look back at.

use mini_dag::dag::{Catchup, TaskIndex};
use mini_dag::scheduler::{RunNumber, Scheduler};

use crate::model::Model;
use crate::rules::State;

impl Model {
    /// Before the records of a turn, what is held after it.
    pub fn forget(&mut self, scheduler: &Scheduler) {
        let is_held = |number: &&RunNumber| scheduler.state().run(**number).is_some();
        let held = self.held.iter();
        self.forgotten = held.filter(|number| !is_held(number)).copied().collect();
    }

    /// Whether the run before another was there when the turn began, and is not when it ends.
    pub fn has_just_forgotten(&self, number: RunNumber) -> bool {
        let previous = self.previous(number);
        previous.is_some_and(|previous| self.forgotten.contains(&previous))
    }

    /// The run before another: of an earlier logical date, or of the same one and older.
    pub fn previous(&self, number: RunNumber) -> Option<RunNumber> {
        let run = &self.runs[&number];
        let by_schedule = matches!(run.dag.catchup, Catchup::All | Catchup::AtMost(_));
        let rank = |number: &RunNumber| (self.runs[number].logical_date, *number);
        let held = self.held.iter().filter(|other| {
            let other = &self.runs[*other];
            other.dag.dag_id == run.dag.dag_id && !(by_schedule && other.is_by_hand)
        });
        let before = held.filter(|other| rank(other) < rank(&number));
        before.max_by_key(|other| rank(other)).copied()
    }

    pub fn waits_for_past(&self, number: RunNumber, index: TaskIndex) -> bool {
        self.missing_past(number, index).next().is_some()
    }

    /// The states of those tasks of the run before that have to end well before a task may start, and have not.
    fn missing_past(&self, number: RunNumber, index: TaskIndex) -> impl Iterator<Item = State> {
        let run = &self.runs[&number];
        let task = run.dag.task(index);
        let looks_back = task.depends_on_past || task.wait_for_downstream;
        let previous = looks_back.then(|| self.previous(number)).flatten();
        let previous = previous.map(|previous| &self.runs[&previous]);
        let after = task.downstream.iter().filter(|_| task.wait_for_downstream);
        let asked = std::iter::once(index).chain(after.copied());
        previous.into_iter().flat_map(move |previous| {
            let state = |index: TaskIndex| {
                let at = previous.dag.find(&run.dag.task(index).task_id)?;
                Some(previous.tasks[at.get()].state)
            };
            // A run that is over did not have what is still to begin in it: a later version of the DAG has.
            let is_over = !matches!(previous.state, "queued" | "running");
            let has_passed = move |state: &State| {
                matches!(state, State::Success | State::Skipped) || is_over && *state == State::None
            };
            let states: Vec<_> = asked.clone().filter_map(state).collect();
            states.into_iter().filter(move |state| !has_passed(state))
        })
    }

    /// Whether something of a run that runs waits for the run before.
    pub fn is_stuck(&self, number: RunNumber) -> bool {
        self.missing_pasts(number).next().is_some()
    }

    fn missing_pasts(&self, number: RunNumber) -> impl Iterator<Item = State> {
        let run = &self.runs[&number];
        let open = run.dag.indices().filter(|index| {
            let state = run.tasks[index.get()].state;
            run.state == "running" && !state.is_final() && state != State::Running
        });
        open.flat_map(move |index| self.missing_past(number, index))
    }

    /// Whether something that runs waits for a run.
    pub fn is_awaited(&self, number: RunNumber) -> bool {
        let mut live = self.live.iter();
        live.any(|other| self.is_stuck(*other) && self.previous(*other) == Some(number))
    }

    /// A run that waits for one that has failed, or is not there: somebody has to do something.
    pub fn stuck(&self) -> Option<(String, String)> {
        let waits_in_vain = |number: &&RunNumber| {
            let has_failed = self.missing_pasts(**number).any(State::is_final);
            has_failed || self.waits_for_the_absent(**number)
        };
        let number = self.live.iter().find(waits_in_vain)?;
        let run = &self.runs[number];
        Some((run.dag.dag_id.to_string(), run.name.clone()))
    }
}
