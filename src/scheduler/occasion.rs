//! Runs for which no moment decides: once after each boot of the host, and when other DAGs have succeeded.
//!
//! What such a DAG was last run for is part of its state: the boot's id, or how often each of the others
//! had succeeded then. It is due while that differs from what is now. So a restart on the same boot is no
//! boot, a success is never lost and never counts twice, and several that come while the DAG is busy or
//! paused make one run, as with `catchup: "latest"`.
//!
//! A DAG has missed nothing that was before it: a success counts only if it comes after the DAG was seen to
//! wait for it. The boot that is going on when it is first seen is one of those that it runs in.
//!
//! DAGs that wait for each other in a circle wait for ever: one run by hand would never end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::dag_state::DagState;
use super::record::{Fact, Occasion, StopReason};
use super::{Scheduler, Turn};
use crate::dag::map_of;
use crate::dag::{Catchup, Dag, Overlap};
use crate::timetable::{Schedule, Timestamp, Timetable};

/// Between two runs: their logical dates have whole seconds.
const APART: Duration = Duration::from_secs(1);

/// What wakes the DAGs that wait for no moment.
#[derive(Debug, Default)]
pub(super) struct Occasions {
    boot_id: Option<Arc<str>>,
    /// Who waits for a DAG.
    waiting: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Whom a DAG waits for.
    awaited: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

/// What a DAG waits for that no clock decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The next boot of the host: it was run in this one.
    Boot,
    /// The host to say which boot this is: it was never told.
    UnknownBoot,
    /// Its last run to end.
    OwnRun,
    /// These DAGs to succeed.
    Successes(Vec<Arc<str>>),
    /// Itself, through others: it is the first and the last of these.
    Circle(Vec<Arc<str>>),
}

impl Occasions {
    /// A DAG waits for nobody any more. Returns those that may be due because of that: a circle may be open.
    pub(super) fn forget(&mut self, dag_id: &Arc<str>) -> BTreeSet<Arc<str>> {
        let Some(others) = self.awaited.remove(dag_id) else {
            return BTreeSet::new();
        };
        let mut freed: BTreeSet<_> = self.waiting_for(dag_id).collect();
        let mut fresh: Vec<_> = freed.iter().cloned().collect();
        while let Some(next) = fresh.pop() {
            let waiting = self.waiting_for(&next);
            let new: Vec<_> = waiting.filter(|other| !freed.contains(other)).collect();
            freed.extend(new.iter().cloned());
            fresh.extend(new);
        }
        for other in others {
            if let Some(waiting) = self.waiting.get_mut(&other) {
                waiting.remove(dag_id);
                if waiting.is_empty() {
                    self.waiting.remove(&other);
                }
            }
        }
        freed
    }

    fn wait(&mut self, dag_id: &Arc<str>, others: &[String]) {
        let others: Vec<Arc<str>> = others.iter().map(|id| id.as_str().into()).collect();
        for other in &others {
            let waiting = self.waiting.entry(other.clone()).or_default();
            waiting.insert(dag_id.clone());
        }
        self.awaited.insert(dag_id.clone(), others);
    }

    /// The DAGs that may be due when this one has succeeded.
    pub(super) fn waiting_for(&self, dag_id: &str) -> impl Iterator<Item = Arc<str>> {
        self.waiting.get(dag_id).into_iter().flatten().cloned()
    }
}

impl Scheduler {
    pub(super) fn booted(&mut self, boot_id: Arc<str>) {
        self.occasions.boot_id = Some(boot_id).filter(|boot_id| !boot_id.is_empty());
    }

    /// Takes note of whom a DAG waits for, and has those who wait for it begin to count.
    pub(super) fn listen(&mut self, turn: &mut Turn, dag: &Arc<Dag>) {
        let dag_id = &dag.dag_id;
        self.waking.extend(self.occasions.forget(dag_id));
        if let Some(Schedule::AfterDags(others)) = &dag.schedule {
            self.occasions.wait(dag_id, others);
            self.begin_to_count(turn, dag_id);
        }
        let waiting: Vec<_> = self.occasions.waiting_for(dag_id).collect();
        for other in waiting {
            self.begin_to_count(turn, &other);
        }
    }

    /// Successes of a DAG that is waited for count from now on, unless they did already.
    fn begin_to_count(&mut self, turn: &mut Turn, dag_id: &Arc<str>) {
        let (Some(known), Some(others)) =
            (self.state.dag(dag_id), self.occasions.awaited.get(dag_id))
        else {
            return;
        };
        let is_new = |other: &&Arc<str>| !known.heard.contains_key(*other);
        let count = |other: &Arc<str>| Some((other.clone(), self.state.dag(other)?.successes));
        let fresh = map_of(others.iter().filter(is_new).filter_map(count));
        if !fresh.is_empty() {
            self.record(turn, dag_id, Fact::Passed(Occasion::After(fresh)));
        }
    }

    /// A paused DAG that makes up for nothing has missed what it is due for.
    pub(super) fn pass_by(&mut self, turn: &mut Turn, dag_id: &Arc<str>, timetable: &Timetable) {
        let Some(known) = self.state.dag(dag_id) else {
            return;
        };
        let Some(occasion) = self.occasion(known) else {
            return;
        };
        let makes_up = known.dag.catchup != Catchup::None;
        if timetable.start.is_some_and(|start| turn.now.wall < start) {
            self.fires.wait(dag_id, timetable.start);
        } else if !makes_up {
            self.record(turn, dag_id, Fact::Passed(occasion));
        }
    }

