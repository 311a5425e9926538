//! `mini-dag show`: a DAG as a text, for Graphviz, for Mermaid, or as JSON.

use std::fmt::Write;

use clap::ArgMatches;

use super::{Context, Failure, terminal};
use crate::api::{self, Standing};
use crate::daemon::config;
use crate::dag::diagnostic::printable;
use crate::dag::{Dag, Operator, Task, TaskIndex, TriggerRule, Value};
use crate::timetable::duration_text;

pub(super) fn show(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let name = matches.get_one::<String>("dag").map_or("", String::as_str);
    let dag = context.find(name, matches)?;
    let format = matches
        .get_one::<String>("format")
        .map_or("text", String::as_str);
    let text = match format {
        _ if matches.get_flag("json") => json(&dag),
        "json" => json(&dag),
        "dot" => dot(&dag),
        "mermaid" => mermaid(&dag),
        _ => text(&dag),
    };
    terminal::print(&text)
}

/// The DAG, then a line a task, each below the last of the tasks that it waits for.
fn text(dag: &Dag) -> String {
    let schedule = dag.schedule.as_ref();
    let schedule = schedule.map_or("by hand".to_owned(), ToString::to_string);
    let mut text = format!("{}  ({schedule})\n", dag.dag_id);
    if !dag.description.is_empty() {
        let _ = writeln!(text, "{}", printable(&dag.description));
    }
    text.push('\n');
    let rows = rows(dag);
    let width = rows
        .iter()
        .map(|(_, head)| head.chars().count())
        .max()
        .unwrap_or(0);
    for (index, head) in rows {
        let line = format!("  {head:width$}  {}", describe(dag, dag.task(index)));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Every task and its head, the tree's arm and the id, in the order they are shown. Without recursion:
/// a chain may have ten thousand tasks.
fn rows(dag: &Dag) -> Vec<(TaskIndex, String)> {
    let order = dag.topological_order();
    let mut depths = vec![0; dag.tasks().len()];
    let mut below: Vec<Vec<TaskIndex>> = vec![Vec::new(); dag.tasks().len()];
    let mut waiting = Vec::new();
    for index in order {
        let upstream = dag.task(index).upstream.iter();
        match upstream.max_by_key(|upstream| depths[upstream.get()]) {
            Some(last) => {
                depths[index.get()] = depths[last.get()] + 1;
                below[last.get()].push(index);
            }
            None => waiting.push(index),
        }
    }
    waiting.reverse();
    let mut rows = Vec::new();
    while let Some(index) = waiting.pop() {
        let depth: usize = depths[index.get()];
        let indent = 3 * depth.saturating_sub(1);
        let arm = if depth == 0 { "" } else { "└─ " };
        rows.push((
            index,
            format!("{:indent$}{arm}{}", "", dag.task(index).task_id),
        ));
        waiting.extend(below[index.get()].iter().rev());
    }
    rows
}

fn describe(dag: &Dag, task: &Task) -> String {
    let mut parts = vec![match &task.operator {
        Operator::Bash(_) => "bash".to_owned(),
        Operator::Argv(argv) => {
            let program = argv
                .first()
                .and_then(|word| word.as_literal())
                .unwrap_or("…");
            format!("argv {}", printable(program))
        }
        Operator::Http(http) => format!("http {}", printable(&http.method)),
        Operator::Call { function, .. } => format!("call {}", printable(function)),
        Operator::Empty => "empty".to_owned(),
    }];
    if !task.upstream.is_empty() {
        let ids: Vec<_> = task
            .upstream
            .iter()
            .map(|index| &*dag.task(*index).task_id)
            .collect();
        parts.push(format!("after {}", ids.join(", ")));
    }
    if task.trigger_rule != TriggerRule::AllSuccess {
        parts.push(task.trigger_rule.name().to_owned());
    }
    if task.retries > 0 {
        parts.push(format!(
            "{} retries after {}",
            task.retries,
            duration_text(task.retry_delay)
        ));
    }
    if let Some(timeout) = task.timeout {
        parts.push(format!("at most {}", duration_text(timeout)));
    }
    parts.join("; ")
}

fn edges(dag: &Dag) -> impl Iterator<Item = (&str, &str)> {
    dag.indices().flat_map(|index| {
        let id = |index: TaskIndex| &*dag.task(index).task_id;
        dag.task(index)
            .downstream
            .iter()
            .map(move |next| (id(index), id(*next)))
    })
}

/// Ids hold no quote and no backslash, so they need no escapes.
fn dot(dag: &Dag) -> String {
    let mut text = format!(
        "digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n",
        dag.dag_id
    );
    for task in dag.tasks() {
        let _ = writeln!(text, "  \"{}\";", task.task_id);
    }
    for (from, to) in edges(dag) {
        let _ = writeln!(text, "  \"{from}\" -> \"{to}\";");
    }
    text.push_str("}\n");
    text
}

/// Mermaid reads some words (`end`) and letters (`.`) in ids as its own, so tasks are numbered and named.
fn mermaid(dag: &Dag) -> String {
    let mut text = String::from("flowchart LR\n");
    for index in dag.indices() {
        let _ = writeln!(text, "  t{}[\"{}\"]", index.get(), dag.task(index).task_id);
    }
    for index in dag.indices() {
        for next in &dag.task(index).downstream {
            let _ = writeln!(text, "  t{} --> t{}", index.get(), next.get());
        }
    }
    text
}

fn json(dag: &Dag) -> String {
    let mut answer = api::dag_summary(dag, &Standing::offline(dag, config::cpus()));
    if let Value::Object(members) = &mut answer {
        let tasks = dag
            .tasks()
            .iter()
            .map(|task| api::task(dag, task))
            .collect();
        members.insert("tasks".to_owned(), Value::Array(tasks));
        members.insert("params".to_owned(), Value::Object(dag.params.clone()));
    }
    format!("{answer}\n")
}
