//! Which XComs a task is handed: those of its upstreams, and those that its templates name.
//!
//! A template may name only a task that has ended when its own begins: one that its task comes after,
//! directly or not.

use super::diagnostic::{Diagnostic, quote};
use super::report::{At, Report};
use super::{Dag, Operator, TaskIndex, suggest};

/// A template that names an XCom.
pub(super) struct XcomUse {
    /// The task that it belongs to; none if it is the DAG's.
    pub(super) by: Option<TaskIndex>,
    /// What it names.
    pub(super) task_id: Box<str>,
    pub(super) at: At,
}

/// How many tasks are looked at in one pass over the DAG.
const BLOCK: usize = u64::BITS as usize;

/// Fills in [`Task::xcoms`](super::Task::xcoms) and who is wanted. The DAG's dependencies are known, and have
/// no cycle. O((tasks and dependencies) × named tasks / 64).
pub(super) fn hand_over(dag: &mut Dag, uses: &[XcomUse], report: &mut Report<'_>) {
    for task in &mut dag.tasks {
        task.xcoms.clone_from(&task.upstream);
    }
    let mut named = Vec::new();
    for used in uses {
        let Some(by) = used.by else {
            report.error(used.at, "of the DAG, not of a task", || {
                let message = format!("`xcom.{}` outside of a task", quote(&used.task_id));
                Diagnostic::new(message).help("write it in the tasks that come after it".to_owned())
            });
            continue;
        };
        match dag.find(&used.task_id) {
            Some(task) if leaves_some(dag, task) => named.push((task, by, used.at)),
            Some(_) => report.error(used.at, "has none", || {
                Diagnostic::new(format!("task `{}` leaves no XCom", quote(&used.task_id)))
                    .help("an `empty` task has none, nor has one with `\"xcom\": false`".to_owned())
            }),
            None => report.error(used.at, "no task has this id", || {
                let ids = dag.tasks.iter().map(|task| &*task.task_id);
                let quoted = quote(&used.task_id);
                Diagnostic::new(format!("`xcom.{quoted}` names no task of this DAG")).help(
                    suggest::help(&used.task_id, ids)
                        .unwrap_or_else(|| "`xcom.<task_id>` is what that task left".to_owned()),
                )
            }),
        }
    }
    named.sort_by_key(|(task, by, _)| (*task, *by));
    let order = dag.topological_order();
    let of_task = named.chunk_by(|(a, ..), (b, ..)| a == b);
    let of_task: Vec<_> = of_task.collect();
    for block in of_task.chunks(BLOCK) {
        let targets = block.iter().map(|uses| uses[0].0);
        let comes_after = after(dag, &order, targets);
        for (bit, uses) in block.iter().enumerate() {
            for (task, by, at) in *uses {
                if comes_after[by.get()] & (1 << bit) != 0 {
                    dag.tasks[by.get()].xcoms.push(*task);
                    dag.tasks[task.get()].is_xcom_wanted = true;
                } else {
                    not_after(dag, *task, *by, *at, report);
                }
            }
        }
    }
    for task in &mut dag.tasks {
        task.xcoms.sort_unstable();
        task.xcoms.dedup();
    }
}

fn leaves_some(dag: &Dag, task: TaskIndex) -> bool {
    let task = dag.task(task);
    task.xcom && !matches!(task.operator, Operator::Empty)
}

/// For each task, which of at most 64 others it comes after.
fn after(dag: &Dag, order: &[TaskIndex], targets: impl Iterator<Item = TaskIndex>) -> Vec<u64> {
    let mut own = vec![0_u64; dag.tasks.len()];
    for (bit, task) in targets.enumerate() {
        own[task.get()] = 1 << bit;
    }
    let mut comes_after = vec![0_u64; dag.tasks.len()];
    for task in order {
        let upstream = dag.task(*task).upstream.iter();
        comes_after[task.get()] = upstream.fold(0, |bits, upstream| {
            bits | own[upstream.get()] | comes_after[upstream.get()]
        });
    }
    comes_after
}

fn not_after(dag: &Dag, task: TaskIndex, by: TaskIndex, at: At, report: &mut Report<'_>) {
    let (task_id, by_id) = (&*dag.task(task).task_id, &*dag.task(by).task_id);
    if task == by {
        return report.error(at, "is the task itself", || {
            Diagnostic::new(format!("task `{}` names its own XCom", quote(by_id)))
                .help("it has none before it has run".to_owned())
        });
    }
    report.error(at, "may not have run yet", || {
        let (task_id, by_id) = (quote(task_id), quote(by_id));
        Diagnostic::new(format!("task `{by_id}` does not come after `{task_id}`"))
            .help(format!("let it wait: \"{task_id} >> {by_id}\""))
    });
}
