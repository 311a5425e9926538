//! What a page, a watcher of changes and other programs are answered by TCP, and when nobody is let in.

use std::io::{Read, Write};
use std::net::TcpStream;

use mini_dag::Value;
use mini_dag::api::ROUTES;

use crate::daemon::{Daemon, PATIENCE, text};
use crate::visitor::{Visitor, base64, dags, user};

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let daemon = Daemon::with_page("headers", &dags());
    let visitor = Visitor::of(&daemon);
    let admin = visitor.bearer("admin", &daemon.password());
    for path in [
        "/api/v2/dags",
        "/api/v2/dags/chain",
        "/api/v2/nope",
        "/mini-dag/v1/status",
    ] {
        let answer = visitor.ask("GET", path, &admin, "");
        // CVE-2024-25142: what is not for everybody was kept by browsers and proxies.
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .contains("default-src 'none'")
        );
    }
    let page = visitor.ask("GET", "/", "", "");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let tag = page.header("etag").unwrap();
    let again = visitor.ask("GET", "/", &format!("If-None-Match: {tag}\r\n"), "");
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(
        visitor
            .ask("GET", "/", "Sec-Fetch-Site: cross-site\r\n", "")
            .status,
        200,
        "a link from elsewhere"
    );
    assert_eq!(
        visitor.ask("GET", "/", "Host: evil.example\r\n", "").status,
        421
    );
    let head = visitor.ask("HEAD", "/api/v2/version", "", "");
    assert_eq!((head.status, &*head.body), (200, ""));
}

