//! The API beside Airflow's: what a real Airflow 3.3.2 answered, and what we answer to the same.
//!
//! Of each recorded answer, every field is in ours, with a value of the same JSON type or null.

use std::fs;
use std::path::Path;

use mini_dag::Value;

use crate::daemon::{CHAIN, Daemon, SLOW, text};

const DAG: &str = r#"{"dag_id": "edge_stub", "description": "d", "tags": ["t"], "params": {"p": 1}, "tasks": [
    {"task_id": "say_hi", "bash": "echo hi", "retries": 1, "retry_delay": "5s"},
    {"task_id": "count", "bash": "echo 3"}, {"task_id": "flaky", "bash": "true", "timeout": "1m"}
], "order": ["say_hi >> count >> flaky"]}"#;

fn recorded(number: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/airflow_api_v2");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut of_number = files.filter(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(number)
    });
    let path = of_number
        .next()
        .unwrap_or_else(|| panic!("no recording {number}"));
    Value::parse(&fs::read_to_string(path).unwrap()).unwrap()
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

#[test]
fn every_field_of_airflows_answers_is_in_ours_with_its_type() {
    let mut daemon = Daemon::with("recorded", &[("edge_stub.json", DAG)]);
    let run = r#"{"dag_run_id": "proof1", "logical_date": null}"#;
    daemon.answer("POST", "/api/v2/dags/edge_stub/dagRuns", run);
    daemon.wait_for("end", |daemon| {
        daemon.state_of("edge_stub", "proof1") == "success"
    });
    let numbers = [
        "0016", "0024", "0025", "0026", "0027", "0028", "0030", "0032", "0033", "0034", "0035",
        "0038", "0039", "0040", "0041", "0046", "0049", "0051", "0052", "0053", "0067", "0069",
    ];
    let mut found = Vec::new();
    for number in numbers {
        let recorded = recorded(number);
        let request = recorded.get("request").unwrap();
        let line = text(request, "line");
        let (method, path) = line.split_once(' ').unwrap();
        let body = request.get("body").filter(|body| **body != Value::Null);
        let body = body.map_or(String::new(), ToString::to_string);
        let ours = daemon.answer(method, path, &body);
        let theirs = recorded
            .get("response")
            .and_then(|r| r.get("body"))
            .unwrap();
        missing(theirs, &ours, &format!("{number} {line}"), &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
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
        (
            "POST",
            runs,
            r#"{"logical_date": null, "note": "n"}"#,
            501,
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
            "PATCH",
            "/api/v2/dags/chain/dagRuns/r",
            r#"{"state": "success"}"#,
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
