//! The other door: TCP, where everybody has to say who they are.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use mini_dag::Value;
use mini_dag::api::{ROUTES, Role};

use crate::daemon::{CHAIN, Daemon, PATIENCE, SLOW, status, text};

/// Somebody who asks by TCP.
pub struct Visitor {
    pub address: String,
}

/// The head and the body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        Value::parse(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

impl Visitor {
    pub fn of(daemon: &Daemon) -> Self {
        Self {
            address: daemon.address(),
        }
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let (host, length) = (&self.address, body.len());
        let host = if headers.contains("Host: ") {
            String::new()
        } else {
            format!("Host: {host}\r\n")
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        Answer {
            status: status(head),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub fn log_in(&self, path: &str, name: &str, password: &str) -> Answer {
        let body = Value::from([("username", name), ("password", password)]);
        self.ask("POST", path, "", &body.to_string())
    }

    /// The header that says who is asking, by a token.
    pub fn bearer(&self, name: &str, password: &str) -> String {
        let answer = self.log_in("/auth/token", name, password);
        assert_eq!(answer.status, 201, "{answer:?}");
        format!(
            "Authorization: Bearer {}\r\n",
            text(&answer.json(), "access_token")
        )
    }

    /// The header with the cookie of a new session.
    pub fn cookie(&self, name: &str, password: &str) -> String {
        let answer = self.log_in("/mini-dag/v1/login", name, password);
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap();
        assert!(
            cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"),
            "{cookie}"
        );
        format!("Cookie: other=1; {}\r\n", cookie.split(';').next().unwrap())
    }
}

/// Adds a user, or changes a password.
fn user(daemon: &Daemon, args: &[&str], password: &str) {
    let mut command = daemon.command(&[&["user"], args].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{password}\n").as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{args:?}");
}

fn dags() -> [(&'static str, &'static str); 2] {
    [("chain.json", CHAIN), ("slow.json", SLOW)]
}

/// A path that a pattern matches, of things that there are.
fn filled(pattern: &str) -> String {
    pattern
        .replace("{dag_id}", "slow")
        .replace("{run_id}", "r")
        .replace("{task_id}", "wait")
        .replace("{try}", "1")
}

/// Everything that a request could have changed.
fn everything(daemon: &Daemon) -> String {
    let events = daemon.answer("GET", "/api/v2/eventLogs?limit=100", "");
    let runs = daemon.answer("GET", "/api/v2/dags/~/dagRuns?limit=100", "");
    let dags = daemon.answer("GET", "/api/v2/dags", "");
    let loaded = text(
        &dags.get("dags").unwrap().as_array().unwrap()[0],
        "last_parsed_time",
    );
    format!(
        "{} {runs} {dags} {loaded}",
        events.get("total_entries").unwrap()
    )
}

/// Airflow's CVE-2021-26697, CVE-2021-38540 and CVE-2021-35936, Dagu's CVE-2026-31882: one door was forgotten.
/// CVE-2020-13927: open by default. CVE-2023-49920: a GET that changes something.
#[test]
fn every_route_refuses_whoever_is_not_known_and_every_other_site() {
    let mut daemon = Daemon::with_page("routes", &dags());
    let run = r#"{"dag_run_id": "r", "logical_date": null}"#;
    daemon.answer("POST", "/api/v2/dags/slow/dagRuns", run);
    daemon.wait_for("start", |daemon| daemon.state_of("slow", "r") == "running");
    let visitor = Visitor::of(&daemon);
    let admin = visitor.bearer("admin", &daemon.password());
    let cookie = visitor.cookie("admin", &daemon.password());
    let before = everything(&daemon);
    let mut public = Vec::new();
    for route in ROUTES {
        let path = filled(route.pattern);
        let refused = |headers: &str, expected: &[u16]| {
            let body = if route.method == "GET" { "" } else { "{}" };
            let answer = visitor.ask(route.method, &path, headers, body);
            assert!(
                expected.contains(&answer.status),
                "{} {path} {headers:?}: {answer:?}",
                route.method
            );
        };
        let foreign = [
            "Origin: http://evil.example\r\n".to_owned(),
            "Origin: null\r\n".to_owned(),
            "Sec-Fetch-Site: cross-site\r\n".to_owned(),
            format!("Origin: http://evil.example\r\n{admin}"),
            format!("Sec-Fetch-Site: same-site\r\n{cookie}"),
        ];
        for headers in &foreign {
            refused(headers, &[403]);
        }
        refused(&format!("Host: evil.example\r\n{admin}"), &[421]);
        refused(&format!("Host: evil.example:80\r\n{cookie}"), &[421]);
        if route.role.is_none() {
            public.push(route.pattern);
            continue;
        }
        refused("", &[401]);
        refused("Cookie: mini_dag_0=x; session=y\r\n", &[401]);
        refused("Authorization: Bearer x.y.z\r\n", &[403]);
        refused("Authorization: Bearer \r\n", &[403]);
        refused("Authorization: Basic bm9ib2R5\r\n", &[401]);
        refused("Authorization: Digest x\r\n", &[403]);
        if route.method != "GET" {
            refused(&cookie, &[403]);
            let reads = visitor.ask("GET", &path, &admin, "");
            let is_another_route = ROUTES
                .iter()
                .any(|other| other.method == "GET" && other.pattern == route.pattern);
            assert!(
                matches!(reads.status, 404 | 405 | 422) || is_another_route,
                "GET {path}: {reads:?}"
            );
        }
    }
    assert_eq!(
        public,
        [
            "/auth/token",
            "/auth/token/cli",
            "/api/v2/version",
            "/api/v2/monitor/health",
            "/health",
            "/openapi.json",
            "/mini-dag/v1/login",
        ]
    );
    assert_eq!(
        visitor.ask("GET", "/api/v2/nope", "", "").status,
        401,
        "nothing is said of what there is"
    );
    assert_eq!(everything(&daemon), before, "refused without effect");
}

#[test]
fn a_role_may_do_what_it_may_and_no_more() {
    let daemon = Daemon::with_page("roles", &dags());
    user(
        &daemon,
        &["add", "anna", "--role", "viewer"],
        "correct horse",
    );
    user(&daemon, &["add", "otto", "--role", "Op"], "battery staple");
    let visitor = Visitor::of(&daemon);
    let viewer = visitor.bearer("anna", "correct horse");
    let op = visitor.bearer("otto", "battery staple");
    let may = |who: &str, method: &str, path: &str, body: &str| {
        visitor.ask(method, path, who, body).status
    };
    for route in ROUTES {
        let path = filled(route.pattern);
        if route.role > Some(Role::Viewer) {
            assert_eq!(may(&viewer, route.method, &path, "{}"), 403, "{path}");
        }
        if route.role > Some(Role::Op) {
            assert_eq!(may(&op, route.method, &path, "{}"), 403, "{path}");
        }
    }
    assert_eq!(may(&viewer, "GET", "/api/v2/dags", ""), 200);
    assert_eq!(
        may(&op, "PATCH", "/api/v2/dags/chain", r#"{"is_paused": true}"#),
        200
    );
    let session = visitor.ask("GET", "/mini-dag/v1/session", &viewer, "").body;
    assert_eq!(session, r#"{"role":"Viewer","username":"anna"}"#);
    let listed = daemon.ok(&["user", "list"]);
    assert!(
        listed.contains("anna") && listed.contains("(the password of the first start)"),
        "{listed}"
    );
}

/// CVE-2020-17526: one secret for all installations. CVE-2022-38054: an id from before the login goes on.
/// CVE-2023-40273: a session survives a new password.
#[test]
fn sessions_and_tokens_end_with_their_password_their_user_and_their_logout() {
    let daemon = Daemon::with_page("sessions", &dags());
    let other = Daemon::with_page("sessions2", &dags());
    let (visitor, password) = (Visitor::of(&daemon), daemon.password());
    let known = |headers: &str| {
        visitor
            .ask("GET", "/mini-dag/v1/session", headers, "")
            .status
    };
    let foreign = Visitor::of(&other).bearer("admin", &other.password());
    assert_eq!(known(&foreign), 403, "a token of another installation");
    assert_ne!(password, other.password());

    let (one, two) = (
        visitor.cookie("admin", &password),
        visitor.cookie("admin", &password),
    );
    assert_ne!(one, two, "every login has an id of its own");
    let page = format!("{one}Origin: http://{}\r\n", visitor.address);
    let out = visitor.ask("POST", "/mini-dag/v1/logout", &page, "");
    assert_eq!(out.status, 200);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!((known(&one), known(&two)), (401, 200));

    let token = visitor.bearer("admin", &password);
    let basic = format!(
        "Authorization: Basic {}\r\n",
        base64(&format!("admin:{password}"))
    );
    assert_eq!((known(&token), known(&basic)), (200, 200));
    user(&daemon, &["passwd", "admin"], "my own password");
    assert_eq!((known(&two), known(&token), known(&basic)), (401, 403, 401));
    assert!(!daemon.root.join("state/admin_password").exists());

    let token = visitor.bearer("admin", "my own password");
    daemon.ok(&["user", "remove", "admin"]);
    assert_eq!(known(&token), 403);
    assert_eq!(
        visitor
            .log_in("/auth/token", "admin", "my own password")
            .status,
        401
    );
}

#[test]
fn passwords_cannot_be_guessed_at_any_speed() {
    let daemon = Daemon::with_page("guess", &[]);
    let visitor = Visitor::of(&daemon);
    for path in [
        "/auth/token",
        "/auth/token/cli",
        "/mini-dag/v1/login",
        "/auth/token",
    ] {
        let answer = visitor.log_in(path, "admin", "wrong");
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body, r#"{"detail":"Invalid credentials"}"#);
    }
    let nobody = visitor.log_in("/auth/token", "nobody", &daemon.password());
    assert_eq!(
        (nobody.status, &*nobody.body),
        (401, r#"{"detail":"Invalid credentials"}"#)
    );
    let answer = visitor.log_in("/auth/token", "admin", &daemon.password());
    assert_eq!(answer.status, 429, "{answer:?}");
    // Whoever has a token already goes on, and the control socket is not by TCP.
    daemon.ok(&["status"]);
    let log = daemon.log();
    assert!(
        log.contains("a wrong name or password, from 127.0.0.1"),
        "{log}"
    );
}

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

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let at = |index: usize| u32::from(*chunk.get(index).unwrap_or(&0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = char::from(LETTERS[(word >> (18 - 6 * place) & 63) as usize]);
            encoded.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    encoded
}
