//! The program without TCP: what its users do with it, over the control socket.

#![cfg(not(feature = "tcp"))]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

#[expect(dead_code, reason = "other tests need more of it")]
#[path = "daemon/place.rs"]
mod place;

use std::process::Command;

use place::Place;

const CHAIN: &str = r#"{"schedule": "@daily", "tasks": [
    {"task_id": "one", "bash": "echo first"},
    {"task_id": "two", "argv": ["echo", "second"], "after": ["one"]}]}"#;

#[test]
fn the_daemon_says_that_nothing_listens_and_does_the_rest() {
    let place = Place::new("minimal");
    place.dag("chain.json", CHAIN);
    let daemon = place.start_with("dags", &[("MINI_DAG_LISTEN", "127.0.0.1:8080")]);
    daemon.tells(
        "nothing listens at 127.0.0.1:8080: this mini-dag was built without the feature `tcp`",
    );
    daemon.tells("DAGs, state in");
    place.command(&["trigger", "chain", "--wait"]);
    let logs = place.command(&["logs", "chain", "latest"]);
    assert_eq!(logs, "one | first\ntwo | second\n");
    assert!(
        place
            .command(&["status", "chain", "latest"])
            .contains("success")
    );
    place.dag(
        "other.json",
        r#"{"tasks": [{"task_id": "t", "bash": "true"}]}"#,
    );
    let reloaded = place.command(&["reload"]);
    assert!(reloaded.starts_with("2 DAGs"), "{reloaded}");
    assert!(place.command(&["status"]).contains("other"));
    assert!(!place.path("state/users.json").exists());
    assert!(!daemon.log().contains("admin"), "{}", daemon.log());
}

#[test]
fn a_command_that_a_feature_brings_names_it() {
    let program = env!("CARGO_BIN_EXE_mini-dag");
    let output = Command::new(program)
        .args(["user", "list"])
        .output()
        .unwrap();
    let said = "error: this mini-dag was built without the feature `tcp`, which brings `user`\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    assert_eq!(output.status.code(), Some(2));
}
