//! Crontab lines against fires that were computed elsewhere; `data/cron_vectors.txt` says how.
//!
//! The zones' rules are pinned here as POSIX strings, so the host's tz database does not matter.

use mini_dag::timetable::{Schedule, Timestamp, Timetable, Zone};

const ZONES: [(&str, &str); 5] = [
    ("UTC", "UTC0"),
    ("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("America/New_York", "EST5EDT,M3.2.0,M11.1.0"),
    ("Asia/Seoul", "KST-9"),
    (
        "Australia/Lord_Howe",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    ),
];

/// A line of the data file: the line's place and meaning, where to begin, and the fires, in seconds since the epoch.
struct Case {
    name: String,
    timetable: Timetable,
    start: i64,
    fires: Vec<i64>,
}

fn cases() -> Vec<Case> {
    include_str!("data/cron_vectors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let [zone, cron, start, deltas] = line.split("; ").collect::<Vec<_>>()[..] else {
                panic!("a case has four parts: {line}");
            };
            let posix = ZONES.iter().find(|(name, _)| *name == zone).expect(line).1;
            let start: i64 = start.parse().expect(line);
            let mut fires = Vec::new();
            for word in deltas.split_whitespace() {
                let (count, delta) = word.split_once('*').unwrap_or(("1", word));
                for _ in 0..count.parse().expect(line) {
                    let delta: i64 = delta.parse().expect(line);
                    fires.push(match fires.last() {
                        None => start + delta,
                        Some(last) => last + delta * 60,
                    });
                }
            }
            Case {
                name: format!("{cron} in {zone}"),
                timetable: Timetable {
                    schedule: Schedule::parse(cron).expect(line),
                    zone: Zone::from_posix(posix).expect(posix),
                    start: None,
                    end: None,
                    anchor: Timestamp::default(),
                },
                start,
                fires,
            }
        })
        .collect()
}

#[test]
fn every_line_fires_when_debian_cron_does() {
    let cases = cases();
    assert_eq!(cases.len(), 1250);
    assert_eq!(
        cases.iter().map(|case| case.fires.len()).sum::<usize>(),
        25_000
    );
    for case in cases {
        let mut at = Timestamp::from_secs(case.start);
        let found: Vec<i64> = case
            .fires
            .iter()
            .map_while(|_| {
                at = case.timetable.next_after(at)?;
                Some(at.secs())
            })
            .collect();
        assert_eq!(found, case.fires, "{} from {}", case.name, case.start);
    }
}

#[test]
fn looking_back_finds_the_same_fires() {
    for case in cases() {
        for pair in case.fires.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(Timestamp::from_secs);
            let last_millisecond = Timestamp::from_millis(later.millis() - 1);
            for (asked, found) in [
                (later, case.timetable.previous_before(later)),
                (earlier, case.timetable.latest_at_or_before(earlier)),
                (
                    last_millisecond,
                    case.timetable.latest_at_or_before(last_millisecond),
                ),
            ] {
                assert_eq!(found, Some(earlier), "{} at {asked}", case.name);
            }
        }
    }
}
