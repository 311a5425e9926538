//! Who is next: the task instances that may start and wait for slots.
//!
//! Higher weight first, then the older logical date, then the older run, then the DAG's order. What cannot
//! start now is passed over without being looked at, and holds up nobody behind it:
//!
//! - those that wait for the same number of slots of the same pool have a *claim* in common, and only claims
//!   that the pool's free slots can meet show their head. A small claim may so overtake a large one;
//! - within a claim each DAG has a lane, and another for its backfills, which run while it is paused. Only lanes
//!   that are open show their head: those of a DAG that is paused or has all the running tasks it may have are shut.
//!
//! Every call costs O(log n) in lanes and waiting task instances, for each claim that it opens or shuts: those
//! of one pool, or of one DAG. There are as many as the pool's tasks have different `pool_slots`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::record::RunNumber;
use crate::dag::TaskIndex;
use crate::timetable::Timestamp;

/// A waiting task instance; the smallest is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) weight: Reverse<i64>,
    pub(super) logical_date: Timestamp,
    pub(super) run: RunNumber,
    pub(super) task: TaskIndex,
}

/// What a task instance waits for: so many slots of a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) pool: Arc<str>,
    pub(super) slots: u32,
}

/// Whose task instances wait together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneId {
    pub(super) dag_id: Arc<str>,
    pub(super) is_backfill: bool,
}

/// A waiting task instance, and its lane.
type Head = (Waiting, LaneId);

#[derive(Debug, Default)]
struct Lanes {
    by_claim: BTreeMap<Claim, BTreeSet<Waiting>>,
    is_shut: bool,
}

#[derive(Debug, Default)]
struct Heads {
    /// Of every lane that is open.
    all: BTreeSet<Head>,
    /// The one in [`Queue::ready`].
    shown: Option<Head>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<LaneId, Lanes>,
    claims: BTreeMap<Claim, Heads>,
    /// Free slots of each pool that has any.
    free: BTreeMap<Arc<str>, u32>,
    /// The first of every claim that can be met.
    ready: BTreeSet<(Head, Claim)>,
}

impl Queue {
    pub(super) fn insert(&mut self, id: &LaneId, claim: &Claim, waiting: Waiting) {
        self.change(id, claim, |lane| _ = lane.insert(waiting));
    }

    pub(super) fn remove(&mut self, id: &LaneId, claim: &Claim, waiting: &Waiting) {
        self.change(id, claim, |lane| _ = lane.remove(waiting));
    }

    pub(super) fn contains(&self, id: &LaneId, claim: &Claim, waiting: &Waiting) -> bool {
        let lanes = self.lanes.get(id);
        lanes
            .and_then(|lanes| lanes.by_claim.get(claim))
            .is_some_and(|lane| lane.contains(waiting))
    }

    /// What is waited for, and by how many.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&Claim, u64)> {
        let lanes = self.lanes.values().flat_map(|lanes| &lanes.by_claim);
        lanes.map(|(claim, lane)| (claim, lane.len() as u64))
    }

    /// The next one of all that can start; it stays in the queue.
    pub(super) fn first(&self) -> Option<(&LaneId, &Claim, Waiting)> {
        self.ready
            .first()
            .map(|((waiting, id), claim)| (id, claim, *waiting))
    }

    /// So many slots of a pool are free now.
    pub(super) fn offer(&mut self, pool: &Arc<str>, free: u32) {
        let before = if free > 0 {
            self.free.insert(pool.clone(), free)
        } else {
            self.free.remove(pool)
        };
        let before = before.unwrap_or(0);
        let claim = |slots: u32| Claim {
            pool: pool.clone(),
            slots,
        };
        if before == free {
            return;
        }
        let (least, most) = (before.min(free), before.max(free));
        let changed = claim(least + 1)..=claim(most);
        let changed: Vec<_> = self
            .claims
            .range(changed)
            .map(|(claim, _)| claim.clone())
            .collect();
        for claim in changed {
            self.show(&claim);
        }
    }

    /// Passes the lanes of an id over, or no longer.
    pub(super) fn shut(&mut self, id: &LaneId, is_shut: bool) {
        let lanes = self.lanes.entry(id.clone()).or_default();
        if lanes.is_shut != is_shut {
            lanes.is_shut = is_shut;
            let firsts: Vec<_> = lanes
                .by_claim
                .iter()
                .filter_map(|(claim, lane)| Some((claim.clone(), *lane.first()?)))
                .collect();
            for (claim, first) in firsts {
                let head = (first, id.clone());
                let heads = self.claims.entry(claim.clone()).or_default();
                if is_shut {
                    heads.all.remove(&head);
                } else {
                    heads.all.insert(head);
                }
                self.show(&claim);
            }
        }
        self.tidy(id);
    }

    /// Changes a lane and keeps its head in step.
    fn change(&mut self, id: &LaneId, claim: &Claim, change: impl FnOnce(&mut BTreeSet<Waiting>)) {
        let lanes = self.lanes.entry(id.clone()).or_default();
        let lane = lanes.by_claim.entry(claim.clone()).or_default();
        let before = lane.first().copied();
        change(lane);
        let after = lane.first().copied();
        if after.is_none() {
            lanes.by_claim.remove(claim);
        }
        if before != after && !lanes.is_shut {
            let heads = self.claims.entry(claim.clone()).or_default();
            if let Some(head) = before {
                heads.all.remove(&(head, id.clone()));
            }
            if let Some(head) = after {
                heads.all.insert((head, id.clone()));
            }
            self.show(claim);
        }
        self.tidy(id);
    }

    /// An id for which nothing waits needs no lanes.
    fn tidy(&mut self, id: &LaneId) {
        let is_idle = |lanes: &Lanes| lanes.by_claim.is_empty() && !lanes.is_shut;
        if self.lanes.get(id).is_some_and(is_idle) {
            self.lanes.remove(id);
        }
    }

    /// Shows the first of a claim if there are slots for it.
    fn show(&mut self, claim: &Claim) {
        let free = self.free.get(&claim.pool).copied().unwrap_or(0);
        let Some(heads) = self.claims.get_mut(claim) else {
            return;
        };
        let first = heads.all.first().filter(|_| claim.slots <= free).cloned();
        if heads.shown != first {
            if let Some(old) = heads.shown.take() {
                self.ready.remove(&(old, claim.clone()));
            }
            if let Some(new) = &first {
                self.ready.insert((new.clone(), claim.clone()));
            }
            heads.shown = first;
        }
        if heads.all.is_empty() {
            self.claims.remove(claim);
        }
    }
}
