//! A world that can be told what happens: a virtual clock, random DAGs, processes, people, and whatever
//! befalls a daemon. Everything follows from the seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use mini_dag::dag::Pools;
use mini_dag::scheduler::{
    AttemptId, Command, Event, Limits, Look, Monotonic, Now, Record, Scheduler, build_date,
};
use mini_dag::timetable::Timestamp;

use crate::clock::Clock;
use crate::dags::Version;
use crate::hands::Process;
use crate::ledger::Ledger;
use crate::model::Model;
use crate::rhythm::Plan;
use crate::rng::Rng;
use crate::sim_disk::SimDisk;
use crate::weather::Weather;
use crate::zones::Place;

const GRACE: Duration = Duration::from_secs(5);
/// People leave after this, and nothing is due any more; then everything has to come to an end.
const BUSY_MS: u64 = 600_000;
/// More than any world has needed.
pub const STEPS_MAX: u64 = 50_000;
/// How long an end may take.
const LONGEST_MS: u64 = 1_000 * BUSY_MS;

const DAY_MS: i64 = 86_400_000;

/// The pools that tasks may name.
pub const POOLS: [&str; 2] = ["camera", "uplink"];

/// Pools as some config has them: of any size, or not at all.
pub fn draw_pools(rng: &mut Rng, weather: &Weather) -> Pools {
    let mut pools = Pools::new(1 + rng.small(4));
    for pool in POOLS.iter().filter(|_| weather.pools) {
        if !rng.one_in(6) {
            pools = pools.with(pool, 1 + rng.small(3));
        }
    }
    pools
}

/// What has happened, lost or not.
pub enum Told {
    Record(Record),
    Note(u64, String),
}

