//! A daemon that begins, and what it takes over: the runs that its state holds, and nothing that only the last one knew.

use mini_dag::scheduler::{Record, RunState, RunType, Scheduler, TaskState};

use crate::children::Children;
use crate::model::Model;
use crate::runs::{Run, Task};

impl Model {
    /// The daemon has ended without a word, and another goes on from `state`.
    pub fn restart(&mut self, scheduler: &Scheduler, (now, now_ms): (i64, u64), log: &[Record]) {
        self.now_ms = now_ms;
        self.children = Children::of(log);
        self.processes.clear();
        self.printed.clear();
        self.dues.clear();
        self.successes.clear();
        self.is_recording = true;
        self.is_shutting_down = false;
        self.runs.clear();
        self.fills.clear();
        self.live.clear();
        self.adopt(scheduler, now);
    }

    /// Takes over the runs that were not known.
    pub fn adopt(&mut self, scheduler: &Scheduler, now: i64) {
        self.adopt_backfills(scheduler);
        for (number, run) in scheduler.state().runs() {
            if self.runs.contains_key(&number) {
                continue;
            }
            // What was promised by another version is kept.
            let promised =
                |state| u32::from(matches!(state, TaskState::None | TaskState::UpForRetry));
            let tasks = run.tasks().iter().map(|task| Task {
                state: task.state.into(),
                try_number: task.try_number,
                tries_left: (task.max_tries + 1)
                    .saturating_sub(task.try_number)
                    .max(promised(task.state)),
                xcom: task.xcom.as_deref().map(mini_dag::Value::to_text),
                choice: task.choice.clone(),
                is_cleared: task.is_cleared,
                ending: task.ending,
                // By a clock that was ahead then, it begins anew.
                poking_since: task.poking_since.map(|since| since.millis().min(now)),
                waits_since_ms: Some(self.now_ms),
                waits_over_a_crash: true,
                ..Task::new(0)
            });
            let model = Run {
                dag: run.dag.clone(),
                name: run.facts.run_id.to_string(),
                state: run.state.name(),
                is_stopped: run.stopped.is_some(),
                logical_date: run.facts.logical_date,
                is_backfill: run.facts.run_type == RunType::Backfill,
                is_by_hand: run.facts.run_type == RunType::Manual,
                previous: None,
                depth: run.facts.parent().map_or(0, |parent| parent.depth),
                given: run.facts.params.clone(),
                tasks: tasks.collect(),
            };
            if matches!(run.state, RunState::Queued | RunState::Running) {
                self.live.insert(number);
            }
            self.runs.insert(number, model);
        }
        self.held = scheduler.state().runs().map(|(number, _)| number).collect();
    }
}
