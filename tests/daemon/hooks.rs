//! Hooks as processes: what they are told, what becomes of them, and that they change nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use crate::place::{Place, text};
use crate::webhooks::serve;

/// What a hook was told, as lines of its environment, one file each.
const TELL: &str =
    r#"{"bash": "env | grep ^MINI_DAG_ | sort > DIR/told.$MINI_DAG_HOOK_NAME.$MINI_DAG_HOOK_OF"}"#;

fn told(place: &Place, file: &str) -> Vec<String> {
    let mut lines = place.lines(file);
    lines.retain(|line| line.contains("_HOOK_"));
    for line in &mut lines {
        let is_time = line.contains("DURATION") || line.contains("LOG");
        let end = line.find('=').unwrap() + 1;
        line.truncate(if is_time { end } else { line.len() });
        *line = line.replace("MINI_DAG_HOOK_", "");
    }
    lines
}

#[test]
fn a_hook_is_told_what_has_ended_and_how() {
    let place = Place::new("hooks-told");
    let dag = r#"{"on_failure": TELL, "on_retry": TELL, "tasks": [
        {"task_id": "a", "bash": "exit 7", "retries": 1, "retry_delay": 0, "on_failure": TELL},
        {"task_id": "b", "bash": "true", "on_success": TELL}]}"#;
    place.dag("d.json", &dag.replace("TELL", TELL));
    let daemon = place.daemon();
    place.command(&["trigger", "d"]);
    for file in [
        "told.on_failure.run",
        "told.on_failure.task",
        "told.on_success.task",
        "told.on_retry.task",
    ] {
        place.until(file, || place.lines(file).len() >= 9);
    }
    daemon.tells("on_failure done");
    daemon.stop();
    assert_eq!(
        told(&place, "told.on_failure.task"),
        [
            "DURATION=",
            "EXIT_CODE=7",
            "FAILED_TASKS=",
            "LOG=",
            "NAME=on_failure",
            "OF=task",
            "REASON=exit code 7",
            "RETRY_IN=",
            "STATE=failed"
        ]
    );
    assert_eq!(
        told(&place, "told.on_failure.run"),
        [
            "DURATION=",
            "EXIT_CODE=",
            "FAILED_TASKS=a",
            "LOG=",
            "NAME=on_failure",
            "OF=run",
            "REASON=failed: a",
            "RETRY_IN=",
            "STATE=failed"
        ]
    );
    let retry = told(&place, "told.on_retry.task");
    assert_eq!(
        retry[6..],
        ["REASON=exit code 7", "RETRY_IN=0.000", "STATE=up_for_retry"]
    );
    let lines = place.lines("told.on_failure.task");
    for line in [
        "MINI_DAG_DAG_ID=d",
        "MINI_DAG_TASK_ID=a",
        "MINI_DAG_TRY_NUMBER=2",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:?}");
    }
    let log = lines
        .iter()
        .find_map(|line| line.strip_prefix("MINI_DAG_HOOK_LOG="));
    assert!(log.unwrap().ends_with("/task_id=a/attempt=2.log"));
    assert_eq!(
        told(&place, "told.on_success.task")[6..],
        ["REASON=", "RETRY_IN=", "STATE=success"]
    );
}

#[test]
fn a_hook_that_fails_or_hangs_is_reported_and_changes_nothing() {
    let place = Place::new("hooks-fail");
    place.dag(
        "d.json",
        r#"{"on_success": {"argv": ["sleep", "600"], "timeout": "200ms"}, "tasks": [
            {"task_id": "a", "bash": "true", "on_success": {"bash": "echo no more; exit 3"}},
            {"task_id": "b", "bash": "true", "on_success": {"argv": ["no-such-program"]}}]}"#,
    );
    let daemon = place.daemon();
    place.command(&["trigger", "d"]);
    daemon.tells("/a on_success: exit code 3");
    daemon.tells("/b on_success: cannot be started: `no-such-program` was not found");
    daemon.tells("on_success: timed out after 200ms");
    assert_eq!(place.recorded("run_success", "d").len(), 1);
    assert!(place.recorded("failed", "d").is_empty());
    let status = place.command(&["status"]);
    assert!(
        status.contains("hooks that failed since the start: 3"),
        "{status}"
    );
    daemon.stop();
    let logs = place.path("state/logs/dag_id=d");
    let run = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    let said = fs::read_to_string(run.join("task_id=a/attempt=1.on_success.log")).unwrap();
    assert_eq!(said, "no more\n");
}

