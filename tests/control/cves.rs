//! What went wrong in others' control planes, and must not here: one test each, beside those in `page` that name theirs
//! (open by default, a forgotten endpoint, GET that changes, fixed and surviving sessions, one secret for all, no Cache-Control).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mini_dag::Value;

use crate::daemon::{CHAIN, Daemon};
use crate::visitor::Visitor;

/// Dagu's CVE-2026-27598 and CVE-2026-31882: a run called `..`, and everything below /tmp was removed.
#[test]
fn an_id_cannot_leave_its_directory() {
    let daemon = Daemon::with("cve-ids", &[("chain.json", CHAIN)]);
    let witness = daemon.root.join("state/logs/witness");
    fs::create_dir_all(witness.parent().unwrap()).unwrap();
    fs::write(&witness, "here").unwrap();
    for id in [
        "..",
        ".",
        "../..",
        "a/b",
        "a\\\\b",
        "-rf",
        "",
        "a\\u0000b",
        "a\\nb",
        "$(id)",
        "`id`",
        "a;b",
        "a b",
    ] {
        let body = format!(r#"{{"logical_date": null, "dag_run_id": "{id}"}}"#);
        let (status, answer) = daemon.request("POST", "/api/v2/dags/chain/dagRuns", "", &body);
        assert_eq!(status, 422, "{id:?}: {answer}");
    }
    for path in ["..", "%2e%2e", "%2e%2e%2f%2e%2e", "..%5c..", "%00", "~"] {
        let path = format!("/api/v2/dags/chain/dagRuns/{path}");
        let (status, answer) = daemon.request("DELETE", &path, "", "");
        assert!([400, 404].contains(&status), "{path}: {answer}");
        let (status, answer) = daemon.get(&format!("{path}/taskInstances/first/logs/1"));
        assert!([400, 404].contains(&status), "{path}: {answer}");
    }
    assert_eq!(fs::read_to_string(witness).unwrap(), "here");
}

/// Airflow's CVE-2023-22888 and CVE-2023-36543: one bad request, and the service was down or busy for ever.
#[test]
fn a_pattern_or_an_id_that_means_harm_costs_one_answer() {
    let daemon = Daemon::with("cve-patterns", &[("chain.json", CHAIN)]);
    let evil = "%25a".repeat(80);
    let queries = [
        format!("dag_id_pattern={evil}"),
        format!("dag_id_pattern={}", "(a%2B)%2B%24".repeat(30)),
        "order_by=-%27%3B+DROP+TABLE+dag".to_owned(),
        "limit=99999999999999999999".to_owned(),
        "offset=-1".to_owned(),
        "last_dag_run_state=%00".to_owned(),
    ];
    for query in queries {
        let (status, answer) = daemon.get(&format!("/api/v2/dags?{query}"));
        assert!([200, 422].contains(&status), "{query}: {answer}");
    }
    assert_eq!(daemon.get("/api/v2/dags").0, 200);
}

/// Airflow's CVE-2022-38170 and CVE-2024-29735: files that everybody could write, parents that were opened up.
#[test]
fn what_the_daemon_writes_is_for_its_owner_only() {
    let mut daemon = Daemon::with_page("cve-modes", &[("chain.json", CHAIN)]);
    let run = r#"{"dag_run_id": "r", "logical_date": null}"#;
    daemon.answer("POST", "/api/v2/dags/chain/dagRuns", run);
    daemon.wait_for("end", |daemon| daemon.state_of("chain", "r") == "failed");
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let mut folders = vec![daemon.root.join("state")];
    let before = mode(&daemon.root);
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            let most = if path.ends_with("control.sock") {
                0o660
            } else {
                0o755
            };
            assert_eq!(
                mode(&path) & !most,
                0,
                "{} is {:o}",
                path.display(),
                mode(&path)
            );
            files += 1;
        }
    }
    for secret in ["users.json", "admin_password"] {
        assert_eq!(
            mode(&daemon.root.join("state").join(secret)),
            0o600,
            "{secret}"
        );
    }
    assert!(files > 5, "{files}");
    assert_eq!(mode(&daemon.root), before);
}

/// Airflow's CVE-2020-13944, CVE-2020-17515, CVE-2021-28359 and CVE-2021-45229: `origin=` was a place to be sent to.
#[test]
fn nobody_is_ever_sent_elsewhere() {
    let daemon = Daemon::with_page("cve-redirect", &[]);
    let visitor = Visitor::of(&daemon);
    let elsewhere = "origin=//evil.example&next=http://evil.example&u=javascript:alert(1)";
    for path in ["/", "/api/v2/version", "/health", "/login"] {
        let answer = visitor.ask("GET", &format!("{path}?{elsewhere}"), "", "");
        assert!(answer.status < 300 || answer.status >= 400, "{answer:?}");
        assert!(
            answer.header("location").is_none() && !answer.body.contains("evil"),
            "{answer:?}"
        );
    }
}

/// Airflow's CVE-2023-29247 and CVE-2023-47265, Cronicle's reflected names: text that a browser took for a page.
#[test]
fn text_of_others_is_never_an_answer_that_a_browser_runs() {
    let dag = r#"{"dag_id": "x", "description": "<script>alert(1)</script>", "tasks": [
        {"task_id": "t", "bash": "echo '<img src=x onerror=alert(1)>'"}]}"#;
    let mut daemon = Daemon::with_page("cve-text", &[("x.json", dag)]);
    let run = r#"{"dag_run_id": "r", "logical_date": null}"#;
    daemon.answer("POST", "/api/v2/dags/x/dagRuns", run);
    daemon.wait_for("end", |daemon| daemon.state_of("x", "r") == "success");
    let visitor = Visitor::of(&daemon);
    let admin = visitor.bearer("admin", &daemon.password());
    for path in [
        "/api/v2/dags/x?callback=alert",
        "/api/v2/dagSources/x",
        "/api/v2/dags/x/dagRuns/r/taskInstances/t/logs/1",
        "/api/v2/dags/%3Cscript%3E",
    ] {
        let answer = visitor.ask("GET", path, &admin, "");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{answer:?}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(
            Value::parse(&answer.body).is_ok(),
            "no callback around it: {answer:?}"
        );
    }
}

/// Airflow's CVE-2023-35005, CVE-2020-17511, CVE-2022-27949 and CVE-2023-51702: secrets in views and logs.
#[test]
fn no_answer_and_no_log_has_a_password_or_the_secret() {
    let daemon = Daemon::with_page("cve-secrets", &[("chain.json", CHAIN)]);
    let visitor = Visitor::of(&daemon);
    let password = daemon.password();
    let admin = visitor.bearer("admin", &password);
    let token = admin.trim().rsplit(' ').next().unwrap().to_owned();
    visitor.log_in("/auth/token", "admin", "a wrong one");
    let users = fs::read_to_string(daemon.root.join("state/users.json")).unwrap();
    let users = Value::parse(&users).unwrap();
    let secret = users.get("secret").and_then(Value::as_str).unwrap();
    let mut said = String::new();
    for path in [
        "/api/v2/config",
        "/mini-dag/v1/status",
        "/metrics",
        "/api/v2/eventLogs",
        "/openapi.json",
        "/mini-dag/v1/session",
    ] {
        said.push_str(&visitor.ask("GET", path, &admin, "").body);
    }
    let log = daemon.log();
    assert_eq!(
        log.matches(&password).count(),
        1,
        "the first start says it, once"
    );
    for hidden in [secret, &token, "a wrong one", "pbkdf2"] {
        assert!(!said.contains(hidden) && !log.contains(hidden), "{hidden}");
    }
    assert!(!said.contains(&password));
}
