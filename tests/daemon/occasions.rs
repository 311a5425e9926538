//! DAGs that wait for a boot or for others, in the real daemon.

use crate::place::Place;

const REBOOT: &str =
    r#"{"schedule": "@reboot", "tasks": [{"task_id": "t", "bash": "echo up >> DIR/said"}]}"#;

#[test]
fn a_dag_runs_once_in_this_boot_however_the_daemon_ends() {
    let place = Place::new("reboot");
    place.dag("reboot.json", REBOOT);
    let daemon = place.daemon();
    place.has_recorded("run_success", "reboot", 1);
    daemon.kill();
    place.daemon().stop();
    place.daemon().kill();
    assert_eq!(place.recorded("run_created", "reboot").len(), 1);
    assert_eq!(place.lines("said"), ["up"]);
}

#[test]
fn a_dag_runs_after_another_that_comes_later_and_again_after_its_next_run() {
    let place = Place::new("after");
    let second =
        r#"{"schedule": {"after": ["first"]}, "tasks": [{"task_id": "t", "empty": true}]}"#;
    place.dag("second.json", second);
    let daemon = place.daemon();
    daemon.tells("DAG `second` waits for unknown DAG `first`");
    place.dag(
        "first.json",
        r#"{"schedule": "@once", "tasks": [{"task_id": "t", "empty": true}]}"#,
    );
    place.has_recorded("run_success", "second", 1);
    daemon.kill();
    // It has heard of that run, and there is no other.
    let daemon = place.daemon();
    assert_eq!(place.recorded("run_created", "second").len(), 1);
    place.dag(
        "first.json",
        r#"{"schedule": {"after": ["second"]}, "tasks": [{"task_id": "t", "empty": true}]}"#,
    );
    daemon.tells("DAG `first` waits for itself");
    daemon.stop();
    assert!(place.verify().is_sound());
}
