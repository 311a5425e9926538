//! Runs that nobody asks for: which fires of a DAG's schedule become runs, and when.
//!
//! Each DAG has one mark, `scheduled_until`: the last fire that was run or skipped. Only fires after it
//! are looked at. Fires are looked for one by one and only when one may be run: a million missed fires
//! cost nothing. The mark grows, unless the clock turns out to have been far ahead; and what was run is
//! known for ever (`ran`), so a logical date is run by the schedule once, whatever the clock does.
//!
//! ```text
//! first seen more than 3 h ahead of now  it is seen anew, with a record; look again
//! mark more than 3 h ahead of now        set it back to now, with a record; look again
//! next fire ahead of now                 wait for it
//! due, and run already                   skip it, with a record; look again
//! due, earlier than its pace allows      wait until it is not
//! due, and there is room                 create the run; look again
//! due, missed, not to be made up for     skip up to the last of them, with one record; look again
//! due, no room   overlap queue           wait for a run to end
//!                overlap skip            skip it, with a record; look again
//!                overlap cancel          cancel the oldest run; wait for its end
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::Now;
use super::pace::{Pace, allowance, interval};
use super::record::{Fact, Occasion, RunFact, RunFacts, RunNumber, RunType, StopReason};
use super::run::Run;
use super::{Scheduler, Turn};
use crate::dag::{Catchup, Dag, Overlap, TimetableKind};
use crate::timetable::{Schedule, Timestamp, Timetable, Zone};

/// More missed fires than this are not counted one by one: all of them are made up for.
const COUNTED_MAX: u32 = 100_000;

/// A clock that goes back by no more than this is waited for.
const WAITED_FOR: Duration = Duration::from_secs(3 * 60 * 60);

/// From one run of a DAG that runs all the time to the next.
const CONTINUOUS_PAUSE: Duration = Duration::from_secs(1);

/// The DAGs that wait for a moment on the wall clock.
#[derive(Debug, Default)]
pub(super) struct Fires {
    plans: BTreeMap<Arc<str>, Plan>,
    by_time: BTreeSet<(Timestamp, Arc<str>)>,
}

#[derive(Debug)]
struct Plan {
    timetable: Arc<Timetable>,
    /// The fire that is waited for. What becomes due while it is waited for was not missed.
    next: Option<Timestamp>,
    /// The fire that was waited for, has come, and was not run yet.
    come: Option<Timestamp>,
    /// What it may start still.
    pace: Option<Pace>,
}

impl Fires {
    pub(super) fn wait(&mut self, dag_id: &Arc<str>, fire: Option<Timestamp>) {
        let Some(plan) = self.plans.get_mut(dag_id) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut plan.next, fire) {
            self.by_time.remove(&(old, dag_id.clone()));
        }
        if let Some(fire) = fire {
            self.by_time.insert((fire, dag_id.clone()));
        }
    }

    pub(super) fn forget(&mut self, dag_id: &Arc<str>) {
        self.wait(dag_id, None);
        self.plans.remove(dag_id);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(fire, _)| *fire)
    }

    pub(super) fn due(&self, now: Timestamp) -> Option<Arc<str>> {
        let (fire, dag_id) = self.by_time.first()?;
        (*fire <= now).then(|| dag_id.clone())
    }
}

impl Scheduler {
    /// When a DAG is due next, as far as the clock alone decides.
    pub fn next_fire_of(&self, dag_id: &str) -> Option<Timestamp> {
        self.fires.plans.get(dag_id)?.next
    }

    /// The time that its next run is about: from, until.
    pub fn next_interval_of(&self, dag_id: &str) -> Option<(Timestamp, Timestamp)> {
        let plan = self.fires.plans.get(dag_id)?;
        let end = plan.timetable.latest_at_or_before(plan.next?)?;
        Some((plan.timetable.previous_before(end).unwrap_or(end), end))
    }

