//! What must hold, told a second time: it reads only the records and the processes, keeps every
//! state in the plainest way, and knows nothing of how the scheduler decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mini_dag::dag::{Dag, TaskIndex, TriggerRule};
use mini_dag::scheduler::{AttemptId, Ended, Fact, Record, RunFact, RunNumber, Settled, TaskFact};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    None,
    Running,
    Retry,
    Success,
    Failed,
    UpstreamFailed,
    Skipped,
}

impl State {
    fn is_final(self) -> bool {
        !matches!(self, Self::None | Self::Running | Self::Retry)
    }
}

struct Task {
    state: State,
    try_number: u32,
    /// Attempts that count against the retries since the task was last cleared.
    attempts: u32,
}

struct Run {
    dag: Arc<Dag>,
    name: String,
    state: &'static str,
    is_stopped: bool,
    tasks: Vec<Task>,
}

#[derive(Default)]
pub struct Model {
    dags: BTreeMap<String, Arc<Dag>>,
    runs: BTreeMap<RunNumber, Run>,
    processes: BTreeSet<AttemptId>,
    pub tasks_run: u64,
}

impl Model {
    pub fn insert(&mut self, dag: &Arc<Dag>) {
        self.dags.insert(dag.dag_id.to_string(), dag.clone());
    }

    /// I3, I7 and I8, one record at a time.
    pub fn record(&mut self, record: &Record) {
        let dag_id = record.dag_id.to_string();
        let Fact::Run(number, fact) = &record.fact else {
            return;
        };
        if let RunFact::Created(facts) = fact {
            let dag = self.dags[&dag_id].clone();
            let task = |_| Task {
                state: State::None,
                try_number: 0,
                attempts: 0,
            };
            let tasks = dag.tasks().iter().map(task).collect();
            let run_id = facts.run_id.to_string();
            let run = Run {
                dag,
                name: run_id,
                state: "queued",
                is_stopped: false,
                tasks,
            };
            assert!(
                self.runs.insert(*number, run).is_none(),
                "{number:?} is created twice"
            );
            return;
        }
        let run = self.runs.get_mut(number).expect("the run was created");
        assert_eq!(*run.dag.dag_id, *dag_id);
        match fact {
            RunFact::Created(_) | RunFact::Restored(_) => {}
            RunFact::Started => {
                assert_eq!(run.state, "queued");
                run.state = "running";
            }
            RunFact::Stopped(_) => {
                assert!(!run.is_stopped && matches!(run.state, "queued" | "running"));
                run.is_stopped = true;
                for task in &mut run.tasks {
                    if matches!(task.state, State::None | State::Retry) {
                        task.state = State::Skipped;
                    }
                }
            }
            RunFact::Ended { success } => {
                assert!(matches!(run.state, "queued" | "running"));
                let states: Vec<_> = run.tasks.iter().map(|task| task.state).collect();
                assert!(
                    states.iter().all(|state| state.is_final()),
                    "ends early: {states:?}"
                );
                let is_leaf = |index: &usize| run.dag.tasks()[*index].downstream.is_empty();
                let mut leaves = (0..states.len()).filter(is_leaf);
                let has_failed = leaves
                    .any(|leaf| matches!(states[leaf], State::Failed | State::UpstreamFailed));
                assert_eq!(*success, !has_failed && !run.is_stopped, "{states:?}");
                run.state = if *success { "success" } else { "failed" };
                run.is_stopped = false;
            }
            RunFact::Cleared(tasks) => {
                assert!(!run.is_stopped);
                for task_id in tasks {
                    let task = &mut run.tasks[run.dag.find(task_id).unwrap().get()];
                    // An attempt that runs is stopped and does not count.
                    task.attempts = u32::from(task.state == State::Running);
                    if task.state != State::Running {
                        task.state = State::None;
                    }
                }
                if run.state != "running" {
                    run.state = "queued";
                }
            }
            RunFact::Task(task_id, fact) => {
                let index = run.dag.find(task_id).unwrap();
                self.tasks_run += run.task(index, fact);
            }
        }
    }

    /// I7: one process for a task of a run.
    pub fn spawned(&mut self, id: AttemptId) {
        let twin = self
            .processes
            .iter()
            .find(|p| (p.run, p.task) == (id.run, id.task));
        assert_eq!(twin, None, "I7: a second process for {id:?}");
        self.processes.insert(id);
    }

    pub fn gone(&mut self, id: AttemptId) {
        self.processes.remove(&id);
    }

    /// I4: no bound is passed; a process that cannot be killed has given its slot back.
    pub fn check_bounds(&self, parallelism: u32) {
        let mut running = 0;
        let mut by_dag: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for run in self.runs.values() {
            let tasks = run
                .tasks
                .iter()
                .filter(|task| task.state == State::Running)
                .count();
            let tasks = u32::try_from(tasks).unwrap();
            running += tasks;
            let bounds = by_dag.entry(&run.dag.dag_id).or_default();
            bounds.0 += u32::from(run.state == "running");
            bounds.1 += tasks;
        }
        assert!(
            running <= parallelism,
            "I4: {running} tasks run in {parallelism} slots"
        );
        for (dag_id, (runs, tasks)) in by_dag {
            let dag = &self.dags[dag_id];
            assert!(
                runs <= dag.max_active_runs,
                "I4: {runs} runs of `{dag_id}` are active"
            );
            let bound = dag.max_active_tasks.unwrap_or(parallelism);
            assert!(tasks <= bound, "I4: {tasks} tasks of `{dag_id}` run");
        }
    }

