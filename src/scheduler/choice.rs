//! What a task that ended well leaves to those after it: its XCom, and whether they go on at all.
//!
//! A `branch` names the tasks directly after it that go on; every other of these is skipped, except one that
//! also comes after a chosen one (the join of the branches). A `short_circuit` that has nothing to do is a
//! success, and everything after it is skipped. Trigger rules are not asked. The choice stands until its task
//! is cleared or runs again: whoever clears what it left out sees it skipped again.
//!
//! Source: Airflow 2.11's `SkipMixin.skip_all_except`, `ShortCircuitOperator` and `NotPreviouslySkippedDep`.

use std::sync::Arc;

use super::record::{Attempt, Exit};
use super::run::Run;
use crate::dag::{Dag, Operator, TaskIndex, Value};

/// The longest XCom, in bytes of its text.
pub const XCOM_BYTES_MAX: usize = 64 << 10;
/// All XComs of one run, in bytes of their texts.
pub const XCOM_RUN_BYTES_MAX: usize = 1 << 20;
/// What a compiled-in function that answers "skip" exits with, whatever `skip_on_exit_code` says.
const CALL_SKIPS: i32 = 99;
/// Of what was printed instead of a task id, so much is told.
const SHOWN_CHARS_MAX: usize = 100;

/// Which of the tasks after one go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Of those directly after it, these.
    Follow(Vec<Arc<str>>),
    /// None of those after it, directly or not.
    Nothing,
}

/// What an attempt that nobody stopped comes to.
pub(super) enum Verdict {
    Success(Option<Choice>),
    Skipped,
    Failed,
}

/// Says what an attempt comes to; keeps its XCom, or says in its `reason` why not.
pub(super) fn verdict(run: &Run, index: TaskIndex, attempt: &mut Attempt) -> Verdict {
    let task = run.dag.task(index);
    let xcom = attempt.xcom.take();
    let own = task.skip_on_exit_code;
    let skips = match &task.operator {
        Operator::Call { .. } => [own, Some(CALL_SKIPS)],
        Operator::Bash(_) | Operator::Argv(_) | Operator::Http(_) => [own, None],
        // It is no process; the code only says how its run ended.
        Operator::Trigger(_) | Operator::Empty => [None, None],
    };
    let Exit::Code(code) = attempt.exit else {
        return Verdict::Failed;
    };
    if code != 0 {
        let is_skip = skips.contains(&Some(code));
        return match (is_skip, task.short_circuit) {
            (true, true) => Verdict::Success(Some(Choice::Nothing)),
            (true, false) => Verdict::Skipped,
            (false, _) => Verdict::Failed,
        };
    }
    if attempt.reason.is_some() && (task.branch || task.is_xcom_wanted) {
        return Verdict::Failed;
    }
    let mut choice = None;
    if task.branch {
        match choose(&run.dag, index, xcom.as_deref()) {
            Ok(followed) => choice = Some(followed),
            Err(reason) => {
                attempt.reason = Some(reason);
                return Verdict::Failed;
            }
        }
    }
    let Some(xcom) = xcom.filter(|_| task.xcom) else {
        return Verdict::Success(choice);
    };
    let bytes = xcom_bytes(&xcom);
    let reason = if bytes > XCOM_BYTES_MAX {
        format!("its XCom is longer than {XCOM_BYTES_MAX} bytes, and is not kept")
    } else if run.xcom_bytes + bytes > XCOM_RUN_BYTES_MAX {
        format!("the XComs of a run take {XCOM_RUN_BYTES_MAX} bytes at most; this one is not kept")
    } else {
        attempt.xcom = Some(xcom);
        return Verdict::Success(choice);
    };
    attempt.reason = Some(reason);
    if task.is_xcom_wanted {
        Verdict::Failed
    } else {
        Verdict::Success(choice)
    }
}

/// How much of a run's bytes an XCom takes.
pub(super) fn xcom_bytes(xcom: &Value) -> usize {
    match xcom {
        Value::String(text) => text.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            xcom.to_string().len()
        }
    }
}

/// The tasks that a branch names: an array of ids, or a text with commas between them or an array in it.
/// Nothing, or an empty one, is none of them.
fn choose(dag: &Dag, index: TaskIndex, xcom: Option<&Value>) -> Result<Choice, String> {
    let named = match xcom {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(ids)) => ids.iter().map(Value::to_text).collect(),
        Some(Value::String(text)) if text.trim_start().starts_with('[') => {
            match Value::parse(text) {
                Ok(Value::Array(ids)) => ids.iter().map(Value::to_text).collect(),
                Ok(_) | Err(_) => vec![text.clone()],
            }
        }
        Some(Value::String(text)) => {
            let ids = text.split(',').map(|id| id.trim().to_owned());
            ids.filter(|id| !id.is_empty()).collect()
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => {
            vec![other.to_string()]
        }
    };
    let mut followed: Vec<Arc<str>> = Vec::new();
    for task_id in named {
        let next = dag.find(&task_id);
        let next = next.filter(|next| dag.task(index).downstream.contains(next));
        let Some(next) = next else {
            return Err(no_branch(dag, index, &task_id));
        };
        let task_id = &dag.task(next).task_id;
        if !followed.contains(task_id) {
            followed.push(task_id.clone());
        }
    }
    Ok(Choice::Follow(followed))
}

fn no_branch(dag: &Dag, index: TaskIndex, task_id: &str) -> String {
    let shown: String = task_id.chars().take(SHOWN_CHARS_MAX).collect();
    let shown = crate::dag::diagnostic::printable(&shown);
    let downstream = dag.task(index).downstream.iter().take(10);
    let names: Vec<_> = downstream.map(|next| &*dag.task(*next).task_id).collect();
    let names = if names.is_empty() {
        "nothing follows it".to_owned()
    } else {
        format!("what follows it is {}", names.join(", "))
    };
    format!("a branch chose `{shown}`, which does not follow it directly; {names}")
}

/// The tasks that a choice leaves out. O(tasks and dependencies after it).
pub(super) fn left_out(dag: &Dag, index: TaskIndex, choice: &Choice) -> Vec<TaskIndex> {
    let after = |fresh: Vec<TaskIndex>| {
        let mut is_after = vec![false; dag.tasks().len()];
        let mut fresh = fresh;
        while let Some(task) = fresh.pop() {
            if !std::mem::replace(&mut is_after[task.get()], true) {
                fresh.extend(&dag.task(task).downstream);
            }
        }
        is_after
    };
    let direct = &dag.task(index).downstream;
    match choice {
        Choice::Follow(ids) => {
            let is_kept = after(ids.iter().filter_map(|id| dag.find(id)).collect());
            let direct = direct.iter().copied();
            direct.filter(|task| !is_kept[task.get()]).collect()
        }
        Choice::Nothing => {
            let is_after = after(direct.clone());
            let is_after = |task: &TaskIndex| is_after[task.get()];
            dag.indices().filter(is_after).collect()
        }
    }
}
