//! What the schedule of a DAG has run, in a few numbers.
//!
//! A data interval that was run is never run again, not even when the clock shows its end a second time, and no
//! logical date is given twice. So all of them have to be known, for ever. A run takes the milliseconds of its
//! data interval and that of its name: from the beginning to before the end if it is named after its
//! beginning, from after the beginning to the end if it is named after its end. Two runs that have none in common have
//! neither name nor time in common, whatever the DAG says of its names meanwhile.
//!
//! What follows on each other is one span. A gap is a time whose fires were not run: the DAG was busy, or the
//! clock had jumped. Of more than [`SPANS_MAX`] spans, the two that lie nearest become one: what lies between them is
//! not run when its time comes again. So nothing ever runs twice, and memory is bounded.

use std::time::Duration;

use crate::timetable::Timestamp;

/// Spans that are told apart.
const SPANS_MAX: usize = 8;

/// Between two moments; a gap of no more is none.
const MOMENT: Duration = Duration::from_millis(1);

/// What was run: spans of time, each from a moment to before another one, ascending; no two touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran(Vec<(Timestamp, Timestamp)>);

impl Ran {
    /// Of these spans, in whatever order. An empty one is a moment.
    pub fn of(spans: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Self {
        let mut ran = Self::default();
        for (begin, end) in spans {
            ran.insert((begin, end.max(begin.after(MOMENT))));
        }
        ran
    }

    /// The spans, ascending.
    pub fn spans(&self) -> &[(Timestamp, Timestamp)] {
        &self.0
    }

    /// Takes note of a run, by its logical date and its data interval.
    pub(super) fn take(&mut self, logical_date: Timestamp, interval: (Timestamp, Timestamp)) {
        self.insert(taken(logical_date, interval));
    }

    fn insert(&mut self, (begin, end): (Timestamp, Timestamp)) {
        let first = self.0.partition_point(|span| span.1.after(MOMENT) < begin);
        let touched = self.0[first..].iter();
        let touched = touched.take_while(|span| span.0 <= end.after(MOMENT));
        let after = first + touched.count();
        let joined = self.0[first..after].iter().fold((begin, end), |all, span| {
            (all.0.min(span.0), all.1.max(span.1))
        });
        self.0.splice(first..after, [joined]);
        if self.0.len() > SPANS_MAX {
            let gaps = self.0.windows(2).map(|pair| pair[1].0.since(pair[0].1));
            let nearest = gaps.enumerate().min_by_key(|(_, gap)| *gap);
            if let Some((at, _)) = nearest {
                let (_, end) = self.0.remove(at + 1);
                self.0[at].1 = end;
            }
        }
    }

    /// Whether some of a run's time, or its name, was run already.
    pub(super) fn has(&self, logical_date: Timestamp, interval: (Timestamp, Timestamp)) -> bool {
        let (begin, end) = taken(logical_date, interval);
        let mut spans = self.0.iter();
        spans.any(|span| begin < span.1 && span.0 < end)
    }

    /// The first moment from one on that nothing was run for.
    pub(super) fn free_from(&self, moment: Timestamp) -> Timestamp {
        let mut spans = self.0.iter();
        let span = spans.find(|span| span.0 <= moment && moment < span.1);
        span.map_or(moment, |span| span.1)
    }

    /// Whether something was run for a moment, and nothing for the next one.
    pub(super) fn ends_at(&self, moment: Timestamp) -> bool {
        self.free_from(moment) == moment.after(MOMENT)
    }
}

/// The time that a run takes.
fn taken(logical_date: Timestamp, (begin, end): (Timestamp, Timestamp)) -> (Timestamp, Timestamp) {
    if begin < end && logical_date == begin {
        (begin, end)
    } else {
        (begin.after(MOMENT).min(end), end.after(MOMENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// Each named after its beginning, which is a second before its end.
    fn ran(ends: impl IntoIterator<Item = i64>) -> Ran {
        Ran::of(ends.into_iter().map(|end| (at(end - 1), at(end))))
    }

    #[test]
    fn what_follows_on_each_other_is_one_span() {
        assert_eq!(ran(1..1_000).spans(), [(at(0), at(999))]);
        assert_eq!(ran([3, 1, 2]).spans(), [(at(0), at(3))]);
        assert_eq!(ran([1, 3]).spans(), [(at(0), at(1)), (at(2), at(3))]);
    }

    #[test]
    fn an_interval_was_run_if_any_of_it_was() {
        let ran = ran([10, 11, 21]);
        for (begin, end, was_run) in [
            (8, 9, false),
            (8, 10, true),
            (9, 10, true),
            (10, 15, true),
            (11, 12, false),
            (11, 20, false),
            (19, 25, true),
        ] {
            let has = ran.has(at(begin), (at(begin), at(end)));
            assert_eq!(has, was_run, "{begin}..{end}");
        }
    }

    /// A run is named after the beginning or the end of its data interval; both are one moment if it is empty.
    #[test]
    fn no_name_is_given_twice() {
        let mut ran = Ran::default();
        ran.take(at(10), (at(10), at(10)));
        assert!(ran.ends_at(at(10)) && ran.free_from(at(10)) == at(10).after(MOMENT));
        assert!(ran.has(at(10), (at(10), at(20))), "after its beginning");
        assert!(ran.has(at(10), (at(5), at(10))), "after its end");
        assert!(ran.has(at(10), (at(10), at(10))));
        assert!(!ran.has(at(20), (at(10), at(20))));
        assert!(!ran.has(at(5), (at(5), at(10))));
        ran.take(at(20), (at(10), at(20)));
        assert!(ran.has(at(20), (at(20), at(30))) && ran.ends_at(at(20)));
        ran.take(at(20).after(MOMENT), (at(20).after(MOMENT), at(30)));
        assert!(!ran.ends_at(at(20)) && !ran.ends_at(at(30)));
        assert!(!ran.has(at(30), (at(30), at(40))));
        assert_eq!(ran.spans(), [(at(10), at(30))]);
    }

    /// The largest gaps are kept: the time that a clock has jumped over is run when it comes.
    #[test]
    fn of_too_many_spans_the_nearest_are_one() {
        let ran = ran((1..100).step_by(3).chain([1_000_000]));
        assert_eq!(ran.spans().len(), SPANS_MAX);
        assert_eq!(ran.spans().last(), Some(&(at(999_999), at(1_000_000))));
        let gaps = ran
            .spans()
            .windows(2)
            .map(|pair| pair[1].0.since(pair[0].1));
        assert_eq!(gaps.max().map(|gap| gap.as_secs()), Some(999_999 - 97));
        for end in (1..100).step_by(3) {
            let interval = (at(end - 1), at(end));
            assert!(ran.has(at(end - 1), interval), "{end} would run twice");
        }
    }
}
