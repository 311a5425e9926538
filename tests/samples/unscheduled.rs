//! The sample `unscheduled`: what it makes of good and of bad input.

use std::fmt::Write as _;
use std::fs;

use crate::place::Place;
use crate::server::{Server, events};

/// The CSV that pandas would write, by another way than the sample's: sorted lines, counted like `uniq -c`.
fn expected(first_day: u32, days_end: u32) -> String {
    let events = events::all().into_iter();
    let events = events.filter(|(day, _)| (first_day..days_end).contains(day));
    let mut lines: Vec<String> = events
        .map(|(day, user)| format!("2023-01-{day:02} 00:00:00+00:00,{user}"))
        .collect();
    lines.sort_unstable();
    let mut csv = String::from("date,user,0\n");
    for same in lines.chunk_by(|a, b| a == b) {
        _ = writeln!(csv, "{},{}", same[0], same.len());
    }
    csv
}

fn check(test: &str, target: &str, csv: &str) {
    let server = Server::start();
    let place = Place::new(test);
    let (api, dir) = (server.url(target), place.text("not there/yet"));
    let ended = place.run("unscheduled.json", &[("api", &api), ("dir", &dir)]);
    let ended = ended.succeeded();
    let made = fs::read_to_string(place.path("not there/yet/stats.csv")).unwrap();
    assert!(made == csv, "{made}\nis not\n{csv}");
    let fetched = fs::read_to_string(place.path("not there/yet/events.json")).unwrap();
    let events = fetched.matches("\"user\"").count();
    assert_eq!(
        ended.log("calculate_stats").unwrap(),
        format!("Counted {events} events into {dir}/stats.csv\n")
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn events_are_counted_by_date_and_user() {
    let csv = expected(1, 31);
    assert!(csv.lines().count() > 30 * 50);
    assert!(csv.contains("\n2023-01-05 00:00:00+00:00,"));
    check("events", "/events", &csv);
}

#[test]
fn events_of_some_days_end_before_the_end_date() {
    let target = "/events?start_date=2023-01-05&end_date=2023-01-07";
    check("some-days", target, &expected(5, 7));
}

#[test]
fn no_events_are_a_file_with_a_header() {
    check(
        "no-events",
        "/events?start_date=2024-01-01",
        "date,user,0\n",
    );
}

#[test]
fn the_server_keeps_to_the_tutorials_contract() {
    let all = events::all();
    for day in 1..=30 {
        let of_day = all.iter().filter(|(its, _)| *its == day);
        assert!((200..2_000).contains(&of_day.count()), "day {day}");
    }
    assert!(all.iter().all(|(day, _)| (1..=30).contains(day)));
    let json = events::json(Some("2023-01-05"), Some("2023-01-06"));
    assert!(json.starts_with("[{\"date\":\"Thu, 05 Jan 2023 00:00:00 GMT\",\"user\":\""));
}
