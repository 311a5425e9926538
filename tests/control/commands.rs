//! What people do with a daemon, from the command line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use mini_dag::Value;

use crate::daemon::{CHAIN, Daemon, SLOW, text};

const BROKEN: &str = "{\"dag_id\": \"broken\", \"tasks\": [";

#[test]
fn a_run_that_failed_in_the_middle_goes_on_from_there() {
    let daemon = Daemon::with("middle", &[("chain.json", CHAIN)]);
    let ok = daemon.path("ok");
    let name = format!("name={ok}");
    let wait = [
        "trigger", "chain", "--run-id", "r1", "--param", &name, "--param", "n=7", "--wait",
    ];
    let said = daemon.run(&wait);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("failed in "), "{}", said.out);
    assert!(
        said.out.contains("second, try 1, ends with\n  | looking"),
        "{}",
        said.out
    );
    let logs = daemon.ok(&["logs", "chain", "r1"]);
    assert_eq!(logs, "first  | one\nfirst  | n=7\nsecond | looking\n");

    fs::write(&ok, "").unwrap();
    let cleared = daemon.ok(&[
        "clear",
        "chain",
        "latest",
        "--task",
        "second",
        "--downstream",
    ]);
    assert_eq!(cleared, "cleared second, third\n");
    let logs = daemon.ok(&["logs", "chain", "-f"]);
    assert!(logs.contains("third  | done\n"), "{logs}");
    let watched = daemon.ok(&["status", "chain", "latest", "--watch"]);
    assert!(watched.contains("success"), "ends with its run: {watched}");
    let drawn = ["show", "chain", "--format", "svg", "--run", "latest"];
    let picture = daemon.ok(&drawn);
    assert!(picture.contains("<title>second: success</title>"));
    let drawn = daemon.ok(&["show", "chain", "--run", "r1"]);
    let graph = "chain  (by hand)  r1\n\n  first ──→ second ──→ third\n";
    assert!(drawn.starts_with(graph), "{drawn}");
    assert!(
        drawn.contains("\n  second  success  bash; after first\n"),
        "{drawn}"
    );
    let run = daemon.json(&["status", "chain", "latest"]);
    assert_eq!(text(&run, "state"), "success");
    let tasks = run.get("task_instances").and_then(Value::as_array).unwrap();
    let tries: Vec<_> = tasks
        .iter()
        .map(|t| t.get("try_number").unwrap().to_string())
        .collect();
    assert_eq!(tries, ["1", "2", "1"], "the first task ran once");
    assert_eq!(
        daemon.ok(&["clear", "chain", "r1", "--only-failed"]),
        "nothing to clear\n"
    );
    let first = daemon.ok(&["logs", "chain", "r1", "second", "--try", "1"]);
    assert_eq!(first, "looking\n");
}

/// The log of a task that timed out is empty, and that of one that exits with 3 may be.
#[test]
fn the_status_of_a_run_says_why_tasks_have_failed() {
    let dag = r#"{"tasks": [{"task_id": "code", "bash": "exit 3"}, {"task_id": "fine", "bash": "true"},
        {"task_id": "late", "bash": "sleep 600", "timeout": "100ms"},
        {"task_id": "lost", "argv": ["no-such-program"]}, {"task_id": "after", "bash": "true", "after": ["code"]}]}"#;
    let daemon = Daemon::with("why", &[("d.json", dag)]);
    assert_eq!(
        daemon
            .run(&["trigger", "d", "--run-id", "r", "--wait"])
            .code,
        1
    );
    let status = daemon.ok(&["status", "d", "r"]);
    let whys = status
        .lines()
        .filter_map(|line| line.strip_prefix("  why: "));
    assert_eq!(
        whys.collect::<Vec<_>>(),
        [
            "exit code 3",
            "timed out, signal 15 (SIGTERM)",
            "`no-such-program` was not found in PATH=/usr/local/sbin:/usr/local/bin:/…",
        ],
        "{status}"
    );
    let path = "/api/v2/dags/d/dagRuns/r/taskInstances/fine/tries/1";
    assert_eq!(
        daemon.answer("GET", path, "").get("why"),
        Some(&Value::Null)
    );
}

