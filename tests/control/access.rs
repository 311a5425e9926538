//! The other door: TCP, where everybody has to say who they are. Who may do what, and until when.

use mini_dag::api::{ROUTES, Role};

use crate::daemon::{Daemon, text};
use crate::visitor::{Visitor, base64, dags, user};

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
