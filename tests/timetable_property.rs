//! Random crontab lines, read by brute force and by the implementation: the same moments, forwards and backwards.
//!
//! The reading here is written from crontab(5) alone, and looks at the clock on the wall minute by minute. A failure
//! prints the seed of its case; `MINI_DAG_SEED=<seed> cargo test --test timetable_property` begins with that case.

#![expect(
    clippy::unwrap_used,
    reason = "a test says no by panicking, and so do its parts"
)]

use std::io::Write;
use std::path::{Path, PathBuf};

use mini_dag::timetable::{Schedule, Timestamp, Timetable, Zone};
use time::{Duration, PrimitiveDateTime};

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    /// Below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }
}

/// The seeds of so many cases.
fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let first: u64 = std::env::var("MINI_DAG_SEED").map_or(0x6D69_6E69_2D64_6167, |seed| {
        seed.parse().expect("a number")
    });
    (0..count).map(move |number| first.wrapping_add(number))
}

/// The random numbers of a case; neighbouring seeds have nothing in common.
fn random(seed: u64) -> Random {
    Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
}

/// A crontab line as text, field by field.
struct Line([String; 5]);

const BOUNDS: [(u64, u64); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Line {
    /// `stars`: out of ten, how often a date field is no more than `*`.
    fn random(random: &mut Random, stars: u64) -> Self {
        let mut place = 0;
        Self(BOUNDS.map(|(low, high)| {
            place += 1;
            let star = if place > 2 { stars } else { 3 };
            if random.below(10) < star {
                return "*".to_owned();
            }
            let elements: Vec<String> = (0..=random.below(3))
                .map(|_| element(random, place, low, high))
                .collect();
            elements.join(",")
        }))
    }

    fn matches(&self, wall: PrimitiveDateTime) -> bool {
        let [minute, hour, day, month, weekday] = &self.0;
        let days_from_sunday = u64::from(wall.weekday().number_days_from_sunday());
        let day_matches = field_matches(day, wall.day().into(), 2);
        let weekday_matches = field_matches(weekday, days_from_sunday, 4)
            || days_from_sunday == 0 && field_matches(weekday, 7, 4);
        field_matches(minute, wall.minute().into(), 0)
            && field_matches(hour, wall.hour().into(), 1)
            && field_matches(month, u8::from(wall.month()).into(), 3)
            && if day.starts_with('*') || weekday.starts_with('*') {
                day_matches && weekday_matches
            } else {
                day_matches || weekday_matches
            }
    }

    fn names_times_of_day(&self) -> bool {
        !self.0[0].starts_with('*') && !self.0[1].starts_with('*')
    }
}

fn element(random: &mut Random, place: usize, low: u64, high: u64) -> String {
    let value = low + random.below(high - low + 1);
    let last = value + random.below(high - value + 1);
    let step = 1 + random.below(high + 3);
    match random.below(6) {
        0 => format!("*/{step}"),
        1 => format!("{value}-{last}"),
        2 => format!("{value}-{last}/{step}"),
        3 if place == 4 => MONTHS[usize::try_from(value - 1).unwrap()].to_owned(),
        3 if place == 5 => WEEKDAYS[usize::try_from(value % 7).unwrap()].to_uppercase(),
        _ => value.to_string(),
    }
}

fn field_matches(field: &str, value: u64, place: usize) -> bool {
    let (low, high) = BOUNDS[place];
    let number = |word: &str| {
        let word = word.to_lowercase();
        let name = |names: &[&str]| names.iter().position(|name| *name == word);
        let named = match place {
            3 => name(&MONTHS).map(|month| month + 1),
            4 => name(&WEEKDAYS),
            _ => None,
        };
        named.map_or_else(|| word.parse().unwrap(), |number| number as u64)
    };
    field.split(',').any(|element| {
        let (values, step) = element.split_once('/').unwrap_or((element, "1"));
        let (first, last) = match values.split_once('-') {
            _ if values == "*" => (low, high),
            Some((first, last)) => (number(first), number(last)),
            None => (number(values), number(values)),
        };
        (first..=last).contains(&value) && (value - first).is_multiple_of(number(step))
    })
}

/// What the wall shows, minute by minute: `(seconds since the epoch, date and time)`.
type Minutes = Vec<(i64, PrimitiveDateTime)>;

fn minutes(zone: &Zone, from: i64, until: i64) -> Minutes {
    (from..until)
        .step_by(60)
        .map(|at| (at, zone.local(Timestamp::from_secs(at)).date_time))
        .collect()
}

/// The fires within the minutes, but for the first minute.
fn brute_force(line: &Line, minutes: &Minutes) -> Vec<i64> {
    let mut latest = minutes[0].1;
    let mut fires = Vec::new();
    for &(at, wall) in &minutes[1..] {
        if !line.names_times_of_day() {
            if line.matches(wall) {
                fires.push(at);
            }
            continue;
        }
        // Every time that the wall has come to or skipped is due now; what it shows again is not.
        let mut due = false;
        while latest < wall {
            latest += Duration::MINUTE;
            due |= line.matches(latest);
        }
        if due {
            fires.push(at);
        }
    }
    fires
}

/// What the implementation says about the same minutes.
fn check(line: &Line, zone: &Zone, minutes: &Minutes, seed: u64) {
    let text = line.0.join(" ");
    let case = || {
        format!(
            "seed {seed}: `{text}` in {} from {}",
            zone.name(),
            minutes[0].1
        )
    };
    let Ok(schedule) = Schedule::parse(&text) else {
        // Only a date that never comes may be refused.
        assert!(
            !line.0[2].starts_with('*') || !line.0[4].starts_with('*'),
            "{}",
            case()
        );
        let never = |(_, wall): &(i64, PrimitiveDateTime)| !line.matches(*wall);
        assert!(minutes.iter().all(never), "{}", case());
        return;
    };
    let timetable = Timetable {
        schedule,
        zone: zone.clone(),
        start: None,
        end: None,
        anchor: Timestamp::default(),
    };
    let (first, last) = (minutes[0].0, minutes[minutes.len() - 1].0);
    let expected = brute_force(line, minutes);

    let mut forwards = Vec::new();
    let mut at = Timestamp::from_secs(first);
    while let Some(next) = timetable.next_after(at).filter(|next| next.secs() <= last) {
        forwards.push(next.secs());
        at = next;
    }
    assert_eq!(forwards, expected, "{}", case());

    let mut backwards = Vec::new();
    let mut next = timetable.latest_at_or_before(Timestamp::from_secs(last));
    while let Some(at) = next.filter(|at| at.secs() > first) {
        backwards.push(at.secs());
        next = timetable.previous_before(at);
    }
    backwards.reverse();
    assert_eq!(backwards, expected, "{} looking back", case());
}

const YEAR_2020: i64 = 1_577_836_800;
const YEAR_2040: i64 = 2_208_988_800;

/// The moments in the years 2020 to 2039 at which the offset changes.
fn transitions(zone: &Zone) -> Vec<i64> {
    let mut at = Timestamp::from_secs(YEAR_2020);
    std::iter::from_fn(|| {
        at = zone.next_transition(at)?.at;
        Some(at.secs()).filter(|at| *at < YEAR_2040)
    })
    .collect()
}

/// Random lines in so many hours before and after a random transition, or anywhere where there is none.
fn check_days(zone: &Zone, seed: u64, hours: i64, lines: u32) {
    let mut random = random(seed);
    let transitions = transitions(zone);
    let middle = if transitions.is_empty() {
        YEAR_2020 + i64::try_from(random.below(20 * 365)).unwrap() * 86_400
    } else {
        transitions[usize::try_from(random.below(transitions.len() as u64)).unwrap()]
    };
    let minutes = minutes(zone, middle - hours * 3600, middle + hours * 3600);
    for _ in 0..lines {
        check(&Line::random(&mut random, 7), zone, &minutes, seed);
    }
}

const ZONES: [&str; 12] = [
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "KST-9",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "EET-2EEST,M3.4.4/50,M10.4.4/50",
    "CST5CDT,M3.2.0/0,M11.1.0/1",
    "EST5EDT,0/0,J365/25",
    "ABC-3:17DEF-5:42,J60/0,300/24",
    "WAY-12FAR12,J100,J200",
];

#[test]
fn days_with_a_transition_lose_and_repeat_nothing() {
    for (number, seed) in seeds(60).enumerate() {
        let zone = Zone::from_posix(ZONES[number % ZONES.len()]).unwrap();
        check_days(&zone, seed, 30, 6);
    }
}

#[test]
fn every_zone_of_this_host_with_a_transition_loses_and_repeats_nothing() {
    let root = Path::new("/usr/share/zoneinfo");
    let mut files = Vec::new();
    find_files(root, &mut files);
    files.sort();
    let mut zones = 0;
    let mut done = std::collections::BTreeSet::new();
    for (path, seed) in files.iter().zip(seeds(u64::MAX)) {
        let bytes = std::fs::read(path).unwrap();
        if !bytes.starts_with(b"TZif") || !done.insert(bytes.clone()) {
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let zone = Zone::from_tzif(name, &bytes);
        if name.starts_with("right/") {
            assert!(zone.is_err(), "{name} counts leap seconds");
            continue;
        }
        let zone = zone.unwrap_or_else(|error| panic!("{error}"));
        if !transitions(&zone).is_empty() {
            check_days(&zone, seed, 8, 4);
            zones += 1;
        }
    }
    if done.is_empty() {
        // Not `eprintln!`, which the test harness would keep to itself.
        writeln!(
            std::io::stderr(),
            "SKIPPED: this host has no {}",
            root.display()
        )
        .unwrap();
    } else {
        assert!(zones > 30, "only {zones} zones have a transition");
    }
}

fn find_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            find_files(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

/// One minute of each day is enough to see which dates a line means.
#[test]
fn twenty_years_have_the_right_dates() {
    let utc = Zone::utc();
    let days: Minutes = (YEAR_2020..YEAR_2040)
        .step_by(86_400)
        .map(|at| (at, Timestamp::from_secs(at).to_utc()))
        .map(|(at, wall)| (at, PrimitiveDateTime::new(wall.date(), wall.time())))
        .collect();
    for seed in seeds(40) {
        let mut line = Line::random(&mut random(seed), 4);
        line.0[0] = "0".to_owned();
        line.0[1] = "*/24".to_owned();
        check(&line, &utc, &days, seed);
    }
}