/// At most once: one that was cut off is not called again, and what it had started is gone.
#[test]
fn a_hook_that_a_crash_cuts_off_is_not_called_again() {
    let place = Place::new("hooks-crash");
    place.dag(
        "d.json",
        r#"{"on_success": {"bash": "echo called >> DIR/calls; sleep 600"}, "tasks": [{"task_id": "a", "bash": "true"}]}"#,
    );
    let daemon = place.daemon();
    place.command(&["trigger", "d"]);
    place.until("the call", || place.lines("calls") == ["called"]);
    daemon.kill();
    let daemon = place.daemon();
    daemon.tells("processes of a daemon that was killed");
    place.command(&["trigger", "d"]);
    place.until("the other call", || place.lines("calls").len() == 2);
    daemon.kill();
    assert_eq!(place.lines("calls").len(), 2);
}

/// Who waits for its turn is called before the daemon ends; who hangs is killed when its time is up.
#[test]
fn hooks_have_a_grace_when_the_daemon_stops() {
    let place = Place::new("hooks-stop");
    fs::write(place.path("mini-dag.json"), r#"{"kill_grace": "1s"}"#).unwrap();
    place.dag(
        "d.json",
        r#"{"defaults": {"on_success": {"bash": "echo begins >> DIR/calls; until [ -e DIR/go ]; do sleep 0.01; done; echo ends >> DIR/calls"}},
            "on_success": {"bash": "echo run >> DIR/calls; sleep 600"},
            "tasks": [{"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true"}, {"task_id": "c", "bash": "true"},
                      {"task_id": "e", "bash": "true"}]}"#,
    );
    let daemon = place.daemon();
    place.command(&["trigger", "d"]);
    place.has_recorded("run_success", "d", 1);
    place.until("four calls", || place.lines("calls").len() == 4);
    daemon.signal(rustix::process::Signal::TERM);
    place.touch("go");
    place.until("the fifth call", || place.lines("calls").len() == 9);
    let log = daemon.log();
    assert_eq!(daemon.end().code(), Some(0), "{log}");
    let ends = place.lines("calls");
    assert_eq!(ends.iter().filter(|line| *line == "ends").count(), 4);
    assert!(ends.contains(&"run".to_owned()));
}

#[test]
fn a_webhook_of_all_dags_posts_what_has_ended_and_keeps_its_secret() {
    let place = Place::new("hooks-http");
    let secrets = place.path("secrets");
    fs::DirBuilder::new().mode(0o700).create(&secrets).unwrap();
    fs::write(secrets.join("slack"), "T000/B000/XXXX\n").unwrap();
    fs::set_permissions(secrets.join("slack"), fs::Permissions::from_mode(0o600)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = listener.local_addr().unwrap();
    let config = r#"{"secrets": "secrets", "on_failure": {"secrets": {"SLACK": "slack"},
        "http": {"url": "http://URL/services/{{ secrets.SLACK }}", "method": "POST",
                 "json": {"text": "{{ dag_id }} {{ hook.state }}: {{ hook.reason }}"}}}}"#;
    fs::write(
        place.path("mini-dag.json"),
        config.replace("URL", &url.to_string()),
    )
    .unwrap();
    place.dag(
        "d.json",
        r#"{"tasks": [{"task_id": "a", "bash": "exit 1"}]}"#,
    );
    let daemon = place.daemon();
    place.command(&["trigger", "d"]);
    let request = serve(&listener);
    daemon.tells("on_failure of all DAGs done");
    drop(listener);
    place.command(&["trigger", "d"]);
    daemon.tells("on_failure of all DAGs: exit code 1");
    let log = daemon.log();
    daemon.stop();
    assert!(
        request.starts_with("POST /services/T000/B000/XXXX "),
        "{request}"
    );
    assert!(
        request.ends_with(r#"{"text":"d failed: failed: a"}"#),
        "{request}"
    );
    assert!(!log.contains("B000"), "{log}");
    let failed = place.recorded("run_failed", "d");
    assert_eq!(failed.len(), 2);
    let run = text(&failed[1], "run");
    assert!(run.starts_with("d/"), "{run}");
    for entry in fs::read_dir(place.path("state/logs/dag_id=d")).unwrap() {
        let said = fs::read_to_string(entry.unwrap().path().join("on_failure.all.log"))
            .unwrap_or_default();
        assert!(!said.contains("B000"), "{said}");
        assert!(said.is_empty() || said.contains("/services/***"), "{said}");
    }
}
