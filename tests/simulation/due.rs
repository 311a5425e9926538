//! What the schedule owes, told a second time: which fires were run, skipped, or are still held.
//!
//! I1: no logical date of a DAG is run twice by the schedule. I2: no fire is lost; each is run or skipped
//! in its turn, by a record, and what is skipped may be skipped. I10: what is run goes forward only.

use std::collections::BTreeSet;

use mini_dag::scheduler::{Fact, Record, RunFact, RunType};

use crate::dags::Version;
use crate::occasions::Heard;
use crate::pace::Starts;
use crate::rhythm::{Fires, Rhythm};

/// A clock that goes back by no more than this is waited for: three hours.
pub const WAITED_FOR_MS: i64 = 10_800_000;

/// Spans of what was run that are told apart, however often the clock jumps.
pub const SPANS_MAX: usize = 8;

/// One DAG's.
#[expect(clippy::struct_excessive_bools, reason = "each may be, or not")]
#[derive(Clone)]
pub struct Due {
    pub version: Version,
    pub is_there: bool,
    /// Its file is gone: nobody can trigger it.
    pub is_removed: bool,
    pub is_paused: bool,
    pub first_seen: Option<i64>,
    /// Every fire until here was run or skipped.
    pub mark: Option<i64>,
    /// The first fire that has become due since. A clock that was months ahead leaves very many, so they
    /// are not kept one by one: they are those of the plan, from it to `looked_until`.
    pub front: Option<i64>,
    pub looked_until: Option<i64>,
    /// Since when it could have been run. What became due before that was missed.
    pub open_since: Option<i64>,
    /// Since when it could have been run by the plan it has. What becomes due then was not missed; in
    /// between, it depends on whether both plans agree.
    pub ready_since: Option<i64>,
    /// What was run by the schedule.
    pub logical_dates: BTreeSet<i64>,
    pub intervals: Vec<(i64, i64)>,
    /// There were more spans of them than anybody is asked to remember.
    pub were_too_many: bool,
    pub latest_interval: Option<(i64, i64)>,
    pub heard: Heard,
    /// Dates that backfills have run.
    pub filled: BTreeSet<i64>,
    pub starts: Starts,
    /// The monotonic clock.
    pub now_ms: u64,
    pub turn: Turn,
}

/// What has been the case at some time in this turn.
#[derive(Clone, Default)]
pub struct Turn {
    pub was_busy: bool,
    pub has_moved: bool,
}

impl Due {
    fn new(version: &Version) -> Self {
        Self {
            version: version.clone(),
            is_there: false,
            is_removed: false,
            is_paused: version.dag.is_paused_upon_creation,
            first_seen: None,
            mark: None,
            front: None,
            looked_until: None,
            open_since: None,
            ready_since: None,
            logical_dates: BTreeSet::new(),
            intervals: Vec::new(),
            were_too_many: false,
            latest_interval: None,
            heard: Heard::default(),
            filled: BTreeSet::new(),
            starts: Starts::default(),
            now_ms: 0,
            turn: Turn::default(),
        }
    }

    /// A turn begins.
    pub fn begin(&mut self, now: i64, now_ms: u64, is_busy: bool) {
        self.now_ms = now_ms;
        self.turn = Turn {
            was_busy: is_busy,
            has_moved: false,
        };
        self.look(now);
    }

    fn look(&mut self, now: i64) {
        let (Some(first_seen), Some(after)) = (self.first_seen, self.looked_until) else {
            return;
        };
        if after < now {
            let fires = || self.version.plan.fires(first_seen, after, now).next();
            self.front = self.front.or_else(fires);
            self.looked_until = Some(now);
        }
    }

