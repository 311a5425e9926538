//! The daemon ends without a word, and another goes on from what is on record.
//!
//! I5: the state after a crash is that of the first so many records, with all that were synced; after the
//! end of the process alone, with all that were written. I6: the records alone make the same state, a
//! snapshot too, and a journal.

use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::journal::{Options, read_state};
use mini_dag::scheduler::{Event, Scheduler, State};
use mini_dag::timetable::Timestamp;

use crate::ledger::Ledger;
use crate::replay::apply;
use crate::sim_disk::{SimDisk, Tail};
use crate::world::World;

impl World {
    pub fn crash(&mut self) {
        if self.disk.has_crashed() {
            self.model.tally.count("crash: at an operation of the disk");
        }
        self.down = Some(self.rng.one_in(2) || self.disk.has_crashed());
    }

    /// Some time later, perhaps with other DAGs.
    pub fn come_back(&mut self) {
        let with_power = self.down.take().expect("it is down");
        self.crashes += 1;
        self.boots += u64::from(with_power);
        let kind = if with_power { "power" } else { "process" };
        self.tell(format!("the {kind} has gone"));
        self.model.tally.count(if with_power {
            "crash: the power"
        } else {
            "crash: the process"
        });
        let floor = if with_power {
            self.ledger.synced()
        } else {
            self.ledger.written()
        };
        let tail = match self.rng.below(3) {
            _ if !with_power => Tail::Kept,
            0 => Tail::Torn,
            1 => Tail::Zeroed,
            _ => Tail::Garbage,
        };
        if self.weather.journal {
            match tail {
                Tail::Kept => {}
                Tail::Torn => self.model.tally.count("tail: torn"),
                Tail::Zeroed => self.model.tally.count("tail: zeroed"),
                Tail::Garbage => self.model.tally.count("tail: garbage"),
            }
        }
        self.disk = self.disk.after_crash(tail, &mut self.rng);
        self.now_ms += match self.rng.below(8) {
            0 => self.rng.up_to(1_800_000),
            1 | 2 => 0,
            _ => self.rng.up_to(90_000),
        };
        if !self.weather.journal {
            let unsure = self.log.len() - floor;
            let kept = floor
                + if with_power {
                    self.rng.below(unsure + 1)
                } else {
                    unsure
                };
            self.lose_all_but(kept);
        }
        self.forget_the_daemon();
        if !self.is_quiet {
            self.change_dags_while_away();
        }
        self.restart(floor, with_power);
    }

    fn lose_all_but(&mut self, kept: usize) {
        if kept < self.log.len() {
            self.model.tally.count("lost records");
        }
        self.log.truncate(kept);
    }

    pub fn dags(&self) -> Vec<Arc<Dag>> {
        let dags = self.versions.iter().map(|version| version.dag.clone());
        dags.filter(|dag| !self.removed.contains(&*dag.dag_id))
            .collect()
    }

    /// A daemon begins, with what is on record.
    pub fn restart(&mut self, floor: usize, is_boot: bool) {
        let state = if self.weather.journal {
            self.open(floor)
        } else {
            self.ledger = Ledger::list(self.log.len());
            self.fold(&self.log, self.dags())
        };
        self.absent.clone_from(&self.removed);
        self.scheduler = Scheduler::resume(self.limits.clone(), state, self.now());
        self.scheduler.set_hooks_of_all(crate::hooks::of_all());
        self.model.clock_shows(self.clock.ahead_ms);
        let now = (self.wall_ms(), self.now_ms);
        self.model.restart(&self.scheduler, now, &self.log);
        self.log_synchronised.truncate(self.log.len());
        for version in &self.versions {
            if !self.removed.contains(&*version.dag.dag_id) {
                self.model.know(version, &self.log);
                self.check_mark(&version.dag.dag_id);
            }
        }
        self.model.know_the_switch(&self.scheduler);
        let lost: Vec<_> = self.scheduler.live_attempts().collect();
        self.begin_by_the_clock(is_boot);
        if !self.is_down() {
            self.step(Event::Booted(format!("boot-{}", self.boots).into()));
        }
        if self.is_down() {
            return;
        }
        if !self.ledger.is_healthy() {
            self.tend_the_ledger();
        }
        for id in lost {
            if !self.is_down() {
                self.step(Event::Lost(id));
            }
        }
        for dag in self.dags() {
            if !self.is_down() {
                self.step(Event::DagLoaded(dag));
            }
        }
    }

    /// Opens the journal; a disk that cannot be read now can be later.
    fn open(&mut self, floor: usize) -> State {
        let kept = self.kept(floor);
        self.tell(format!("{kept} of {} records are kept", self.log.len()));
        self.lose_all_but(kept);
        if self.weather.faults && self.rng.one_in(3) {
            self.fail_the_disk();
        }
        let options = Options {
            segment_bytes_max: 1_000 + self.rng.up_to(30_000),
            retention_bytes: 10_000,
            boot_id: format!("{}", self.rng.below(2)),
            ..Options::default()
        };
        let (dags, now) = (self.dags(), self.now());
        let open = |disk: &SimDisk| Ledger::open(disk, kept, dags.clone(), now, options.clone());
        let (ledger, state) = open(&self.disk).unwrap_or_else(|| {
            // Another day, another try; what was promised is still there.
            self.disk = self.disk.copy();
            open(&self.disk).expect("the disk can be read")
        });
        let folded = self.fold(&self.log, self.dags());
        assert_eq!(self.compare(&state, &folded), Ok(()), "I5: opened");
        self.ledger = ledger;
        state
    }

    /// I5: how many records are on the disk: those that were promised, and perhaps more.
    fn kept(&self, floor: usize) -> usize {
        let all = || self.versions.iter().map(|version| version.dag.clone());
        let found = read_state(&self.disk, all()).expect("the disk can be read");
        assert_eq!(found.report.damage, [], "I5: a crash is no damage");
        let mut folded = self.fold(&self.log[..floor], all().collect());
        let mut kept = floor;
        while let Err(why) = self.compare(&found.state, &folded) {
            let record = self.log.get(kept);
            let record = record.unwrap_or_else(|| panic!("I5: no {floor} records or more: {why}"));
            // One of a DAG that has changed may not fit.
            let _ = apply(&mut folded, record);
            kept += 1;
        }
        kept
    }

    /// What a DAG is known by follows from the records, told a second time.
    fn check_mark(&self, dag_id: &str) {
        let known = self.scheduler.state().dag(dag_id).expect("it is there");
        let due = self.model.due(dag_id);
        assert_eq!(known.first_seen.map(Timestamp::millis), due.first_seen);
        assert_eq!(known.scheduled_until.map(Timestamp::millis), due.mark);
        if due.first_seen.is_some() {
            assert_eq!(known.is_paused, due.is_paused, "`{dag_id}` is paused");
        }
    }
}
