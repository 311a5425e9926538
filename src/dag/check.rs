//! The one check that stands between what somebody wrote, in JSON or in Rust, and a [`Dag`].
//!
//! [`check`] turns a [`Draft`] into a DAG or into everything that is wrong with it. What each task is made of is
//! read by a [`Checker`].

mod meaning;
mod task;

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Span, quote};
use super::draft::{Dependency, Draft, Text};
use super::report::{At, Report};
use super::xcoms::hand_over;
use super::{
    DEFAULT_POOL, DEPENDENCIES_MAX, Dag, Functions, ID_BYTES_MAX, Pools, TASKS_MAX, Task,
    TaskIndex, graph, weight,
};
use crate::timetable::{DURATION_MAX, Schedule};

use task::Checker;
pub(super) use task::check_hooks;
pub(crate) use task::env_name;

/// The tasks of a cycle that are named before the middle is left out.
const CYCLE_NAMES_MAX: usize = 12;

/// Turns a draft into a DAG. Errors go to `report`, and what is returned then means nothing.
///
/// `known` are the functions that a `call` may name, beside those that the draft brings along; `pools` the pools
/// there are, if that is known.
pub(super) fn check(
    draft: Draft,
    known: &Functions,
    pools: Option<&Pools>,
    report: &mut Report<'_>,
) -> Dag {
    let Draft {
        mut dag,
        dag_id,
        after,
        env,
        secrets,
        hooks,
        task_hooks,
        cwd,
        tasks,
        dependencies,
    } = draft;
    id(&dag_id, "DAG", report);
    dag.dag_id = dag_id.text.as_str().into();
    if dag.max_active_runs == 0 || dag.max_active_tasks == Some(0) {
        report.error(dag_id.span, "", || {
            Diagnostic::new("`max_active_runs` and `max_active_tasks` are at least 1")
        });
    }
    if let Some(Schedule::AfterDags(others)) = &dag.schedule
        && others.contains(&dag_id.text)
    {
        let place = after.iter().find(|other| other.text == dag_id.text);
        let span = place.map_or(dag_id.span, |place| place.span);
        report.error(span, "is the DAG itself", || {
            Diagnostic::new(format!("DAG `{}` waits for itself", quote(&dag_id.text)))
                .help("`@continuous` runs again when its last run has ended".to_owned())
        });
    }
    time_limit("run_timeout", dag.run_timeout, &dag_id, report);
    if tasks.len() > TASKS_MAX {
        report.error(tasks[TASKS_MAX].task_id.span, "", || {
            Diagnostic::new(format!("too many tasks: a DAG has at most {TASKS_MAX}"))
        });
        return dag;
    }
    check_params(&dag, dag_id.span, report);
    let params = std::mem::take(&mut dag.params);
    let functions = std::mem::take(&mut dag.functions);
    let mut checker = Checker {
        params: &params,
        own: &functions,
        known,
        pools,
        report,
        by: None,
        xcoms: Vec::new(),
        secret_names: Vec::new(),
        dag_secret_names: secrets.iter().map(|(name, _)| name.text.clone()).collect(),
        is_hook: false,
        is_http: false,
        triggers: false,
    };
    dag.env = checker.env(env);
    dag.secrets = checker.secrets(secrets);
    dag.hooks = checker.hooks(hooks);
    dag.task_hooks = checker.hooks(task_hooks);
    dag.cwd = cwd.map(|cwd| checker.template(&cwd));
    let task_ids: Vec<Text> = tasks.iter().map(|task| task.task_id.clone()).collect();
    dag.tasks = tasks.into_iter().map(|task| checker.task(task)).collect();
    dag.looks_back = dag.tasks.iter().any(Task::looks_back);
    let xcoms = checker.xcoms;
    (dag.params, dag.functions) = (params, functions);
    dag.by_id = by_id(&task_ids, report);
    if connect(&mut dag, dependencies, report) {
        hand_over(&mut dag, &xcoms, report);
    }
    dag
}

/// The schedule gives a run no params, and what every run has must fit.
fn check_params(dag: &Dag, span: Option<Span>, report: &mut Report<'_>) {
    if let Err(why) = dag.check_params(&BTreeMap::new())
        && (dag.schedule.is_some() || dag.params.values().all(|param| param.default.is_some()))
    {
        report.error(span, "", || {
            let error = Diagnostic::new(format!("no run of this DAG can begin by itself: {why}"));
            error.help("give each param a `default`, or leave out `schedule`".to_owned())
        });
    }
}

/// What is said of a DAG without tasks.
pub(super) fn no_tasks() -> Diagnostic {
    Diagnostic::new("a DAG has at least one task")
}

/// Dependencies are counted before they are made; this is said when there are more than [`DEPENDENCIES_MAX`].
pub(super) fn too_many_dependencies() -> Diagnostic {
    Diagnostic::new(format!(
        "too many dependencies: a DAG has at most {DEPENDENCIES_MAX}"
    ))
    .help(
        "with an empty task between two groups, their sizes add up instead of multiplying"
            .to_owned(),
    )
}

/// Task indices ordered by id; repeated ids are errors.
fn by_id(task_ids: &[Text], report: &mut Report<'_>) -> Vec<TaskIndex> {
    let mut order: Vec<TaskIndex> = (0..task_ids.len()).map(TaskIndex::new).collect();
    let text = |index: &TaskIndex| task_ids[index.get()].text.as_str();
    order.sort_by(|a, b| text(a).cmp(text(b)));
    for same in order.chunk_by(|a, b| text(a) == text(b)) {
        for again in &same[1..] {
            let number = same[0].get() + 1;
            let span = task_ids[again.get()].span;
            // A task without an id has been reported.
            if text(again).is_empty() {
                continue;
            }
            report.error(span, "this id is taken", || {
                Diagnostic::new(format!("two tasks are called `{}`", quote(text(again))))
                    .note(format!("the other is task number {number}"))
            });
        }
    }
    order
}

