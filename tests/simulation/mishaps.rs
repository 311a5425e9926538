//! What befalls a daemon: DAG files that change, go and come back, disks that fail, power that goes.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use mini_dag::journal::apply_replayed;
use mini_dag::scheduler::{Event, Record};

use crate::dags::Version;
use crate::sim_disk::Fault;
use crate::world::{World, draw_pools};
use crate::zones::Place;

impl World {
    pub fn mishap(&mut self) {
        let index = self.rng.below(self.versions.len());
        let dag_id = self.versions[index].dag.dag_id.clone();
        let is_there = !self.removed.contains(&*dag_id);
        match self.rng.below(if self.weather.clocks { 10 } else { 7 }) {
            7.. => self.set_the_clock(),
            0 | 1 if self.weather.reloads => {
                self.redraw(index);
                self.count_whether_it_runs(&dag_id, ["reload", "reload: in mid-run"]);
                self.load(index);
            }
            2 if self.weather.removals && is_there => {
                self.tell(format!("`{dag_id}` is removed"));
                self.count_whether_it_runs(&dag_id, ["removed", "removed: in mid-run"]);
                self.removed.insert(dag_id.to_string());
                self.step(Event::DagRemoved(dag_id));
            }
            2 | 3 if self.weather.removals && !is_there => self.load(index),
            3 if self.weather.reloads && is_there => self.load(index),
            4 if self.weather.faults => self.fail_the_disk(),
            4 => self.check_replay(),
            5 if self.weather.crashes && self.rng.one_in(3) => {
                self.is_stopping = true;
                self.step(Event::Shutdown);
            }
            5 if self.weather.crashes => self.crash(),
            6 if self.weather.pools => {
                self.limits.pools = draw_pools(&mut self.rng, &self.weather);
                self.tell(format!("{:?}", self.limits.pools));
                self.step(Event::Limits(self.limits.clone()));
            }
            _ => {}
        }
    }

    fn count_whether_it_runs(&mut self, dag_id: &str, [what, what_in_mid_run]: [&'static str; 2]) {
        let is_running = self.model.live_runs(dag_id).next().is_some();
        let tally = &mut self.model.tally;
        tally.count(if is_running { what_in_mid_run } else { what });
    }

    /// Draws a new version of a DAG.
    fn redraw(&mut self, index: usize) {
        let old = self.versions[index].clone();
        let mut plan = old.plan.clone();
        let wall_ms = self.wall_ms();
        if self.weather.schedules && self.rng.one_in(2) {
            let place = if self.weather.zones && self.rng.one_in(4) {
                Place::draw(&mut self.rng)
            } else {
                self.place
            };
            plan = plan.redraw(&mut self.rng, index, wall_ms, place);
        }
        let version = Version::draw(&mut self.rng, index, plan, &self.weather);
        self.changed.insert(version.dag.dag_id.to_string());
        self.versions[index] = version;
    }

    /// A DAG is there, as it was, or new, or back.
    pub fn load(&mut self, index: usize) {
        let version = self.versions[index].clone();
        let dag_id = &version.dag.dag_id;
        self.tell(format!("`{dag_id}` is loaded: {:?}", version.plan));
        self.removed.remove(&**dag_id);
        if self.absent.remove(&**dag_id) {
            self.claim(&version);
        }
        self.model.know(&version, &self.log);
        if !self.is_down() {
            self.step(Event::DagLoaded(version.dag));
        }
    }

    /// What is on record of a DAG that was not there when the daemon began.
    fn claim(&mut self, version: &Version) {
        let dag_id = &version.dag.dag_id;
        let claimed = self.ledger.claim(dag_id).unwrap_or_else(|| {
            let all = self.fold(&self.log, vec![version.dag.clone()]);
            let of_it = |record: &Record| record.dag_id == *dag_id;
            all.snapshot(self.now().wall).filter(of_it).collect()
        });
        let is_changed = self.changed.contains(&**dag_id);
        let before: BTreeSet<_> = self.scheduler.live_attempts().collect();
        self.scheduler.recall(self.now(), |state| {
            state.insert_dag(version.dag.clone());
            for record in &claimed {
                let result = apply_replayed(state, record);
                assert!(is_changed || result.is_ok(), "{result:?}");
            }
        });
        let now = self.wall_ms();
        self.model.now_ms = self.now_ms;
        self.model.adopt(&self.scheduler, now);
        self.model.know(version, &self.log);
        self.model.know_the_switch(&self.scheduler);
        let after = self.scheduler.live_attempts();
        let lost: Vec<_> = after.filter(|id| !before.contains(id)).collect();
        for id in lost {
            if !self.is_down() {
                self.step(Event::Lost(id));
            }
        }
    }

    pub fn change_dags_while_away(&mut self) {
        for index in 0..self.versions.len() {
            let dag_id = self.versions[index].dag.dag_id.to_string();
            if self.weather.reloads && self.rng.one_in(6) {
                self.redraw(index);
            }
            if self.weather.removals && self.rng.one_in(6) {
                self.removed.insert(dag_id);
            } else if self.rng.one_in(3) {
                self.removed.remove(&dag_id);
            }
        }
    }

    pub fn fail_the_disk(&mut self) {
        if !self.weather.journal || self.disk.has_crashed() {
            return;
        }
        let errors = [
            (ErrorKind::Other, "disk: EIO"),
            (ErrorKind::StorageFull, "disk: ENOSPC"),
            (ErrorKind::ReadOnlyFilesystem, "disk: EROFS"),
        ];
        match self.rng.below(4) {
            0 => {
                self.tell("the disk is well again".to_owned());
                self.disk.set_fault(None);
                self.disk.set_space(None);
            }
            1 if self.weather.crashes => {
                let operation = 1 + self.rng.up_to(40);
                self.tell(format!("the power goes at the next operation {operation}"));
                self.disk.crash_at(operation);
            }
            2 => {
                let space = 20_000 + self.rng.below(100_000);
                self.tell(format!("the disk has {space} bytes"));
                self.disk.set_space(Some(space));
                self.model.tally.count("disk: full");
            }
            _ => {
                let (error, name) = *self.rng.pick(&errors);
                let fault = Fault {
                    at: 1 + self.rng.up_to(20),
                    for_ever: self.rng.one_in(2),
                    error,
                    is_short: self.rng.one_in(4),
                };
                self.tell(format!("{fault:?}"));
                if fault.is_short {
                    self.model.tally.count("disk: short write");
                }
                self.model.tally.count(name);
                self.disk.set_fault(Some(fault));
            }
        }
    }
}
