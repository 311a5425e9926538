//! Processes: they end, fail, hang, ignore signals, cannot be started, or are told twice.

use std::sync::Arc;
use std::time::Duration;

use mini_dag::scheduler::{Attempt, AttemptId, Event, Exit, Signal, Spawn};

use crate::world::World;

pub struct Process {
    pub ends_at: Option<u64>,
    exit: Exit,
    /// Its last line.
    prints: String,
    is_deaf: bool,
    is_undead: bool,
}

impl World {
    /// What has happened at once, if anything.
    pub fn spawn(&mut self, spawn: &Spawn) -> Option<Event> {
        let id = spawn.attempt;
        if self.weather.unstartable && self.rng.one_in(12) {
            let exit = Exit::NotStarted("no such program".into());
            return Some(Event::Exited(id, attempt(exit, "")));
        }
        // Some have ended, and nobody has been told yet.
        let now_ms = self.now_ms;
        let has_ended = |process: &Process| process.ends_at.is_some_and(|at| at <= now_ms);
        let processes = self.processes.iter();
        for (id, _) in processes.filter(|(_, process)| has_ended(process)) {
            self.model.gone(*id);
        }
        self.model.spawned(spawn);
        let exit = match self.rng.below(8) {
            0 | 1 if self.weather.failures => Exit::Code(1),
            2 if self.weather.failures => Exit::Signal(11),
            3 if self.weather.skips => Exit::Code(99),
            _ => Exit::Code(0),
        };
        let hangs = self.weather.hangs && self.rng.one_in(10);
        let takes_ms = 1 + self.rng.up_to(30_000);
        let prints = self.draw_line(spawn);
        self.model.prints(id, &prints);
        let process = Process {
            ends_at: (!hangs).then_some(self.now_ms + takes_ms),
            exit,
            prints,
            is_deaf: self.weather.deaf && self.rng.one_in(3),
            is_undead: self.weather.undead && self.rng.one_in(10),
        };
        self.processes.insert(id, process);
        None
    }

    /// Something or nothing; of a branch, some of the tasks after it, and now and then one that is not.
    fn draw_line(&mut self, spawn: &Spawn) -> String {
        if !self.weather.choices {
            return String::new();
        }
        let task = spawn.dag.task(spawn.attempt.task);
        if !task.branch {
            let word = format!("w{}", self.rng.below(100));
            return if self.rng.one_in(2) {
                word
            } else {
                String::new()
            };
        }
        let mut named = Vec::new();
        for index in spawn.dag.indices() {
            let is_after = task.downstream.contains(&index);
            if self.rng.one_in(if is_after { 2 } else { 60 }) {
                named.push(&*spawn.dag.task(index).task_id);
            }
        }
        named.join(",")
    }

    pub fn signal(&mut self, id: AttemptId, signal: Signal) {
        let soon = self.now_ms + self.rng.up_to(3_000);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        match signal {
            Signal::Term if process.is_deaf => {}
            Signal::Kill if process.is_undead => {
                // It goes in the end, long after everybody has given up on it.
                process.ends_at = Some(self.now_ms + 300_000);
                self.model.gone(id);
            }
            Signal::Term => {
                process.ends_at = Some(process.ends_at.unwrap_or(u64::MAX).min(soon));
                process.exit = Exit::Signal(15);
            }
            Signal::Kill => {
                process.ends_at = Some(self.now_ms);
                process.exit = Exit::Signal(9);
            }
        }
    }

    pub fn end_a_process(&mut self, due_ms: u64) {
        let mut processes = self.processes.iter();
        let due = processes.find(|(_, process)| process.ends_at == Some(due_ms));
        let id = *due.expect("one is due").0;
        let process = self.processes.remove(&id).unwrap();
        self.model.gone(id);
        let attempt = attempt(process.exit, &process.prints);
        self.step(Event::Exited(id, attempt.clone()));
        if self.weather.told_twice && self.rng.one_in(5) && !self.is_down() {
            self.model.tally.count("told twice");
            self.step(Event::Exited(id, attempt));
        }
    }
}

fn attempt(exit: Exit, prints: &str) -> Attempt {
    Attempt {
        xcom: (!prints.is_empty()).then(|| Arc::new(prints.into())),
        ..Attempt::unseen(exit, Duration::ZERO)
    }
}