#[test]
fn waiting_ends_with_the_run_and_shows_it_as_json() {
    let daemon = Daemon::with("wait", &[("chain.json", CHAIN)]);
    let said = daemon.run(&["trigger", "chain", "--param", "name=/", "--wait", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let run = Value::parse(said.out.trim()).unwrap();
    assert_eq!(text(&run, "state"), "success");
    assert_eq!(run.get("conf").unwrap().to_string(), "{\"name\":\"/\"}");
    assert!(said.err.contains("success in "), "{}", said.err);
}

#[test]
fn a_trigger_that_cannot_be_is_refused_with_a_reason() {
    let daemon = Daemon::with("refuse", &[("chain.json", CHAIN)]);
    let check = |args: &[&str], code, said: &str| {
        let answer = daemon.run(args);
        assert_eq!(answer.code, code, "{args:?}: {answer:?}");
        assert!(answer.err.contains(said), "{args:?}: {}", answer.err);
    };
    check(&["trigger", "chian"], 1, "did you mean `chain`?");
    check(
        &["trigger", "chain", "--param", "m=1"],
        1,
        "has no parameter `m`",
    );
    check(&["trigger", "chain", "--param", "n=x"], 1, "cannot be `x`");
    check(
        &["trigger", "chain", "--logical-date", "now"],
        2,
        "not a date",
    );
    check(
        &["trigger", "chain", "--run-id", "../x"],
        1,
        "is not a run id",
    );
    check(&["logs", "chain"], 1, "has no run yet");
    daemon.ok(&["trigger", "chain", "--run-id", "r"]);
    check(
        &["trigger", "chain", "--run-id", "r"],
        1,
        "there is a run `r` already",
    );
    check(
        &["clear", "chain", "r", "--task", "nope"],
        1,
        "there is no task `nope`",
    );
    check(&["cancel", "chain", "nope"], 1, "there is no run `nope`");
}

#[test]
fn runs_of_the_same_second_have_names_of_their_own() {
    let daemon = Daemon::with("second", &[("slow.json", SLOW)]);
    for _ in 0..3 {
        daemon.ok(&["trigger", "slow"]);
    }
    let runs = daemon.json(&["runs", "slow"]);
    assert_eq!(runs.get("total_entries").unwrap().to_string(), "3");
    let queued = daemon.ok(&["runs", "slow", "--state", "queued", "--limit", "1"]);
    assert_eq!(queued.lines().count(), 2, "a header and one run: {queued}");
    let here = daemon.path("state");
    let both = daemon.ok(&["runs", "slow", "--state", &here, "--state", "running"]);
    assert_eq!(both.lines().count(), 2, "{both}");
}

#[test]
fn a_log_is_followed_while_it_grows_until_its_task_ends() {
    let daemon = Daemon::with("follow", &[("slow.json", SLOW)]);
    let gate = daemon.path("gate");
    daemon.ok(&[
        "trigger",
        "slow",
        "--run-id",
        "r",
        "--param",
        &format!("gate={gate}"),
    ]);
    let mut follow = daemon.command(&["logs", "slow", "r", "wait", "-f"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    assert_eq!(daemon.state_of("slow", "r"), "running");
    fs::write(&gate, "").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "ended");
    assert!(lines.next().is_none());
    assert!(follow.wait().unwrap().success());
}

#[test]
fn a_run_can_be_cancelled_and_a_finished_one_stays_as_it_is() {
    let mut daemon = Daemon::with("cancel", &[("slow.json", SLOW)]);
    daemon.ok(&["trigger", "slow", "--run-id", "r"]);
    let said = daemon.ok(&["cancel", "slow", "r"]);
    assert!(said.starts_with("slow r is "), "{said}");
    daemon.wait_for("end", |daemon| daemon.state_of("slow", "r") == "failed");
    assert_eq!(daemon.ok(&["cancel", "slow", "r"]), "slow r is cancelled\n");
    let tasks = daemon.json(&["status", "slow", "r"]);
    let tasks = tasks
        .get("task_instances")
        .and_then(Value::as_array)
        .unwrap();
    assert_eq!(text(&tasks[0], "state"), "failed");
}

#[test]
fn nothing_of_a_paused_dag_starts() {
    let mut daemon = Daemon::with("pause", &[("chain.json", CHAIN)]);
    assert_eq!(daemon.ok(&["pause", "chain"]), "chain is paused\n");
    assert!(daemon.ok(&["status"]).contains("paused"));
    let said = daemon.ok(&["trigger", "chain", "--run-id", "r", "--param", "name=/"]);
    assert!(said.contains("chain is paused"), "{said}");
    assert_eq!(daemon.state_of("chain", "r"), "queued");
    assert_eq!(daemon.ok(&["unpause", "chain"]), "chain is unpaused\n");
    daemon.wait_for("end", |daemon| daemon.state_of("chain", "r") == "success");
}

#[test]
fn a_reload_brings_new_dags_and_names_files_that_do_not_load() {
    let daemon = Daemon::with("reload", &[("chain.json", CHAIN)]);
    assert_eq!(daemon.run(&["status", "slow"]).code, 1);
    fs::write(daemon.root.join("dags/slow.json"), SLOW).unwrap();
    let changed = CHAIN.replace("echo done", "echo changed");
    fs::write(daemon.root.join("dags/chain.json"), changed).unwrap();
    daemon.ok(&["reload"]);
    daemon.ok(&["status", "slow"]);
    daemon.ok(&["trigger", "chain", "--param", "name=/", "--wait"]);
    assert_eq!(
        daemon.ok(&["logs", "chain", "latest", "third"]),
        "changed\n"
    );

    fs::write(daemon.root.join("dags/chain.json"), BROKEN).unwrap();
    let said = daemon.run(&["reload"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("chain.json:1:"), "{}", said.err);
    let status = daemon.ok(&["status"]);
    assert!(status.contains("chain.json:1:"), "{status}");
    daemon.ok(&["trigger", "chain", "--param", "name=/", "--wait"]);
    assert_eq!(
        daemon.ok(&["logs", "chain", "latest", "third"]),
        "changed\n",
        "the last good version"
    );
}

#[test]
fn status_fits_eighty_columns_and_says_everything() {
    let daemon = Daemon::with("status", &[("chain.json", CHAIN), ("slow.json", SLOW)]);
    daemon.ok(&["trigger", "chain", "--param", "name=/", "--wait"]);
    daemon.run(&["trigger", "chain", "--param", "name=/nope", "--wait"]);
    for args in [
        &["status"][..],
        &["status", "chain"],
        &["status", "chain", "latest"],
        &["runs", "chain"],
    ] {
        let said = daemon.ok(args);
        for line in said.lines() {
            assert!(line.chars().count() <= 80, "{args:?}: {line}");
        }
    }
    let said = daemon.ok(&["status"]);
    assert!(said.contains("SF  failed "), "{said}");
    assert!(!said.contains('\x1b'), "no colour but on a terminal");
    let json = daemon.json(&["status"]);
    for key in [
        "daemon",
        "clock",
        "pool",
        "disk",
        "state_directory",
        "dags",
        "errors",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
}

#[test]
fn without_a_daemon_commands_say_how_to_start_one() {
    let daemon = Daemon::place("none");
    let commands = [
        &["status"][..],
        &["trigger", "d"],
        &["runs", "d"],
        &["logs", "d"],
        &["clear", "d", "r"],
        &["cancel", "d", "r"],
        &["pause", "d"],
        &["unpause", "d"],
        &["reload"],
    ];
    for args in commands {
        let said = daemon.run(args);
        assert_eq!(said.code, 1, "{args:?}");
        assert!(
            said.err.contains("no daemon runs on"),
            "{args:?}: {}",
            said.err
        );
        assert!(
            said.err.contains("`mini-dag daemon`"),
            "{args:?}: {}",
            said.err
        );
    }
}
