//! What the daemon does about its clock: hears what the host says of it, tells the scheduler and people, and
//! deletes nothing for its age while the clock cannot be right.

use std::time::Duration;

use super::Service;
use crate::daemon::clock;
use crate::daemon::config::Retention;
use crate::scheduler::{ClockTrust, Event, Monotonic, Verdict};

impl Service {
    /// What is thought of the clock.
    pub fn verdict(&self) -> Verdict {
        self.scheduler().verdict()
    }

    /// Why scheduled runs wait until somebody or something sets the clock right, if they do.
    pub fn clock_trouble(&self) -> Option<String> {
        let verdict = self.verdict();
        verdict.is_stuck().then(|| verdict.to_string())
    }

    /// When to ask the kernel again: nobody tells when NTP has found the time without having to set it.
    pub(super) fn clock_deadline(&self) -> Option<Monotonic> {
        let look_at = self.time_sync.look_at();
        look_at.filter(|_| self.verdict().is_stuck())
    }

    /// The clock was set, or the daemon begins, or the config has changed.
    pub(super) fn look_at_the_clock(&mut self) {
        let now = clock::now();
        let report = self.time_sync.look(self.config.clock, now);
        self.step(Event::Clock(report));
        self.say_what_is_thought();
    }

    /// Before anything else is done: asks whether it is synchronised now, if that is worth it.
    pub(super) fn mind_the_clock(&mut self) {
        let now = clock::now();
        if self.verdict().is_held() || self.time_sync.is_old(now) {
            let before = self.time_sync.is_synchronised();
            self.time_sync.look(self.config.clock, now);
            if self.time_sync.is_synchronised() != before {
                self.look_at_the_clock();
            }
        }
        self.say_what_is_thought();
    }

    /// Waits for systemd-timesyncd, if it has not found the time yet.
    pub(super) fn wait_for_time(&mut self) {
        if self.time_sync.is_synchronised() {
            return;
        }
        let tell = self.time_sync.tell(self.driver.sender());
        let wait = async move {
            if let Err(error) = tell.await {
                log::warn!("systemd-timesyncd is not watched: {error}");
            }
        };
        self.executor.spawn(wait).detach();
    }

    fn say_what_is_thought(&mut self) {
        let verdict = self.verdict();
        let thought = (verdict.is_held(), verdict.trust);
        let before = std::mem::replace(&mut self.thought, thought);
        if before == thought {
            return;
        }
        // What is told when the daemon is ready tells of its clock, too.
        let is_news = before.0 != thought.0 && self.is_ready;
        self.set_retention();
        let now = clock::now().monotonic;
        if let Some(times) = self.clock_sayings.say(now) {
            if verdict.is_stuck() || verdict.trust == ClockTrust::Implausible {
                log::warn!("{verdict}{times}");
            } else {
                log::info!("{verdict}{times}");
            }
        }
        if is_news {
            self.systemd.status(&self.in_a_line());
        }
    }

    /// Hands on how much of the past is kept. By a clock that cannot be right nothing is too old.
    pub(super) fn set_retention(&mut self) {
        let retention = self.config.retention;
        let is_known = self.verdict().trust != ClockTrust::Implausible;
        let age = is_known.then_some(retention.age);
        if let Some(journal) = &mut self.ledger.journal {
            journal.set_retention(retention.journal_bytes(), age);
        }
        let retention = Retention {
            age: age.unwrap_or(Duration::MAX),
            ..retention
        };
        self.ledger.keeper.set(retention, clock::now());
    }
}
