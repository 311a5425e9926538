//! `mini-dag run --dry-run`: what would run, rendered, without running any of it.
//!
//! What tasks leave for others is not known yet, and stands as it is written: `{{ xcom.count }}`. Secrets are read,
//! so that a missing one is found, and shown as `***`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Failure, terminal};
use crate::daemon::launch::Launcher;
use crate::dag::diagnostic::printable;
use crate::dag::{Dag, Diagnostic, Operator, Task, TaskIndex, Value, map_of};
use crate::exec::{Launch, Stdin};
use crate::scheduler::{AttemptId, RunFacts, RunNumber, Spawn};
use crate::timetable::Timestamp;

/// Shows each task, in an order in which they may run. Tasks that could not start are errors.
pub(super) fn show(launcher: &Launcher, dag: &Arc<Dag>, run: RunFacts) -> Result<(), Failure> {
    let run = Arc::new(run);
    let mut out = format!("{}  {}\n", dag.dag_id, run.run_id);
    let mut errors = Vec::new();
    let mut looks_back = false;
    for index in dag.topological_order() {
        let task = dag.task(index);
        let rendered = |previous_success| {
            let spawn = spawn(dag, &run, index, previous_success);
            launcher
                .launch(&spawn)
                .map(|launch| describe(&launch, dag, task))
        };
        let upstream = task.upstream.iter().map(|it| &*dag.task(*it).task_id);
        let after = upstream.collect::<Vec<_>>().join(", ");
        let after = if after.is_empty() {
            String::new()
        } else {
            format!(", after {after}")
        };
        let kind = kind(&task.operator);
        let _ = write!(out, "\n{} ({kind}{after})\n", task.task_id);
        match rendered(None) {
            Ok(text) => {
                out.push_str(&text);
                looks_back |=
                    rendered(Some(Timestamp::from_secs(0))).is_ok_and(|other| other != text);
            }
            Err(why) => {
                let why = format!("task `{}` could not start: {why}", task.task_id);
                errors.push(Diagnostic::new(why));
            }
        }
    }
    if looks_back {
        out.push_str(
            "\n`prev_data_interval_end_success` is empty: `mini-dag run` knows no run before this one\n",
        );
    }
    terminal::print(&out)?;
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Diagnostics(errors))
    }
}

fn kind(operator: &Operator) -> &'static str {
    match operator {
        Operator::Bash(_) => "bash",
        Operator::Argv(_) => "argv",
        Operator::Http(_) => "http",
        Operator::Call { .. } => "call",
        Operator::Trigger(_) => "trigger",
        Operator::Empty => "empty",
    }
}

fn spawn(
    dag: &Arc<Dag>,
    run: &Arc<RunFacts>,
    task: TaskIndex,
    previous_success: Option<Timestamp>,
) -> Spawn {
    let xcoms = dag.task(task).xcoms.iter().map(|left_by| {
        let task_id = dag.task(*left_by).task_id.clone();
        let as_written = format!("{{{{ xcom.{task_id} }}}}");
        (task_id, Arc::new(Value::String(as_written)))
    });
    Spawn {
        attempt: AttemptId {
            run: RunNumber(1),
            task,
            try_number: 1,
        },
        dag: dag.clone(),
        run: run.clone(),
        xcoms: map_of(xcoms),
        previous_success,
    }
}

fn describe(launch: &Launch, dag: &Dag, task: &Task) -> String {
    let mut out = String::new();
    let mut row = |name: &str, text: &str| {
        let shown = launch.secrets.mask(text);
        for (index, line) in shown.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(out, "  {name:4}  {}", printable(line));
        }
    };
    let words: Vec<String> = launch
        .argv
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match (&task.operator, &launch.stdin) {
        (Operator::Bash(_), _) => row("bash", words.last().map_or("", String::as_str)),
        (Operator::Argv(_), _) => row("argv", &format!("{words:?}")),
        (Operator::Http(_) | Operator::Call { .. }, Stdin::Bytes(work)) => {
            row("work", &String::from_utf8_lossy(work));
        }
        (Operator::Trigger(trigger), Stdin::Bytes(params)) => {
            row("dag", &trigger.dag_id);
            row("with", &String::from_utf8_lossy(params));
            return out;
        }
        (Operator::Http(_) | Operator::Call { .. } | Operator::Trigger(_), Stdin::Null)
        | (Operator::Empty, _) => return out,
    }
    let own = dag.env.iter().chain(&task.env).map(|(name, _)| name);
    let secrets = dag.secrets.iter().chain(&task.secrets);
    let names = own.chain(secrets.map(|(name, _)| name));
    let names: BTreeSet<&OsStr> = names.map(OsStr::new).collect();
    for (name, value) in &launch.env {
        if names.contains(name.as_os_str()) {
            let (name, value) = (name.display(), value.to_string_lossy());
            row("env", &format!("{name}={value}"));
        }
    }
    if let Some(cwd) = &launch.cwd {
        row("cwd", &cwd.display().to_string());
    }
    out
}
