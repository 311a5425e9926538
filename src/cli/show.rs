//! `mini-dag show`: a DAG as a text, as a picture, for Graphviz, for Mermaid, or as JSON.

mod graph;
mod svg;

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::client::{Client, run_path, text as text_of};
use super::progress::clip;
use super::terminal::{self, Screen};
use super::{Context, Failure, dag_arg, dags_arg, state_arg};
use crate::api::{self, Standing};
use crate::daemon::config;
use crate::dag::diagnostic::printable;
use crate::dag::map_of;
use crate::dag::{DEFAULT_POOL, Dag, Diagnostic, Operator, Task, TaskIndex, TriggerRule, Value};
use crate::timetable::duration_text;

/// What is deeper in the tree does not stand further to the right.
const DEPTH_SHOWN: usize = 20;
/// Of more upstreams the first ones are named.
const UPSTREAM_SHOWN: usize = 4;

pub(super) fn command() -> Command {
    Command::new("show")
        .about("Show a DAG: its tasks and their order")
        .arg(dag_arg().required(true))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["text", "svg", "dot", "mermaid", "json"])
                .default_value("text")
                .help("For people, as a picture, for Graphviz, for Markdown, or for programs"),
        )
        .arg(Arg::new("run").long("run").value_name("RUN").help(
            "With --format text or svg: the states of this run's tasks; `latest` is the latest run",
        ))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .conflicts_with("format")
                .help("The same as --format json"),
        )
        .arg(dags_arg())
        .arg(state_arg())
}

pub(super) fn show(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let name = matches.get_one::<String>("dag").map_or("", String::as_str);
    let dag = context.find(name, matches)?;
    let format = matches
        .get_one::<String>("format")
        .map_or("text", String::as_str);
    let as_json = matches.get_flag("json");
    if matches.contains_id("run") && (as_json || !matches!(format, "text" | "svg")) {
        let message = "a run is shown only as text or as a picture";
        let help = format!("use --format text or svg, or ask `mini-dag status {name}`");
        return Err(Failure::Usage(Box::new(
            Diagnostic::new(message).help(help),
        )));
    }
    let text = match format {
        _ if as_json => json(&dag),
        "json" => json(&dag),
        "svg" => svg::svg(&dag, &shown(context, &dag, matches)?.states),
        "dot" => dot(&dag),
        "mermaid" => mermaid(&dag),
        _ => text(&dag, &shown(context, &dag, matches)?),
    };
    terminal::print(&text)
}

/// The run that is shown: its id, and the states of its tasks. Both are empty without one.
#[derive(Default)]
struct Shown {
    run_id: String,
    states: BTreeMap<String, String>,
}

/// What is known of the run that `--run` names, if it does.
fn shown(context: &Context, dag: &Dag, matches: &ArgMatches) -> Result<Shown, Failure> {
    if !matches.contains_id("run") {
        return Ok(Shown::default());
    }
    let state = context.state(matches.get_one("state"))?;
    let client = Client::reading(state, context, matches);
    let run_id = client.run_id(&dag.dag_id, matches)?;
    let run = run_path(&dag.dag_id, &run_id);
    let tasks = client.all(&format!("{run}/taskInstances?"), "task_instances")?;
    let state = |task: &Value| {
        let state = task.get("state").and_then(Value::as_str);
        (text_of(task, "task_id"), state.unwrap_or("none").to_owned())
    };
    let states = map_of(tasks.iter().map(state));
    Ok(Shown { run_id, states })
}

