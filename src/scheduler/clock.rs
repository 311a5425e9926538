//! Whether the wall clock is to be believed, and what waits while it is not.
//!
//! A host without a battery for its clock boots in 1970, or at the moment it was switched off, or years
//! ahead; NTP sets that right when there is a network, or never. Nothing here reads a clock: `now` and
//! what the kernel, the journal and the config say are passed in.
//!
//! The clock is *plausible* if it shows
//!
//! | no earlier than | |
//! | --- | --- |
//! | [`build_date`] | nothing ran before the program was there |
//! | the mtime of the clock file of systemd-timesyncd, and the last record of the journal that was written while synchronised, less [`SLACK`] | unless it is synchronised now, or was believed since the start of the daemon: what was shown once, perhaps by a clock that had been set wrong, must not stop the schedule until that date |
//! | **and** earlier than `build_date` + [`YEARS_AHEAD_MAX`] years | |
//!
//! | clock | `prefer` (the default) | `require` | `ignore` |
//! | --- | --- | --- | --- |
//! | plausible and synchronised | goes | goes | goes |
//! | plausible, at the start | waits until `clock_wait` after the boot of the host, then goes | waits until it is synchronised | goes |
//! | plausible, believed before | goes | goes | goes |
//! | not plausible | waits until it is | waits until it is | goes |
//!
//! While it waits, the schedule creates no run, and no DAG is first seen: what the clock shows is used for
//! no decision. Runs that somebody asks for start; they carry what was thought of the clock
//! ([`ClockTrust`]), as do those that the schedule creates by a clock that is not synchronised.

use std::fmt;
use std::time::Duration;

use super::event::{Monotonic, Now};
use crate::timetable::{Timestamp, duration_text};

/// A clock that is behind what it showed before by no more than this may be right.
const SLACK: Duration = Duration::from_secs(60);
/// A clock that is further ahead of the build date is wrong.
const YEARS_AHEAD_MAX: u64 = 20;
/// When the source was released: the date of the newest version in CHANGELOG.md.
const SOURCE_DATE_S: i64 = 1_795_305_600;

/// The program is no older than this: `SOURCE_DATE_EPOCH` (seconds) as it was when the program was built,
/// else the date of its source. So the same source makes the same program, whenever it is built.
pub fn build_date() -> Timestamp {
    let given = option_env!("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok());
    Timestamp::from_secs(given.unwrap_or(SOURCE_DATE_S))
}

/// How far the schedule needs a synchronised clock: `clock` of the config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockDemand {
    /// It waits until the clock is synchronised.
    Require,
    /// It waits for that, but not for ever.
    #[default]
    Prefer,
    /// It believes whatever the clock shows.
    Ignore,
}

/// `clock` and `clock_wait` of the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRule {
    /// How far a synchronised clock is needed.
    pub demand: ClockDemand,
    /// How long after the boot of the host [`ClockDemand::Prefer`] waits.
    pub wait: Duration,
}

impl Default for ClockRule {
    fn default() -> Self {
        Self {
            demand: ClockDemand::default(),
            wait: Duration::from_secs(90),
        }
    }
}

/// What is known of the wall clock besides what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReport {
    /// What the config says.
    pub rule: ClockRule,
    /// When the host was booted; `rule.wait` counts from there.
    pub booted: Monotonic,
    /// The kernel, or systemd-timesyncd, says that it is right.
    pub is_synchronised: bool,
    /// When systemd-timesyncd last noted that it was right.
    pub saved: Option<Timestamp>,
    /// When the last record was written, before this daemon began, while the clock was synchronised.
    pub recorded: Option<Timestamp>,
}

/// How far a clock is to be trusted. What a run was created by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockTrust {
    /// Somebody who knows says that it is right, or nobody was asked.
    #[default]
    Synchronised,
    /// It may be right.
    Unsynchronised,
    /// It cannot be right.
    Implausible,
}

impl ClockTrust {
    /// In the journal, in the API and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Synchronised => "synchronised",
            Self::Unsynchronised => "unsynchronised",
            Self::Implausible => "implausible",
        }
    }
}

/// Why a clock cannot be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    BeforeBuild,
    BeforeSaved(Timestamp),
    BeforeRecorded(Timestamp),
    FarAhead,
}

/// Why scheduled runs wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// The clock cannot be right.
    Doubt(Doubt),
    /// It may be right, and may be set yet.
    Until(Monotonic),
    /// It may be right, but that is not enough.
    Required,
}

/// What is thought of the clock. `Display` says it in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    shown: Timestamp,
    /// How far it is to be trusted.
    pub trust: ClockTrust,
    hold: Option<Hold>,
    /// What is doubted goes on all the same.
    doubt: Option<Doubt>,
    wait: Duration,
}

impl Verdict {
    /// Whether scheduled runs wait.
    pub fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// Whether they wait until somebody or something sets the clock right, rather than for a while.
    pub fn is_stuck(&self) -> bool {
        matches!(self.hold, Some(Hold::Doubt(_) | Hold::Required))
    }

