//! The API beside Airflow's: what a real Airflow 3.3.2 answered, and what we answer to the same.
//!
//! Of each recorded answer of a path that we serve, every field is in ours, with a value of the same JSON type or null.

use std::fs;
use std::path::Path;

use mini_dag::Value;
use mini_dag::api::ROUTES;

use crate::daemon::{CHAIN, Daemon, SLOW, text};
use crate::visitor::Visitor;

const DAG: &str = r#"{"dag_id": "edge_stub", "description": "d", "tags": ["t"], "params": {"p": 1}, "tasks": [
    {"task_id": "say_hi", "bash": "echo hi", "retries": 1, "retry_delay": "5s"},
    {"task_id": "count", "bash": "echo 3"}, {"task_id": "flaky", "bash": "true", "timeout": "1m"}
], "order": ["say_hi >> count >> flaky"]}"#;

/// Every recorded exchange, in the order in which they were made.
fn recordings() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/airflow_api_v2");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = files.filter(|path| name(path).starts_with("00")).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let recording = Value::parse(&fs::read_to_string(path).unwrap()).unwrap();
        (name(path)[..4].to_owned(), recording)
    };
    files.iter().map(read).collect()
}

/// What of `theirs` is not in `ours`, by path.
fn missing(theirs: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, theirs) in theirs {
                match ours.get(key) {
                    // What a DAG or a run is given is its own.
                    Some(_) if ["conf", "params", "default_args"].contains(&&**key) => {}
                    Some(ours) => missing(theirs, ours, &format!("{path}/{key}"), found),
                    None => found.push(format!("{path}/{key} is missing")),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            if let (Some(theirs), Some(ours)) = (theirs.last(), ours.last()) {
                missing(theirs, ours, &format!("{path}/*"), found);
            }
        }
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        _ => found.push(format!("{path} is {ours}, but was {theirs}")),
    }
}

/// Where we answer with another status, and why.
const OTHERWISE: [(&str, u16, &str); 1] = [("0011", 200, "an empty limit is the default")];

