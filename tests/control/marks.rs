//! What people set right by the API: run it again, and what a task instance and those beside it are.

use mini_dag::Value;

use crate::daemon::{Daemon, text};

/// `a >> b >> c >> d`; `b` fails the first time.
const LINE: &str = r#"{"dag_id": "line", "tasks": [{"task_id": "a", "bash": "true"},
    {"task_id": "b", "bash": "test $MINI_DAG_TRY_NUMBER != 1"}, {"task_id": "c", "bash": "true"}, {"task_id": "d", "bash": "true"}],
    "order": ["a >> b >> c >> d"]}"#;
const RUN: &str = "/api/v2/dags/line/dagRuns/r";

fn failed(test: &str) -> Daemon {
    let daemon = Daemon::with(test, &[("line.json", LINE)]);
    let args = ["trigger", "line", "--run-id", "r", "--wait"];
    assert_eq!(daemon.run(&args).code, 1);
    daemon
}

fn listed(answer: &Value) -> Vec<String> {
    let tasks = answer.get("task_instances").and_then(Value::as_array);
    let entry = |task: &Value| format!("{} {}", text(task, "task_id"), text(task, "state"));
    tasks.unwrap().iter().map(entry).collect()
}

#[test]
fn a_run_that_is_set_to_queued_runs_again() {
    let mut daemon = failed("queued");
    let answer = daemon.answer("PATCH", RUN, r#"{"state": "queued"}"#);
    assert!(["queued", "running"].contains(&&*text(&answer, "state")));
    daemon.wait_for("success", |daemon| {
        daemon.state_of("line", "r") == "success"
    });
    let first = daemon.answer("GET", &format!("{RUN}/taskInstances/a"), "");
    assert_eq!(first.get("try_number").unwrap().to_string(), "2");
}

/// The page offers it: it was refused, for the run was over.
#[test]
fn a_run_that_is_over_may_be_called_failed_and_a_success_again() {
    let mut daemon = failed("called");
    for state in ["success", "failed", "success"] {
        let answer = daemon.answer("PATCH", RUN, &format!(r#"{{"state": "{state}"}}"#));
        assert!(["queued", "running", state].contains(&&*text(&answer, "state")));
        daemon.wait_for("end", |daemon| daemon.state_of("line", "r") == state);
    }
    let tasks = listed(&daemon.answer("GET", &format!("{RUN}/taskInstances"), ""));
    assert_eq!(tasks[3], "d success", "nothing ran: {tasks:?}");
    let last = daemon.answer("GET", &format!("{RUN}/taskInstances/d"), "");
    assert_eq!(last.get("try_number").unwrap().to_string(), "0");
}

#[test]
fn a_mark_may_take_what_is_before_and_after_with_it() {
    let mut daemon = failed("beside");
    let mut mark = |task: &str, body: &str| {
        daemon.wait_for("end", |daemon| {
            ["success", "failed"].contains(&&*daemon.state_of("line", "r"))
        });
        let path = format!("{RUN}/taskInstances/{task}");
        listed(&daemon.answer("PATCH", &path, body))
    };
    let upstream = r#"{"new_state": "skipped", "include_upstream": true}"#;
    assert_eq!(mark("b", upstream), ["a skipped", "b skipped"]);
    let downstream = r#"{"new_state": "failed", "include_downstream": true}"#;
    assert_eq!(mark("c", downstream), ["c failed", "d failed"]);
    let both = r#"{"new_state": "success", "include_upstream": true, "include_downstream": true}"#;
    let all = ["a success", "b success", "c success", "d success"];
    assert_eq!(mark("b", both), all);
    daemon.wait_for("success", |daemon| {
        daemon.state_of("line", "r") == "success"
    });
}

#[test]
fn a_clear_may_take_what_is_before_with_it() {
    let daemon = failed("before");
    let body =
        r#"{"dag_run_id": "r", "only_failed": false, "task_ids": ["c"], "include_upstream": true}"#;
    let shown = daemon.answer("POST", "/api/v2/dags/line/clearTaskInstances", body);
    let ids: Vec<_> = listed(&shown)
        .iter()
        .map(|task| task[..1].to_owned())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
}
