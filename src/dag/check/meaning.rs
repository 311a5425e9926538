//! Nothing that is written at a task is passed over: a key that means nothing to what the task does is an error.
//!
//! [`Key::of`](super::super::keys::Key::of) says which keys mean something to which tasks. What a task inherits from
//! `defaults` is another matter: it is for those tasks that can use it, and forgotten by the others.

use super::super::diagnostic::{Diagnostic, quote};
use super::super::draft::{Action, DraftTask, plain_task};
use super::super::report::Report;
use super::super::{Operator, Task};

/// Reports the keys of a task that would change nothing.
pub(super) fn check(draft: &DraftTask, report: &mut Report<'_>) {
    let (action, does) = match &draft.action {
        Action::Bash(_) => ("bash", "runs a script"),
        Action::Argv(_) => ("argv", "runs a program"),
        Action::Http(_) => ("http", "sends a request"),
        Action::Call { .. } => ("call", "calls a function"),
        Action::Trigger { .. } => ("trigger", "triggers a DAG"),
        Action::Empty => ("empty", "is empty"),
    };
    let waits = !matches!(draft.action, Action::Trigger { wait: false, .. });
    for (key, span) in &draft.keys {
        let name = key.name;
        if key.of.contains(&action) && (waits || name != "timeout") {
            continue;
        }
        let at = span.or(draft.task_id.span);
        report.error(at, "means nothing to it", || {
            let task_id = quote(&draft.task_id.text);
            Diagnostic::new(format!("`{name}` of task `{task_id}`, which {does}"))
                .help(instead(action, name))
        });
    }
}

/// Nobody sees a task wait for a slot, or be tried again, that never is.
pub(super) fn forget(task: &mut Task) {
    let waits = match &task.operator {
        Operator::Trigger(trigger) => trigger.wait,
        Operator::Empty => false,
        Operator::Bash(_) | Operator::Argv(_) | Operator::Http(_) | Operator::Call { .. } => return,
    };
    let plain = plain_task();
    (task.pool, task.pool_slots, task.poke) = (plain.pool, plain.pool_slots, plain.poke);
    task.timeout = task.timeout.filter(|_| waits);
    if matches!(task.operator, Operator::Empty) {
        task.retries = plain.retries;
    }
}

/// What somebody who wrote such a key may have wanted.
fn instead(action: &str, key: &str) -> String {
    match (action, key) {
        (_, "branch" | "short_circuit") => "give it `bash`, `argv` or `call`".to_owned(),
        ("trigger", "args" | "env") => "`params` of the trigger hand values over".to_owned(),
        ("trigger", "secrets") => {
            "the tasks of the other DAG name them in their own `secrets`".to_owned()
        }
        ("trigger", "timeout") => {
            "it bounds the waiting for the run: with `\"wait\": true` there is some".to_owned()
        }
        ("trigger", "poke") => {
            "with `\"wait\": true` it waits for the run, and `timeout` bounds that".to_owned()
        }
        ("trigger", _) => {
            format!("it is no process; the tasks of the other DAG have their own `{key}`")
        }
        ("empty", "on_failure") => {
            "it never fails; the DAG's `on_failure` hears of a run that has failed".to_owned()
        }
        ("empty", _) => "it runs nothing, and never fails: leave it out".to_owned(),
        ("http", "args") => "write them in its `url`, `headers`, `body` or `json`".to_owned(),
        _ => "hand values over in `env`".to_owned(),
    }
}