    /// Takes note of a DAG's schedule, and of when the DAG was first seen, if the clock is believed.
    pub(super) fn plan(&mut self, turn: &mut Turn, dag: &Arc<Dag>) {
        let dag_id = &dag.dag_id;
        let known = self.state.dag(dag_id);
        if let Some(known) = known
            && known.first_seen.is_none()
            && !self.verdict.is_held()
        {
            let is_paused = known.is_paused;
            self.record(turn, dag_id, Fact::Seen { is_paused });
        }
        let old = self.fires.plans.get(dag_id);
        let is_due = |fire: &Timestamp| *fire <= turn.now.wall;
        let come = old.and_then(|plan| plan.next.filter(is_due).or(plan.come));
        self.fires.wait(dag_id, None);
        let first_seen = self.state.dag(dag_id).and_then(|known| known.first_seen);
        let timetable = timetable(dag, first_seen.unwrap_or(turn.now.wall));
        match timetable.map(Arc::new) {
            Some(timetable) => {
                let plan = Plan {
                    timetable,
                    next: None,
                    come,
                    pace: allowance(dag.catchup).map(|more| Pace::new(turn.now.monotonic, more)),
                };
                self.fires.plans.insert(dag_id.clone(), plan);
            }
            None => {
                self.fires.plans.remove(dag_id);
            }
        }
    }

    /// Creates the runs that are due and have room, and waits for the fire after them.
    pub(super) fn schedule(&mut self, turn: &mut Turn, dag_id: &Arc<str>) {
        loop {
            let Some(plan) = self.fires.plans.get_mut(dag_id) else {
                return;
            };
            let come = plan.come.take();
            let (timetable, awaited) = (plan.timetable.clone(), come.or(plan.next));
            self.fires.wait(dag_id, None);
            let Some(known) = self.state.dag(dag_id) else {
                return;
            };
            if !self.may_start() || self.verdict.is_held() {
                return;
            }
            let has_moments = has_moments(&timetable);
            if known.is_paused {
                return self.pass_by(turn, dag_id, &timetable);
            }
            let dag = known.dag.clone();
            let first_seen = known.first_seen.unwrap_or(turn.now.wall);
            let origin = origin(&timetable, first_seen);
            let mark = known
                .scheduled_until
                .map_or(origin, |until| until.max(origin));
            if self.forget_what_lies_far_ahead(turn, &dag, &timetable) {
                continue;
            }
            if !has_moments {
                return self.serve_occasion(turn, dag_id, &timetable);
            }
            let Some(known) = self.state.dag(dag_id) else {
                return;
            };
            let is_continuous = matches!(timetable.schedule, Schedule::Continuous);
            let next = if is_continuous {
                // Nothing is owed to it: what waits to start is its next run.
                if known.active_runs > 0 || !known.queued.is_empty() {
                    return;
                }
                let next = continuous(&timetable, mark, turn.now.wall);
                Some(known.ran.free_from(next))
            } else {
                timetable.next_after(mark)
            };
            let Some(next) = next.filter(|next| timetable.end.is_none_or(|end| *next <= end))
            else {
                return;
            };
            let due = if is_continuous && next > turn.now.wall.after(CONTINUOUS_PAUSE) {
                let soon = soon(awaited, turn.now.wall);
                timetable.start.map_or(soon, |start| start.max(soon))
            } else {
                next
            };
            if due > turn.now.wall {
                return self.fires.wait(dag_id, Some(due));
            }
            let wanted = if is_continuous {
                Some(next)
            } else {
                wanted(&timetable, dag.catchup, next, awaited, turn.now.wall)
            };
            let dates = run_dates(dag.timetable, &timetable, known.done_until(), next);
            if wanted == Some(next) && known.ran.has(dates.0, dates.1) {
                self.record(turn, dag_id, Fact::Skipped { until: next });
                continue;
            }
            if wanted != Some(next) {
                let until = wanted.and_then(|fire| timetable.previous_before(fire));
                let latest = timetable.latest_at_or_before(turn.now.wall);
                let until = until.or(latest).unwrap_or(next);
                self.record(turn, dag_id, Fact::Skipped { until });
                continue;
            }
            let active = known.active_runs as usize + known.queued.len();
            if active < dag.max_active_runs as usize {
                if let Err(wait) = self.keep_pace(turn.now, dag_id, &timetable, next) {
                    if let Some(plan) = self.fires.plans.get_mut(dag_id) {
                        plan.come = awaited;
                    }
                    return self.fires.wait(dag_id, Some(turn.now.wall.after(wait)));
                }
                self.create_run(turn, &dag, dates, None);
                continue;
            }
            match dag.overlap {
                Overlap::Queue => return,
                Overlap::Skip => self.record(turn, dag_id, Fact::Skipped { until: next }),
                Overlap::Cancel => {
                    if let Some(oldest) = self.to_cancel(dag_id) {
                        self.stop_run(turn, oldest, StopReason::Cancelled);
                    }
                    if let Some(plan) = self.fires.plans.get_mut(dag_id) {
                        plan.come = awaited;
                    }
                    return;
                }
            }
        }
    }

