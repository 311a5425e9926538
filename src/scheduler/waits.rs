//! Why nothing happens, for people: what pools have, and what a task instance waits for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Scheduler;
use super::record::RunNumber;
use super::rule::Decision;
use super::settle::{claim, lane, waiting};
use super::states::RunState;
use super::timers::Timer;
use crate::dag::{DEFAULT_POOL, Poke, TaskIndex};
use crate::timetable::duration_text;

/// How a pool is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// What it has; none if the config no longer names it.
    pub slots: u32,
    /// What running attempts take. More than there are, if it has become smaller meanwhile.
    pub running: u32,
    /// What those that could start would take.
    pub waiting: u64,
}

/// What a task instance waits for that could start otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// That it is poked again.
    Poke(Poke),
    /// That the run which it has triggered ends.
    Run {
        /// The DAG of that run.
        dag_id: Arc<str>,
        /// That run.
        run_id: Arc<str>,
        /// Why that may wait itself, for people.
        hint: &'static str,
    },
    /// That a task of the run before ends well.
    Past {
        /// That run.
        run_id: Arc<str>,
        /// Its task.
        task_id: Arc<str>,
    },
    /// That its DAG is unpaused.
    Unpause,
    /// That another task instance of its DAG ends: as many run as may.
    Tasks(u32),
    /// Slots of a pool.
    Slots {
        /// Which pool.
        pool: Arc<str>,
        /// How many.
        slots: u32,
        /// What it has, and what is taken; `None` if there is no such pool any more.
        of: Option<(u32, u32)>,
    },
    /// That anything ends: as many attempts run as may.
    Parallelism(u32),
    /// Its turn, or that records can be written.
    Turn,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poke(poke) => {
                write!(f, "the next poke, one every {}", duration_text(poke.every))
            }
            Self::Run {
                dag_id,
                run_id,
                hint,
            } => write!(f, "the end of a run of DAG `{dag_id}`{hint}: `{run_id}`"),
            Self::Past { run_id, task_id } => {
                write!(f, "success of `{task_id}` in the run before, `{run_id}`")
            }
            Self::Unpause => f.write_str("the DAG is paused"),
            Self::Tasks(most) => write!(f, "another task of the DAG: {most} may run at once"),
            Self::Slots { pool, of: None, .. } => {
                write!(f, "the config has no pool `{pool}` any more")
            }
            Self::Slots {
                pool,
                slots,
                of: Some((size, _)),
            } if slots > size => {
                write!(f, "takes {slots} slots of pool `{pool}`, which has {size}")
            }
            Self::Slots {
                pool,
                slots,
                of: Some((size, used)),
            } => {
                let noun = if *slots == 1 { "slot" } else { "slots" };
                write!(f, "{slots} {noun} of pool `{pool}`, {used} of {size} taken")
            }
            Self::Parallelism(most) => write!(f, "a slot, {most} of {most} taken"),
            Self::Turn => f.write_str("its turn"),
        }
    }
}

impl WaitsFor {
    /// Whether it may start as soon as there are slots: what Airflow calls `scheduled`.
    pub fn is_for_slots(&self) -> bool {
        !matches!(self, Self::Poke(_) | Self::Run { .. } | Self::Past { .. })
    }
}

impl Scheduler {
    /// Every pool of the config, and every other one that is still in use, ordered by name.
    pub fn pools(&self) -> BTreeMap<Arc<str>, PoolUse> {
        let mut pools: BTreeMap<Arc<str>, PoolUse> = BTreeMap::new();
        for (pool, slots) in self.limits.pools.iter() {
            pools.entry(pool.clone()).or_default().slots = slots;
        }
        for (pool, used) in &self.used {
            pools.entry(pool.clone()).or_default().running = *used;
        }
        for (claim, count) in self.queue.claims() {
            let waiting = &mut pools.entry(claim.pool.clone()).or_default().waiting;
            *waiting += u64::from(claim.slots) * count;
        }
        pools
    }

    /// What a task instance waits for that may start otherwise: what Airflow calls `scheduled`.
    pub fn waits_for(&self, number: RunNumber, index: TaskIndex) -> Option<WaitsFor> {
        let run = self.state.run(number)?;
        let (known, claim) = (self.state.dag(&run.dag.dag_id)?, claim(run.dag.task(index)));
        let waiting = waiting(run, number, index);
        if self.timers.is_set(Timer::Reschedule(number, index)) {
            return run.dag.task(index).poke.map(WaitsFor::Poke);
        }
        if let Some(waits) = self.waits_for_child(number, index) {
            return Some(waits);
        }
        if !self.queue.contains(&lane(run), &claim, &waiting) {
            let may_start = matches!(run.decide(index), Decision::Run)
                && run.state == RunState::Running
                && !self.attempts.contains_key(&(number, index))
                && !run.task(index).state.is_finished();
            let past = self
                .state
                .waits_for_past(number, index)
                .filter(|_| may_start);
            return past.map(|(run_id, task_id)| WaitsFor::Past { run_id, task_id });
        }
        let tasks_max = known.dag.max_active_tasks;
        let size = self.limits.pools.slots(&claim.pool);
        let used = self.used.get(&claim.pool).copied().unwrap_or(0);
        let parallelism = self.limits.pools.parallelism();
        let is_full = self.attempts.len() >= parallelism as usize;
        Some(match (tasks_max, size) {
            _ if known.is_paused && !lane(run).is_backfill => WaitsFor::Unpause,
            (Some(most), _) if self.running_tasks(&run.dag.dag_id) >= most => WaitsFor::Tasks(most),
            (_, Some(size)) if size.saturating_sub(used) >= claim.slots => {
                if is_full {
                    WaitsFor::Parallelism(parallelism)
                } else {
                    WaitsFor::Turn
                }
            }
            _ if is_full && *claim.pool == *DEFAULT_POOL && claim.slots == 1 => {
                WaitsFor::Parallelism(parallelism)
            }
            _ => WaitsFor::Slots {
                of: size.map(|size| (size, used)),
                pool: claim.pool,
                slots: claim.slots,
            },
        })
    }
}
