//! Local time: which wall-clock time a zone shows at a moment, and when it shows one.
//!
//! A zone is a sequence of spans in which the offset from UTC does not change. Between two of them the wall clock skips
//! times (a gap) or shows some twice (a fold). Two functions hold all the rules of gaps and folds: [`Zone::first_showing`]
//! and [`Zone::latest_shown`]. They are a pair: `first_showing(wall) <= at` exactly when `wall <= latest_shown(at)`.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use time::PrimitiveDateTime;

use super::Timestamp;
use super::civil::SECONDS_PER_DAY;
use super::posix::PosixRules;
use super::tzif::Tzif;

/// The offsets from UTC that RFC 8536 allows, in seconds.
pub(super) const OFFSETS_S: RangeInclusive<i32> = -89_999..=93_599;

/// A time zone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Zone {
    name: Arc<str>,
    rules: Arc<Tzif>,
}

/// The text or file is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    /// What is wrong with the whole.
    pub message: String,
    /// The bytes of the text or file that are at fault; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong with them.
    pub label: String,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.label)
    }
}

impl std::error::Error for ZoneError {}

/// What the clocks of a zone show at a moment. `Display` is RFC 3339 with the zone's offset: `2026-11-22T06:00:00+09:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local<'z> {
    /// The date and time on the wall.
    pub date_time: PrimitiveDateTime,
    /// Seconds east of UTC.
    pub offset_s: i32,
    /// `KST`, `CEST`, `+1030`.
    pub abbreviation: &'z str,
}

/// A moment at which a zone's offset changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The first moment of the new offset.
    pub at: Timestamp,
    /// Seconds east of UTC until then.
    pub offset_before_s: i32,
    /// Seconds east of UTC from then on.
    pub offset_after_s: i32,
}

/// An offset from UTC, by its name.
#[derive(Debug)]
pub(super) struct LocalTime {
    /// Seconds east of UTC, within [`OFFSETS_S`].
    pub(super) offset_s: i32,
    pub(super) abbreviation: Box<str>,
}

/// Seconds `start..end` since the epoch, without end where there is none, in which the local time does not change.
pub(super) struct Span<'z> {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    pub(super) local: &'z LocalTime,
}

impl Span<'_> {
    pub(super) fn offset(&self) -> i64 {
        self.local.offset_s.into()
    }
}

impl Zone {
    /// Coordinated Universal Time, named `UTC`.
    pub fn utc() -> Self {
        Self::new(
            "UTC",
            Tzif {
                local_times: vec![LocalTime {
                    offset_s: 0,
                    abbreviation: "UTC".into(),
                }],
                transitions: Vec::new(),
                footer: None,
            },
        )
    }

    /// From the bytes of a compiled zone file (TZif, versions 1 to 4).
    pub fn from_tzif(name: &str, bytes: &[u8]) -> Result<Self, ZoneError> {
        Ok(Self::new(name, Tzif::parse(name, bytes)?))
    }

    /// From a POSIX `TZ` string such as `CET-1CEST,M3.5.0,M10.5.0/3`, which is its name too.
    pub fn from_posix(text: &str) -> Result<Self, ZoneError> {
        let rules = PosixRules::parse(text)?;
        Ok(Self::new(
            text,
            Tzif {
                local_times: Vec::new(),
                transitions: Vec::new(),
                footer: Some(rules),
            },
        ))
    }

    fn new(name: &str, rules: Tzif) -> Self {
        Self {
            name: name.into(),
            rules: Arc::new(rules),
        }
    }

