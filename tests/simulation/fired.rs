//! What the schedule does with what is due: each record of a run or a skip is checked against what is held.

use std::collections::BTreeSet;

use mini_dag::dag::{Catchup, Overlap, TimetableKind};
use mini_dag::scheduler::RunFacts;

use crate::due::{Due, SPANS_MAX, WAITED_FOR_MS};
use crate::rhythm::Rhythm;

impl Due {
    /// A run that no moment was due for is named after the second it was created in, or the next that is free.
    pub fn ran_on_occasion(&mut self, facts: &RunFacts, now: i64) {
        let start = self
            .first_seen
            .and_then(|seen| self.version.plan.start_ms(seen));
        let earliest = self.mark.map_or(i64::MIN, |mark| mark + 1_000);
        let second = now.div_euclid(1_000) * 1_000;
        let mut expected = second.max(start.unwrap_or(second)).max(earliest);
        while self.logical_dates.contains(&expected) {
            expected += 1_000;
        }
        let fire = facts.logical_date.millis();
        // What has been run is remembered as a whole, however many names that had.
        let is_far = fire > expected
            && (self.was_run(expected, expected) || self.were_too_many)
            && !self.was_run(fire, fire);
        assert!(fire == expected || is_far, "I10: `{}`", facts.run_id);
        let interval = (facts.logical_date, facts.logical_date);
        assert_eq!(facts.data_interval, Some(interval));
        assert!(self.logical_dates.insert(fire), "I1: {fire} is run twice");
        self.latest_interval = Some((fire, fire));
        self.remember(facts);
        self.mark = Some(fire);
    }

    /// A run of a DAG that runs all the time is named after now, or after the first moment later that is free.
    pub fn ran_continuously(&mut self, facts: &RunFacts, (now, is_busy): (i64, bool)) {
        let first_seen = self.first_seen.expect("it was seen");
        let start = self.version.plan.start_ms(first_seen).unwrap_or(now);
        let fire = facts.logical_date.millis();
        assert!(
            self.is_there && !self.is_paused && !is_busy && start <= now,
            "I2: {fire} is run too early"
        );
        // It has missed nothing before it was first seen.
        let origin = self.version.plan.start_ms(first_seen);
        let origin = origin.map_or(first_seen, |start| start - 1);
        let mark = self.mark.map_or(origin, |mark| mark.max(origin));
        let earliest = now.max(mark + 1_000);
        let was_run = self.was_run(earliest, earliest) || self.were_too_many;
        assert!(
            fire == earliest || fire > earliest && was_run,
            "I10: {fire}, not {earliest}"
        );
        let is_over = self.version.plan.end.is_some_and(|end| end < fire);
        assert!(!is_over, "`{}` is run too late", facts.run_id);
        let interval = (facts.logical_date, facts.logical_date);
        assert_eq!(facts.data_interval, Some(interval));
        assert!(self.logical_dates.insert(fire), "I1: {fire} is run twice");
        self.remember(facts);
        self.latest_interval = Some((fire, fire));
        self.starts
            .count(&self.version.plan, first_seen, fire, self.now_ms);
        self.mark = Some(fire);
        self.turn.has_moved = true;
    }

    pub fn ran(&mut self, facts: &RunFacts, is_busy: bool) {
        let plan = &self.version.plan;
        let (begin, fire) = facts
            .data_interval
            .expect("a scheduled run has an interval");
        let (begin, fire) = (begin.millis(), fire.millis());
        let logical_date = facts.logical_date.millis();
        assert_eq!(
            self.front,
            Some(fire),
            "I2: not its turn, of {:?} after {:?}",
            self.held(),
            self.mark
        );
        assert!(
            self.is_there && !self.is_paused && !is_busy,
            "I2: {fire} is run too early"
        );
        let kept = match plan.catchup {
            Catchup::All => usize::MAX,
            Catchup::AtMost(count) => count as usize,
            Catchup::Latest => 1,
            Catchup::None => usize::from(!self.was_missed(fire, self.open_since)) * usize::MAX,
        };
        assert!(
            self.holds_at_most(kept),
            "I2: {fire} is made up for, with {:?}",
            self.held()
        );
        let previous = self.begin_of(fire);
        assert_eq!(begin, previous, "the data interval of {fire}");
        assert!(
            self.logical_dates.insert(logical_date),
            "I1: logical date {logical_date} is run twice"
        );
        let named = match plan.kind {
            TimetableKind::Trigger => fire,
            TimetableKind::Interval => begin,
        };
        assert_eq!(logical_date, named);
        assert!(
            !self.was_run(begin, fire),
            "I10: {begin}..{fire} is run again"
        );
        if let Some((earlier, until)) = self.latest_interval {
            assert!(
                until <= begin && until < fire,
                "I10: {begin}..{fire} after {earlier}..{until}"
            );
        }
        self.remember(facts);
        self.latest_interval = Some((begin, fire));
        let first_seen = self.first_seen.expect("it was seen");
        let plan = &self.version.plan;
        self.starts.count(plan, first_seen, fire, self.now_ms);
        self.pass(fire);
    }

    /// Where the data interval of a fire begins: at the fire before it, be it of another version.
    fn begin_of(&self, fire: i64) -> i64 {
        let previous = self.version.plan.previous(fire);
        let begin = self.mark.map_or(previous, |mark| mark.max(previous));
        // The run before has that name, and this one would get it.
        let is_taken = self.mark == Some(begin)
            && self.version.plan.kind == TimetableKind::Interval
            && self.logical_dates.contains(&begin)
            && !self.was_run(begin, begin + 1);
        if is_taken { fire.min(begin + 1) } else { begin }
    }

