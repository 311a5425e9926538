//! The wall clock: somebody sets it, NTP does, or the host forgets what it showed.

use mini_dag::scheduler::{ClockReport, ClockRule, Event, Monotonic};
use mini_dag::timetable::Timestamp;

use super::Tale;

impl Tale {
    /// The clock is doubted from the beginning, as far as a report like this says.
    pub fn reports(mut self, report: ClockReport) -> Self {
        self.report = Some(report);
        if self.scheduler.is_some() {
            self.step(Event::Clock(report));
        }
        self
    }

    /// The host boots with a clock that shows this.
    pub fn begins_at(mut self, moment: &str) -> Self {
        let moment = Timestamp::parse(moment).unwrap().millis();
        self.ahead_ms += moment - self.now().wall.millis();
        self
    }

    /// The power goes, and is back at once; the clock of the host has forgotten what it showed.
    pub fn dies_at(self, moment: &str) -> Self {
        let back_s = self.now_s;
        self.begins_at(moment).crash_until(back_s)
    }

    /// The host sleeps, and is told of it when it wakes.
    pub fn sleeps_until(mut self, wakes_s: u64) -> Self {
        self.now_s = wakes_s;
        self.set_clock(0)
    }

    /// Somebody, or NTP, sets the clock forward, or back.
    pub fn set_clock(mut self, by_ms: i64) -> Self {
        self.ahead_ms += by_ms;
        let nothing = ClockReport {
            rule: ClockRule::default(),
            booted: Monotonic(0),
            is_synchronised: true,
            saved: None,
            recorded: None,
        };
        let report = *self.report.get_or_insert(nothing);
        self.step(Event::Clock(report));
        self
    }

    /// The clock shows this moment, and whoever watches it is told.
    pub fn clock_shows(self, moment: &str) -> Self {
        let shown = self.now().wall.millis();
        let moment = Timestamp::parse(moment).unwrap().millis();
        self.set_clock(moment - shown)
    }
}
