//! Pools: of the config, changed by a reload, shown by status and the API.

use std::fs;

use mini_dag::Value;

use crate::daemon::{Daemon, text};

/// Two tasks that need the camera, and end when the file is there.
const CAMERA: &str = r#"{"dag_id": "shots", "params": {"gate": ""}, "defaults": {"pool": "camera", "env": {"gate": "{{ params.gate }}"}}, "tasks": [
    {"task_id": "film", "bash": "until [ -e \"$gate\" ]; do sleep 0.02; done"},
    {"task_id": "photo", "bash": "until [ -e \"$gate\" ]; do sleep 0.02; done"}]}"#;

fn pool(daemon: &Daemon, name: &str) -> Vec<String> {
    let pools = daemon.answer("GET", "/api/v2/pools", "");
    let pools = pools.get("pools").and_then(Value::as_array).unwrap();
    let pool = pools.iter().find(|pool| text(pool, "name") == name);
    let keys = ["slots", "occupied_slots", "scheduled_slots", "open_slots"];
    let fields = keys.map(|key| pool.unwrap().get(key).unwrap().to_string());
    fields.into()
}

#[test]
fn pools_come_from_the_config_and_a_reload_changes_them() {
    let mut daemon = Daemon::place("pools");
    let config = daemon.root.join("mini-dag.json");
    fs::write(&config, r#"{"parallelism": 4, "pools": {"camera": 1}}"#).unwrap();
    fs::write(daemon.root.join("dags/shots.json"), CAMERA).unwrap();
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    let gate = daemon.path("gate");
    daemon.ok(&["trigger", "shots", "--param", &format!("gate={gate}")]);
    let is_used = |daemon: &mut Daemon| pool(daemon, "camera") == ["1", "1", "1", "0"];
    daemon.wait_for("one task in the pool", is_used);
    assert_eq!(pool(&daemon, "default_pool"), ["4", "0", "0", "4"]);
    let said = daemon.ok(&["status"]);
    let expected = "pool   camera: 1 of 1 slots in use, 1 waited for";
    assert!(said.contains(expected), "{said}");
    let said = daemon.ok(&["status", "shots", "latest"]);
    let expected = "waits: 1 slot of pool `camera`, 1 of 1 taken";
    assert!(said.contains(expected), "{said}");

    // The pool goes: what runs goes on, what waits says why, and the file says what is wrong with it.
    fs::write(&config, r#"{"parallelism": 4}"#).unwrap();
    let said = daemon.run(&["reload"]);
    assert!(said.err.contains("unknown pool `camera`"), "{said:?}");
    assert_eq!(pool(&daemon, "camera"), ["0", "1", "1", "0"]);
    let said = daemon.ok(&["status", "shots", "latest"]);
    let expected = "waits: the config has no pool `camera` any more";
    assert!(said.contains(expected), "{said}");

    // It is back, and larger.
    fs::write(&config, r#"{"parallelism": 4, "pools": {"camera": 2}}"#).unwrap();
    daemon.ok(&["reload"]);
    let is_used = |daemon: &mut Daemon| pool(daemon, "camera") == ["2", "2", "0", "0"];
    daemon.wait_for("both tasks in the pool", is_used);
    fs::write(&gate, "").unwrap();
    let has_ended = |daemon: &mut Daemon| daemon.ok(&["runs", "shots"]).contains("success");
    daemon.wait_for("its end", has_ended);
}

#[test]
fn commands_that_read_dag_files_know_the_pools_of_the_config() {
    let daemon = Daemon::place("pools-read");
    fs::write(daemon.root.join("dags/shots.json"), CAMERA).unwrap();
    let said = daemon.run(&["validate", "dags"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("\"pools\": {\"camera\": 1}"), "{said:?}");
    let config = daemon.root.join("mini-dag.json");
    fs::write(&config, r#"{"pools": {"camera": 1}}"#).unwrap();
    daemon.ok(&["validate", "dags"]);
    let gate = format!("gate={}", config.display());
    daemon.ok(&["run", "shots", "--param", &gate]);
    // Nobody knows its pools; what does not need to, works.
    fs::write(&config, "{").unwrap();
    daemon.ok(&["validate", "dags"]);
    let said = daemon.run(&["run", "shots"]);
    assert!(said.err.contains("mini-dag.json"), "{said:?}");
}
