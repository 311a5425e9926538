//! What is wrong between DAGs: names that nobody has, of those whose success one waits for and those that one
//! triggers, and circles of waiting.
//!
//! All are told and none keeps a DAG from being loaded: the other may come, and a run by hand is a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::daemon::hygiene;
use crate::dag::diagnostic::Source;
use crate::dag::json::{Document, Item};
use crate::dag::{Dag, Diagnostic, suggest};
use crate::scheduler::circle;
use crate::timetable::Schedule;

/// Checks every DAG against the others. `is_whole`: there are no others.
pub(super) fn check(dags: &BTreeMap<Arc<str>, Arc<Dag>>, is_whole: bool) -> Vec<Diagnostic> {
    let mut awaited: BTreeMap<&str, Vec<Arc<str>>> = BTreeMap::new();
    for dag in dags.values() {
        if let Some(Schedule::AfterDags(others)) = &dag.schedule {
            let others = others.iter().map(|other| Arc::from(other.as_str()));
            awaited.insert(&dag.dag_id, others.collect());
        }
    }
    let mut errors = Vec::new();
    if is_whole {
        errors.extend(dags.values().flat_map(|dag| unknown_targets(dag, dags)));
    }
    let mut in_circles = BTreeSet::new();
    for (dag_id, others) in &awaited {
        let dag = &dags[*dag_id];
        let unknown = others.iter().filter(|other| !dags.contains_key(*other));
        if is_whole {
            errors.extend(unknown.map(|other| unknown_dag(dag, other, dags)));
        }
        let waits_for = |dag_id: &str| awaited.get(dag_id).map(Vec::as_slice);
        if in_circles.contains(*dag_id) {
            continue;
        }
        if let Some(circle) = circle(&dag.dag_id, waits_for) {
            errors.push(in_a_circle(dag, &circle));
            in_circles.extend(circle);
        }
    }
    errors
}

/// The tasks of a DAG that trigger what is not there.
fn unknown_targets(dag: &Dag, dags: &BTreeMap<Arc<str>, Arc<Dag>>) -> Vec<Diagnostic> {
    let targets = dag.tasks().iter();
    let targets = targets.filter_map(|task| Some((task, &*task.operator.trigger()?.dag_id)));
    let unknown = targets.filter(|(_, other)| !dags.contains_key(*other));
    let told = unknown.map(|(task, other)| {
        let (task_id, dag_id) = (&task.task_id, &dag.dag_id);
        let message = format!("task `{task_id}` of DAG `{dag_id}` triggers unknown DAG `{other}`");
        at(Diagnostic::new(message), dag, other, "no DAG has this id")
            .note("it is loaded, and the task fails until there is one".to_owned())
            .help(suggest::help(other, dags.keys().map(|id| &**id)))
    });
    told.collect()
}

fn unknown_dag(dag: &Dag, other: &str, dags: &BTreeMap<Arc<str>, Arc<Dag>>) -> Diagnostic {
    let ids = dags.keys().map(|id| &**id);
    let help = suggest::help(other, ids.filter(|id| *id != &*dag.dag_id));
    let message = format!("DAG `{}` waits for unknown DAG `{other}`", dag.dag_id);
    let error = Diagnostic::new(message);
    at(error, dag, other, "no DAG has this id")
        .note("it is loaded, and waits until there is one".to_owned())
        .help(help)
}

fn in_a_circle(dag: &Dag, circle: &[Arc<str>]) -> Diagnostic {
    let next = circle.get(1).unwrap_or(&dag.dag_id);
    let names: Vec<&str> = circle.iter().map(|id| &**id).collect();
    let message = format!("DAG `{}` waits for itself", dag.dag_id);
    at(Diagnostic::new(message), dag, next, "leads back to it")
        .note(format!(
            "{}: none of them is ever due",
            names.join(" after ")
        ))
        .help("remove one of these names".to_owned())
}

/// Where a DAG's file names the other, if it still does.
fn at(error: Diagnostic, dag: &Dag, other: &str, label: &str) -> Diagnostic {
    let Some(path) = &dag.source else {
        return error.note(label.to_owned());
    };
    let bytes = hygiene::read_any(path).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let Ok(document) = Document::parse(&text) else {
        return error.note(format!("its file is {}", path.display()));
    };
    let schedule = member(document.root(), "schedule");
    let after = schedule.and_then(|schedule| member(schedule, "after"));
    let tasks = member(document.root(), "tasks");
    let tasks = tasks.into_iter().flat_map(Item::elements);
    let targets = tasks.filter_map(|task| member(member(task, "trigger")?, "dag_id"));
    let mut names = after.into_iter().flat_map(Item::elements).chain(targets);
    let file = path.display().to_string();
    match names.find(|name| name.text() == other) {
        Some(name) => error.at(&Source::new(&file, &text), name.span(), label),
        None => error.note(format!("its file is {file}")),
    }
}

fn member<'d>(object: Item<'d>, key: &str) -> Option<Item<'d>> {
    let mut members = object.members();
    members
        .find(|(name, _)| name.text() == key)
        .map(|(_, value)| value)
}
