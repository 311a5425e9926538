//! One turn: the scheduler is told what happened, and what it says is written down, checked and done, unless the daemon ends
//! in the middle of that.

use std::collections::VecDeque;

use mini_dag::scheduler::{Action, ClockTrust, Event, Fact, Record, RunFact, Spawn};

use crate::dags::Version;
use crate::world::{POOLS, STEPS_MAX, Told, World};

impl World {
    /// Tells the scheduler, has its records written down, and does what it says.
    pub fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.turn(event, &mut events);
            if self.is_down() {
                return;
            }
        }
        self.answer();
        if !self.unsynced.is_empty() {
            self.ledger.begin_sync(self.now(), &mut self.rng);
        }
    }

    fn turn(&mut self, event: Event, events: &mut VecDeque<Event>) {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "I9: this never ends");
        let wall_ms = self.wall_ms();
        self.model
            .begin(wall_ms, self.now_ms, matches!(event, Event::Command(..)));
        if self.weather.clocks {
            let (may_go, trust) = self.clock.judge(wall_ms, self.now_ms);
            self.model.judge_the_clock(may_go, trust);
        }
        self.model.tally.event(&event);
        self.tell_the_model(&event);
        let mut actions = Vec::new();
        self.scheduler.step(self.now(), event, &mut actions);
        self.model.forget(&self.scheduler);
        let mut records = Vec::new();
        let mut rest = Vec::new();
        let mut replies = Vec::new();
        let mut calls = Vec::new();
        for action in actions {
            match action {
                Action::Record(record) => {
                    self.model.record(&record, wall_ms);
                    records.push(record);
                }
                Action::Reply(number, answer) => {
                    if answer.is_err() {
                        self.model.tally.count("refused");
                    }
                    replies.push((number, answer.is_ok()));
                }
                Action::Spawn(ref spawn) => {
                    self.model.begun(spawn.attempt, wall_ms);
                    rest.push(action);
                }
                Action::Signal(..) | Action::Look(_) => rest.push(action),
                Action::Hook(call) => {
                    self.model.tally.hook(&call);
                    calls.push(call);
                }
            }
        }
        self.model.end(wall_ms, &self.scheduler);
        self.look_at_the_scheduler();
        crate::hooks::check(&records, &calls);
        self.told.extend(records.iter().cloned().map(Told::Record));
        let boundaries = records.len() + rest.len() + 1;
        let crash_after = self.draw_crash(&records, boundaries);
        let is_synchronised = self.model.trust() == ClockTrust::Synchronised;
        let known = self.log.len();
        self.log_synchronised.truncate(known);
        if let Some(written) = crash_after.filter(|after| *after < records.len()) {
            self.model.tally.count("crash: between records");
            // Of one write the kernel has taken the beginning, or none: the rest was never there.
            records.truncate(written);
            self.log.extend(records);
            self.log_synchronised
                .resize(self.log.len(), is_synchronised);
            return self.crash();
        }
        self.log.extend(records.iter().cloned());
        self.log_synchronised
            .resize(self.log.len(), is_synchronised);
        let state = self.scheduler.state();
        let is_written = records.is_empty() || {
            let now = self.now();
            self.ledger.record(&records, now, state)
        };
        if !is_written {
            events.push_back(Event::Recording(false));
        }
        for (done, action) in rest.into_iter().enumerate() {
            if crash_after == Some(records.len() + done) {
                self.model.tally.count("crash: between actions");
                return self.crash();
            }
            match action {
                Action::Signal(id, signal) => {
                    self.model.tally.signal(signal);
                    self.signal(id, signal);
                }
                Action::Spawn(spawn) => events.extend(self.begin(&spawn, is_written)),
                Action::Look(look) => {
                    let at = self.now_ms + self.rng.up_to(2_000);
                    self.looks.push((at, look));
                }
                Action::Record(_) | Action::Reply(..) | Action::Hook(_) => {}
            }
        }
        if crash_after.is_some() || self.disk.has_crashed() {
            return self.crash();
        }
        for (number, is_done) in replies {
            if is_done {
                self.unsynced.push_back((self.ledger.appended(), number));
            } else {
                self.reply(number);
            }
        }
    }

    fn begin(&mut self, spawn: &Spawn, is_written: bool) -> Option<Event> {
        if is_written {
            self.spawn(spawn)
        } else {
            Some(Event::Lost(spawn.attempt))
        }
    }

    /// After how many records and actions the daemon ends, if it does.
    fn draw_crash(&mut self, records: &[Record], boundaries: usize) -> Option<usize> {
        // Between a run that a task has triggered and the attempt that did, more often: there it matters.
        let odds = if records.iter().any(is_triggered) {
            15
        } else {
            80
        };
        let ends = self.weather.crashes && !self.is_quiet && self.rng.one_in(odds);
        ends.then(|| self.rng.below(boundaries))
    }

    fn look_at_the_scheduler(&mut self) {
        let pools = self.scheduler.pools();
        let is_full = |pool: &&str| pools.get(*pool).is_some_and(|pool| pool.waiting > 0);
        if POOLS.iter().any(is_full) {
            self.model.tally.count("waits: for slots of a pool");
        }
        let deadline = self.scheduler.next_deadline();
        // A retry without a pause of what ended without a process is due at the next tick.
        let is_ahead = deadline.is_none_or(|at| at.0 >= self.now_ms);
        assert!(is_ahead, "I9: a deadline was left unserved");
        let fire = self.scheduler.next_fire();
        let is_ahead = fire.is_none_or(|fire| fire > self.now().wall);
        assert!(is_ahead, "I9: a fire was left unserved");
    }

    fn tell_the_model(&mut self, event: &Event) {
        let wall_ms = self.wall_ms();
        self.model.clock_shows(self.clock.ahead_ms);
        match event {
            Event::DagLoaded(dag) => {
                let is_it = |version: &&Version| version.dag.dag_id == dag.dag_id;
                let version = self.versions.iter().find(is_it).expect("one of ours");
                self.model.load(version, wall_ms);
            }
            Event::Exited(id, _) | Event::Lost(id) => self.model.told_of_an_end(*id, wall_ms),
            Event::DagRemoved(dag_id) => self.model.remove(dag_id),
            Event::Limits(limits) => self.model.limits = limits.clone(),
            Event::Recording(is_recording) => self.model.set_recording(*is_recording),
            Event::Clock(_) => self.model.clock_was_set(wall_ms),
            Event::Booted(boot_id) => self.model.booted(boot_id),
            Event::Shutdown => self.model.shut_down(),
            Event::Tick | Event::Found(..) | Event::Recalled(..) | Event::Command(..) => {}
        }
        self.model.set_ready(wall_ms);
    }
}

/// Whether a task has triggered a run.
fn is_triggered(record: &Record) -> bool {
    matches!(&record.fact, Fact::Run(_, RunFact::Created(facts)) if facts.parent().is_some())
}
