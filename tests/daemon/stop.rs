//! A daemon that is told to stop, to read its files again, or that it is not alone.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::place::{Place, text};

/// One task that says so when it is told to end, and has one retry. As soon as there is a file `go`, its
/// second attempt fails and its third succeeds.
const POLITE: &str = r#"{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{"task_id": "wait", "retries": 1, "retry_delay": 0,
    "bash": "trap 'echo term >> DIR/said; exit 3' TERM; echo up >> DIR/said; until [ -e DIR/go ]; do sleep 0.01; done; [ $MINI_DAG_TRY_NUMBER != 2 ]"}]}"#;

/// One task that does not listen.
const DEAF: &str = r#"{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{"task_id": "wait",
    "bash": "trap '' TERM; echo up >> DIR/said; while :; do sleep 0.01; done"}]}"#;

#[test]
fn sigterm_ends_tasks_which_run_again_without_using_up_a_retry() {
    let place = Place::new("sigterm");
    place.dag("polite.json", POLITE);
    let daemon = place.daemon();
    place.until("the task", || place.lines("said") == ["up"]);
    daemon.stop();
    assert_eq!(place.lines("said"), ["up", "term"]);
    let interrupted = place.recorded("interrupted", "polite");
    assert_eq!(interrupted.len(), 1);
    assert_eq!(text(&interrupted[0], "stopped"), "shutdown");
    assert!(place.recorded("run_failed", "polite").is_empty());

    let daemon = place.daemon();
    place.until("the task again", || place.lines("said").len() == 3);
    place.touch("go");
    place.has_recorded("run_success", "polite", 1);
    daemon.stop();
    assert_eq!(place.lines("said"), ["up", "term", "up", "up"]);
    assert_eq!(place.recorded("interrupted", "polite").len(), 1);
    assert_eq!(place.recorded("up_for_retry", "polite").len(), 1);
    assert!(place.verify().is_sound());
}

#[test]
fn a_second_sigterm_kills_what_does_not_listen() {
    let place = Place::new("second");
    place.dag("deaf.json", DEAF);
    let daemon = place.daemon();
    place.until("the task", || place.lines("said") == ["up"]);
    let began = Instant::now();
    daemon.signal(Signal::TERM);
    daemon.tells("stopping");
    daemon.stop();
    // Well before the grace of 10 s is over.
    assert!(began.elapsed() < Duration::from_secs(8));
    let interrupted = place.recorded("interrupted", "deaf");
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].get("signal").unwrap().as_i64(), Some(9));
}

#[test]
fn sighup_reads_files_that_nobody_watches() {
    let place = Place::new("sighup");
    place.dag("named.json", POLITE);
    let daemon = place.daemon_on("dags/named.json");
    place.dag("named.json", &POLITE.replace("\"wait\"", "\"wait2\""));
    daemon.signal(Signal::HUP);
    daemon.tells("dag=named loaded");
    place.has_recorded("start", "named", 1);
    daemon.stop();
    // It was told to stop, not ended by the SIGHUP.
    assert_eq!(place.recorded("interrupted", "named").len(), 1);
}

#[test]
fn a_second_daemon_is_turned_away_and_the_first_goes_on() {
    let place = Place::new("two");
    place.dag("polite.json", POLITE);
    let first = place.daemon();
    let second = place.start("dags");
    let pid = first.pid();
    second.tells("another mini-dag is using");
    second.tells(&format!("its lock is held by process {pid}"));
    assert_eq!(second.end().code(), Some(1));
    place.touch("go");
    place.has_recorded("run_success", "polite", 1);
    first.stop();
    assert!(place.verify().is_sound());
}

#[test]
fn each_fire_of_a_schedule_is_run_once() {
    let place = Place::new("fires");
    place.dag(
        "often.json",
        r#"{"schedule": {"every": "1s"}, "start_date": "2026-01-01", "tasks": [{"task_id": "say",
            "bash": "echo $MINI_DAG_LOGICAL_DATE >> DIR/said"}]}"#,
    );
    let daemon = place.daemon();
    place.has_recorded("run_success", "often", 4);
    daemon.stop();
    let created = place.recorded("run_created", "often");
    let dates: Vec<_> = created
        .iter()
        .map(|run| text(run, "logical_date"))
        .collect();
    let mut seconds: Vec<i64> = dates
        .iter()
        .map(|date| date[17..19].parse().unwrap())
        .collect();
    let first = seconds[0];
    seconds
        .iter_mut()
        .for_each(|second| *second = (*second - first).rem_euclid(60));
    let expected: Vec<i64> = (0..).take(seconds.len()).collect();
    assert_eq!(seconds, expected, "{dates:?}");
    let mut said = place.lines("said");
    said.dedup();
    assert!(
        said.len() >= 4 && said.len() == place.lines("said").len(),
        "{said:?}"
    );
}