/// Fills in each task's upstreams and downstreams; self-dependencies and cycles are errors. Whether there
/// is no cycle.
fn connect(dag: &mut Dag, mut dependencies: Vec<Dependency>, report: &mut Report<'_>) -> bool {
    // Of equal ones the first in the file is kept.
    dependencies.sort_by_key(|d| (d.downstream, d.upstream, d.at));
    dependencies.dedup_by_key(|d| (d.downstream, d.upstream));
    for dependency in &dependencies {
        let (upstream, downstream) = (dependency.upstream, dependency.downstream);
        if upstream == downstream {
            let task_id = dag.tasks[upstream.get()].task_id.clone();
            report.error(dependency.at, "is the task itself", || {
                Diagnostic::new(format!("task `{}` waits for itself", quote(&task_id)))
                    .help("remove this dependency".to_owned())
            });
            continue;
        }
        dag.tasks[downstream.get()].upstream.push(upstream);
        dag.tasks[upstream.get()].downstream.push(downstream);
    }
    let sorted = graph::sort(&dag.tasks);
    if sorted.cycles.is_empty() {
        weight::weigh(&mut dag.tasks, &sorted.order);
    }
    for cycle in &sorted.cycles {
        // The dependency that was written last is the one that closes it.
        let edge = |at: usize| {
            let upstream = cycle[at.checked_sub(1).unwrap_or(cycle.len() - 1)];
            let wanted = (cycle[at], upstream);
            let found = dependencies.binary_search_by_key(&wanted, |d| (d.downstream, d.upstream));
            found.map_or_else(|_| At::default(), |found| dependencies[found].at)
        };
        let first = (0..cycle.len()).max_by_key(|&at| edge(at)).unwrap_or(0);
        let name = |at: usize| quote(&dag.tasks[cycle[(first + at) % cycle.len()].get()].task_id);
        let mut names: Vec<String> = Vec::new();
        for at in 0..=cycle.len() {
            let left_out = cycle.len().saturating_sub(CYCLE_NAMES_MAX);
            if left_out > 0 && at == CYCLE_NAMES_MAX / 2 {
                names.push(format!("… {left_out} more …"));
            }
            if left_out == 0 || !(CYCLE_NAMES_MAX / 2..CYCLE_NAMES_MAX / 2 + left_out).contains(&at)
            {
                names.push(name(at).into_owned());
            }
        }
        report.error(edge(first), "closes the cycle", || {
            Diagnostic::new(format!("dag `{}` has a cycle", quote(&dag.dag_id)))
                .note(names.join(" >> "))
                .help("remove one of these dependencies".to_owned())
        });
    }
    sorted.cycles.is_empty()
}

/// A time limit leaves some time, and no more than any duration.
fn time_limit(key: &str, limit: Option<Duration>, of: &Text, report: &mut Report<'_>) {
    if limit.is_some_and(|limit| limit.is_zero() || limit > DURATION_MAX) {
        report.error(of.span, "", || {
            Diagnostic::new(format!(
                "`{key}` of `{}` is not from 1 ms to 100 years",
                quote(&of.text)
            ))
            .help("leave it out for no limit".to_owned())
        });
    }
}

/// An id: `[A-Za-z0-9_.-]`, 1 to [`ID_BYTES_MAX`] of them, no leading dot. `what` is "DAG", "DAG's" (another one), "task", "pool" or "secret".
pub(super) fn id(id: &Text, what: &str, report: &mut Report<'_>) {
    let text = id.text.as_str();
    let alien = |c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c);
    let (part, label) = if let Some(start) = text.find(alien) {
        let rest = &text[start..];
        let end = rest.find(|c| !alien(c)).unwrap_or(rest.len());
        (
            start..start + end,
            "an id has letters A to Z, digits, `_`, `.` and `-`",
        )
    } else if text.is_empty() {
        // A task without an id has been reported as such.
        if id.span.is_none() && what == "task" {
            return;
        }
        (0..0, "an id has at least one character")
    } else if text.len() > ID_BYTES_MAX {
        (0..text.len(), "an id has at most 250 characters")
    } else if text.starts_with('.') {
        (0..1, "an id does not begin with a dot")
    } else {
        return;
    };
    report.error(id.part(part), label, || {
        let help = match what {
            "DAG" => "without `dag_id`, the file's name is the id; `description` may hold any text",
            "DAG's" => "it is the `dag_id` of the other DAG, or the name of its file",
            "pool" => "as in \"camera\"",
            "secret" => "a secret is named as the file that holds it",
            _ => "`doc` may hold any text",
        };
        Diagnostic::new(format!("`{}` is not a {what} id", quote(text))).help(help.to_owned())
    });
}

/// The name of a pool in the config: an id, and not that of the default pool.
pub(crate) fn pool_name(name: &str, span: Span, report: &mut Report<'_>) {
    let text = Text {
        text: name.to_owned(),
        span: Some(span),
    };
    id(&text, "pool", report);
    if name == DEFAULT_POOL {
        report.error(span, "this pool is there anyway", || {
            Diagnostic::new(format!("`{DEFAULT_POOL}` in `pools`"))
                .help("`parallelism` says how many slots it has".to_owned())
        });
    }
}
