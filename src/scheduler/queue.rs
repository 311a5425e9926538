//! Who is next: the task instances that may start and wait for a slot.
//!
//! Higher priority first, then the older logical date, then the older run, then the DAG's order. A
//! DAG that is paused or has all the running tasks it may have is passed over without being looked
//! at: each DAG has a lane, and only lanes that are open show their head. Every call costs
//! O(log n) in lanes and waiting task instances.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::record::RunNumber;
use crate::dag::TaskIndex;
use crate::timetable::Timestamp;

/// A waiting task instance; the smallest is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) priority: Reverse<i32>,
    pub(super) logical_date: Timestamp,
    pub(super) run: RunNumber,
    pub(super) task: TaskIndex,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeSet<Waiting>,
    is_shut: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<Arc<str>, Lane>,
    /// The head of every lane that is open and not empty.
    heads: BTreeSet<(Waiting, Arc<str>)>,
}

impl Queue {
    pub(super) fn insert(&mut self, dag_id: &Arc<str>, waiting: Waiting) {
        self.change(dag_id, |lane| {
            lane.waiting.insert(waiting);
        });
    }

    pub(super) fn remove(&mut self, dag_id: &Arc<str>, waiting: &Waiting) {
        self.change(dag_id, |lane| {
            lane.waiting.remove(waiting);
        });
    }

    pub(super) fn contains(&self, dag_id: &str, waiting: &Waiting) -> bool {
        self.lanes
            .get(dag_id)
            .is_some_and(|lane| lane.waiting.contains(waiting))
    }

    /// Passes a DAG over, or no longer.
    pub(super) fn shut(&mut self, dag_id: &Arc<str>, is_shut: bool) {
        self.change(dag_id, |lane| lane.is_shut = is_shut);
    }

    /// The next one of all lanes that are open; it stays in the queue.
    pub(super) fn first(&self) -> Option<(&Arc<str>, Waiting)> {
        self.heads
            .first()
            .map(|(waiting, dag_id)| (dag_id, *waiting))
    }

    /// Changes a lane and keeps its head in step; an empty open lane is dropped.
    fn change(&mut self, dag_id: &Arc<str>, change: impl FnOnce(&mut Lane)) {
        let lane = self.lanes.entry(dag_id.clone()).or_default();
        let before = lane.head();
        change(lane);
        let after = lane.head();
        let is_idle = lane.waiting.is_empty() && !lane.is_shut;
        if before != after {
            if let Some(head) = before {
                self.heads.remove(&(head, dag_id.clone()));
            }
            if let Some(head) = after {
                self.heads.insert((head, dag_id.clone()));
            }
        }
        if is_idle {
            self.lanes.remove(dag_id);
        }
    }
}

impl Lane {
    fn head(&self) -> Option<Waiting> {
        if self.is_shut {
            None
        } else {
            self.waiting.first().copied()
        }
    }
}
