//! The DAG directory while the daemon runs: files come, change, break and go.

use std::fs::OpenOptions;
use std::io::Write;

use crate::place::Place;

/// Runs each second, as fast as it can: the clock of these tests.
const TICK: &str = r#"{"schedule": {"every": "1s"}, "start_date": "2026-01-01", "tasks": [{"task_id": "tick", "empty": true}]}"#;

/// `a`, which waits for a file, and then `then`, which says a word.
fn two(then: &str) -> String {
    format!(
        r#"{{"schedule": {{"every": "1s"}}, "start_date": "2026-01-01", "order": ["a >> {then}"], "tasks": [
            {{"task_id": "a", "bash": "echo a >> DIR/said; until [ -e DIR/go ]; do sleep 0.01; done"}},
            {{"task_id": "{then}", "bash": "echo {then} >> DIR/said"}}]}}"#
    )
}

#[test]
fn a_file_that_is_dropped_in_runs() {
    let place = Place::new("added");
    let daemon = place.daemon();
    place.dag(
        "late.json",
        &TICK.replace(r#"{"every": "1s"}"#, r#""@once""#),
    );
    daemon.tells("dag=late loaded");
    place.has_recorded("run_success", "late", 1);
    daemon.stop();
}

#[test]
fn a_run_in_flight_finishes_on_the_version_it_began_with() {
    let place = Place::new("changed");
    place.dag("two.json", &two("one"));
    let daemon = place.daemon();
    place.until("the run", || place.lines("said") == ["a"]);
    place.dag("two.json", &two("other"));
    daemon.tells("dag=two loaded");
    place.touch("go");
    place.until("the next run", || place.lines("said").len() >= 4);
    daemon.stop();
    assert_eq!(place.lines("said")[..4], ["a", "one", "a", "other"]);
    assert!(place.verify().is_sound());
}

#[test]
fn a_dag_that_is_removed_ends_its_run_and_begins_no_other() {
    let place = Place::new("removed");
    place.dag("two.json", &two("one"));
    place.dag("tick.json", TICK);
    let daemon = place.daemon();
    place.until("the run", || place.lines("said") == ["a"]);
    std::fs::remove_file(place.path("dags/two.json")).unwrap();
    daemon.tells("dag=two removed");
    place.touch("go");
    place.has_recorded("run_success", "two", 1);
    let ticks = place.recorded("run_success", "tick").len();
    place.has_recorded("run_success", "tick", ticks + 3);
    daemon.stop();
    assert_eq!(place.lines("said"), ["a", "one"]);
    assert_eq!(place.recorded("run_created", "two").len(), 1);
}

#[test]
fn a_file_that_breaks_keeps_its_last_good_version_and_is_told() {
    let place = Place::new("broken");
    place.dag("tick.json", TICK);
    let daemon = place.daemon();
    place.dag("tick.json", "{\n  \"tasks\": [}");
    daemon.tells("dags/tick.json:2:13: ");
    daemon.tells("the last good version of `tick` is used");
    let before = place.recorded("run_success", "tick").len();
    place.has_recorded("run_success", "tick", before + 2);
    daemon.stop();
    assert!(!daemon_removed(&place), "it was removed");
}

fn daemon_removed(place: &Place) -> bool {
    place
        .lines("daemon.log")
        .iter()
        .any(|line| line.contains("removed"))
}

#[test]
fn of_two_files_with_one_id_the_second_is_refused_and_both_are_named() {
    let place = Place::new("twins");
    place.dag(
        "first.json",
        &TICK.replacen('{', r#"{"dag_id": "same", "#, 1),
    );
    let daemon = place.daemon();
    place.dag(
        "second.json",
        &two("one").replacen('{', r#"{"dag_id": "same", "#, 1),
    );
    daemon.tells("two files have the dag_id `same`");
    daemon.tells("first.json is used, ");
    daemon.tells("second.json is not");
    let before = place.recorded("run_success", "same").len();
    place.has_recorded("run_success", "same", before + 1);
    daemon.stop();
    assert!(place.lines("said").is_empty());
}

#[test]
fn a_file_that_is_rewritten_slowly_in_place_never_disturbs() {
    let place = Place::new("slowly");
    place.dag("slow.json", TICK);
    place.dag("tick.json", TICK);
    let daemon = place.daemon();
    let text = TICK.replacen('{', r#"{"description": "rewritten", "#, 1);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .truncate(true)
        .open(place.path("dags/slow.json"))
        .unwrap();
    for (at, byte) in text.bytes().enumerate() {
        file.write_all(&[byte]).unwrap();
        if at == text.len() / 2 {
            // In the middle, another file changes: all are looked at.
            place.dag("other.json", TICK);
            daemon.tells("dag=other loaded");
            let before = place.recorded("run_success", "slow").len();
            place.has_recorded("run_success", "slow", before + 2);
        }
    }
    assert!(!daemon.log().contains("dag=slow loaded"));
    drop(file);
    daemon.tells("dag=slow loaded");
    let before = place.recorded("run_success", "slow").len();
    place.has_recorded("run_success", "slow", before + 1);
    daemon.stop();
    assert!(!daemon_removed(&place), "it was removed");
}