/// The DAG, then its tasks as a graph where that fits the terminal, then a line a task. Without a graph the lines
/// are a tree: each below the last of the tasks that it waits for. A terminal gets no more of a line than it can show.
fn text(dag: &Dag, Shown { run_id, states }: &Shown) -> String {
    let screen = Screen::new(false);
    let columns = terminal::size().0;
    let schedule = dag.schedule.as_ref();
    let schedule = schedule.map_or("by hand".to_owned(), ToString::to_string);
    let run = match run_id.as_str() {
        "" => String::new(),
        run_id => format!("  {}", printable(run_id)),
    };
    let mut text = format!("{}  ({schedule}){run}\n", dag.dag_id);
    if !dag.description.is_empty() {
        let _ = writeln!(text, "{}", printable(&dag.description));
    }
    text.push('\n');
    let state = |task_id: &str| states.get(task_id).map_or("", String::as_str);
    let paint = |task_id: &str| match state(task_id) {
        "" => task_id.to_owned(),
        state => screen.in_colour_of(state, task_id),
    };
    let has_order = dag.tasks().iter().any(|task| !task.upstream.is_empty());
    let drawn = has_order.then(|| graph::graph(dag, columns.saturating_sub(2), &paint));
    let rows = match drawn.flatten() {
        Some(lines) => {
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
            text.push('\n');
            let order = dag.topological_order().into_iter();
            order
                .map(|index| (index, dag.task(index).task_id.to_string()))
                .collect()
        }
        None => rows(dag),
    };
    let width = |texts: &mut dyn Iterator<Item = &str>| texts.map(|it| it.chars().count()).max();
    let heads = width(&mut rows.iter().map(|(_, head)| &**head)).unwrap_or(0);
    let widest = width(&mut states.values().map(|it| &**it));
    for (index, head) in rows {
        let task = dag.task(index);
        let state = widest.map_or(String::new(), |widest| {
            let state = state(&task.task_id);
            screen.in_colour_of(state, &format!("{state:widest$}")) + "  "
        });
        let mut about = describe(dag, task);
        if screen.is_live {
            let before = 2 + heads + 2 + widest.map_or(0, |widest| widest + 2);
            about = clip(&about, columns.saturating_sub(before));
        }
        let line = format!("  {head:heads$}  {state}{about}");
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
    let mut waiting: Vec<_> = waiting.into_iter().map(|root| (root, true)).collect();
    let mut rows = Vec::new();
    // For each depth, what stands there in front of what is deeper.
    let mut trunks: Vec<&str> = Vec::new();
    while let Some((index, is_last)) = waiting.pop() {
        let depth: usize = depths[index.get()];
        let arm = match (depth, is_last) {
            (0, _) => "",
            (_, true) => "└─ ",
            (_, false) => "├─ ",
        };
        trunks.truncate(depth.saturating_sub(1).min(DEPTH_SHOWN));
        let trunk = trunks.concat();
        if depth > 0 {
            trunks.push(if is_last { "   " } else { "│  " });
        }
        let task_id = &dag.task(index).task_id;
        rows.push((index, format!("{trunk}{arm}{task_id}")));
        let next = below[index.get()].iter().rev().enumerate();
        waiting.extend(next.map(|(place, next)| (*next, place == 0)));
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
        Operator::Trigger(trigger) => format!("trigger {}", trigger.dag_id),
        Operator::Empty => "empty".to_owned(),
    }];
    let upstream = task.upstream.iter();
    let mut ids: Vec<_> = upstream.map(|index| &*dag.task(*index).task_id).collect();
    if ids.len() > UPSTREAM_SHOWN + 1 {
        let more = ids.split_off(UPSTREAM_SHOWN).len();
        parts.push(format!("after {} and {more} more", ids.join(", ")));
    } else if !ids.is_empty() {
        parts.push(format!("after {}", ids.join(", ")));
    }
    if task.trigger_rule != TriggerRule::AllSuccess {
        parts.push(task.trigger_rule.name().to_owned());
    }
    if let Some(poke) = task.poke {
        parts.push(format!("again every {}", duration_text(poke.every)));
    }
    if task.branch {
        parts.push("chooses what goes on".to_owned());
    }
    if *task.pool != *DEFAULT_POOL {
        parts.push(format!("pool {}", task.pool));
    }
    if task.retries > 0 {
        parts.push(format!(
            "{} {} after {}",
            task.retries,
            if task.retries == 1 {
                "retry"
            } else {
                "retries"
            },
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
        members.insert("params".to_owned(), api::params(dag));
    }
    format!("{answer}\n")
}
