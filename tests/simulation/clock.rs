//! The clock of a world: it is set, forgotten in a boot, put right by NTP. And whether the schedule may go
//! by it, told a second time.

use std::time::Duration;

use mini_dag::dag::Catchup;
use mini_dag::scheduler::{
    ClockDemand, ClockReport, ClockRule, ClockTrust, Event, Monotonic, build_date,
};
use mini_dag::timetable::Timestamp;

use crate::rng::Rng;
use crate::world::World;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

pub struct Clock {
    /// By how much it is ahead of the truth.
    pub ahead_ms: i64,
    pub is_synchronised: bool,
    demand: ClockDemand,
    wait_ms: u64,
    saved: Option<i64>,
    recorded: Option<i64>,
    /// When NTP finds the network.
    ntp_at: Option<u64>,
    was_believed: bool,
}

impl Clock {
    pub fn draw(rng: &mut Rng) -> Self {
        let demands = [
            ClockDemand::Prefer,
            ClockDemand::Prefer,
            ClockDemand::Require,
            ClockDemand::Ignore,
        ];
        Self {
            ahead_ms: 0,
            is_synchronised: rng.one_in(2),
            demand: *rng.pick(&demands),
            wait_ms: rng.up_to(120_000),
            saved: None,
            recorded: None,
            ntp_at: None,
            was_believed: false,
        }
    }

    fn report(&self) -> ClockReport {
        ClockReport {
            rule: ClockRule {
                demand: self.demand,
                wait: Duration::from_millis(self.wait_ms),
            },
            booted: Monotonic(0),
            is_synchronised: self.is_synchronised,
            saved: self.saved.map(Timestamp::from_millis),
            recorded: self.recorded.map(Timestamp::from_millis),
        }
    }

    /// Whether the schedule may go by it, and what a run is marked with. Sentences, one after the other.
    pub fn judge(&mut self, wall: i64, now_ms: u64) -> (bool, ClockTrust) {
        let built = build_date().millis();
        let mut is_possible = wall >= built && wall < built + 20 * 31_557_600_000;
        if !self.was_believed && !self.is_synchronised {
            is_possible &= self.saved.is_none_or(|saved| wall >= saved);
            is_possible &= self.recorded.is_none_or(|at| wall >= at - MINUTE_MS);
        }
        let trust = match (is_possible, self.is_synchronised) {
            (false, _) => ClockTrust::Implausible,
            (true, false) => ClockTrust::Unsynchronised,
            (true, true) => ClockTrust::Synchronised,
        };
        let is_enough = self.is_synchronised
            || self.was_believed
            || self.demand == ClockDemand::Prefer && now_ms >= self.wait_ms;
        let may_go = self.demand == ClockDemand::Ignore || is_possible && is_enough;
        self.was_believed |= may_go && is_possible;
        (may_go, trust)
    }
}

impl World {
    /// A daemon begins, on a host that was booted if the power had gone.
    pub fn begin_by_the_clock(&mut self, is_boot: bool) {
        if !self.weather.clocks {
            return;
        }
        self.clock.was_believed = false;
        let last = self.log_synchronised.iter().rposition(|is| *is);
        self.clock.recorded = last.map(|at| self.log[at].at.millis());
        self.clock.saved = None;
        if is_boot {
            self.clock.is_synchronised = false;
            self.clock.ntp_at =
                (!self.rng.one_in(4)).then(|| self.now_ms + self.rng.up_to(200_000));
            let truth = self.wall_ms() - self.clock.ahead_ms;
            self.clock.ahead_ms = match self.rng.below(5) {
                0 => i64::from(self.rng.small(100_000)) - truth,
                1 => 4_044_000_000_000 - truth,
                // It was saved as the power went, or some time before.
                2 => -i64::from(self.rng.small(1_800_000)),
                3 => i64::from(self.rng.small(100)) * DAY_MS / 10,
                _ => 0,
            };
            self.clock.ahead_ms = self.bounded(self.clock.ahead_ms);
            if self.rng.one_in(3) {
                self.clock.saved = Some(truth - i64::from(self.rng.small(600_000)));
            }
        }
        self.tell_of_the_clock();
    }

    /// Whoever is to make up for everything is not given years to make up for.
    fn bounded(&self, ahead_ms: i64) -> i64 {
        let wants_all = |version: &crate::dags::Version| version.plan.catchup == Catchup::All;
        let is_near = ahead_ms.abs() <= 20 * MINUTE_MS;
        if is_near || !self.versions.iter().any(wants_all) {
            ahead_ms
        } else {
            ahead_ms % (20 * MINUTE_MS)
        }
    }

    pub fn ntp_at(&self) -> Option<u64> {
        self.clock.ntp_at
    }

    /// NTP sets the clock right.
    pub fn set_right(&mut self) {
        self.clock.ntp_at = None;
        self.clock.ahead_ms = 0;
        self.clock.is_synchronised = true;
        self.tell_of_the_clock();
    }

    /// Somebody sets the clock, or it is believed more, or less.
    pub fn set_the_clock(&mut self) {
        self.model.tally.count("clock: set");
        let size = match self.rng.below(6) {
            0 => 50,
            1 => 1 + i64::from(self.rng.small(2_000)),
            2 => MINUTE_MS + i64::from(self.rng.small(1_200_000)),
            3 => HOUR_MS + 3 * i64::from(self.rng.small(3_600_000)),
            4 => i64::from(self.rng.small(34)) * HOUR_MS,
            _ => i64::from(self.rng.small(40)) * DAY_MS,
        };
        let sign = if self.rng.one_in(2) { -1 } else { 1 };
        let ahead_ms = self.clock.ahead_ms + sign * size;
        // Not so far that it never comes back.
        self.clock.ahead_ms = self.bounded(ahead_ms % (100 * DAY_MS));
        self.clock.is_synchronised = self.rng.one_in(2);
        self.tell_of_the_clock();
    }

    fn tell_of_the_clock(&mut self) {
        let (ahead_ms, report) = (self.clock.ahead_ms, self.clock.report());
        self.tell(format!("the clock is {ahead_ms} ms ahead: {report:?}"));
        self.step(Event::Clock(report));
    }
}