    pub fn skipped(&mut self, until: i64, is_busy: bool) {
        let plan = &self.version.plan;
        let first = self.front.expect("I2: a skip of nothing");
        assert!(
            first <= until && self.held_from(until).next() == Some(until),
            "I2: skipped until {until}, which is none of {:?} after {:?}",
            self.held(),
            self.mark
        );
        let leaves = |left: usize| self.held_from(until + 1).take(left + 1).count() == left;
        let is_missed = self.was_missed(first, self.ready_since)
            || self.turn.has_moved
            || self.turn.was_busy && plan.overlap != Overlap::Cancel;
        let is_dropped = match plan.catchup {
            Catchup::All => false,
            Catchup::AtMost(count) => leaves(count as usize),
            Catchup::Latest => leaves(1),
            Catchup::None => is_missed,
        };
        let is_alone = until == first;
        let is_passed_over = is_alone && is_busy && plan.overlap == Overlap::Skip;
        let named = match plan.kind {
            TimetableKind::Trigger => first,
            TimetableKind::Interval => self.begin_of(first),
        };
        let begin = self.begin_of(first);
        let has_run = |dates: &BTreeSet<i64>| dates.contains(&named);
        let was_run = has_run(&self.logical_dates) || has_run(&self.filled);
        let was_run = was_run || self.was_run(begin, first);
        let was_run = is_alone && (was_run || self.were_too_many);
        assert!(
            is_dropped || is_passed_over || was_run,
            "I2: {first} is skipped until {until}, of {:?}: {plan:?}, {:?}",
            self.held(),
            self.ready_since
        );
        self.pass(until);
    }

    /// The clock was far ahead, and is not any more.
    pub fn rewound(&mut self, until: i64, now: i64) {
        let mark = self.mark.expect("I10: nothing to go back from");
        assert!(mark > now + WAITED_FOR_MS, "I10: {mark} is waited for");
        let Some(first_seen) = self.first_seen else {
            panic!("I10: it was never seen");
        };
        let latest = self.version.plan.fires(first_seen, until - 1, now);
        let latest: Vec<_> = latest.take(2).collect();
        assert!(
            latest == [until] || latest.is_empty() && until <= now,
            "I10: back to {until}, not {latest:?}"
        );
        self.mark = Some(until);
        self.latest_interval = None;
        self.turn.has_moved = true;
        self.look_again(now);
    }

    fn was_missed(&self, fire: i64, since: Option<i64>) -> bool {
        let is_new = self.version.plan.rhythm == Rhythm::Once && self.first_seen == Some(fire);
        !is_new && since.is_none_or(|since| fire <= since)
    }

    /// A turn has ended: a DAG that runs all the time runs, or will soon.
    pub fn check_goes_on(&self, now: i64, is_running: bool, next: Option<i64>) {
        let plan = &self.version.plan;
        let Some(first_seen) = self.first_seen.filter(|_| self.ready_since.is_some()) else {
            return;
        };
        if plan.rhythm == Rhythm::Continuous && plan.end.is_none() && !is_running {
            let start = plan.start_ms(first_seen).unwrap_or(now);
            let soon = now.max(start) + 2_000;
            let is_soon = next.is_some_and(|next| next <= soon);
            assert!(is_soon, "I9: `{}` stands still", self.version.dag.dag_id);
        }
    }

    /// A turn has ended: whatever is due and could be run was run.
    pub fn check_nothing_is_left(&self, now: i64, is_busy: bool, is_stopping: bool) {
        if self.ready_since.is_some() && self.version.plan.rhythm != Rhythm::Never {
            let lies_ahead = |moment: Option<i64>| moment > Some(now + WAITED_FOR_MS);
            let is_right = !lies_ahead(self.mark) && !lies_ahead(self.first_seen);
            assert!(
                is_right,
                "I10: {:?} and {:?} are waited for",
                self.mark, self.first_seen
            );
        }
        let Some(front) = self.front.filter(|_| self.ready_since.is_some()) else {
            return;
        };
        let may_wait = match self.version.plan.overlap {
            Overlap::Queue => is_busy,
            Overlap::Skip => false,
            Overlap::Cancel => is_busy && is_stopping,
        };
        let is_full = || {
            let (plan, first_seen) = (&self.version.plan, self.first_seen.unwrap_or(now));
            self.starts.is_full(plan, first_seen, front, self.now_ms)
        };
        assert!(
            may_wait || is_full(),
            "I2: {:?} of `{}` are held for nothing",
            self.held(),
            self.version.dag.dag_id
        );
    }

    pub fn remember(&mut self, facts: &RunFacts) {
        let (begin, end) = facts.data_interval.expect("it has an interval");
        self.intervals.push((begin.millis(), end.millis()));
        self.intervals.sort_unstable();
        let pairs = self.intervals.windows(2);
        let gaps = pairs.filter(|pair| pair[0].1 < pair[1].0).count();
        self.were_too_many |= gaps >= SPANS_MAX;
    }

    /// Whether something was run for some of this time. A moment is some.
    fn was_run(&self, begin: i64, fire: i64) -> bool {
        let mut runs = self.intervals.iter();
        runs.any(|(from, until)| {
            begin < *until && *from < fire || begin == fire && *from <= fire && fire <= *until
        })
    }
}