    /// Gives up, on record, what a clock has left behind that was far ahead. `true`: it has.
    fn forget_what_lies_far_ahead(
        &mut self,
        turn: &mut Turn,
        dag: &Arc<Dag>,
        timetable: &Timetable,
    ) -> bool {
        let (dag_id, now) = (&dag.dag_id, turn.now.wall);
        let lies_far_ahead = |moment| moment > Some(now.after(WAITED_FOR));
        let Some(known) = self.state.dag(dag_id) else {
            return false;
        };
        if lies_far_ahead(known.first_seen) {
            let is_paused = known.is_paused;
            self.record(turn, dag_id, Fact::Seen { is_paused });
            self.plan(turn, dag);
            return true;
        }
        if lies_far_ahead(known.scheduled_until) {
            let until = timetable.latest_at_or_before(now).unwrap_or(now);
            self.record(turn, dag_id, Fact::Rewound { until });
            return true;
        }
        false
    }

    /// Takes a start of what a DAG may start. If it is too early: how long to wait.
    fn keep_pace(
        &mut self,
        now: Now,
        dag_id: &Arc<str>,
        timetable: &Timetable,
        fire: Timestamp,
    ) -> Result<(), Duration> {
        let plan = self.fires.plans.get_mut(dag_id);
        let Some(pace) = plan.and_then(|plan| plan.pace.as_mut()) else {
            return Ok(());
        };
        let interval = match timetable.schedule {
            Schedule::Continuous => Some(CONTINUOUS_PAUSE),
            Schedule::Cron(_)
            | Schedule::Every(_)
            | Schedule::Once
            | Schedule::Reboot
            | Schedule::AfterDags(_) => interval(timetable, fire),
        };
        interval.map_or(Ok(()), |interval| pace.take(now.monotonic, interval))
    }

    /// The oldest active run, unless one is about to end already.
    pub(super) fn to_cancel(&self, dag_id: &str) -> Option<RunNumber> {
        let numbers = self.state.dag(dag_id)?.runs.values();
        let runs = numbers.filter_map(|number| Some((*number, self.state.run(*number)?)));
        let is_own =
            |run: &Run| !run.state.is_finished() && run.facts.run_type != RunType::Backfill;
        let active = runs.filter(|(_, run)| is_own(run));
        let (oldest, run) = active.min_by_key(|(number, run)| (run.stopped.is_none(), *number))?;
        run.stopped.is_none().then_some(oldest)
    }

    pub(super) fn create_run(
        &mut self,
        turn: &mut Turn,
        dag: &Dag,
        (logical_date, data_interval): (Timestamp, (Timestamp, Timestamp)),
        occasion: Option<Occasion>,
    ) {
        let known = self.state.dag(&dag.dag_id);
        let run_id: Arc<str> = format!("{}__{logical_date}", RunType::Scheduled.name()).into();
        // A backfill may have come first.
        let has_date = |number: &RunNumber| {
            let run = self.state.run(*number).map(|run| &run.facts);
            run.is_some_and(|run| {
                run.run_type == RunType::Backfill && run.logical_date == logical_date
            })
        };
        if known.is_some_and(|known| {
            known.runs.contains_key(&run_id) || known.runs.values().any(has_date)
        }) {
            let until = data_interval.1;
            return self.record(turn, &dag.dag_id, Fact::Skipped { until });
        }
        let facts = RunFacts {
            run_id,
            run_type: RunType::Scheduled,
            logical_date,
            data_interval: Some(data_interval),
            params: BTreeMap::new(),
            clock: self.verdict.trust,
            occasion,
        };
        let fact = RunFact::Created(Arc::new(facts));
        let number = self.state.next_run();
        self.record(turn, &dag.dag_id, Fact::Run(number, fact));
        self.touch_all_following(number);
    }
}