    /// `Asia/Seoul`, `UTC`, or the POSIX string it was made from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the clocks show at a moment.
    pub fn local(&self, at: Timestamp) -> Local<'_> {
        let local = self.span_at(at.secs()).local;
        let shown = Timestamp::from_millis(at.millis() + i64::from(local.offset_s) * 1000).to_utc();
        Local {
            date_time: PrimitiveDateTime::new(shown.date(), shown.time()),
            offset_s: local.offset_s,
            abbreviation: &local.abbreviation,
        }
    }

    /// The first moment at which the clocks show this time or a later one: a time in a gap is the first moment after the
    /// gap, a time that comes twice is its first coming.
    pub fn moment(&self, wall: PrimitiveDateTime) -> Timestamp {
        let wall = wall.assume_utc();
        let whole = self.first_showing(wall.unix_timestamp());
        Timestamp::from_millis(whole * 1000 + i64::from(wall.millisecond()))
    }

    /// The midnight that began the zone's day `days` days before the day of `at`; 0 is the last midnight.
    ///
    /// Where a day has no midnight, its first moment. At least [`Timestamp::MIN`].
    pub fn midnight_days_ago(&self, at: Timestamp, days: u32) -> Timestamp {
        let shown = at.secs() + self.span_at(at.secs()).offset();
        let day = shown.div_euclid(SECONDS_PER_DAY) - i64::from(days);
        Timestamp::from_secs(self.first_showing(day * SECONDS_PER_DAY))
    }

    /// The next change of the offset strictly after a moment.
    pub fn next_transition(&self, after: Timestamp) -> Option<Transition> {
        let mut span = self.span_at(after.secs());
        // Spans may differ in name only, and daylight time may last all year: after two years of rules nothing new comes.
        for _ in 0..self.rules.transitions.len() + 4 {
            let next = self.span_at(span.end?);
            if next.offset() != span.offset() {
                return Some(Transition {
                    at: Timestamp::from_secs(span.end?),
                    offset_before_s: span.local.offset_s,
                    offset_after_s: next.local.offset_s,
                })
                .filter(|next| Some(next.at.secs()) == span.end);
            }
            span = next;
        }
        None
    }

    /// The span that holds a second.
    pub(super) fn span_at(&self, at: i64) -> Span<'_> {
        let Tzif {
            local_times,
            transitions,
            footer,
        } = &*self.rules;
        let next = transitions.partition_point(|transition| transition.0 <= at);
        let start = next.checked_sub(1).map(|last| transitions[last]);
        let end = transitions.get(next).map(|transition| transition.0);
        match (footer, end) {
            (Some(rules), None) => {
                let span = rules.span_at(at);
                Span {
                    start: span.start.max(start.map(|transition| transition.0)),
                    ..span
                }
            }
            (Some(_), Some(_)) | (None, _) => Span {
                start: start.map(|transition| transition.0),
                end,
                local: &local_times[start.map_or(0, |transition| transition.1.into())],
            },
        }
    }

    /// The first second at which the wall clock shows `wall` or later.
    pub(super) fn first_showing(&self, wall: i64) -> i64 {
        let mut span = self.span_at(wall - i64::from(*OFFSETS_S.end()));
        loop {
            let shows = wall - span.offset();
            let first = span.start.map_or(shows, |start| start.max(shows));
            match span.end {
                Some(end) if first >= end => span = self.span_at(end),
                Some(_) | None => return first,
            }
        }
    }

    /// The latest time that the wall clock has shown up to a second, in whole seconds.
    pub(super) fn latest_shown(&self, at: i64) -> i64 {
        // No clock shows more than the widest offset, nor less than the narrowest.
        let too_early = at - i64::from(OFFSETS_S.end() - OFFSETS_S.start());
        let mut span = self.span_at(at);
        let mut latest = at + span.offset();
        while let Some(start) = span.start.filter(|start| *start > too_early) {
            span = self.span_at(start - 1);
            latest = latest.max(start - 1 + span.offset());
        }
        latest
    }
}

impl fmt::Display for Local<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Timestamp::from_millis(
            i64::try_from(self.date_time.assume_utc().unix_timestamp_nanos() / 1_000_000)
                .unwrap_or(i64::MAX),
        )
        .to_string();
        let sign = if self.offset_s < 0 { '-' } else { '+' };
        let offset_s = self.offset_s.unsigned_abs();
        let (hours, minutes, seconds) = (offset_s / 3600, offset_s / 60 % 60, offset_s % 60);
        let shown = shown.strip_suffix("+00:00").unwrap_or(&shown);
        write!(f, "{shown}{sign}{hours:02}:{minutes:02}")?;
        if seconds > 0 {
            write!(f, ":{seconds:02}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise of the module header, on every half hour around changes of several kinds.
    #[test]
    fn first_showing_and_latest_shown_are_a_pair() {
        for posix in [
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
            "WAY12FAR-12,J100/0,J200/0",
            // Two changes within three hours, an hour back each time the other way round.
            "AAA0BBB-3,J100/0,J100/5",
            "AAA-3BBB0,J100/4,J100/2",
        ] {
            let zone = Zone::from_posix(posix).expect(posix);
            for day in [
                "2027-03-28",
                "2027-10-31",
                "2027-04-04",
                "2027-04-10",
                "2027-07-19",
            ] {
                let noon = Timestamp::parse(&format!("{day}T12:00:00Z"))
                    .expect(day)
                    .secs();
                let around = |hours: i64| (noon - hours * 3600..noon + hours * 3600).step_by(1800);
                for moment in around(30) {
                    let shown = moment + zone.span_at(moment).offset();
                    assert!(zone.latest_shown(moment) >= shown);
                    for wall in around(18) {
                        assert_eq!(
                            zone.first_showing(wall) <= moment,
                            wall <= zone.latest_shown(moment),
                            "{posix}: {wall} and {moment}"
                        );
                    }
                }
            }
        }
    }
}