    /// Runs a DAG that is due for something else than a moment, if it is and may.
    pub(super) fn serve_occasion(
        &mut self,
        turn: &mut Turn,
        dag_id: &Arc<str>,
        timetable: &Timetable,
    ) {
        let Some(known) = self.state.dag(dag_id) else {
            return;
        };
        let Some(occasion) = self.occasion(known) else {
            return;
        };
        let dag = known.dag.clone();
        if timetable.start.is_some_and(|start| turn.now.wall < start) {
            return self.fires.wait(dag_id, timetable.start);
        }
        let fire = fire(known, timetable, turn.now.wall);
        if timetable.end.is_some_and(|end| end < fire) {
            return;
        }
        let active = known.active_runs as usize + known.queued.len();
        if active < dag.max_active_runs as usize {
            return self.create_run(turn, &dag, (fire, (fire, fire)), Some(occasion));
        }
        match dag.overlap {
            Overlap::Queue => {}
            Overlap::Skip => self.record(turn, dag_id, Fact::Passed(occasion)),
            Overlap::Cancel => {
                if let Some(oldest) = self.to_cancel(dag_id) {
                    self.stop_run(turn, oldest, StopReason::Cancelled);
                }
            }
        }
    }

    /// What a DAG is due for now.
    fn occasion(&self, known: &DagState) -> Option<Occasion> {
        match known.dag.schedule.as_ref()? {
            Schedule::Reboot => {
                let boot_id = self.occasions.boot_id.as_ref()?;
                let is_new = known.boot_id.as_ref() != Some(boot_id);
                is_new.then(|| Occasion::Boot(boot_id.clone()))
            }
            Schedule::AfterDags(others) => {
                let count = |other: &String| {
                    let heard = known.heard.get(other.as_str())?;
                    let other = self.state.dag(other)?;
                    let has_succeeded = other.successes != *heard;
                    has_succeeded.then(|| (other.dag.dag_id.clone(), other.successes))
                };
                let mut counts = BTreeMap::new();
                for other in others {
                    let (dag_id, successes) = count(other)?;
                    counts.insert(dag_id, successes);
                }
                let is_free = self.circle(&known.dag.dag_id).is_none();
                is_free.then_some(Occasion::After(counts))
            }
            Schedule::Cron(_) | Schedule::Every(_) | Schedule::Once | Schedule::Continuous => None,
        }
    }

    /// The DAGs by which this one waits for itself: the first waits for the second, and so on.
    fn circle(&self, dag_id: &Arc<str>) -> Option<Vec<Arc<str>>> {
        let waits_for = |dag_id: &str| self.occasions.awaited.get(dag_id).map(Vec::as_slice);
        circle(dag_id, waits_for)
    }

    /// What a DAG waits for, if no clock decides when it is due. Nothing, if it is due and only waits for room.
    pub fn awaited_by(&self, dag_id: &str) -> Option<Awaited> {
        let known = self.state.dag(dag_id)?;
        match known.dag.schedule.as_ref()? {
            Schedule::Reboot if self.occasions.boot_id.is_none() => Some(Awaited::UnknownBoot),
            Schedule::Reboot => self.occasion(known).is_none().then_some(Awaited::Boot),
            Schedule::Continuous => (known.active_runs > 0).then_some(Awaited::OwnRun),
            Schedule::AfterDags(others) => {
                if let Some(circle) = self.circle(&known.dag.dag_id) {
                    return Some(Awaited::Circle(circle));
                }
                let is_awaited = |other: &&String| {
                    let heard = known.heard.get(other.as_str());
                    let there = self.state.dag(other).map(|other| &other.successes);
                    heard.is_none() || there.is_none() || heard == there
                };
                let others = others.iter().filter(is_awaited);
                let others: Vec<Arc<str>> = others.map(|id| id.as_str().into()).collect();
                (!others.is_empty()).then_some(Awaited::Successes(others))
            }
            Schedule::Cron(_) | Schedule::Every(_) | Schedule::Once => None,
        }
    }
}

/// What a run is named after: now, but always later than the one before, and a whole second of which there was no
/// run yet.
fn fire(known: &DagState, timetable: &Timetable, now: Timestamp) -> Timestamp {
    let earliest = known.scheduled_until.map(|until| until.after(APART));
    let second = now.truncated_to_secs();
    let mut fire = timetable.start.map_or(second, |start| start.max(second));
    fire = earliest.map_or(fire, |earliest| fire.max(earliest));
    let is_taken = |fire: Timestamp| {
        let mut runs = known.runs.keys();
        runs.any(|run_id| run_id.strip_prefix("scheduled__") == Some(&fire.to_string()))
    };
    loop {
        let free = known.ran.free_from(fire);
        if free > fire {
            let second = free.truncated_to_secs();
            fire = if second < free {
                second.after(APART)
            } else {
                second
            };
        } else if is_taken(fire) {
            fire = fire.after(APART);
        } else {
            return fire;
        }
    }
}

/// A way from `start` back to itself, if there is one. O(DAGs and dependencies that can be reached).
pub fn circle<'d>(
    start: &Arc<str>,
    waits_for: impl Fn(&str) -> Option<&'d [Arc<str>]>,
) -> Option<Vec<Arc<str>>> {
    let mut seen = BTreeSet::new();
    let mut way = vec![(start.clone(), 0)];
    while let Some((dag_id, next)) = way.last_mut() {
        let Some(other) = waits_for(dag_id).and_then(|others| others.get(*next)) else {
            way.pop();
            continue;
        };
        *next += 1;
        if other == start {
            let circle = way.iter().map(|(dag_id, _)| dag_id.clone());
            return Some(circle.chain([start.clone()]).collect());
        }
        if seen.insert(other.clone()) {
            way.push((other.clone(), 0));
        }
    }
    None
}
