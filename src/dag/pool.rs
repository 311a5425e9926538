//! Named pools: how many task instances may use a thing at once, over all DAGs. The config names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, quote};
use super::{Dag, suggest};

/// The pool of tasks that name none. It has as many slots as attempts may run at once.
pub const DEFAULT_POOL: &str = "default_pool";
/// The most pools that a config may name.
pub const POOLS_MAX: usize = 1_000;

/// All pools and their slots. There is always the default pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pools {
    slots: BTreeMap<Arc<str>, u32>,
}

impl Pools {
    /// The default pool alone, with so many slots; at least 1.
    pub fn new(parallelism: u32) -> Self {
        Self {
            slots: BTreeMap::from([(DEFAULT_POOL.into(), parallelism.max(1))]),
        }
    }

    /// And another one.
    pub fn with(mut self, pool: &str, slots: u32) -> Self {
        self.slots.insert(pool.into(), slots);
        self
    }

    /// Attempts that may run at once, over all pools.
    pub fn parallelism(&self) -> u32 {
        self.slots(DEFAULT_POOL).unwrap_or(1)
    }

    /// The slots of a pool; `None` if there is no such pool.
    pub fn slots(&self, pool: &str) -> Option<u32> {
        self.slots.get(pool).copied()
    }

    /// Every pool and its slots, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, u32)> {
        self.slots.iter().map(|(pool, slots)| (pool, *slots))
    }

    /// What is wrong with the pools of a DAG that was written in Rust, before anybody knew them.
    pub fn faults(&self, dag: &Dag) -> Vec<Diagnostic> {
        let faults = dag.tasks().iter().filter_map(|task| {
            let (fault, _) = self.fault(&task.task_id, &task.pool, task.pool_slots)?;
            Some(fault.note(format!("in the compiled-in DAG `{}`", dag.dag_id)))
        });
        faults.collect()
    }

    /// Why a task that takes so many slots of a pool would never run, and what is wrong with it in a word.
    pub(super) fn fault(
        &self,
        task_id: &str,
        pool: &str,
        slots: u32,
    ) -> Option<(Diagnostic, String)> {
        let Some(size) = self.slots(pool) else {
            let error = Diagnostic::new(format!("unknown pool `{}`", quote(pool)));
            let names = self.slots.keys().map(|name| &**name);
            let help = suggest::help(pool, names).unwrap_or_else(|| {
                format!(
                    "name it in the config: \"pools\": {{\"{}\": 1}}",
                    quote(pool)
                )
            });
            return Some((error.help(help), "the config has no such pool".to_owned()));
        };
        (slots > size).then(|| {
            let task_id = quote(task_id);
            let error = Diagnostic::new(format!(
                "task `{task_id}` takes {slots} slots of pool `{}`, which has {size}",
                quote(pool)
            ));
            let help = if pool == DEFAULT_POOL {
                "it would never run; `parallelism` in the config says how many there are"
            } else {
                "it would never run; `pools` in the config says how many there are"
            };
            (error.help(help.to_owned()), format!("has {size}"))
        })
    }
}
