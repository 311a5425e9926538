//! What the schedule of a DAG has run, in a few numbers.
//!
//! A data interval that was run is never run again, not even when the clock shows its end a second time.
//! So all of them have to be known, for ever; but the next one begins where the last one ends, and both are
//! one span then. A gap is a time whose fires were not run: the DAG was busy, or the clock had jumped. Of
//! more than [`SPANS_MAX`] spans, the two that lie nearest become one: what lies between them is not run
//! when its time comes again. So nothing ever runs twice, and memory is bounded.

use crate::timetable::Timestamp;

/// Spans that are told apart.
const SPANS_MAX: usize = 8;

/// The spans of time that were run, each from a beginning to an end, ascending; no two touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran(Vec<(Timestamp, Timestamp)>);

impl Ran {
    /// Of these spans, in whatever order.
    pub fn of(spans: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Self {
        let mut ran = Self::default();
        for span in spans {
            ran.insert(span);
        }
        ran
    }

    /// The spans, ascending.
    pub fn spans(&self) -> &[(Timestamp, Timestamp)] {
        &self.0
    }

    /// Takes note of a data interval that is run.
    pub(super) fn insert(&mut self, (begin, end): (Timestamp, Timestamp)) {
        let first = self.0.partition_point(|span| span.1 < begin);
        let touched = self.0[first..].iter().take_while(|span| span.0 <= end);
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

    /// Whether some of a data interval was run already. One that is empty is a moment.
    pub(super) fn has(&self, (begin, end): (Timestamp, Timestamp)) -> bool {
        let overlaps = |span: &(Timestamp, Timestamp)| begin < span.1 && span.0 < end;
        self.0.iter().any(|span| overlaps(span) || span.1 == end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

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
            (11, 11, true),
            (12, 12, false),
        ] {
            assert_eq!(ran.has((at(begin), at(end))), was_run, "{begin}..{end}");
        }
        assert!(Ran::of([(at(5), at(5))]).has((at(4), at(5))));
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
            assert!(ran.has((at(end - 1), at(end))), "{end} would run twice");
        }
    }
}