/// The last complete data interval of a DAG's schedule at a moment; none without a schedule.
pub fn data_interval(
    dag: &Dag,
    first_seen: Timestamp,
    at: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let timetable = timetable(dag, first_seen)?;
    let end = timetable.latest_at_or_before(at)?;
    Some((timetable.previous_before(end).unwrap_or(end), end))
}

/// The logical date and the data interval of the run that a fire creates. What lies before `until` is done, even
/// if the schedule has changed since: see `DagState::done_until`.
pub fn run_dates(
    kind: TimetableKind,
    timetable: &Timetable,
    until: Option<Timestamp>,
    fire: Timestamp,
) -> (Timestamp, (Timestamp, Timestamp)) {
    let begin = timetable.previous_before(fire).unwrap_or(fire);
    let begin = until.map_or(begin, |until| begin.max(until).min(fire));
    let logical_date = match kind {
        TimetableKind::Trigger => fire,
        TimetableKind::Interval => begin,
    };
    (logical_date, (begin, fire))
}

/// When a DAG is due, if it has a schedule.
pub fn timetable(dag: &Dag, first_seen: Timestamp) -> Option<Timetable> {
    let zone = dag.timezone.clone().unwrap_or_else(Zone::utc);
    let start = dag.start_date.map(|start| start.instant(&zone, first_seen));
    Some(Timetable {
        schedule: dag.schedule.clone()?,
        end: dag.end_date.map(|end| end.instant(&zone)),
        anchor: start.unwrap_or(first_seen),
        start,
        zone,
    })
}

/// Which of the fires from `next` to `now` is to be run first, if any is. `awaited` was waited for.
fn wanted(
    timetable: &Timetable,
    catchup: Catchup,
    next: Timestamp,
    awaited: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    match catchup {
        Catchup::Latest => timetable.latest_at_or_before(now),
        Catchup::None => Some(next).filter(|next| awaited == Some(*next) || is_at_sight(timetable)),
        Catchup::AtMost(count) if count <= COUNTED_MAX => {
            let mut fire = timetable.latest_at_or_before(now)?;
            for _ in 1..count {
                match timetable
                    .previous_before(fire)
                    .filter(|earlier| *earlier >= next)
                {
                    Some(earlier) => fire = earlier,
                    None => break,
                }
            }
            Some(fire)
        }
        Catchup::AtMost(_) | Catchup::All => Some(next),
    }
}

/// Whether the clock decides when it is due.
fn has_moments(timetable: &Timetable) -> bool {
    !matches!(
        timetable.schedule,
        Schedule::Reboot | Schedule::AfterDags(_)
    )
}

/// When a DAG that runs all the time is due: at once, but at least a second after it was last due.
fn continuous(timetable: &Timetable, mark: Timestamp, now: Timestamp) -> Timestamp {
    let earliest = mark.after(CONTINUOUS_PAUSE);
    let start = timetable.start.unwrap_or(earliest);
    now.max(earliest).max(start)
}

/// When a DAG that runs all the time goes on although the clock went back: its name goes on from where it
/// was, but nobody waits until the clock is there again.
fn soon(awaited: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let soon = now.after(CONTINUOUS_PAUSE);
    awaited.map_or(soon, |awaited| awaited.min(soon))
}

/// One run as soon as the DAG is there: nothing that could be missed.
fn is_at_sight(timetable: &Timetable) -> bool {
    matches!(timetable.schedule, Schedule::Once) && timetable.start.is_none()
}

/// The moment after which the first fire of all lies: a new DAG without a start date has missed nothing.
fn origin(timetable: &Timetable, first_seen: Timestamp) -> Timestamp {
    let before = |moment: Timestamp| Timestamp::from_millis(moment.millis() - 1);
    match (timetable.start, &timetable.schedule) {
        (Some(start), _) => before(start),
        (None, Schedule::Once) => before(first_seen),
        (None, _) => first_seen,
    }
}
