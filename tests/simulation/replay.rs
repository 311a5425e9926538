//! What records make: the same state again, through a snapshot, and so many bytes.

use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::journal::{Options, apply_replayed};
use mini_dag::scheduler::{DagState, Fact, Record, Run, State};

use crate::ledger::Ledger;
use crate::sim_disk::SimDisk;
use crate::world::World;

/// An attempt makes two records: "a few hundred bytes" a task.
const BYTES_PER_RECORD_MAX: usize = 220;

impl World {
    /// What the records make, with these DAGs.
    pub fn fold(&self, log: &[Record], dags: Vec<Arc<Dag>>) -> State {
        let mut state = State::default();
        for dag in dags {
            state.insert_dag(dag);
        }
        for record in log {
            let is_known = state.dag(&record.dag_id).is_some();
            let result = apply(&mut state, record);
            let may_fail = !is_known || self.changed.contains(&*record.dag_id);
            assert!(may_fail || result.is_ok(), "{result:?}");
        }
        state
    }

    /// Whether two states are equal. Of a DAG whose tasks have changed, runs that began before keep what
    /// the records of another version said, so only the DAG itself is compared.
    pub fn compare(&self, told: &State, expected: &State) -> Result<(), String> {
        if told.next_run() != expected.next_run() {
            let (told, expected) = (told.next_run(), expected.next_run());
            return Err(format!("{told:?}, not {expected:?}"));
        }
        let cursors = |state: &State| {
            let known = state.backfills();
            let known = known.filter(|(_, it)| expected.dag(&it.dag_id).is_some());
            let facts =
                known.map(|(number, it)| (number, it.cursor, it.is_paused, it.completed_at));
            facts.collect::<Vec<_>>()
        };
        if cursors(told) != cursors(expected) {
            let (told, expected) = (cursors(told), cursors(expected));
            return Err(format!("{told:?}, not {expected:?}"));
        }
        for other in expected.dags() {
            let dag_id = &other.dag.dag_id;
            let known = told.dag(dag_id).ok_or_else(|| format!("no `{dag_id}`"))?;
            // Whether one that was never seen is paused, its version says when it is.
            let facts = |state: &DagState| {
                let is_paused = state.is_paused && state.first_seen.is_some();
                let waits = (state.boot_id.clone(), state.heard.clone(), state.successes);
                (is_paused, state.first_seen, state.scheduled_until, waits)
            };
            if facts(known) != facts(other) {
                let (told, expected) = (facts(known), facts(other));
                return Err(format!("`{dag_id}`: {told:?}, not {expected:?}"));
            }
            if self.changed.contains(&**dag_id) {
                continue;
            }
            if known != other {
                let all =
                    |dag: &DagState| format!("{dag:?}").split_off(format!("{:?}", dag.dag).len());
                return Err(format!("`{dag_id}`: {}, not {}", all(known), all(other)));
            }
            let of_it = |state: &State| {
                let backfills = state.backfills().filter(|(_, it)| it.dag_id == *dag_id);
                backfills.map(|(_, it)| it.clone()).collect::<Vec<_>>()
            };
            if of_it(told) != of_it(expected) {
                let (told, expected) = (of_it(told), of_it(expected));
                return Err(format!("{told:?}, not {expected:?}"));
            }
            for number in known.runs.values() {
                let (told, expected) = (told.run(*number), expected.run(*number));
                if told != expected {
                    let (told, expected) = (told.map(Run::image), expected.map(Run::image));
                    return Err(format!("{number:?}: {told:?}, not {expected:?}"));
                }
            }
        }
        Ok(())
    }

    /// I6: the records make the state; so does a snapshot of it.
    pub fn check_replay(&self) {
        let state = self.scheduler.state();
        let dags = || state.dags().map(|known| known.dag.clone()).collect();
        let mut replayed = self.fold(&self.log, dags());
        let snapshot: Vec<_> = state.snapshot(self.now().wall).collect();
        let mut restored = self.fold(&snapshot, dags());
        restored.skip_runs(state.next_run().0 - 1);
        for dag_id in &self.removed {
            replayed.remove_dag(dag_id);
            restored.remove_dag(dag_id);
        }
        for (state, what) in [(&replayed, "replayed"), (&restored, "restored")] {
            let result = self.compare(self.scheduler.state(), state);
            assert_eq!(result, Ok(()), "I6: {what}");
        }
    }

    /// I13: what a journal takes for it. All of it, since nothing of it is rotated away here.
    pub fn check_bytes(&self) {
        let disk = SimDisk::default();
        let options = Options {
            segment_bytes_max: u64::MAX,
            ..Options::default()
        };
        let (now, state) = (self.now(), self.scheduler.state());
        let opened = Ledger::open(&disk, 0, self.dags(), now, options);
        let (mut ledger, _) = opened.expect("an empty disk can be read");
        ledger.record(&self.log, now, state);
        let files = disk
            .files()
            .into_iter()
            .filter(|name| name.ends_with("jsonl"));
        let bytes: usize = files.map(|name| disk.contents(&name).len()).sum();
        let limit = 1_000 + self.log.len() * BYTES_PER_RECORD_MAX;
        assert!(
            bytes < limit,
            "I13: {bytes} bytes for {} records",
            self.log.len()
        );
    }
}

/// Applies a record as the journal does.
pub fn apply(state: &mut State, record: &Record) -> Result<(), String> {
    if state.dag(&record.dag_id).is_none() {
        if let Fact::Run(number, _) = record.fact {
            state.skip_runs(number.0);
        }
        if let Fact::Backfill(number, _) = record.fact {
            state.skip_backfills(number);
        }
        return Err("no such DAG".to_owned());
    }
    apply_replayed(state, record).map_err(|error| error.to_string())
}
