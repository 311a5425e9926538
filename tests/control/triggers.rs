//! Tasks that trigger runs of other DAGs, in a real daemon.

use std::fs;

use mini_dag::Value;

use crate::daemon::{Daemon, SLOW, text};

/// Waits for a run of `slow`, which ends when its gate is there.
const PARENT: &str = r#"{"dag_id": "parent", "params": {"gate": "", "n": 1}, "tasks": [
    {"task_id": "go", "trigger": {"dag_id": "slow", "wait": true, "params": {"gate": "{{ params.gate }}", "n": "{{ params.n }}"}}},
    {"task_id": "use", "bash": "echo \"after $MINI_DAG_XCOM_GO\"", "after": ["go"]}]}"#;

const LOST: &str =
    r#"{"dag_id": "lost", "tasks": [{"task_id": "go", "trigger": {"dag_id": "nobody"}}]}"#;

fn runs(daemon: &Daemon, dag_id: &str) -> Vec<Value> {
    let runs = daemon.answer("GET", &format!("/api/v2/dags/{dag_id}/dagRuns"), "");
    runs.get("dag_runs")
        .and_then(Value::as_array)
        .unwrap()
        .to_vec()
}

#[test]
fn a_task_waits_for_the_run_it_triggered_through_a_kill_of_the_daemon() {
    let mut daemon = Daemon::with("triggers", &[("p.json", PARENT), ("s.json", SLOW)]);
    let gate = daemon.path("gate");
    daemon.ok(&[
        "trigger",
        "parent",
        "--param",
        &format!("gate={gate}"),
        "--param",
        "n=7",
    ]);
    daemon.wait_for("the other run", |daemon| {
        runs(daemon, "slow")
            .iter()
            .any(|run| text(run, "state") == "running")
    });
    let parent = text(&runs(&daemon, "parent")[0], "dag_run_id");
    let [child] = &runs(&daemon, "slow")[..] else {
        panic!("one run");
    };
    let child_id = text(child, "dag_run_id");
    assert!(
        child_id.starts_with("manual__20") && child_id.ends_with("+00:00__1.go.1"),
        "{child_id}"
    );
    assert_eq!(
        child.get("conf").unwrap().get("n").unwrap().to_string(),
        "7"
    );
    let path = format!("/api/v2/dags/parent/dagRuns/{parent}/taskInstances/go");
    let task = daemon.answer("GET", &path, "");
    assert_eq!(text(&task, "state"), "up_for_reschedule");
    assert_eq!(text(&task, "operator"), "TriggerDagRunOperator");
    let conf = task
        .get("rendered_fields")
        .and_then(|fields| fields.get("conf"));
    assert_eq!(conf, child.get("conf"));
    let waits = "waits: the end of a run of DAG `slow`: `manual__20";
    let said = daemon.ok(&["status", "parent", "latest"]);
    assert!(said.contains(waits), "{said}");
    daemon.kill();
    let said = daemon.ok(&["status", "parent", "latest"]);
    assert!(said.contains(waits), "without a daemon: {said}");

    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    fs::write(&gate, "").unwrap();
    daemon.wait_for("its end", |daemon| {
        daemon.state_of("parent", &parent) == "success"
    });
    assert_eq!(runs(&daemon, "slow").len(), 1);
    let log = daemon.ok(&["logs", "parent", "latest", "use"]);
    assert_eq!(log.trim_end(), format!("after {child_id}"));
    // Nobody printed anything.
    daemon.ok(&["logs", "parent", "latest", "go"]);
    daemon.ok(&["journal", "verify"]);
}

#[test]
fn a_dag_that_is_not_there_is_told_before_and_fails_the_task() {
    let mut daemon = Daemon::with("triggers-lost", &[("l.json", LOST)]);
    let log = daemon.log();
    assert!(log.contains("triggers unknown DAG `nobody`"), "{log}");
    let said = daemon.run(&["trigger", "lost", "--wait"]);
    assert_eq!(said.code, 1, "{said:?}");
    let said = daemon.ok(&["logs", "lost"]);
    assert!(
        said.ends_with("mini-dag: there is no DAG `nobody`\n"),
        "{said}"
    );
    daemon.wait_for("the reason", |daemon| {
        let tries = daemon.answer("GET", &tries_of(daemon), "");
        let tries = tries
            .get("task_instances")
            .and_then(Value::as_array)
            .unwrap();
        text(&tries[0], "reason") == "there is no DAG `nobody`"
    });
}

#[test]
fn a_task_whose_run_has_failed_says_which_and_names_no_exit_code() {
    let fails = r#"{"dag_id": "fails", "tasks": [{"task_id": "no", "bash": "exit 3"}]}"#;
    let asks = r#"{"dag_id": "lost", "tasks": [{"task_id": "go", "trigger": {"dag_id": "fails", "wait": true}}]}"#;
    let mut daemon = Daemon::with("triggers-why", &[("f.json", fails), ("l.json", asks)]);
    assert_eq!(daemon.run(&["trigger", "lost", "--wait"]).code, 1);
    let child = text(&runs(&daemon, "fails")[0], "dag_run_id");
    let why = format!("DAG `fails` has failed in run `{child}`");
    daemon.wait_for("the reason", |daemon| {
        let tries = daemon.answer("GET", &tries_of(daemon), "");
        let tries = tries.get("task_instances").and_then(Value::as_array);
        let last = &tries.unwrap()[0];
        assert_eq!(last.get("exit_code"), Some(&Value::Null));
        text(last, "why") == why
    });
    let said = daemon.ok(&["status", "lost", "latest"]);
    assert!(said.contains(&format!("  why: {}", &why[..40])), "{said}");
}

fn tries_of(daemon: &Daemon) -> String {
    let run = text(&runs(daemon, "lost")[0], "dag_run_id");
    format!("/api/v2/dags/lost/dagRuns/{run}/taskInstances/go/tries")
}