    /// I9: nothing is left to do, so nothing may be left undone.
    pub fn check_all_runs_ended(&self) {
        for (name, run) in &self.runs {
            assert!(
                matches!(run.state, "success" | "failed"),
                "I9: {name:?} is {}",
                run.state
            );
        }
    }

    pub fn run_ids(&self) -> Vec<(String, String)> {
        let name = |run: &Run| (run.dag.dag_id.to_string(), run.name.clone());
        self.runs.values().map(name).collect()
    }
}

impl Run {
    /// Returns how many attempts began.
    fn task(&mut self, index: TaskIndex, fact: &TaskFact) -> u64 {
        let (told, definition) = (verdict(self, index), self.dag.task(index));
        let task_id = &definition.task_id;
        let task = &mut self.tasks[index.get()];
        let has_not_begun = matches!(task.state, State::None | State::Retry);
        match fact {
            TaskFact::Started { try_number } => {
                assert!(
                    self.state == "running" && !self.is_stopped,
                    "a task of no running run"
                );
                assert_eq!(told, "RUN", "I3: `{task_id}` starts too early");
                assert!(has_not_begun, "I8: `{task_id}` is {:?}", task.state);
                assert_eq!(
                    *try_number,
                    task.try_number + 1,
                    "I7: tries count one by one"
                );
                task.try_number += 1;
                task.attempts += 1;
                assert!(
                    task.attempts <= definition.retries + 1,
                    "I7: too many tries"
                );
                task.state = State::Running;
                return 1;
            }
            TaskFact::Ended {
                try_number, state, ..
            } => {
                assert_eq!(
                    (task.state, task.try_number),
                    (State::Running, *try_number),
                    "I8"
                );
                task.state = match state {
                    Ended::Success => State::Success,
                    Ended::Failed => State::Failed,
                    Ended::Skipped => State::Skipped,
                    Ended::UpForRetry(_) => State::Retry,
                    Ended::Interrupted => {
                        task.attempts -= 1;
                        State::None
                    }
                };
            }
            TaskFact::Settled(state) => {
                let (expected, state) = match state {
                    Settled::Success => ("RUN", State::Success),
                    Settled::Skipped => ("skipped", State::Skipped),
                    Settled::UpstreamFailed => ("upstream_failed", State::UpstreamFailed),
                };
                assert_eq!(told, expected, "I3: `{task_id}` is settled wrongly");
                assert!(has_not_begun, "I8: `{task_id}` is {:?}", task.state);
                task.state = state;
            }
        }
        0
    }
}

/// Airflow's trigger rules, read as sentences over the list of upstream states.
#[expect(clippy::too_many_lines, reason = "one table")]
fn verdict(run: &Run, index: TaskIndex) -> &'static str {
    let task = run.dag.task(index);
    let states: Vec<State> = task
        .upstream
        .iter()
        .map(|upstream| run.tasks[upstream.get()].state)
        .collect();
    let any = |wanted: &[State]| states.iter().any(|state| wanted.contains(state));
    let bad = [State::Failed, State::UpstreamFailed];
    let all_done = states.iter().all(|state| state.is_final());
    if states.is_empty() {
        return "RUN";
    }
    match task.trigger_rule {
        TriggerRule::Always => "RUN",
        TriggerRule::AllDone => {
            if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::AllSuccess => {
            if any(&bad) {
                "upstream_failed"
            } else if any(&[State::Skipped]) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::AllFailed => {
            if any(&[State::Success, State::Skipped]) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::AllSkipped => {
            if any(&[State::Success]) || any(&bad) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::OneSuccess => {
            if any(&[State::Success]) {
                "RUN"
            } else if !all_done {
                "wait"
            } else if any(&bad) {
                "upstream_failed"
            } else {
                "skipped"
            }
        }
        TriggerRule::OneFailed => {
            if any(&bad) {
                "RUN"
            } else if all_done {
                "skipped"
            } else {
                "wait"
            }
        }
        TriggerRule::OneDone => {
            if any(&[State::Success, State::Failed]) {
                "RUN"
            } else if all_done {
                "skipped"
            } else {
                "wait"
            }
        }
        TriggerRule::NoneFailed => {
            if any(&bad) {
                "upstream_failed"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::NoneSkipped => {
            if any(&[State::Skipped]) {
                "skipped"
            } else if all_done {
                "RUN"
            } else {
                "wait"
            }
        }
        TriggerRule::NoneFailedMinOneSuccess => {
            if any(&bad) {
                "upstream_failed"
            } else if !all_done {
                "wait"
            } else if any(&[State::Success]) {
                "RUN"
            } else {
                "skipped"
            }
        }
    }
}
