//! `kill -9`, and what the next daemon makes of it.

use crate::place::{Place, lives};

/// A task that leaves a process in a session of its own, and waits.
const WITH_A_STRAY: &str = r#"{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{"task_id": "wait", "retries": 0,
    "bash": "setsid sh -c 'echo $$ >> DIR/pids; exec sleep 600' & echo $$ >> DIR/pids; until [ -e DIR/go ]; do sleep 0.01; done"}]}"#;

#[test]
fn after_a_kill_an_attempt_is_interrupted_once_its_processes_are_gone_and_it_runs_again_once() {
    let place = Place::new("kill");
    place.dag("stray.json", WITH_A_STRAY);
    let daemon = place.daemon();
    place.until("the task", || place.lines("pids").len() == 2);
    let pids = place.lines("pids");
    daemon.kill();
    assert!(pids.iter().all(|pid| lives(pid)), "nothing to be found");

    let daemon = place.daemon();
    daemon.tells("processes of a daemon that was killed");
    assert!(pids.iter().all(|pid| !lives(pid)));
    place.until("the task again", || place.lines("pids").len() == 4);
    assert_eq!(place.recorded("interrupted", "stray").len(), 1);
    place.touch("go");
    place.has_recorded("run_success", "stray", 1);
    daemon.kill();

    // Once more: there is nothing left to be told or run.
    let daemon = place.daemon();
    daemon.stop();
    assert_eq!(place.recorded("interrupted", "stray").len(), 1);
    assert_eq!(place.recorded("start", "stray").len(), 2);
    assert_eq!(place.recorded("run_success", "stray").len(), 1);
    assert_eq!(place.lines("pids").len(), 4);
    assert!(place.lines("pids").iter().all(|pid| !lives(pid)));
    assert!(place.verify().is_sound());
}

/// A shell that exports `MINI_DAG_STATE`, to reach the daemon, lost its processes to the next daemon once.
#[test]
fn a_process_that_only_knows_the_daemon_is_left_alone() {
    let place = Place::new("stranger");
    let state = place.path("state");
    let mut stranger = std::process::Command::new("sleep")
        .arg("600")
        .env("MINI_DAG_STATE", state)
        .spawn()
        .unwrap();
    place.daemon().stop();
    assert!(stranger.try_wait().unwrap().is_none(), "it was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn killed_again_and_again_no_fire_is_run_twice() {
    let place = Place::new("again");
    place.dag(
        "often.json",
        r#"{"schedule": {"every": "1s"}, "start_date": "2026-01-01", "tasks": [{"task_id": "say",
            "bash": "echo $MINI_DAG_LOGICAL_DATE >> DIR/said"}]}"#,
    );
    for round in 1..=4 {
        let daemon = place.daemon();
        place.has_recorded("start", "often", round);
        daemon.kill();
    }
    let created = place.recorded("run_created", "often");
    let mut ids: Vec<_> = created
        .iter()
        .map(|run| crate::place::text(run, "run_id").to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), created.len());
    assert!(place.verify().is_sound());
}