#[test]
fn every_field_of_airflows_answers_is_in_ours_with_its_type() {
    let other = r#"{"dag_id": "edge_bash", "tasks": [{"task_id": "t", "bash": "true"}]}"#;
    let dags = [("edge_stub.json", DAG), ("edge_bash.json", other)];
    let mut daemon = Daemon::with_page("recorded", &dags);
    let visitor = Visitor::of(&daemon);
    let password = daemon.password();
    let bearer = visitor.bearer("admin", &password);
    let run = r#"{"dag_run_id": "proof1", "logical_date": null}"#;
    daemon.answer("POST", "/api/v2/dags/edge_stub/dagRuns", run);
    daemon.wait_for("end", |daemon| {
        daemon.state_of("edge_stub", "proof1") == "success"
    });
    let mut found = Vec::new();
    let mut walked = 0;
    for (number, recording) in recordings() {
        if number == "0035" {
            // What is triggered from here on waits, so that it can be set to failed.
            daemon.answer("PATCH", "/api/v2/dags/edge_stub", r#"{"is_paused": true}"#);
        }
        let request = recording.get("request").unwrap();
        let line = text(request, "line");
        let (method, target) = line.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        let is_served = ROUTES.iter().any(|route| matches(route.pattern, path));
        let theirs = recording.get("response").unwrap();
        let status = theirs.get("status").unwrap().to_string().parse().unwrap();
        if !is_served && path != "/api/v2/nope" {
            assert!(
                ["backfills", "xcomEntries"]
                    .iter()
                    .any(|part| path.contains(part)),
                "{path} is not served"
            );
            continue;
        }
        walked += 1;
        let expected = OTHERWISE.iter().find(|(known, ..)| *known == number);
        let expected = expected.map_or(status, |(_, status, _)| *status);
        let given = if status == 401 && path.starts_with("/auth/") {
            "wrong"
        } else {
            &password
        };
        let body = request.get("body").filter(|body| **body != Value::Null);
        let body = body
            .map_or(String::new(), ToString::to_string)
            .replace("<password>", given);
        let headers = request.get("headers").and_then(Value::as_object).unwrap();
        let mut ours = String::new();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("accept") {
                ours = format!("Accept: {}\r\n", value.as_str().unwrap());
            }
        }
        match (status, headers.contains_key("Authorization")) {
            (403, true) if number == "0055" => ours.push_str("Authorization: Bearer x.y.z\r\n"),
            (_, true) => ours.push_str(&bearer),
            (_, false) => {}
        }
        let answer = visitor.ask(method, target, &ours, &body);
        if answer.status != expected {
            found.push(format!(
                "{number} {line}: {} instead of {expected}: {}",
                answer.status, answer.body
            ));
        } else if expected == status && status != 204 {
            let theirs = theirs.get("body").unwrap();
            let lines = |text: &str| {
                text.lines()
                    .map(|line| Value::parse(line).unwrap())
                    .collect::<Vec<_>>()
            };
            let (theirs, ours) = match theirs.as_str() {
                Some(theirs) => (
                    Value::Array(lines(theirs)),
                    Value::Array(lines(&answer.body)),
                ),
                None => (theirs.clone(), answer.json()),
            };
            missing(&theirs, &ours, &format!("{number} {line}"), &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(walked >= 64, "only {walked} exchanges");
}

/// Whether a path is one of a pattern.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    let mut parts = pattern.iter().zip(&path);
    pattern.len() == path.len() && parts.all(|(part, given)| part.starts_with('{') || part == given)
}

#[test]
fn refusals_have_airflows_status_and_shape() {
    let daemon = Daemon::with("shape", &[("chain.json", CHAIN), ("slow.json", SLOW)]);
    let runs = "/api/v2/dags/chain/dagRuns";
    daemon.answer(
        "POST",
        runs,
        r#"{"logical_date": "2026-11-01T00:00:00Z", "dag_run_id": "r"}"#,
    );
    let cases = [
        ("GET", "/api/v2/nope", "", 404, "error"),
        ("GET", "/api/v2/dags/nope", "", 404, "detail"),
        (
            "POST",
            "/api/v2/dags/nope/dagRuns",
            r#"{"logical_date": null}"#,
            404,
            "detail",
        ),
        (
            "POST",
            runs,
            r#"{"logical_date": null, "dag_run_id": "r"}"#,
            409,
            "detail",
        ),
        (
            "POST",
            runs,
            r#"{"logical_date": "2026-11-01T00:00:00+00:00"}"#,
            409,
            "detail",
        ),
        ("DELETE", "/api/v2/dags/chain", "", 405, "detail"),
        (
            "GET",
            "/api/v2/dags/chain/dagRuns/r/taskInstances/first/logs/9",
            "",
            404,
            "detail",
        ),
        (
            "POST",
            "/api/v2/dags/chain/dagRuns/r/clear",
            r#"{"only_new": true}"#,
            501,
            "detail",
        ),
    ];
    for (method, path, body, status, key) in cases {
        let (given, answer) = daemon.request(method, path, "", body);
        assert_eq!(given, status, "{method} {path} {body}: {answer}");
        assert!(
            Value::parse(&answer).unwrap().get(key).is_some(),
            "{answer}"
        );
    }
    let log = "/api/v2/dags/chain/dagRuns/r/taskInstances/first/logs/1";
    let accept = |kind: &str| {
        let header = format!("Accept: {kind}\r\n");
        daemon.request("GET", log, &header, "").0
    };
    assert_eq!(accept("text/plain"), 406);
}

#[test]
fn what_is_wrong_in_a_body_is_named_with_its_place() {
    let daemon = Daemon::with("invalid", &[("chain.json", CHAIN)]);
    let runs = "/api/v2/dags/chain/dagRuns";
    let invalid = [
        (runs, "{}", "missing", "logical_date"),
        (
            runs,
            r#"{"logical_date": null, "bogus": 1}"#,
            "extra_forbidden",
            "bogus",
        ),
        (
            runs,
            r#"{"logical_date": null, "conf": 1}"#,
            "dict_type",
            "conf",
        ),
        (
            runs,
            r#"{"logical_date": "today"}"#,
            "datetime_from_date_parsing",
            "logical_date",
        ),
    ];
    for (path, body, kind, field) in invalid {
        let (given, answer) = daemon.request("POST", path, "", body);
        assert_eq!(given, 422, "{body}: {answer}");
        let answer = Value::parse(&answer).unwrap();
        let error = &answer.get("detail").and_then(Value::as_array).unwrap()[0];
        assert_eq!(text(error, "type"), kind);
        assert_eq!(
            error.get("loc").unwrap().to_string(),
            format!("[\"body\",\"{field}\"]")
        );
    }
}

#[test]
fn a_log_is_also_given_as_a_json_object_a_line() {
    let mut daemon = Daemon::with("ndjson", &[("chain.json", CHAIN)]);
    daemon.answer(
        "POST",
        "/api/v2/dags/chain/dagRuns",
        r#"{"logical_date": null, "dag_run_id": "r"}"#,
    );
    daemon.wait_for("end", |daemon| daemon.state_of("chain", "r") == "failed");
    let path = "/api/v2/dags/chain/dagRuns/r/taskInstances/first/logs/1";
    let (status, body) = daemon.request("GET", path, "Accept: application/x-ndjson\r\n", "");
    assert_eq!(status, 200);
    let events: Vec<_> = body
        .lines()
        .map(|line| text(&Value::parse(line).unwrap(), "event"))
        .collect();
    assert_eq!(events, ["one", "n=3"]);
    let whole = daemon.answer("GET", &format!("{path}?full_content=true"), "");
    assert_eq!(whole.get("continuation_token"), Some(&Value::Null));
    assert_eq!(daemon.get(&format!("{path}?token=x")).0, 400);
}

#[test]
fn a_clear_only_shows_what_it_would_do_unless_told_otherwise() {
    let mut daemon = Daemon::with("dry", &[("chain.json", CHAIN)]);
    let run = r#"{"dag_run_id": "r", "logical_date": null, "conf": {"name": "/nope"}}"#;
    daemon.answer("POST", "/api/v2/dags/chain/dagRuns", run);
    daemon.wait_for("end", |daemon| daemon.state_of("chain", "r") == "failed");
    let ids = |daemon: &Daemon, body: &str| {
        let path = "/api/v2/dags/chain/clearTaskInstances";
        let answer = daemon.answer("POST", path, body);
        let tasks = answer
            .get("task_instances")
            .and_then(Value::as_array)
            .unwrap();
        tasks
            .iter()
            .map(|task| text(task, "task_id"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(ids(&daemon, r#"{"dag_run_id": "r"}"#), "second third");
    let all = r#"{"dag_run_id": "r", "only_failed": false, "task_ids": ["first"], "include_downstream": true}"#;
    assert_eq!(ids(&daemon, all), "first second third");
    let one = r#"{"dag_run_id": "r", "only_failed": false, "task_ids": [["first", -1]]}"#;
    assert_eq!(ids(&daemon, one), "first");
    assert_eq!(
        daemon.state_of("chain", "r"),
        "failed",
        "nothing has changed"
    );
    let path = "/api/v2/dags/chain/dagRuns/r/clear";
    let run = daemon.answer("POST", path, r#"{"dry_run": false}"#);
    assert_eq!(text(&run, "dag_run_id"), "r");
    daemon.wait_for("second try", |daemon| {
        let path = "/api/v2/dags/chain/dagRuns/r/taskInstances/first";
        daemon
            .answer("GET", path, "")
            .get("try_number")
            .unwrap()
            .to_string()
            == "2"
    });
}

#[test]
fn a_list_is_paged_filtered_and_ordered() {
    let daemon = Daemon::with("list", &[("chain.json", CHAIN), ("slow.json", SLOW)]);
    daemon.answer("PATCH", "/api/v2/dags/slow", r#"{"is_paused": true}"#);
    let ids = |path: &str, name: &str, key: &str| {
        let answer = daemon.answer("GET", path, "");
        let entries = answer.get(name).and_then(Value::as_array).unwrap();
        let ids: Vec<_> = entries.iter().map(|entry| text(entry, key)).collect();
        format!(
            "{} of {}",
            ids.join(" "),
            answer.get("total_entries").unwrap()
        )
    };
    let dags = |query: &str| ids(&format!("/api/v2/dags?{query}"), "dags", "dag_id");
    assert_eq!(dags("dag_id_pattern=chain"), "chain of 1");
    assert_eq!(dags("paused=true"), "slow of 1");
    assert_eq!(
        dags("dag_id_pattern=%25a%25&limit=1&order_by=-dag_id")
            .split(' ')
            .count(),
        3
    );
    for n in 1..=3 {
        let body = format!(
            "{{\"dag_run_id\": \"r{n}\", \"logical_date\": \"2026-01-0{}T00:00:00Z\"}}",
            4 - n
        );
        daemon.answer("POST", "/api/v2/dags/slow/dagRuns", &body);
    }
    let runs = |query: &str| {
        ids(
            &format!("/api/v2/dags/~/dagRuns?{query}"),
            "dag_runs",
            "dag_run_id",
        )
    };
    assert_eq!(runs(""), "r1 r2 r3 of 3");
    assert_eq!(runs("order_by=-id&limit=2"), "r3 r2 of 3");
    assert_eq!(runs("order_by=logical_date&offset=1&limit="), "r2 r1 of 3");
    assert_eq!(runs("state=running"), " of 0");
    assert_eq!(runs("state=running&state=queued"), "r1 r2 r3 of 3");
    assert_eq!(
        daemon.get("/api/v2/dags/slow/dagRuns?order_by=colour").0,
        422
    );
    assert_eq!(daemon.get("/api/v2/dags/slow/dagRuns?limit=x").0, 422);
}