    /// What has become due and was neither run nor skipped, from a moment on.
    pub fn held_from(&self, moment: i64) -> Fires<'_> {
        match (self.first_seen, self.front, self.looked_until) {
            (Some(first_seen), Some(front), Some(until)) => {
                let plan = &self.version.plan;
                plan.fires(first_seen, front.max(moment) - 1, until)
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The beginning of it, for people.
    pub fn held(&self) -> Vec<i64> {
        self.held_from(i64::MIN).take(10).collect()
    }

    /// Whether no more than so many are held.
    pub fn holds_at_most(&self, most: usize) -> bool {
        most == usize::MAX || self.held_from(i64::MIN).nth(most).is_none()
    }

    /// Every fire until this one was run or skipped.
    pub fn pass(&mut self, until: i64) {
        let next = self.held_from(until + 1).next();
        self.front = next;
        self.mark = Some(until);
        self.turn.has_moved = true;
    }

    /// Looks at everything after the mark anew.
    pub fn look_again(&mut self, now: i64) {
        self.front = None;
        self.looked_until = self.first_seen.map(|first_seen| {
            let plan = &self.version.plan;
            let origin = match (plan.start_ms(first_seen), &plan.rhythm) {
                (Some(start), _) => start - 1,
                (None, Rhythm::Once) => first_seen - 1,
                (
                    None,
                    Rhythm::Never
                    | Rhythm::Every(_)
                    | Rhythm::Cron(_)
                    | Rhythm::Reboot
                    | Rhythm::After(_)
                    | Rhythm::Continuous,
                ) => first_seen,
            };
            self.mark.map_or(origin, |mark| mark.max(origin))
        });
        self.look(now);
    }

    /// The DAG, or a new version of it, is there.
    pub fn load(&mut self, version: &Version, now: i64) {
        let says = |version: &Version| (version.plan.clone(), version.dag.max_active_runs);
        let is_kept = says(&self.version) == says(version);
        if !self.is_there {
            self.open_since = None;
        }
        if !is_kept || !self.is_there {
            self.ready_since = None;
        }
        (self.is_there, self.is_removed) = (true, false);
        self.version = version.clone();
        self.starts.forget();
        self.look_again(now);
    }

    /// Takes note of whether it could be run from now on.
    pub fn set_ready(&mut self, now: i64, may_start: bool) {
        let is_ready = self.is_there && !self.is_paused && may_start;
        self.ready_since = is_ready.then(|| self.ready_since.unwrap_or(now));
        self.open_since = is_ready.then(|| self.open_since.unwrap_or(now));
    }

    /// A DAG that is known by what is on record of it.
    pub fn replay(version: &Version, log: &[Record]) -> Self {
        let mut due = Self::new(version);
        for record in log.iter().filter(|r| r.dag_id == version.dag.dag_id) {
            match &record.fact {
                Fact::Seen { is_paused } => {
                    due.first_seen = Some(record.at.secs() * 1_000);
                    due.is_paused = *is_paused;
                }
                Fact::Paused(is_paused) => due.is_paused = *is_paused,
                Fact::Skipped { until } => due.mark = due.mark.max(Some(until.millis())),
                Fact::Passed(occasion) => due.heard.serve(occasion),
                Fact::Run(_, RunFact::Created(facts)) if facts.run_type == RunType::Scheduled => {
                    if let Some(occasion) = &facts.occasion {
                        due.heard.serve(occasion);
                    }
                    due.logical_dates.insert(facts.logical_date.millis());
                    due.remember(facts);
                    due.mark = due
                        .mark
                        .max(facts.data_interval.map(|(_, end)| end.millis()));
                }
                Fact::Rewound { until } => due.mark = Some(until.millis()),
                Fact::Run(_, RunFact::Created(facts)) if facts.run_type == RunType::Backfill => {
                    due.filled.insert(facts.logical_date.millis());
                }
                Fact::Run(..) | Fact::Restored { .. } | Fact::Backfill(..) => {}
            }
        }
        due
    }

    pub fn record(&mut self, record: &Record, now: i64, is_busy: bool) {
        self.turn.was_busy |= is_busy;
        match &record.fact {
            Fact::Seen { is_paused } => {
                let may_be_seen = self
                    .first_seen
                    .is_none_or(|seen| seen > now + WAITED_FOR_MS);
                assert!(
                    may_be_seen && self.is_paused == *is_paused,
                    "I10: it is seen"
                );
                self.first_seen = Some(record.at.secs() * 1_000);
                self.latest_interval = None;
                self.starts.forget();
                self.look_again(now);
            }
            Fact::Paused(is_paused) => self.is_paused = *is_paused,
            Fact::Skipped { until } => self.skipped(until.millis(), is_busy),
            Fact::Run(_, RunFact::Created(facts)) if facts.run_type == RunType::Scheduled => {
                if facts.occasion.is_some() {
                    self.ran_on_occasion(facts, now);
                } else if self.version.plan.rhythm == Rhythm::Continuous {
                    self.ran_continuously(facts, (now, is_busy));
                } else {
                    self.ran(facts, is_busy);
                }
            }
            Fact::Rewound { until } => self.rewound(until.millis(), now),
            Fact::Run(_, RunFact::Created(facts)) if facts.run_type == RunType::Backfill => {
                self.filled.insert(facts.logical_date.millis());
            }
            Fact::Passed(_) | Fact::Run(..) | Fact::Restored { .. } | Fact::Backfill(..) => {}
        }
    }

    /// What was waited for lies elsewhere now; what was missed by a wrong clock was not missed.
    pub fn clock_was_set(&mut self, now: i64) {
        for since in [&mut self.open_since, &mut self.ready_since] {
            *since = since.map(|since| since.min(now));
        }
        self.look_again(now);
    }
}
