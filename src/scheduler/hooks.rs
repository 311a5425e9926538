//! Which hooks are called, and when: for each attempt that ends a task instance or will be repeated, and for
//! each run that ends.
//!
//! ```text
//! success of a task   its own hook, else the one of `defaults`
//! failure of a task   likewise
//! retry of a task     likewise, then the DAG's, then that of all DAGs
//! end of a run        the DAG's, then that of all DAGs
//! ```
//!
//! A call follows from a record that is made now, and from nothing else: replay calls nothing, so a hook is
//! called at most once for each end that is on record. What comes of the call is not the scheduler's to know.

use std::sync::Arc;
use std::time::Duration;

use super::Scheduler;
use super::event::{HookCall, HookLevel, HookOccasion};
use super::record::{Ended, Fact, Record, RunFact, RunNumber, Settled, StopCause, TaskFact};
use super::run::Run;
use super::states::TaskState;
use crate::dag::{Hook, HookKind, Hooks};
use crate::timetable::Timestamp;

impl Scheduler {
    /// From now on these are the hooks of all DAGs. Nothing happens because of that.
    pub fn set_hooks_of_all(&mut self, hooks: Hooks) {
        self.hooks = hooks;
    }

    /// The calls that follow from a record, which has not been applied yet.
    pub(super) fn hook_calls(&self, record: &Record) -> Vec<HookCall> {
        let Fact::Run(number, fact) = &record.fact else {
            return Vec::new();
        };
        let Some(run) = self.state.run(*number) else {
            return Vec::new();
        };
        match fact {
            RunFact::Task(task_id, fact) => self.calls_of_task(*number, run, task_id, fact),
            RunFact::Ended { success } => self.calls_of_run(*number, run, *success, record.at),
            RunFact::Created(_)
            | RunFact::Restored(_)
            | RunFact::Started
            | RunFact::Stopped(_)
            | RunFact::Cleared(_)
            | RunFact::Noted(_)
            | RunFact::Deleted => Vec::new(),
        }
    }

    fn calls_of_task(
        &self,
        number: RunNumber,
        run: &Run,
        task_id: &str,
        fact: &TaskFact,
    ) -> Vec<HookCall> {
        let kind = match fact {
            // Whoever marks a task knows.
            TaskFact::Ended { attempt, .. } if attempt.stopped == Some(StopCause::Marked) => {
                return Vec::new();
            }
            TaskFact::Ended { state, .. } => match state {
                Ended::Success => HookKind::Success,
                Ended::Failed => HookKind::Failure,
                Ended::UpForRetry(_) => HookKind::Retry,
                Ended::Skipped | Ended::Rescheduled | Ended::Interrupted => return Vec::new(),
            },
            TaskFact::Settled(Settled::Success) => HookKind::Success,
            TaskFact::Settled(Settled::Failed) => HookKind::Failure,
            TaskFact::Settled(Settled::Skipped | Settled::UpstreamFailed)
            | TaskFact::Marked(_)
            | TaskFact::Ending(_)
            | TaskFact::Noted(_)
            | TaskFact::Started { .. } => return Vec::new(),
        };
        let Some(index) = run.dag.find(task_id) else {
            return Vec::new();
        };
        let (own, inherited) = (&run.dag.task(index).hooks, &run.dag.task_hooks);
        let of_task = own.get(kind).or(inherited.get(kind));
        let (try_number, retry_in, attempt) = match fact {
            TaskFact::Ended {
                try_number,
                state,
                attempt,
                ..
            } => {
                let retry_in = match state {
                    Ended::UpForRetry(delay) => Some(*delay),
                    Ended::Success
                    | Ended::Failed
                    | Ended::Skipped
                    | Ended::Rescheduled
                    | Ended::Interrupted => None,
                };
                (*try_number, retry_in, Some(attempt))
            }
            TaskFact::Started { .. }
            | TaskFact::Settled(_)
            | TaskFact::Marked(_)
            | TaskFact::Ending(_)
            | TaskFact::Noted(_) => (0, None, None),
        };
        let of_all = [
            (HookLevel::Dag, &run.dag.hooks),
            (HookLevel::All, &self.hooks),
        ];
        let of_all = of_all.into_iter().filter(|_| kind == HookKind::Retry);
        let hooks = of_task.map(|hook| (HookLevel::Task, hook));
        let hooks = hooks
            .into_iter()
            .chain(of_all.filter_map(|(level, hooks)| Some((level, hooks.get(kind)?))));
        let call = |(level, hook): (HookLevel, &Arc<Hook>)| HookCall {
            hook: hook.clone(),
            kind,
            level,
            dag: run.dag.clone(),
            run: number,
            facts: run.facts.clone(),
            occasion: HookOccasion::Task {
                task: index,
                try_number,
                retry_in,
                attempt: attempt.cloned().map(Box::new),
            },
        };
        hooks.map(call).collect()
    }

    fn calls_of_run(
        &self,
        number: RunNumber,
        run: &Run,
        success: bool,
        at: Timestamp,
    ) -> Vec<HookCall> {
        let kind = if success {
            HookKind::Success
        } else {
            HookKind::Failure
        };
        let levels: [(HookLevel, &Hooks); 2] = [
            (HookLevel::Dag, &run.dag.hooks),
            (HookLevel::All, &self.hooks),
        ];
        let hooks = levels
            .into_iter()
            .filter_map(|(level, hooks)| Some((level, hooks.get(kind)?)));
        let call = |(level, hook): (HookLevel, &Arc<Hook>)| {
            let failed = run.dag.indices();
            let failed = failed.filter(|index| run.task(*index).state == TaskState::Failed);
            HookCall {
                hook: hook.clone(),
                kind,
                level,
                dag: run.dag.clone(),
                run: number,
                facts: run.facts.clone(),
                occasion: HookOccasion::Run {
                    stopped: run.stopped,
                    duration: run
                        .started_at
                        .map_or(Duration::ZERO, |began| at.since(began)),
                    failed: failed.collect(),
                },
            }
        };
        hooks.map(call).collect()
    }
}
