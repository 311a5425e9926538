//! What the page asks beside Airflow's API: much of many things at once.

use mini_dag::Value;

use crate::daemon::{CHAIN, Daemon, text};

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).unwrap()
}

fn texts<'v>(values: &'v [Value], key: &str) -> Vec<&'v str> {
    let text = |value: &'v Value| value.get(key).and_then(Value::as_str).unwrap();
    values.iter().map(text).collect()
}

fn ran(test: &str) -> Daemon {
    let daemon = Daemon::with(test, &[("chain.json", CHAIN)]);
    let good = [
        "trigger", "chain", "--run-id", "good", "--param", "name=/", "--wait",
    ];
    daemon.ok(&good);
    daemon.run(&["trigger", "chain", "--run-id", "bad", "--wait"]);
    daemon
}

#[test]
fn a_list_of_dags_comes_with_their_latest_runs() {
    let daemon = ran("v-list");
    let dags = daemon.answer("GET", "/mini-dag/v1/dags?dag_id_pattern=cha", "");
    let dag = &array(&dags, "dags")[0];
    assert_eq!(text(dag, "dag_id"), "chain");
    let runs = array(dag, "last_runs");
    assert_eq!(texts(runs, "dag_run_id"), ["bad", "good"]);
    assert_eq!(texts(runs, "state"), ["failed", "success"]);
    let none = daemon.answer("GET", "/mini-dag/v1/dags?dag_id_pattern=nope", "");
    assert_eq!(none.get("total_entries").unwrap().to_string(), "0");
}

#[test]
fn a_grid_has_the_states_of_all_tasks_the_latest_run_first() {
    let daemon = ran("v-grid");
    let path = "/mini-dag/v1/dags/chain/grid?order_by=-id";
    let grid = daemon.answer("GET", path, "");
    assert_eq!(
        grid.get("task_ids").unwrap().to_string(),
        r#"["first","second","third"]"#
    );
    let runs = array(&grid, "dag_runs");
    let states: Vec<_> = runs
        .iter()
        .map(|run| run.get("task_states").unwrap().to_string())
        .collect();
    assert_eq!(
        states,
        [
            r#"["success","failed","upstream_failed"]"#,
            r#"["success","success","success"]"#
        ]
    );
    let page = daemon.answer("GET", &format!("{path}&limit=1&offset=1"), "");
    assert_eq!(texts(array(&page, "dag_runs"), "dag_run_id"), ["good"]);
}

#[test]
fn the_states_of_a_run_are_those_of_its_task_instances() {
    let daemon = ran("v-states");
    let states = daemon.answer("GET", "/mini-dag/v1/dags/chain/dagRuns/bad/states", "");
    let known = daemon.answer("GET", "/api/v2/dags/chain/dagRuns/bad/taskInstances", "");
    let brief = array(&states, "task_instances");
    let full = array(&known, "task_instances");
    assert_eq!(brief.len(), full.len());
    for (brief, full) in brief.iter().zip(full) {
        for (key, value) in brief.as_object().unwrap() {
            assert_eq!(Some(value), full.get(key), "{key}");
        }
    }
}

#[test]
fn a_task_instance_shows_what_it_runs_with_every_template_filled_in() {
    let daemon = ran("v-rendered");
    let path = "/api/v2/dags/chain/dagRuns/good/taskInstances/second";
    let task = daemon.answer("GET", path, "");
    assert_eq!(
        task.get("rendered_fields").unwrap().to_string(),
        r#"{"bash_command":"echo looking; test -e \"$ok\"","env":{"ok":"/"}}"#
    );
}

#[test]
fn what_a_task_runs_is_shown_with_the_last_success_before_it() {
    let since = r#"{"dag_id": "since", "timezone": "UTC", "tasks": [{"task_id": "t", "bash": "echo \"$since\"",
        "env": {"since": "{{ prev_data_interval_end_success }}"}}]}"#;
    let daemon = Daemon::with("v-since", &[("since.json", since)]);
    for day in ["1", "2"] {
        let date = format!("2026-01-0{day}T00:00:00Z");
        daemon.ok(&[
            "trigger",
            "since",
            "--run-id",
            day,
            "--logical-date",
            &date,
            "--wait",
        ]);
    }
    let shown = ["1", "2"].map(|run_id| {
        let path = format!("/api/v2/dags/since/dagRuns/{run_id}/taskInstances/t");
        let rendered = daemon.answer("GET", &path, "");
        let env = rendered
            .get("rendered_fields")
            .and_then(|fields| fields.get("env"));
        env.unwrap().to_string()
    });
    let second = r#"{"since":"2026-01-01 00:00:00+00:00"}"#;
    assert_eq!(shown, [r#"{"since":""}"#, second]);
    let said = daemon.ok(&["logs", "since", "2"]);
    assert!(said.contains("2026-01-01 00:00:00+00:00"), "{said}");
}

#[test]
fn what_a_task_runs_is_shown_without_its_secrets() {
    let private = r#"{"is_paused_upon_creation": true, "tasks": [
        {"task_id": "ask", "secrets": {"TOKEN": "api_token"}, "http": {"url": "http://127.0.0.1:9/", "headers": {"X-Token": "t {{ secrets.TOKEN }}"}}}
    ]}"#;
    let daemon = Daemon::with("v-secrets", &[("private.json", private)]);
    daemon.ok(&["trigger", "private", "--run-id", "r"]);
    let path = "/api/v2/dags/private/dagRuns/r/taskInstances/ask";
    let task = daemon.answer("GET", path, "");
    let rendered = task.get("rendered_fields").unwrap().to_string();
    assert!(rendered.contains(r#""X-Token":"t ***""#), "{rendered}");
}

#[test]
fn a_picture_says_where_every_task_stands() {
    let daemon = ran("v-picture");
    let picture = daemon.answer("GET", "/mini-dag/v1/dags/chain/layout", "");
    let tasks = array(&picture, "tasks");
    assert_eq!(texts(tasks, "task_id"), ["first", "second", "third"]);
    let ranks = tasks
        .iter()
        .map(|task| task.get("rank").unwrap().to_string());
    assert_eq!(ranks.collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(picture.get("links").unwrap().to_string(), "[[0,1],[1,2]]");
    for path in ["nope/layout", "nope/grid", "chain/dagRuns/nope/states"] {
        assert_eq!(daemon.get(&format!("/mini-dag/v1/dags/{path}")).0, 404);
    }
}