pub struct World {
    pub rng: Rng,
    pub weather: Weather,
    pub begin_ms: i64,
    /// Where most of its DAGs have their clocks.
    pub place: Place,
    pub now_ms: u64,
    pub clock: Clock,
    pub scheduler: Scheduler,
    pub limits: Limits,
    /// Every DAG there ever was, in its latest version.
    pub versions: Vec<Version>,
    /// Those that are not there.
    pub removed: BTreeSet<String>,
    /// Those whose tasks have changed since the first record.
    pub changed: BTreeSet<String>,
    /// Those that were not there when the daemon read its records.
    pub absent: BTreeSet<String>,
    pub processes: BTreeMap<AttemptId, Process>,
    pub model: Model,
    pub disk: SimDisk,
    pub ledger: Ledger,
    /// What is on record, as far as it is not lost.
    pub log: Vec<Record>,
    /// Which of them were written while the clock was synchronised.
    pub log_synchronised: Vec<bool>,
    pub commands: u64,
    pub unanswered: BTreeSet<u64>,
    /// What backfills want to know of history, and when it will have been read.
    pub looks: Vec<(u64, Look)>,
    /// Answers that wait until so many records are synced.
    pub unsynced: VecDeque<(usize, u64)>,
    /// The daemon has ended without a word; `true`: with the power.
    pub down: Option<bool>,
    /// It was told to go, and goes when nothing runs any more.
    pub is_stopping: bool,
    /// How often the power came.
    pub boots: u64,
    pub is_quiet: bool,
    pub is_unpaused: bool,
    pub crashes: u64,
    pub steps: u64,
    pub told: Vec<Told>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let weather = Weather::draw(&mut rng);
        // Any moment of the ten years after the program was built.
        let mut begin_ms =
            build_date().millis() + i64::try_from(rng.up_to(315_000_000_000)).unwrap();
        let place = if weather.zones {
            let place = Place::draw(&mut rng);
            let change = place.draw_change(&mut rng, build_date().millis() + DAY_MS);
            let late = if rng.one_in(2) { 600_000 } else { 4_200_000 };
            begin_ms = change - 600_000 + i64::from(rng.small(late));
            place
        } else {
            Place::UTC
        };
        let limits = Limits {
            pools: draw_pools(&mut rng, &weather),
            kill_grace: GRACE,
        };
        let mut versions = Vec::new();
        let more = rng.below(3).max(usize::from(weather.triggers));
        for number in 0..=more {
            let plan = if weather.schedules && !rng.one_in(3) {
                Plan::draw(&mut rng, number, begin_ms, place)
            } else {
                Plan::never()
            };
            versions.push(Version::draw(&mut rng, number, plan, &weather));
        }
        let clock = Clock::draw(&mut rng);
        Self {
            rng,
            weather,
            begin_ms,
            place,
            now_ms: 0,
            clock,
            scheduler: Scheduler::new(limits.clone()),
            limits: limits.clone(),
            versions,
            removed: BTreeSet::new(),
            changed: BTreeSet::new(),
            absent: BTreeSet::new(),
            processes: BTreeMap::new(),
            model: Model::new(limits.clone()),
            disk: SimDisk::default(),
            ledger: Ledger::list(0),
            log: Vec::new(),
            log_synchronised: Vec::new(),
            commands: 0,
            unanswered: BTreeSet::new(),
            looks: Vec::new(),
            unsynced: VecDeque::new(),
            down: None,
            is_stopping: false,
            boots: 1,
            is_quiet: false,
            is_unpaused: false,
            crashes: 0,
            steps: 0,
            told: Vec::new(),
        }
    }

    /// Lives through the whole story and checks that it ends well.
    pub fn run(&mut self) {
        self.restart(0, true);
        let (mut next_command, mut next_mishap) = (0, self.rng.up_to(120_000));
        loop {
            while self.is_down() {
                self.come_back();
            }
            self.tend_the_ledger();
            if self.is_stopping && self.scheduler.live_attempts().len() == 0 {
                // All that ran has ended, so the program does.
                self.down = Some(false);
            }
            if self.is_down() {
                continue;
            }
            if self.is_quiet && !self.is_unpaused && self.ledger.is_healthy() {
                self.is_unpaused = true;
                self.unpause_all();
            }
            let command = (!self.is_quiet).then_some(next_command.min(BUSY_MS));
            let mishap = (!self.is_quiet).then_some(next_mishap);
            let ntp = self.ntp_at().filter(|_| !self.is_quiet);
            let processes = self.processes.values();
            let process = processes.filter_map(|process| process.ends_at).min();
            let deadline = self.scheduler.next_deadline().map(|at| at.0);
            let fire = self.scheduler.next_fire().map(|fire| self.reaches(fire));
            let ledger = self.ledger.next_deadline();
            let look = self.looks.iter().map(|(at, _)| *at).min();
            let all = [command, mishap, ntp, process, deadline, fire, ledger, look];
            let Some(next) = all.into_iter().flatten().min() else {
                let Some((dag_id, run_id)) = self.model.stuck() else {
                    break;
                };
                self.ask(Command::Cancel { dag_id, run_id });
                continue;
            };
            self.now_ms = self.now_ms.max(next);
            if self.weather.nights && !self.is_quiet && self.rng.one_in(60) {
                self.now_ms += self.rng.up_to(900_000);
                self.model.tally.count("night");
            }
            assert!(self.now_ms < LONGEST_MS, "I9: this never ends");
            if ledger == Some(next) {
                // It was served above, or will be.
            } else if command == Some(next) {
                if next >= BUSY_MS {
                    self.calm_down();
                } else {
                    self.command();
                    next_command += 1 + self.rng.up_to(40_000);
                }
            } else if mishap == Some(next) {
                self.mishap();
                next_mishap = self.now_ms + 1 + self.rng.up_to(120_000);
            } else if ntp == Some(next) {
                self.set_right();
            } else if process == Some(next) {
                self.end_a_process(next);
            } else if look == Some(next) {
                self.look_back(next);
            } else {
                self.step(Event::Tick);
            }
        }
        self.model.check_all_runs_ended();
        assert_eq!(self.scheduler.live_attempts().len(), 0);
        assert!(self.unanswered.is_empty(), "a command was not answered");
        assert_eq!(self.ledger.synced(), self.log.len(), "not synced");
        self.check_replay();
        if self.weather.journal {
            self.check_bytes();
        }
    }

    /// When the wall clock will show this moment.
    fn reaches(&self, moment: Timestamp) -> u64 {
        u64::try_from(moment.millis() - self.begin_ms - self.clock.ahead_ms).unwrap_or(0)
    }

    pub fn wall_ms(&self) -> i64 {
        self.begin_ms + i64::try_from(self.now_ms).unwrap() + self.clock.ahead_ms
    }

    pub fn now(&self) -> Now {
        Now {
            wall: Timestamp::from_millis(self.wall_ms()),
            monotonic: Monotonic(self.now_ms),
        }
    }

    pub fn is_down(&self) -> bool {
        self.down.is_some()
    }

    /// Nothing befalls anybody any more, and nothing more becomes due.
    fn calm_down(&mut self) {
        self.check_replay();
        self.is_quiet = true;
        self.disk.set_fault(None);
        self.disk.set_space(None);
        self.disk.crash_at(u64::MAX);
        // Whatever waits for a pool that has gone, or has become too small.
        self.limits.pools = Pools::new(4).with(POOLS[0], 3).with(POOLS[1], 3);
        self.step(Event::Limits(self.limits.clone()));
        if self.weather.clocks {
            self.set_right();
        }
        for index in 0..self.versions.len() {
            let dag_id = self.versions[index].dag.dag_id.to_string();
            if self.removed.contains(&dag_id) && self.rng.one_in(2) {
                continue;
            }
            self.changed.insert(dag_id);
            self.versions[index] = self.versions[index].ending_at(self.wall_ms());
            self.load(index);
        }
    }

    /// As `daemon::service` does after everything that wakes it.
    pub fn tend_the_ledger(&mut self) {
        let (now, state) = (self.now(), self.scheduler.state());
        if self.ledger.serve(now, state, &mut self.rng) {
            self.answer();
            if !self.unsynced.is_empty() {
                self.ledger.begin_sync(now, &mut self.rng);
            }
        }
        if self.disk.has_crashed() {
            return self.crash();
        }
        let is_recording = self.ledger.is_healthy();
        if is_recording != self.scheduler.is_recording() {
            self.step(Event::Recording(is_recording));
        }
        if !is_recording && !self.is_down() {
            // Nobody can be promised anything now.
            for (_, number) in std::mem::take(&mut self.unsynced) {
                self.reply(number);
            }
        }
    }

    /// A fresh daemon takes records for granted, until it knows better.
    pub fn forget_the_daemon(&mut self) {
        self.is_stopping = false;
        self.processes.clear();
        self.looks.clear();
        self.unanswered.clear();
        self.unsynced.clear();
    }

    pub fn answer(&mut self) {
        let synced = self.ledger.synced();
        while let Some((_, number)) = self
            .unsynced
            .front()
            .copied()
            .filter(|(at, _)| *at <= synced)
        {
            self.unsynced.pop_front();
            self.reply(number);
        }
    }

    pub fn reply(&mut self, number: u64) {
        let was_waiting = self.unanswered.remove(&number);
        assert!(was_waiting, "command {number} was answered twice");
    }

    pub fn tell(&mut self, what: String) {
        self.told.push(Told::Note(self.now_ms, what));
    }

    /// The story as a text: what is compared when a seed is run twice, and shown when it fails.
    pub fn story(&self) -> String {
        let mut text = String::new();
        for told in &self.told {
            let _ = match told {
                Told::Record(record) => writeln!(text, "{record:?}"),
                Told::Note(ms, what) => writeln!(text, "-- {ms} ms: {what}"),
            };
        }
        text
    }
}
