//! `mini-dag run --dry-run`: what would run, rendered, without running any of it.
//!
//! What tasks leave for others is not known yet, and stands as nothing. Secrets are read, so that a missing
//! one is found, and shown as `***`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Failure, terminal};
use crate::daemon::launch::Launcher;
use crate::dag::diagnostic::printable;
use crate::dag::{Dag, Diagnostic, Operator};
use crate::exec::{Launch, Stdin};
use crate::scheduler::{AttemptId, RunFacts, RunNumber, Spawn};

/// Shows each task, in an order in which they may run. Tasks that could not start are errors.
pub(super) fn show(launcher: &Launcher, dag: &Arc<Dag>, run: RunFacts) -> Result<(), Failure> {
    let run = Arc::new(run);
    let mut out = format!("{}  {}\n", dag.dag_id, run.run_id);
    let mut errors = Vec::new();
    for task in dag.topological_order() {
        let spawn = Spawn {
            attempt: AttemptId {
                run: RunNumber(1),
                task,
                try_number: 1,
            },
            dag: dag.clone(),
            run: run.clone(),
            xcoms: BTreeMap::new(),
            previous_success: None,
        };
        let task = dag.task(task);
        let upstream = task.upstream.iter().map(|it| &*dag.task(*it).task_id);
        let after = upstream.collect::<Vec<_>>().join(", ");
        let after = if after.is_empty() {
            String::new()
        } else {
            format!(", after {after}")
        };
        let kind = kind(&task.operator);
        let _ = write!(out, "\n{} ({kind}{after})\n", task.task_id);
        match launcher.launch(&spawn) {
            Ok(launch) => {
                let own = dag.env.iter().chain(&task.env).map(|(name, _)| name);
                let secret = dag
                    .secrets
                    .iter()
                    .chain(&task.secrets)
                    .map(|(name, _)| name);
                let names: BTreeSet<&OsStr> = own.chain(secret).map(OsStr::new).collect();
                describe(&mut out, &launch, &names, &task.operator);
            }
            Err(why) => {
                let why = format!("task `{}` could not start: {why}", task.task_id);
                errors.push(Diagnostic::new(why));
            }
        }
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

fn describe(out: &mut String, launch: &Launch, names: &BTreeSet<&OsStr>, operator: &Operator) {
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
    match (operator, &launch.stdin) {
        (Operator::Bash(_), _) => row("bash", words.last().map_or("", String::as_str)),
        (Operator::Argv(_), _) => row("argv", &format!("{words:?}")),
        (Operator::Http(_) | Operator::Call { .. }, Stdin::Bytes(work)) => {
            row("work", &String::from_utf8_lossy(work));
        }
        (Operator::Trigger(trigger), Stdin::Bytes(params)) => {
            row("dag", &trigger.dag_id);
            row("with", &String::from_utf8_lossy(params));
            return;
        }
        (Operator::Http(_) | Operator::Call { .. } | Operator::Trigger(_), Stdin::Null)
        | (Operator::Empty, _) => return,
    }
    for (name, value) in &launch.env {
        if names.contains(name.as_os_str()) {
            let (name, value) = (name.display(), value.to_string_lossy());
            row("env", &format!("{name}={value}"));
        }
    }
    if let Some(cwd) = &launch.cwd {
        row("cwd", &cwd.display().to_string());
    }
}
