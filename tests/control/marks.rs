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
    // It may be over before the answer is: that waits for the disk.
    assert!(["queued", "running", "success"].contains(&&*text(&answer, "state")));
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

/// As in Airflow, `only_failed` stands unless it is taken back, and then both kinds are meant.
#[test]
fn a_clear_may_be_of_what_runs_only() {
    let dag = r#"{"dag_id": "line", "tasks": [{"task_id": "b", "bash": "false"}, {"task_id": "c", "bash": "true"},
        {"task_id": "a", "bash": "sleep 600", "after": ["b", "c"], "trigger_rule": "all_done"}, {"task_id": "d", "bash": "true", "after": ["a"]}]}"#;
    let mut daemon = Daemon::with("clear-running", &[("line.json", dag)]);
    daemon.ok(&["trigger", "line", "--run-id", "r"]);
    let state = |daemon: &Daemon, task: &str| {
        let path = format!("{RUN}/taskInstances/{task}");
        text(&daemon.answer("GET", &path, ""), "state")
    };
    for (task, expected) in [("a", "running"), ("b", "failed"), ("c", "success")] {
        daemon.wait_for(expected, |daemon| state(daemon, task) == expected);
    }
    let clear = |daemon: &Daemon, body: &str| {
        let body = format!(r#"{{"dag_run_id": "r", "only_running": true{body}}}"#);
        listed(&daemon.answer("POST", "/api/v2/dags/line/clearTaskInstances", &body))
    };
    assert_eq!(clear(&daemon, ""), ["b failed", "a running"]);
    assert_eq!(clear(&daemon, r#", "only_failed": false"#), ["a running"]);
    let task = format!("{RUN}/taskInstances/a");
    clear(&daemon, r#", "only_failed": false, "dry_run": false"#);
    daemon.wait_for("another try", |daemon| {
        let task = daemon.answer("GET", &task, "");
        text(&task, "state") == "running" && task.get("try_number").unwrap().to_string() == "2"
    });
    assert_eq!(state(&daemon, "b"), "failed");
}

/// It was refused with 409.
#[test]
fn a_task_that_runs_is_stopped_and_is_what_was_said() {
    let dag = r#"{"dag_id": "line", "tasks": [{"task_id": "a", "bash": "sleep 600"}, {"task_id": "b", "bash": "true", "after": ["a"]}]}"#;
    let mut daemon = Daemon::with("running", &[("line.json", dag)]);
    daemon.ok(&["trigger", "line", "--run-id", "r"]);
    let task = format!("{RUN}/taskInstances/a");
    daemon.wait_for("start", |daemon| {
        text(&daemon.answer("GET", &task, ""), "state") == "running"
    });
    let body = r#"{"new_state": "success", "note": "it hung"}"#;
    daemon.answer("PATCH", &task, body);
    daemon.wait_for("success", |daemon| {
        daemon.state_of("line", "r") == "success"
    });
    let task = daemon.answer("GET", &task, "");
    assert_eq!(text(&task, "note"), "it hung");
    let tries = daemon.answer("GET", &format!("{RUN}/taskInstances/a/tries"), "");
    let tries = tries.get("task_instances").and_then(Value::as_array);
    let told = |key| tries.unwrap().last().unwrap().get(key).unwrap().to_string();
    let told = ["state", "stopped", "signal", "note"].map(told);
    assert_eq!(told, [r#""success""#, r#""marked""#, "15", r#""it hung""#]);
}

#[test]
fn a_note_on_a_task_stays() {
    let mut daemon = failed("note");
    let task = format!("{RUN}/taskInstances/c");
    let note = |daemon: &Daemon| daemon.answer("GET", &task, "").get("note").cloned();
    let answer = daemon.answer("PATCH", &task, r#"{"note": "wet"}"#);
    assert_eq!(listed(&answer), ["c upstream_failed"]);
    daemon.stop();
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    assert_eq!(note(&daemon), Some("wet".into()));
    daemon.answer(
        "PATCH",
        &task,
        r#"{"note": null, "include_upstream": true}"#,
    );
    assert_eq!(note(&daemon), Some(Value::Null));
    let (status, answer) = daemon.request(
        "PATCH",
        &task,
        "",
        &format!(r#"{{"note": "{}"}}"#, "x".repeat(1001)),
    );
    assert_eq!(status, 422, "{answer}");
    let (status, _) = daemon.request("PATCH", &task, "", "{}");
    assert_eq!(status, 422);
}

/// Memory has seven of these twelve runs.
#[test]
fn what_was_before_and_what_is_after_is_cleared_and_marked_in_every_run() {
    let dag = r#"{"dag_id": "line", "tasks": [{"task_id": "a", "bash": "echo $MINI_DAG_RUN_ID", "xcom": true}, {"task_id": "b", "bash": "true", "after": ["a"]}]}"#;
    let mut daemon = Daemon::with("span", &[("line.json", dag)]);
    for day in 1..=12 {
        let body = format!(
            r#"{{"dag_run_id": "r{day:02}", "logical_date": "2026-05-{day:02}T00:00:00Z"}}"#
        );
        daemon.answer("POST", "/api/v2/dags/line/dagRuns", &body);
        let run_id = format!("r{day:02}");
        daemon.wait_for("end", |daemon| {
            daemon.state_of("line", &run_id) == "success"
        });
    }
    let clear = |daemon: &Daemon, body: &str| {
        let body = format!(r#"{{"only_failed": false, "task_ids": ["b"], {body}}}"#);
        let answer = daemon.answer("POST", "/api/v2/dags/line/clearTaskInstances", &body);
        let tasks = answer.get("task_instances").and_then(Value::as_array);
        let run = |task: &Value| text(task, "dag_run_id");
        tasks.unwrap().iter().map(run).collect::<Vec<_>>()
    };
    let cases = [
        (
            r#""dag_run_id": "r03", "include_past": true"#,
            "r01 r02 r03",
        ),
        (r#""dag_run_id": "r11", "include_future": true"#, "r11 r12"),
        (
            r#""start_date": "2026-05-02T00:00:00Z", "end_date": "2026-05-03T00:00:00Z""#,
            "r02 r03",
        ),
        (r#""end_date": "2026-05-01T00:00:00Z""#, "r01"),
    ];
    for (body, expected) in cases {
        assert_eq!(clear(&daemon, body).join(" "), expected, "{body}");
    }
    let body = r#""dag_run_id": "r02", "include_past": true, "dry_run": false"#;
    assert_eq!(clear(&daemon, body), ["r01", "r02"]);
    for run_id in ["r01", "r02"] {
        daemon.wait_for("end", |daemon| daemon.state_of("line", run_id) == "success");
        let path = format!("/api/v2/dags/line/dagRuns/{run_id}/taskInstances");
        let tries = |task: &str| daemon.answer("GET", &format!("{path}/{task}"), "");
        assert_eq!(tries("a").get("try_number").unwrap().to_string(), "1");
        assert_eq!(tries("b").get("try_number").unwrap().to_string(), "2");
        let left = daemon.answer("GET", &format!("{path}/a/xcomEntries/return_value"), "");
        assert_eq!(text(&left, "value"), run_id, "what it left is still there");
    }
    let path = "/api/v2/dags/line/dagRuns/r10/taskInstances/b";
    let body = r#"{"new_state": "failed", "include_future": true, "note": "bad days"}"#;
    let answer = daemon.answer("PATCH", path, body);
    assert_eq!(listed(&answer), ["b failed"; 3]);
    for run_id in ["r10", "r11", "r12"] {
        daemon.wait_for("end", |daemon| daemon.state_of("line", run_id) == "failed");
    }
    let (status, _) = daemon.request("PATCH", path, "", body);
    assert_eq!(status, 409, "all of them are so");
}
