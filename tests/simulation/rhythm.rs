//! When a DAG is due, told a second time: by looking at every minute and at every tick.

use std::time::Duration;

use mini_dag::dag::{Catchup, DagBuilder, Overlap, TimetableKind};
use mini_dag::timetable::{Schedule, Timestamp};

use crate::rng::Rng;
use crate::zones::Place;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A crontab line: the values that each field names, as bits; none is `*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    text: String,
    minutes: u64,
    hours: u64,
    weekdays: u64,
    /// It names times of day, and is due once for each, also when the clocks skip or repeat it.
    has_times: bool,
}

fn bits(values: impl IntoIterator<Item = i64>) -> u64 {
    values.into_iter().fold(0, |bits, value| bits | 1 << value)
}

#[derive(Clone, Debug, PartialEq)]
pub enum Rhythm {
    Never,
    Once,
    /// Every so many milliseconds.
    Every(i64),
    Cron(Vec<Line>),
    /// Once per boot.
    Reboot,
    /// When these DAGs have succeeded.
    After(Vec<String>),
    /// All the time.
    Continuous,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    None,
    At(i64),
    DaysAgo(u32),
}

impl Start {
    /// What ends before it starts is refused when it is loaded.
    pub fn no_later_than(&self, end: i64) -> Self {
        match self {
            Self::At(start) => Self::At(end.min(*start)),
            Self::None | Self::DaysAgo(_) => self.clone(),
        }
    }
}

/// Moments, ascending.
pub type Fires<'p> = Box<dyn DoubleEndedIterator<Item = i64> + 'p>;

/// What a DAG's keys say about time.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub rhythm: Rhythm,
    pub place: Place,
    pub start: Start,
    pub end: Option<i64>,
    pub kind: TimetableKind,
    pub catchup: Catchup,
    pub overlap: Overlap,
}

impl Line {
    /// `hour`: what the clocks show, where that matters.
    fn draw(rng: &mut Rng, hour: Option<i64>) -> Self {
        let minute = i64::from(rng.small(60));
        let every = *rng.pick(&[2, 3, 5, 7, 10, 15, 20, 30]);
        let (minute_text, minutes) = match rng.below(4) {
            0 => ("*".to_owned(), bits(0..60)),
            1 => (format!("*/{every}"), bits((0..60).step_by(every))),
            2 => {
                let (low, high) = (minute.min(59 - minute), minute.max(59 - minute));
                (format!("{low},{high}"), bits([low, high]))
            }
            _ => (minute.to_string(), bits([minute])),
        };
        let near = hour.filter(|_| rng.one_in(2));
        let hour = i64::from(rng.small(24));
        let (hour_text, hours) = match rng.below(8) {
            _ if let Some(near) = near => {
                let low = (near + i64::from(rng.small(3)) - 1).clamp(0, 22);
                (format!("{low}-{}", low + 1), bits([low, low + 1]))
            }
            0 => (hour.to_string(), bits([hour])),
            1 => ("*/6".to_owned(), bits([0, 6, 12, 18])),
            2 => ("8-17".to_owned(), bits(8..=17)),
            _ => ("*".to_owned(), 0),
        };
        let (day_text, weekdays) = match rng.below(8) {
            0 => ("1-5".to_owned(), bits(1..=5)),
            1 => ("0,6".to_owned(), bits([0, 6])),
            _ => ("*".to_owned(), 0),
        };
        let is_open = |text: &str| text.starts_with('*');
        Self {
            has_times: !is_open(&minute_text) && !is_open(&hour_text),
            text: format!("{minute_text} {hour_text} * * {day_text}"),
            minutes,
            hours,
            weekdays,
        }
    }

    /// Whether it is due in the minute that begins here.
    fn is_due(&self, place: Place, minute_ms: i64) -> bool {
        let shown = place.shown(minute_ms);
        if !self.has_times || place == Place::UTC {
            return self.names(shown);
        }
        // Whatever the clocks come to or skip is due now; what they show again is not.
        let before = place.latest_shown(minute_ms - MINUTE_MS);
        let fresh = before / MINUTE_MS + 1..=shown / MINUTE_MS;
        let mut fresh = fresh.map(|minute| minute * MINUTE_MS);
        fresh.any(|minute| self.names(minute))
    }

    /// Whether it names the minute that begins here, as the clocks show it.
    fn names(&self, minute_ms: i64) -> bool {
        let minutes = minute_ms.div_euclid(MINUTE_MS);
        let (hours, days) = (minutes.div_euclid(60), minutes.div_euclid(24 * 60));
        let has = |field: u64, value: i64| field == 0 || field >> value & 1 == 1;
        // 1970-01-01 was a Thursday.
        has(self.minutes, minutes.rem_euclid(60))
            && has(self.hours, hours.rem_euclid(24))
            && has(self.weekdays, (days + 4).rem_euclid(7))
    }

    /// About how far its fires lie apart, in milliseconds.
    fn typical_ms(&self) -> i64 {
        let per_hour = i64::from(self.minutes.count_ones());
        MINUTE_MS * 60 / per_hour * if self.hours == 0 { 1 } else { 4 }
    }
}

impl Rhythm {
    /// Of the DAG of this number.
    fn draw(rng: &mut Rng, number: usize, hour: Option<i64>) -> Self {
        let mut others: Vec<_> = (0..4).filter(|other| *other != number).collect();
        match rng.below(12) {
            0 => Self::Once,
            8 => Self::Reboot,
            9 | 10 => {
                others.retain(|_| rng.one_in(2));
                let first = usize::from(number == 0);
                let others = if others.is_empty() {
                    vec![first]
                } else {
                    others
                };
                Self::After(others.iter().map(|other| format!("dag{other}")).collect())
            }
            11 => Self::Continuous,
            1..=3 => Self::Every(1_000 * i64::from(20 + rng.small(300))),
            4 => Self::Cron(vec![Line::draw(rng, hour), Line::draw(rng, hour)]),
            _ => Self::Cron(vec![Line::draw(rng, hour)]),
        }
    }

    fn typical_ms(&self) -> i64 {
        match self {
            Self::Never | Self::Once | Self::Reboot | Self::After(_) | Self::Continuous => {
                MINUTE_MS
            }
            Self::Every(period) => *period,
            Self::Cron(lines) => lines.iter().map(Line::typical_ms).min().unwrap(),
        }
    }
}

impl Plan {
    pub fn never() -> Self {
        Self {
            rhythm: Rhythm::Never,
            place: Place::UTC,
            start: Start::None,
            end: None,
            kind: TimetableKind::Trigger,
            catchup: Catchup::Latest,
            overlap: Overlap::Queue,
        }
    }

    /// A new DAG's. The past that it can ask for is about a dozen fires.
    pub fn draw(rng: &mut Rng, number: usize, now_ms: i64, place: Place) -> Self {
        let hour = place.shown(now_ms).rem_euclid(DAY_MS) / (60 * MINUTE_MS);
        let hour = Some(hour).filter(|_| place != Place::UTC);
        let rhythm = Rhythm::draw(rng, number, hour);
        let past_ms = rhythm.typical_ms() * i64::from(rng.small(12)) + i64::from(rng.small(90_000));
        let start = match rng.below(5) {
            0 | 1 => Start::At(now_ms - past_ms),
            2 => Start::At(now_ms + i64::from(rng.small(300_000))),
            3 if past_ms > DAY_MS / 8 => Start::DaysAgo(rng.small(2)),
            _ => Start::None,
        };
        let end = rng
            .one_in(6)
            .then(|| now_ms + i64::from(rng.small(500_000)));
        let start = end.map_or(start.clone(), |end| start.no_later_than(end));
        Self {
            rhythm,
            place,
            start,
            end,
            kind: *rng.pick(&[TimetableKind::Trigger, TimetableKind::Interval]),
            catchup: match rng.below(5) {
                0 => Catchup::All,
                1 => Catchup::AtMost(1 + rng.small(4)),
                2 => Catchup::None,
                _ => Catchup::Latest,
            },
            overlap: *rng.pick(&[
                Overlap::Queue,
                Overlap::Queue,
                Overlap::Skip,
                Overlap::Cancel,
            ]),
        }
    }

    /// What a new version of the DAG says. A finer rhythm makes many fires of a long time ago, so it
    /// does not ask for all of them.
    pub fn redraw(&self, rng: &mut Rng, number: usize, now_ms: i64, place: Place) -> Self {
        let mut plan = Self::draw(rng, number, now_ms, place);
        if plan.catchup == Catchup::All {
            plan.catchup = Catchup::AtMost(3);
        }
        if rng.one_in(2) {
            plan.rhythm = self.rhythm.clone();
            plan.start = self.start.clone();
        }
        plan
    }

    /// The plan as the keys of a DAG.
    pub fn build(&self, dag: DagBuilder) -> DagBuilder {
        let mut dag = match &self.rhythm {
            Rhythm::Never => dag,
            Rhythm::Once => dag.schedule("@once"),
            Rhythm::Reboot => dag.schedule("@reboot"),
            Rhythm::Continuous => dag.schedule("@continuous"),
            Rhythm::After(others) => dag.schedule_from(Schedule::after_dags(others.clone())),
            Rhythm::Every(ms) => dag.every(Duration::from_millis(u64::try_from(*ms).unwrap())),
            Rhythm::Cron(lines) => {
                let lines = lines
                    .iter()
                    .map(|line| Schedule::parse(&line.text).unwrap());
                dag.schedule_from(Schedule::any_of(lines.collect()))
            }
        };
        dag = match self.start {
            Start::None => dag,
            Start::At(ms) => dag.start_date(&date(ms)),
            Start::DaysAgo(days) => dag.start_days_ago(days),
        };
        if let Some(end) = self.end {
            dag = dag.end_date(&date(end));
        }
        dag.timezone(self.place.zone())
            .timetable(self.kind)
            .catchup(self.catchup)
            .overlap(self.overlap)
    }

    pub fn start_ms(&self, first_seen: i64) -> Option<i64> {
        match self.start {
            Start::None => None,
            Start::At(ms) => Some(ms),
            Start::DaysAgo(days) => {
                let day = self.place.shown(first_seen).div_euclid(DAY_MS) - i64::from(days);
                Some(self.place.first_showing(day * DAY_MS))
            }
        }
    }

    /// All fires after one moment and until another, the second included: looked for one by one, from
    /// whichever end is asked.
    pub fn fires(&self, first_seen: i64, after: i64, until: i64) -> Fires<'_> {
        let start = self.start_ms(first_seen);
        let until = self.end.map_or(until, |end| until.min(end));
        let after = start.map_or(after, |start| after.max(start - 1));
        match &self.rhythm {
            Rhythm::Never | Rhythm::Reboot | Rhythm::After(_) | Rhythm::Continuous => {
                Box::new(std::iter::empty())
            }
            Rhythm::Once => {
                let fire = Some(start.unwrap_or(first_seen));
                Box::new(
                    fire.filter(|fire| after < *fire && *fire <= until)
                        .into_iter(),
                )
            }
            Rhythm::Every(period) => {
                let first = start.unwrap_or(first_seen);
                let tick = move |moment: i64| (moment - first).div_euclid(*period);
                let ticks = (tick(after) + 1).max(0)..=tick(until);
                Box::new(ticks.map(move |tick| first + tick * period))
            }
            Rhythm::Cron(lines) => {
                let minute = |moment: i64| moment.div_euclid(MINUTE_MS);
                let minutes = (minute(after) + 1..=minute(until)).map(|minute| minute * MINUTE_MS);
                let is_due =
                    |minute: &i64| lines.iter().any(|line| line.is_due(self.place, *minute));
                Box::new(minutes.filter(is_due))
            }
        }
    }

    /// Where the data interval of a fire begins.
    pub fn previous(&self, fire: i64) -> i64 {
        match &self.rhythm {
            Rhythm::Never
            | Rhythm::Once
            | Rhythm::Reboot
            | Rhythm::After(_)
            | Rhythm::Continuous => fire,
            Rhythm::Every(period) => fire - period,
            Rhythm::Cron(lines) => {
                let mut minute = fire - MINUTE_MS;
                while !lines.iter().any(|line| line.is_due(self.place, minute)) {
                    minute -= MINUTE_MS;
                }
                minute
            }
        }
    }
}

/// A moment as it stands in a DAG file.
fn date(ms: i64) -> String {
    let seconds = Timestamp::from_millis(ms).to_string();
    format!("{}.{:03}Z", &seconds[..19], ms.rem_euclid(1_000))
}
