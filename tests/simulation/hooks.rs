//! Hooks, told a second time: which calls follow from the records of a turn, and no others.
//!
//! Who has which hooks follows from numbers alone, and the time-out of a hook says whose it is. So what is
//! called is compared with what was asked for, without a look at how the scheduler finds it.

use std::time::Duration;

use mini_dag::HookBuilder;
use mini_dag::dag::{Dag, HookKind, Hooks};
use mini_dag::scheduler::{
    Ended, Fact, HookCall, HookLevel, HookOccasion, Record, RunFact, RunNumber, Settled, StopCause,
    TaskFact,
};

const KINDS: [HookKind; 3] = [HookKind::Success, HookKind::Failure, HookKind::Retry];

/// A hook as it shows in a call: run, task, attempt, and the seconds that tell whose it is.
type Called = (RunNumber, String, u32, u64);

pub fn at_task(dag: usize, task: usize, kind: HookKind) -> Option<HookBuilder> {
    let has_one = (dag + task + kind as usize).is_multiple_of(3);
    has_one.then(|| hook(1000 + 10 * task as u64 + kind as u64))
}

pub fn at_dag(dag: usize, kind: HookKind) -> Option<HookBuilder> {
    let has_one = (dag + kind as usize).is_multiple_of(2);
    has_one.then(|| hook(2000 + kind as u64))
}

/// Those of the config: of failure and retry.
pub fn of_all() -> Hooks {
    let dag = Dag::new("all")
        .on_failure(hook(3000 + HookKind::Failure as u64))
        .on_retry(hook(3000 + HookKind::Retry as u64));
    dag.empty("t");
    dag.finish().expect("a DAG").hooks
}

fn hook(seconds: u64) -> HookBuilder {
    HookBuilder::bash("true").timeout(Duration::from_secs(seconds))
}

/// Checks the calls of one turn against its records.
pub fn check(records: &[Record], calls: &[HookCall]) {
    let mut expected: Vec<Called> = records.iter().flat_map(asked_for).collect();
    let mut called: Vec<Called> = calls.iter().map(seen).collect();
    expected.sort();
    called.sort();
    assert_eq!(called, expected, "hooks: not those that were asked for");
}

fn seen(call: &HookCall) -> Called {
    let seconds = call.hook.timeout.as_secs();
    let level = match call.level {
        HookLevel::Task => 1,
        HookLevel::Dag => 2,
        HookLevel::All => 3,
    };
    assert_eq!((seconds / 1000, seconds % 10), (level, call.kind as u64));
    match &call.occasion {
        HookOccasion::Task {
            task, try_number, ..
        } => {
            let task_id = call.dag.task(*task).task_id.to_string();
            (call.run, task_id, *try_number, seconds)
        }
        HookOccasion::Run { .. } => (call.run, String::new(), 0, seconds),
    }
}

fn asked_for(record: &Record) -> Vec<Called> {
    let number = |id: &str| id[id.len() - 1..].parse::<usize>().expect("a number");
    let dag = number(&record.dag_id);
    let all = |kind| matches!(kind, HookKind::Failure | HookKind::Retry);
    let seconds = |base: u64, kind: HookKind| base + kind as u64;
    let mut found = Vec::new();
    let Fact::Run(run, fact) = &record.fact else {
        return found;
    };
    let (task_id, kind, try_number) = match fact {
        RunFact::Ended { success } => {
            let kind = KINDS[usize::from(!success)];
            if at_dag(dag, kind).is_some() {
                found.push((*run, String::new(), 0, seconds(2000, kind)));
            }
            if all(kind) {
                found.push((*run, String::new(), 0, seconds(3000, kind)));
            }
            return found;
        }
        RunFact::Task(task_id, TaskFact::Settled(Settled::Success)) => {
            (task_id, HookKind::Success, 0)
        }
        // Whoever has given up poking.
        RunFact::Task(task_id, TaskFact::Settled(Settled::Failed)) => {
            (task_id, HookKind::Failure, 0)
        }
        RunFact::Task(_, TaskFact::Ended { attempt, .. })
            if attempt.stopped == Some(StopCause::Marked) =>
        {
            return found;
        }
        RunFact::Task(
            task_id,
            TaskFact::Ended {
                try_number, state, ..
            },
        ) => {
            let kind = match state {
                Ended::Success => HookKind::Success,
                Ended::Failed => HookKind::Failure,
                Ended::UpForRetry(_) => HookKind::Retry,
                Ended::Skipped | Ended::Rescheduled | Ended::Interrupted => return found,
            };
            (task_id, kind, *try_number)
        }
        RunFact::Created(_)
        | RunFact::Restored(_)
        | RunFact::Started
        | RunFact::Stopped(_)
        | RunFact::Cleared(_)
        | RunFact::Noted(_)
        | RunFact::Deleted
        | RunFact::Task(..) => return found,
    };
    let task = number(task_id);
    let mut push = |seconds| found.push((*run, task_id.to_string(), try_number, seconds));
    if at_task(dag, task, kind).is_some() {
        push(seconds(1000 + 10 * task as u64, kind));
    }
    if kind == HookKind::Retry {
        if at_dag(dag, kind).is_some() {
            push(seconds(2000, kind));
        }
        push(seconds(3000, kind));
    }
    found
}
