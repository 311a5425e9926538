//! Zones whose clocks change twice a year, told a second time: the rule of each in numbers, and what clocks show by plain
//! arithmetic over a list of the moments at which they change.

use std::sync::LazyLock;

use mini_dag::timetable::Zone;

use crate::rng::Rng;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// The Sunday of this number in a month (5: the last), and the minute of that day by the clocks until then.
struct Change {
    month: i64,
    sunday: i64,
    minute: i64,
}

struct Rule {
    posix: &'static str,
    /// Minutes ahead of UTC in winter, and how many more in summer.
    winter: i64,
    more: i64,
    /// Of summer.
    begin: Change,
    end: Change,
}

const RULES: [Rule; 3] = [
    // Europe/Berlin
    Rule {
        posix: "CET-1CEST,M3.5.0,M10.5.0/3",
        winter: 60,
        more: 60,
        begin: change(3, 5, 120),
        end: change(10, 5, 180),
    },
    // America/New_York
    Rule {
        posix: "EST5EDT,M3.2.0,M11.1.0",
        winter: -300,
        more: 60,
        begin: change(3, 2, 120),
        end: change(11, 1, 120),
    },
    // Australia/Lord_Howe: half an hour, and summer is in January.
    Rule {
        posix: "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        winter: 630,
        more: 30,
        begin: change(10, 1, 120),
        end: change(4, 1, 120),
    },
];

const fn change(month: i64, sunday: i64, minute: i64) -> Change {
    Change {
        month,
        sunday,
        minute,
    }
}

/// For each rule, when the clocks change, and how far they are ahead of UTC from then on.
static CHANGES: LazyLock<[Vec<(i64, i64)>; 3]> = LazyLock::new(|| RULES.each_ref().map(changes));

fn changes(rule: &Rule) -> Vec<(i64, i64)> {
    let (winter, summer) = (
        rule.winter * MINUTE_MS,
        (rule.winter + rule.more) * MINUTE_MS,
    );
    let years = (1969..2101).flat_map(|year| {
        let begin = (moment(year, &rule.begin) - winter, summer);
        let end = (moment(year, &rule.end) - summer, winter);
        [begin, end]
    });
    let mut changes: Vec<_> = years.collect();
    changes.sort_unstable();
    changes
}

/// As the clocks show it.
fn moment(year: i64, change: &Change) -> i64 {
    let first = days(year, change.month, 1);
    // 1970-01-01 was a Thursday.
    let mut sunday = first + (3 - first).rem_euclid(7);
    sunday += 7 * (change.sunday - 1);
    if change.sunday == 5 && sunday >= days(year, change.month + 1, 1) {
        sunday -= 7;
    }
    sunday * DAY_MS + change.minute * MINUTE_MS
}

/// Days since 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// UTC, or one of those.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place(Option<usize>);

impl Place {
    pub const UTC: Self = Self(None);

    pub fn draw(rng: &mut Rng) -> Self {
        Self(Some(rng.below(RULES.len())))
    }

    pub fn zone(self) -> Zone {
        self.0.map_or_else(Zone::utc, |at| {
            Zone::from_posix(RULES[at].posix).expect("a zone")
        })
    }

    /// One of the changes of the ten years after a moment.
    pub fn draw_change(self, rng: &mut Rng, after: i64) -> i64 {
        let changes = self.changes();
        let next = changes.partition_point(|(at, _)| *at <= after);
        changes[next + rng.below(20)].0
    }

    fn changes(self) -> &'static [(i64, i64)] {
        self.0.map_or(&[], |at| &CHANGES[at])
    }

    /// The last change until a moment.
    fn last_change(self, at: i64) -> Option<usize> {
        self.changes()
            .partition_point(|(change, _)| *change <= at)
            .checked_sub(1)
    }

    fn ahead(self, at: i64) -> i64 {
        self.last_change(at)
            .map_or(0, |last| self.changes()[last].1)
    }

    /// What the clocks show at a moment.
    pub fn shown(self, at: i64) -> i64 {
        at + self.ahead(at)
    }

    /// The latest that they have shown in the minute that begins here, or before.
    pub fn latest_shown(self, minute: i64) -> i64 {
        let last = self.last_change(minute).map(|last| self.changes()[last].0);
        let before = last.map_or(i64::MIN, |change| self.shown(change - MINUTE_MS));
        self.shown(minute).max(before)
    }

    /// The first moment at which the clocks show this.
    pub fn first_showing(self, shown: i64) -> i64 {
        let near = [shown - DAY_MS, shown, shown + DAY_MS];
        let moments = near.map(|near| shown - self.ahead(near));
        let is_it = |moment: &i64| self.shown(*moment) == shown;
        moments
            .into_iter()
            .filter(is_it)
            .min()
            .expect("there is one")
    }

    /// What is special about a moment.
    pub fn special(self, at: i64) -> Option<&'static str> {
        let shown = self.shown(at);
        let twin = |ms: i64| self.shown(at + ms) == shown;
        let (hour, half) = (60 * MINUTE_MS, 30 * MINUTE_MS);
        if self.ahead(at) > self.ahead(at - 1) {
            Some("due: at the end of a gap")
        } else if twin(hour) || twin(half) {
            Some("due: in a fold, first")
        } else if twin(-hour) || twin(-half) {
            Some("due: in a fold, again")
        } else {
            None
        }
    }
}
