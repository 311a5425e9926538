//! The order of tasks, and the ways round where there is none. Linear, and without recursion.

use std::collections::VecDeque;

use super::{Task, TaskIndex};

/// After this many cycles the others are not looked for.
const CYCLES_MAX: usize = 10;

/// What [`sort`] finds.
pub(super) struct Sorted {
    /// All tasks, each after its upstreams, if there are no cycles.
    pub(super) order: Vec<TaskIndex>,
    /// Cycles that share no task: each a list in which every task waits for the one before it, and the
    /// first for the last.
    pub(super) cycles: Vec<Vec<TaskIndex>>,
}

/// Sorts tasks by their dependencies (Kahn's algorithm); those that are free at the same time stay as written.
pub(super) fn sort(tasks: &[Task]) -> Sorted {
    let mut waits_for: Vec<usize> = tasks.iter().map(|task| task.upstream.len()).collect();
    let mut done = vec![false; tasks.len()];
    let mut free: VecDeque<usize> = (0..tasks.len()).filter(|&i| waits_for[i] == 0).collect();
    let mut found = Sorted {
        order: Vec::with_capacity(tasks.len()),
        cycles: Vec::new(),
    };
    let mut first_left = 0;
    loop {
        while let Some(index) = free.pop_front() {
            if std::mem::replace(&mut done[index], true) {
                continue;
            }
            found.order.push(TaskIndex::new(index));
            for downstream in tasks[index].downstream.iter().map(|task| task.get()) {
                waits_for[downstream] = waits_for[downstream].saturating_sub(1);
                if waits_for[downstream] == 0 {
                    free.push_back(downstream);
                }
            }
        }
        // Each task that is left waits for another that is left, so going upstream must come round.
        while first_left < tasks.len() && done[first_left] {
            first_left += 1;
        }
        if first_left == tasks.len() || found.cycles.len() == CYCLES_MAX {
            return found;
        }
        let cycle = way_round(tasks, &done, first_left);
        // Let its tasks go, to find what does not depend on it.
        free.extend(cycle.iter().map(|task| task.get()));
        found.cycles.push(cycle);
    }
}

/// The first cycle on the way upstream from a task.
fn way_round(tasks: &[Task], done: &[bool], from: usize) -> Vec<TaskIndex> {
    let mut seen = vec![false; tasks.len()];
    let mut way = Vec::new();
    let mut at = TaskIndex::new(from);
    while !std::mem::replace(&mut seen[at.get()], true) {
        way.push(at);
        let upstream = tasks[at.get()]
            .upstream
            .iter()
            .find(|task| !done[task.get()]);
        at = *upstream.expect("a task that is left waits for one that is left");
    }
    let begin = way.iter().position(|task| *task == at).unwrap_or(0);
    way.drain(..begin);
    way.reverse();
    way
}
