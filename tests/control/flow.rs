//! What tasks leave to each other, which way a run goes, and what it is given: over the API and the command line.

use std::fs;

use mini_dag::Value;

use crate::daemon::{Daemon, text};

const FLOW: &str = r#"{"dag_id": "flow", "params": {
    "rows": {"type": "integer", "minimum": 1, "default": 5, "description": "how many"},
    "whom": {"type": ["string", "null"], "maxLength": 5}
}, "tasks": [
    {"task_id": "say", "env": {"rows": "{{ params.rows }}"}, "bash": "printf 'a\\n\\033[31m%s\\342\\200\\256 rows \\n' \"$rows\""},
    {"task_id": "choose", "bash": "test -e \"$MINI_DAG_STATE/wrong\" && echo nope || echo left", "branch": true},
    {"task_id": "left", "argv": ["printf", "%s", "{{ xcom.say }}"]}, {"task_id": "right", "bash": "true"}
], "order": ["say >> choose >> [left, right]"]}"#;

fn trigger(daemon: &Daemon, body: &str) -> (u16, String) {
    daemon.request("POST", "/api/v2/dags/flow/dagRuns", "", body)
}

#[test]
fn what_a_task_left_is_shown_and_survives_the_daemon() {
    let mut daemon = Daemon::with("xcom", &[("flow.json", FLOW)]);
    let wait = [
        "trigger", "flow", "--run-id", "r", "--param", "whom=me", "--wait",
    ];
    let said = daemon.ok(&wait);
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    daemon.kill();
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    let entries = "/api/v2/dags/flow/dagRuns/r/taskInstances/say/xcomEntries";
    let one = daemon.answer("GET", &format!("{entries}/return_value"), "");
    let value = "\u{1b}[31m5\u{202e} rows";
    assert_eq!(text(&one, "value"), value);
    let list = daemon.answer("GET", entries, "");
    assert_eq!(list.get("total_entries").and_then(Value::as_i64), Some(1));
    assert_eq!(daemon.get(&format!("{entries}/other")).0, 404);
    let all = "/api/v2/dags/flow/dagRuns/r/taskInstances/~/xcomEntries";
    let all = daemon.answer("GET", all, "");
    assert_eq!(all.get("total_entries").and_then(Value::as_i64), Some(3));
    let status = daemon.ok(&["status", "flow", "r"]);
    assert!(status.contains("choose  left\n"), "{status}");
    assert!(!status.contains(['\u{1b}', '\u{202e}']), "{status:?}");
    let json = daemon.json(&["status", "flow", "r"]);
    let left = json.get("xcom_entries").and_then(Value::as_array).unwrap();
    assert_eq!(text(&left[0], "value_preview"), value);
    daemon.ok(&["clear", "flow", "r", "--task", "right"]);
    daemon.wait_for("the end", |daemon| {
        daemon.state_of("flow", "r") == "success"
    });
    let right = "/api/v2/dags/flow/dagRuns/r/taskInstances/right";
    let right = daemon.answer("GET", right, "");
    assert_eq!(text(&right, "state"), "skipped", "the choice stands");
}

#[test]
fn a_branch_that_names_no_task_after_it_says_so_in_its_log_and_in_the_api() {
    let daemon = Daemon::with("branch", &[("flow.json", FLOW)]);
    fs::write(daemon.root.join("state/wrong"), "").unwrap();
    let wait = [
        "trigger",
        "flow",
        "--run-id",
        "r",
        "--param",
        "whom=null",
        "--wait",
    ];
    assert_eq!(daemon.run(&wait).code, 1);
    let why =
        "a branch chose `nope`, which does not follow it directly; what follows it is left, right";
    let log = daemon.ok(&["logs", "flow", "r", "choose"]);
    assert_eq!(log, format!("nope\nmini-dag: {why}\n"));
    let tries = "/api/v2/dags/flow/dagRuns/r/taskInstances/choose/tries";
    let tries = daemon.answer("GET", tries, "");
    let tries = tries
        .get("task_instances")
        .and_then(Value::as_array)
        .unwrap();
    assert_eq!(text(&tries[0], "reason"), why);
}

#[test]
fn what_a_run_is_given_is_checked_before_it_is_one() {
    let daemon = Daemon::with("params", &[("flow.json", FLOW)]);
    for (conf, why) in [
        (
            r#"{"whom": "me", "rows": 0}"#,
            "param `rows` must be at least 1, not 0",
        ),
        (
            r#"{"whom": "me", "rows": "5"}"#,
            "param `rows` must be integer, not \"5\"",
        ),
        (
            r#"{"whom": "everybody"}"#,
            "param `whom` must be a text of at most 5 characters, not \"everybody\"",
        ),
        ("{}", "param `whom` has no default, and none was given"),
    ] {
        let body = format!(r#"{{"logical_date": null, "conf": {conf}}}"#);
        let (status, answer) = trigger(&daemon, &body);
        assert_eq!(status, 400, "{answer}");
        assert_eq!(text(&Value::parse(&answer).unwrap(), "detail"), why);
    }
    let said = daemon.run(&["trigger", "flow", "--param", "rows=x", "--param", "whom=me"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("help: it must be integer, not \"x\""),
        "{}",
        said.err
    );
    let details = daemon.answer("GET", "/api/v2/dags/flow/details", "");
    let rows = details.get("params").and_then(|params| params.get("rows"));
    assert_eq!(
        rows.unwrap().to_string(),
        r#"{"description":"how many","schema":{"minimum":1,"type":"integer"},"value":5}"#
    );
    let runs = daemon.answer("GET", "/api/v2/dags/flow/dagRuns", "");
    assert_eq!(runs.get("total_entries").and_then(Value::as_i64), Some(0));
}