#[test]
fn what_changes_is_told_as_it_changes_and_a_watcher_who_comes_back_misses_nothing() {
    let mut daemon = Daemon::with_page("events", &dags());
    let visitor = Visitor::of(&daemon);
    let cookie = visitor.cookie("admin", &daemon.password());
    let watch = |last: &str| {
        let mut stream = TcpStream::connect(&visitor.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &visitor.address;
        let request =
            format!("GET /mini-dag/v1/events HTTP/1.1\r\nHost: {host}\r\n{cookie}{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let until = |stream: &mut TcpStream, what: &str| {
        let mut told = String::new();
        let mut piece = [0; 4096];
        while !told.contains(what) {
            let count = stream
                .read(&mut piece)
                .unwrap_or_else(|_| panic!("no {what}: {told}"));
            assert_ne!(count, 0, "no {what}: {told}");
            told.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
        told
    };
    let mut stream = watch("");
    let hello = until(&mut stream, "event: hello");
    assert!(hello.contains("content-type: text/event-stream"), "{hello}");
    daemon.answer("PATCH", "/api/v2/dags/slow", r#"{"is_paused": true}"#);
    let told = until(&mut stream, "event: dag\n");
    let id = told
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap()
        .to_owned();
    let (gate, run) = (daemon.path("gate"), "/api/v2/dags/chain/dagRuns");
    let body =
        format!(r#"{{"logical_date": null, "dag_run_id": "r", "conf": {{"name": "{gate}"}}}}"#);
    daemon.answer("POST", run, &body);
    let told = until(&mut stream, r#""state":"failed""#);
    assert!(told.contains(r#""task_id":"first""#), "{told}");
    drop(stream);
    daemon.wait_for("end", |daemon| daemon.state_of("chain", "r") == "failed");
    let mut stream = watch(&format!("Last-Event-ID: {id}\r\n"));
    let told = until(&mut stream, r#""state":"failed""#);
    assert!(
        told.contains(r#""dag_run_id":"r""#) && !told.contains("event: reset"),
        "{told}"
    );
    let mut stream = watch("Last-Event-ID: 12345-1\r\n");
    until(&mut stream, "event: reset");
    // Whoever is not let in any more hears nothing more.
    user(&daemon, &["passwd", "admin"], "my own password");
    daemon.answer("PATCH", "/api/v2/dags/slow", r#"{"is_paused": false}"#);
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest);
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
}

#[test]
fn what_is_counted_and_what_is_served_can_be_read_by_other_programs() {
    let mut daemon = Daemon::with_page("metrics", &dags());
    let visitor = Visitor::of(&daemon);
    let basic = format!(
        "Authorization: Basic {}\r\n",
        base64(&format!("admin:{}", daemon.password()))
    );
    let run = r#"{"dag_run_id": "r", "logical_date": null}"#;
    daemon.answer("POST", "/api/v2/dags/chain/dagRuns", run);
    daemon.wait_for("end", |daemon| daemon.state_of("chain", "r") == "failed");
    let answer = visitor.ask("GET", "/metrics", &basic, "");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let value = |series: &str| {
        let mut lines = answer
            .body
            .lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = lines
            .next()
            .unwrap_or_else(|| panic!("no {series} in {}", answer.body));
        value.parse::<f64>().unwrap()
    };
    let exactly = [
        ("mini_dag_dags{paused=\"false\"}", 3.0),
        ("mini_dag_runs_created_total{run_type=\"manual\"}", 1.0),
        ("mini_dag_attempts_total{state=\"success\"}", 1.0),
        ("mini_dag_attempts_total{state=\"failed\"}", 1.0),
        ("mini_dag_queue_time_seconds_count", 2.0),
        ("mini_dag_run_duration_seconds_count{state=\"failed\"}", 1.0),
        (
            "mini_dag_run_duration_seconds_bucket{state=\"failed\",le=\"+Inf\"}",
            1.0,
        ),
        ("mini_dag_schedule_lateness_seconds_count", 0.0),
        ("mini_dag_pool_running{pool=\"default_pool\"}", 0.0),
        ("mini_dag_healthy", 1.0),
    ];
    for (series, expected) in exactly {
        assert!(
            (value(series) - expected).abs() < 0.001,
            "{series} is {}",
            value(series)
        );
    }
    for series in [
        "mini_dag_journal_syncs_total",
        "mini_dag_journal_size_bytes",
        "process_resident_memory_bytes",
    ] {
        assert!(value(series) > 0.0, "{series}");
    }
    // The format: a comment, or a name that was announced, labels, and a number.
    let mut announced = "";
    for line in answer.body.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            announced = kind.split(' ').next().unwrap();
        } else if !line.starts_with("# HELP ") {
            assert!(line.starts_with(announced), "{line}");
            assert!(
                line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(),
                "{line}"
            );
        }
    }
    let document = visitor.ask("GET", "/openapi.json", "", "").json();
    let paths = document.get("paths").and_then(Value::as_object).unwrap();
    for route in ROUTES {
        let operation = paths[route.pattern]
            .get(&route.method.to_ascii_lowercase())
            .unwrap();
        assert_eq!(text(operation, "operationId"), route.name);
    }
}

#[test]
fn a_port_that_is_taken_costs_the_page_and_not_the_schedule() {
    let first = Daemon::with_page("port", &dags());
    let mut second = Daemon::place("port2");
    second.listen = first.address();
    second.start();
    second.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    let log = second.log();
    assert!(
        log.contains("WARN  no web page and no API by TCP: cannot listen at 127.0.0.1:"),
        "{log}"
    );
}

/// CVE-2020-17526 once more: whoever can reach the page from elsewhere has to know a password that somebody chose.
#[test]
fn the_page_is_not_opened_to_other_hosts_before_somebody_has_chosen_a_password() {
    let mut daemon = Daemon::place("open");
    "0.0.0.0:0".clone_into(&mut daemon.listen);
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    assert!(
        daemon.log().contains("`mini-dag user passwd admin`"),
        "{}",
        daemon.log()
    );
    assert!(!daemon.log().contains("http://"), "{}", daemon.log());
    daemon.stop();
    user(&daemon, &["passwd", "admin"], "my own password");
    daemon.start();
    daemon.wait_for("an address", |daemon| {
        daemon.log().contains("http://0.0.0.0:")
    });
    let port = daemon.address().rsplit(':').next().unwrap().to_owned();
    let visitor = Visitor {
        address: format!("127.0.0.1:{port}"),
    };
    visitor.bearer("admin", "my own password");
}
