//! Backfills, as people and Airflow's clients ask for them: by the command line and by the API of a real daemon.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use mini_dag::Value;
use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Daemon, text};

const DAILY: &str = r#"{"schedule": "@daily", "timezone": "UTC", "catchup": "none", "is_paused_upon_creation": true,
    "tasks": [{"task_id": "t", "bash": "test ! -e fail && until [ -e go ] || [ {{ ds }} != 2026-01-03 ]; do sleep 0.02; done", "cwd": "DIR"}]}"#;
const SPAN: [&str; 4] = ["--from", "2026-01-01", "--to", "2026-01-03"];

fn daemon(test: &str) -> Daemon {
    let mut daemon = Daemon::place(test);
    let daily = DAILY.replace("DIR", daemon.root.to_str().unwrap());
    let by_hand = r#"{"tasks": [{"task_id": "t", "empty": true}]}"#;
    daemon.begin(&[("daily.json", &*daily), ("by_hand.json", by_hand)]);
    daemon
}

fn backfill(more: &[&'static str]) -> Vec<&'static str> {
    [&["backfill", "daily"], &SPAN[..], more].concat()
}

#[test]
fn the_dates_of_a_span_are_run_once_and_told_as_they_come() {
    let daemon = daemon("fill");
    std::fs::write(daemon.path("go"), "").unwrap();
    let dry = daemon.ok(&backfill(&["--dry-run"]));
    let dates = ["01", "02", "03"].map(|day| format!("2026-01-{day}T00:00:00+00:00\n"));
    assert_eq!(dry, dates.concat() + "3 dates would be run\n");
    let said = daemon.run(&backfill(&["--parallel", "2"]));
    assert_eq!(said.code, 0, "{said:?}");
    let end = "backfill 1 of daily is completed: 3 success, 0 failed, 0 had a run already\n";
    assert!(said.out.ends_with(end), "{}", said.out);
    assert_eq!(daemon.ok(&backfill(&[])), "nothing is missing\n");
    assert_eq!(
        daemon.ok(&backfill(&["--reprocess", "failed"])),
        "nothing is missing\n"
    );
    let runs = daemon.json(&["runs", "daily"]);
    let runs = runs.get("dag_runs").and_then(Value::as_array).unwrap();
    let ids: Vec<_> = runs.iter().map(|run| text(run, "dag_run_id")).collect();
    assert!(
        ids.iter().all(|id| id.starts_with("backfill__2026-01-0")),
        "{ids:?}"
    );
    assert_eq!(ids.len(), 3);
    assert!(runs.iter().all(|run| text(run, "run_type") == "backfill"));
}

#[test]
fn what_has_failed_fails_the_command_and_is_run_again_if_asked_for() {
    let daemon = daemon("failed");
    for file in ["go", "fail"] {
        std::fs::write(daemon.path(file), "").unwrap();
    }
    let said = daemon.run(&backfill(&[]));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("0 success, 3 failed"), "{}", said.out);
    std::fs::remove_file(daemon.path("fail")).unwrap();
    assert_eq!(daemon.ok(&backfill(&[])), "nothing is missing\n");
    let said = daemon.ok(&backfill(&["--reprocess", "failed", "--newest-first"]));
    assert!(
        said.contains("backfill 2 of daily is completed: 3 success, 0 failed"),
        "{said}"
    );
    let runs = daemon.json(&["runs", "daily"]).to_string();
    assert!(
        runs.contains("backfill__2026-01-02T00:00:00+00:00__2"),
        "{runs}"
    );
}

#[test]
fn a_backfill_goes_on_when_whoever_looks_on_goes_away_and_when_the_daemon_is_killed() {
    let mut daemon = daemon("away");
    let mut command = daemon.command(&backfill(&[]));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = lines.find(|line| line.as_ref().unwrap().contains("2 of 3"));
    assert!(begun.is_some());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.starts_with("backfill 1 of daily goes on; "), "{err}");
    daemon.kill();
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    let progress = "/mini-dag/v1/backfills/1";
    daemon.wait_for("run", |daemon| {
        let answer = daemon.answer("GET", progress, "");
        answer.to_string().contains("\"running\":1")
    });
    // Somebody looks on again, and only then it can end.
    let mut command = daemon.command(&["backfill", "daily"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().is_some());
    std::fs::write(daemon.path("go"), "").unwrap();
    let end = "backfill 1 of daily is completed: 3 success, 0 failed, 0 had a run already";
    assert_eq!(lines.last().unwrap().unwrap(), end);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_backfill_is_paused_unpaused_and_cancelled_by_command() {
    let daemon = daemon("change");
    let created = daemon.ok(&backfill(&["--detach", "--newest-first"]));
    assert_eq!(created, "backfill 1 of daily is created\n");
    let exists = daemon.run(&backfill(&["--detach"]));
    assert!(
        exists.err.contains("has a backfill that is not over: 1"),
        "{exists:?}"
    );
    for (change, said) in [
        ("--pause", "paused"),
        ("--unpause", "unpaused"),
        ("--cancel", "cancelled"),
    ] {
        let out = daemon.ok(&["backfill", "daily", change]);
        assert_eq!(out, format!("backfill 1 of daily is {said}\n"));
    }
    let none = daemon.run(&["backfill", "daily", "--pause"]);
    assert_eq!(none.code, 1);
    assert!(
        none.err
            .contains("DAG `daily` has no backfill that is going on"),
        "{none:?}"
    );
}

#[test]
fn what_cannot_be_made_up_for_says_why() {
    let daemon = daemon("refused");
    let complains = |args: &[&str], code, piece: &str| {
        let said = daemon.run(args);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains(piece), "{piece} is not in {}", said.err);
    };
    let by_hand = [&["backfill", "by_hand"], &SPAN[..]].concat();
    complains(
        &by_hand,
        1,
        "DAG `by_hand` has no dates to be made up for: it has no schedule",
    );
    let unknown = [&["backfill", "dayly"], &SPAN[..]].concat();
    complains(&unknown, 1, "did you mean `daily`?");
    let span = |from, to| ["backfill", "daily", "--from", from, "--to", to];
    complains(
        &span("2026-01-02", "2026-01-01"),
        1,
        "it ends before it begins",
    );
    complains(&span("2026-01-02", "2126-01-01"), 1, "in the future");
    complains(
        &span("2026-02-30", "2026-03-01"),
        2,
        "`2026-02-30` is not a date",
    );
    complains(&["backfill", "daily", "--from", "2026-01-01"], 2, "--to");
}

#[test]
fn airflows_clients_find_the_fields_they_know() {
    let daemon = daemon("fields");
    let body = r#"{"dag_id": "daily", "from_date": "2026-01-03T00:00:00Z", "to_date": "2026-01-03T00:00:00Z",
        "run_backwards": false, "dag_run_conf": {"a": 1}, "reprocess_behavior": "none", "max_active_runs": 5}"#;
    let dry = daemon.answer("POST", "/api/v2/backfills/dry_run", body);
    assert!(dry.to_string().contains("\"total_entries\":1"), "{dry}");
    let created = daemon.answer("POST", "/api/v2/backfills", body);
    let keys: Vec<_> = created
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "completed_at",
        "created_at",
        "dag_display_name",
        "dag_id",
        "dag_run_conf",
        "from_date",
        "id",
        "is_paused",
        "max_active_runs",
        "reprocess_behavior",
        "to_date",
        "updated_at",
    ];
    assert_eq!(keys, expected);
    assert_eq!(created.get("max_active_runs").unwrap().to_string(), "5");
    let one = daemon.answer("GET", "/api/v2/backfills/1", "");
    assert_eq!(text(&one, "dag_id"), "daily");
    let paused = daemon.answer("PUT", "/api/v2/backfills/1/pause", "");
    assert_eq!(paused.get("is_paused"), Some(&Value::Bool(true)));
    let list = daemon.answer("GET", "/api/v2/backfills?dag_id=daily&limit=50", "");
    assert!(list.to_string().contains("\"total_entries\":1"), "{list}");
    let none = daemon.answer("GET", "/api/v2/backfills?dag_id=by_hand", "");
    assert_eq!(none.to_string(), r#"{"backfills":[],"total_entries":0}"#);
    let status = |method, path, body| daemon.request(method, path, "", body).0;
    assert_eq!(status("POST", "/api/v2/backfills", body), 409);
    assert_eq!(status("PUT", "/api/v2/backfills/1/cancel", ""), 200);
    assert_eq!(status("PUT", "/api/v2/backfills/1/cancel", ""), 409);
    assert_eq!(status("GET", "/api/v2/backfills/9", ""), 404);
    assert_eq!(status("GET", "/api/v2/backfills/x", ""), 422);
    let without = body.replace("\"to_date\"", "\"too_date\"");
    assert_eq!(status("POST", "/api/v2/backfills", &without), 422);
    let by_hand = body.replace("\"daily\"", "\"by_hand\"");
    assert_eq!(status("POST", "/api/v2/backfills", &by_hand), 422);
}

