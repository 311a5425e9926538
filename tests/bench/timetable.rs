//! What it costs to know when a DAG is due: `cargo bench --bench timetable`.
//!
//! One next fire, from moments spread over years, for several lines in Europe/Berlin: the least mean of five rounds.
//! Then 10,000 DAG files: reading them, and computing the next fire of each. `DAGS=n` changes the number.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mini_dag::daemon::zones::Zones;
use mini_dag::dag::{Dag, Functions, Known, load};
use mini_dag::scheduler::timetable;
use mini_dag::timetable::{Schedule, Timestamp, Timetable, Zone};

const ROUNDS: u32 = 5;
/// 2026-01-01T00:00:00Z.
const FROM_S: i64 = 1_767_225_600;
const YEAR_S: i64 = 365 * 86_400;

const ORDINARY: Duration = Duration::from_micros(2);
const WORST: Duration = Duration::from_micros(200);

/// What a line is, the most that one next fire of it may cost, and the years that the moments are spread over.
const LINES: [(&str, &str, Duration, i64); 10] = [
    ("ordinary", "0 6 * * 1-5", ORDINARY, 2),
    ("ordinary", "*/5 * * * *", ORDINARY, 2),
    ("ordinary", "@daily", ORDINARY, 2),
    ("ordinary", "@monthly", ORDINARY, 2),
    ("every 90 minutes", "@every 90m", ORDINARY, 2),
    ("either day", "59 23 13 * 5", WORST, 2),
    ("29 February", "0 0 29 2 *", WORST, 200),
    ("on a Sunday", "59 23 29 2 */7", WORST, 200),
    // Their only dates are in the gap of each spring, or of some: a search of 100 years finds none.
    ("some gaps", "* 2 29 3 */7", WORST, 200),
    ("every gap", "* 2 25-31 3 */7", WORST, 200),
];

fn berlin() -> Zone {
    let of_host = Zones::of_host().get("Europe/Berlin");
    of_host.unwrap_or_else(|| Zone::from_posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
}

/// The shortest of several rounds.
fn least(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

fn verdict(cost: Duration, goal: Duration) -> &'static str {
    if cost <= goal { "" } else { "  MISSED" }
}

fn lines() {
    println!("{:17} {:16} {:>10}  goal", "next fire of", "line", "each");
    for (what, line, goal, years) in LINES {
        let timetable = Timetable {
            schedule: Schedule::parse(line).unwrap(),
            zone: berlin(),
            start: None,
            end: None,
            anchor: Timestamp::from_secs(FROM_S),
        };
        let moments: u32 = if goal == ORDINARY { 20_000 } else { 1_000 };
        let cost = least(|| {
            for moment in 0..i64::from(moments) {
                let from = FROM_S + years * YEAR_S * moment / i64::from(moments);
                black_box(timetable.next_after(black_box(Timestamp::from_secs(from))));
            }
        }) / moments;
        println!(
            "{what:17} {line:16} {:7.2} us  <= {} us{}",
            cost.as_nanos() as f64 / 1e3,
            goal.as_micros(),
            verdict(cost, goal)
        );
    }
}

/// DAG files with schedules of many kinds.
fn texts(dags: usize) -> Vec<String> {
    let text = |number: usize| {
        let (minute, hour) = (number % 60, number / 60 % 24);
        let schedule = match number % 10 {
            0 => "\"*/5 * * * *\"".to_owned(),
            1 => format!("\"{minute} * * * *\""),
            2 => format!("\"{minute} {hour} * * 1-5\""),
            3 => format!("\"{minute} {hour} 1 * *\""),
            4 => format!("{{\"every\": \"{}m\"}}", 1 + minute),
            5 => format!("[\"{minute} {hour} * * 1-5\", \"{minute} 9 * * 6,0\"]"),
            6 => "\"@weekly\"".to_owned(),
            7 => "\"@hourly\"".to_owned(),
            8 => format!("\"{minute} {hour} 13 * 5\""),
            _ => format!("\"{minute} {hour} * * *\""),
        };
        format!(
            "{{\"dag_id\": \"dag_{number}\", \"schedule\": {schedule}, \"timezone\": \"Europe/Berlin\", \
             \"start_date\": \"2026-01-01\", \"tasks\": [{{\"task_id\": \"a\", \"bash\": \"true\"}}, \
             {{\"task_id\": \"b\", \"bash\": \"true\", \"after\": [\"a\"]}}]}}"
        )
    };
    (0..dags).map(text).collect()
}

fn main() {
    lines();
    let count = std::env::var("DAGS").map_or(10_000, |dags| dags.parse().unwrap());
    let texts = texts(count);
    let (functions, zone) = (Functions::new(), berlin());
    let known = Known {
        functions: &functions,
        pools: None,
        zone: &|_| Some(zone.clone()),
        zone_names: &Vec::new,
        lines: &mini_dag::timetable::Lines::default(),
    };
    let start = Instant::now();
    let dags: Vec<Dag> = texts
        .iter()
        .map(|text| load("dag.json", text, &known).unwrap())
        .collect();
    let reading = start.elapsed();
    let now = Timestamp::from_secs(FROM_S + YEAR_S);
    let computing = least(|| {
        for dag in &dags {
            let timetable = timetable(dag, now).unwrap();
            black_box(timetable.next_after(now).unwrap());
        }
    });
    let goal = Duration::from_millis(100);
    println!("\n{count} DAGs");
    println!("reading them      {:7.1} ms", reading.as_secs_f64() * 1e3);
    println!(
        "their next fires  {:7.1} ms  <= {} ms{}",
        computing.as_secs_f64() * 1e3,
        goal.as_millis(),
        verdict(computing, goal)
    );
}
