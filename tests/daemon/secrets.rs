//! Secrets: where they come from, and where they never show.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::place::{Place, text};

const SECRET: &str = "hunter2-and-more";

/// Shows its secret in every way a task has, and says nothing before it has been looked at.
const DAG: &str = r#"{"tasks": [
    {"task_id": "tell", "secrets": {"TOKEN": "token"},
     "bash": "until [ -e DIR/go ]; do sleep 0.01; done; echo \"$TOKEN\" >&2; printf 'ends hunter2-'; sleep 0.05; echo and-more"},
    {"task_id": "lacks", "secrets": {"X": "nowhere"}, "bash": "echo never"},
    {"task_id": "leaks", "secrets": {"X": "open"}, "bash": "echo never"}]}"#;

fn files(below: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
}

/// What `/proc` says of the command lines of all processes.
fn command_lines() -> String {
    let mut all = String::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        all.push_str(&String::from_utf8_lossy(&line));
    }
    all
}

#[test]
fn a_secret_reaches_its_task_and_nobody_else() {
    let place = Place::new("secrets");
    let secrets = place.path("secrets");
    fs::DirBuilder::new().mode(0o700).create(&secrets).unwrap();
    for (name, mode) in [("token", 0o600), ("open", 0o644)] {
        fs::write(secrets.join(name), format!("{SECRET}\n")).unwrap();
        fs::set_permissions(secrets.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(place.path("mini-dag.json"), r#"{"secrets": "secrets"}"#).unwrap();
    place.dag("tells.json", DAG);
    let daemon = place.daemon();
    place.command(&["trigger", "tells"]);
    place.has_recorded("start", "tells", 3);
    let running = command_lines();
    assert!(running.contains("echo") && !running.contains(SECRET));
    place.touch("go");
    place.has_recorded("run_failed", "tells", 1);
    let logs = place.command(&["logs", "tells", "latest", "tell"]);
    assert!(logs.contains("***\nends ***\n"), "{logs}");
    let status = place.command(&["status", "tells", "latest"]);
    daemon.stop();

    let failed = place.recorded("failed", "tells");
    let why: Vec<_> = failed
        .iter()
        .map(|line| text(line, "not_started"))
        .collect();
    assert!(
        why.iter()
            .any(|why| why.contains("there is no secret `nowhere`")),
        "{why:?}"
    );
    assert!(
        why.iter().any(|why| why.contains("`chmod 600` it")),
        "{why:?}"
    );
    let mut kept = vec![("status".to_owned(), status)];
    files(&place.path("state"), &mut kept);
    kept.push((
        "the daemon's log".to_owned(),
        fs::read_to_string(place.path("daemon.log")).unwrap(),
    ));
    assert!(kept.len() > 4);
    for (name, content) in kept {
        assert!(!content.contains(SECRET), "{name}: {content}");
    }
}