#[test]
fn a_date_without_an_offset_is_in_the_zone_of_the_dag() {
    let daemon = Daemon::with("zone", &[("early.json", DAILY_IN_BERLIN)]);
    let body =
        r#"{"dag_id": "early", "from_date": "2026-05-01", "to_date": "2026-05-03T23:59:59"}"#;
    let dry = daemon.answer("POST", "/api/v2/backfills/dry_run", body);
    let dates = dry.get("backfills").and_then(Value::as_array).unwrap();
    let dates: Vec<_> = dates.iter().map(|one| text(one, "logical_date")).collect();
    assert_eq!(
        dates,
        [
            "2026-04-30T22:30:00+00:00",
            "2026-05-01T22:30:00+00:00",
            "2026-05-02T22:30:00+00:00"
        ]
    );
    let wrong = body.replace("2026-05-01", "2026-02-30");
    let (status, answer) = daemon.request("POST", "/api/v2/backfills/dry_run", "", &wrong);
    assert_eq!(status, 422, "{answer}");
}

/// Half past midnight there is the day before in UTC.
const DAILY_IN_BERLIN: &str = r#"{"dag_id": "early", "schedule": "30 0 * * *", "timezone": "Europe/Berlin",
    "tasks": [{"task_id": "t", "empty": true}]}"#;