    /// When to ask again, if nothing happens.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        match self.hold? {
            Hold::Until(deadline) => Some(deadline),
            Hold::Doubt(_) | Hold::Required => None,
        }
    }

    /// When the clock itself will have come to what can be.
    pub(super) fn plausible_at(&self) -> Option<Timestamp> {
        match self.hold? {
            Hold::Doubt(Doubt::BeforeBuild) => Some(build_date()),
            Hold::Doubt(Doubt::BeforeSaved(floor) | Doubt::BeforeRecorded(floor)) => Some(floor),
            Hold::Doubt(Doubt::FarAhead) | Hold::Until(_) | Hold::Required => None,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeBuild => write!(f, "this program was built on {}", day(build_date())),
            Self::BeforeSaved(at) => {
                write!(f, "it was known to be {at} already (systemd-timesyncd)")
            }
            Self::BeforeRecorded(at) => write!(f, "it was {at} already, as the journal says"),
            Self::FarAhead => write!(
                f,
                "this program was built on {}, {YEARS_AHEAD_MAX} years before that or more",
                day(build_date())
            ),
        }
    }
}

/// For somebody who looks after a Pi: what is wrong, what waits, and what to do.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BY_HAND: &str = "; runs that you trigger start";
        let shown = self.shown;
        match (self.hold, self.doubt) {
            (Some(Hold::Doubt(doubt)), _) => write!(
                f,
                "the clock shows {shown}, which cannot be right: {doubt}. Scheduled runs wait until NTP or \
                 `date` sets it{BY_HAND}"
            ),
            (Some(Hold::Until(_)), _) => write!(
                f,
                "the clock is not synchronised yet; scheduled runs wait for NTP, until the host has been up \
                 for {} at most{BY_HAND}",
                duration_text(self.wait)
            ),
            (Some(Hold::Required), _) => write!(
                f,
                "the clock is not synchronised; scheduled runs wait until NTP says it is, as `clock` in the \
                 config demands{BY_HAND}"
            ),
            (None, Some(doubt)) => write!(
                f,
                "the clock shows {shown}, which cannot be right: {doubt}. Scheduled runs go by it all the \
                 same, as `clock` in the config says"
            ),
            (None, None) => match self.trust {
                ClockTrust::Synchronised => f.write_str("the clock is synchronised"),
                ClockTrust::Unsynchronised | ClockTrust::Implausible => f.write_str(
                    "the clock is not synchronised (no NTP); scheduled runs go by what it shows",
                ),
            },
        }
    }
}

fn day(moment: Timestamp) -> String {
    moment
        .to_string()
        .split('T')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The clock, as the scheduler sees it. Nobody doubts one of which nothing was reported.
#[derive(Debug, Default)]
pub(super) struct Clock {
    report: Option<ClockReport>,
    /// It was believed at some time since the start.
    was_believed: bool,
}

impl Clock {
    pub(super) fn hear(&mut self, report: ClockReport) {
        self.report = Some(report);
    }

    /// What is thought of the clock now.
    pub(super) fn judge(&mut self, now: Now) -> Verdict {
        let mut verdict = Verdict {
            shown: now.wall,
            trust: ClockTrust::Synchronised,
            hold: None,
            doubt: None,
            wait: Duration::ZERO,
        };
        let Some(report) = self.report else {
            return verdict;
        };
        verdict.doubt = self.doubt(&report, now.wall);
        let demand = report.rule.demand;
        if let Some(doubt) = verdict.doubt {
            verdict.trust = ClockTrust::Implausible;
            verdict.hold = (demand != ClockDemand::Ignore).then_some(Hold::Doubt(doubt));
        } else if !report.is_synchronised {
            verdict.trust = ClockTrust::Unsynchronised;
            let deadline = report.booted.after(report.rule.wait);
            verdict.wait = report.rule.wait;
            verdict.hold = match demand {
                ClockDemand::Ignore => None,
                ClockDemand::Require | ClockDemand::Prefer if self.was_believed => None,
                ClockDemand::Require => Some(Hold::Required),
                ClockDemand::Prefer => {
                    Some(Hold::Until(deadline)).filter(|_| deadline > now.monotonic)
                }
            };
        }
        self.was_believed |= verdict.hold.is_none() && verdict.doubt.is_none();
        verdict
    }

    fn doubt(&self, report: &ClockReport, wall: Timestamp) -> Option<Doubt> {
        let built = build_date();
        let years = Duration::from_secs(YEARS_AHEAD_MAX * 31_557_600);
        let less_slack = |at: Timestamp| at.before(SLACK);
        let is_vouched_for = self.was_believed || report.is_synchronised;
        let shown_before = |at: &Timestamp| !is_vouched_for && wall < *at;
        let recorded = report.recorded.map(less_slack).filter(shown_before);
        let saved = report.saved.filter(shown_before);
        if wall < built {
            Some(Doubt::BeforeBuild)
        } else if wall >= built.after(years) {
            Some(Doubt::FarAhead)
        } else if let Some(saved) = saved.filter(|saved| Some(*saved) >= recorded) {
            Some(Doubt::BeforeSaved(saved))
        } else {
            recorded.map(Doubt::BeforeRecorded)
        }
    }
}
