//! Hostile clients by TCP, and a schedule that does not notice: what they get is a status or a closed connection,
//! what they cost is bounded.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mini_dag::Value;

use crate::daemon::{Daemon, status, text};
use crate::visitor::Visitor;

/// Due every second.
const TICKING: &str = r#"{"dag_id": "ticking", "schedule": {"cron": "* * * * * *", "seconds": true},
    "tasks": [{"task_id": "t", "empty": true}]}"#;
pub const MEMORY_MAX: u64 = 4 << 20;
const LATENESS_MS_MAX: i64 = 100;

pub fn resident_bytes(daemon: &Daemon) -> u64 {
    let status = daemon.answer("GET", "/mini-dag/v1/status", "");
    let pid = status
        .get("daemon")
        .and_then(|daemon| daemon.get("pid"))
        .unwrap();
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Sends bytes as they are, and reads until the daemon closes, or has said enough.
fn raw(address: &str, request: &[u8], chunk: usize) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    for piece in request.chunks(chunk) {
        // A daemon that has heard enough closes.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// 500 that send a byte now and then, and 100 that say nothing, while a DAG is due every second.
#[test]
fn slow_and_silent_clients_cost_little_memory_and_no_schedule_waits_for_them() {
    let mut daemon = Daemon::with_page("storm", &[("ticking.json", TICKING)]);
    let address = daemon.address();
    daemon.wait_for("first run", |daemon| !lateness(daemon).is_empty());
    for _ in 0..20 {
        raw(
            &address,
            b"GET /api/v2/version HTTP/1.1\r\nConnection: close\r\n\r\n",
            1_000,
        );
    }
    let before = resident_bytes(&daemon);
    let mut streams: Vec<TcpStream> = (0..600)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let mut most = before;
    let start = Instant::now();
    let head = format!("GET /api/v2/version HTTP/1.1\r\nHost: {address}\r\nX-Slow: ");
    let mut sent = 0;
    while start.elapsed() < Duration::from_secs(6) {
        let byte = [*head.as_bytes().get(sent).unwrap_or(&b'x')];
        for stream in &mut streams[..500] {
            // Most are closed by now: there is room for eight of one address.
            let _ = stream.write_all(&byte);
        }
        sent += 1;
        most = most.max(resident_bytes(&daemon));
    }
    assert!(
        most - before <= MEMORY_MAX,
        "{} KiB more",
        (most - before) >> 10
    );
    // Somebody who asks a whole question is answered meanwhile.
    let answer = Visitor::of(&daemon).ask("GET", "/api/v2/version", "", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let late = lateness(&daemon);
    assert!(late.len() >= 5, "{late:?}");
    let worst = late[(late.len() * 99).div_ceil(100) - 1];
    assert!(worst < LATENESS_MS_MAX, "{late:?}");
    drop(streams);
    let files = || {
        let status = daemon.answer("GET", "/mini-dag/v1/status", "");
        let pid = status
            .get("daemon")
            .and_then(|daemon| daemon.get("pid"))
            .unwrap()
            .to_string();
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    };
    let end = Instant::now() + Duration::from_secs(10);
    while files() > 40 {
        assert!(Instant::now() < end, "{} descriptors are open", files());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// By how many milliseconds each run of the DAG was late, sorted.
fn lateness(daemon: &Daemon) -> Vec<i64> {
    let runs = daemon.answer("GET", "/api/v2/dags/ticking/dagRuns?limit=100", "");
    let runs = runs.get("dag_runs").and_then(Value::as_array).unwrap();
    let millis = |run: &Value, key: &str| {
        let at = mini_dag::timetable::Timestamp::parse(&text(run, key)).unwrap();
        at.millis()
    };
    let mut late: Vec<_> = runs
        .iter()
        .map(|run| millis(run, "queued_at") - millis(run, "run_after"))
        .collect();
    late.sort_unstable();
    late
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn smuggled_endless_and_dripping_requests_get_a_status_or_nothing_at_all() {
    let daemon = Daemon::with_page("smuggle", &[]);
    let address = daemon.address();
    let head = format!("POST /auth/token HTTP/1.1\r\nHost: {address}\r\n");
    let get = format!("GET /api/v2/version HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let hidden = format!("GET /api/v2/dags HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let many = "a: b\r\n".repeat(100_000);
    let before = resident_bytes(&daemon);
    let cases: [(&str, String, &[u16]); 16] = [
        (
            "both lengths",
            format!(
                "{head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
            ),
            &[400, 411],
        ),
        (
            "two lengths",
            format!("{head}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{{}}{hidden}"),
            &[400],
        ),
        (
            "a list of lengths",
            format!("{head}Content-Length: 2, 40\r\n\r\n{{}}{hidden}"),
            &[400],
        ),
        (
            "a folded header",
            format!("{head}Content-Length:\r\n 2\r\n\r\n{{}}{hidden}"),
            &[400],
        ),
        (
            "a folded coding",
            format!("{head}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}"),
            &[400],
        ),
        (
            "a coding in disguise",
            format!("{head}Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n{{}}"),
            &[400, 411],
        ),
        (
            "a blank before the colon",
            format!("{head}Content-Length : 2\r\n\r\n{{}}"),
            &[400],
        ),
        (
            "a bare CR",
            format!("{head}a: b\rContent-Length: 2\r\n\r\n{{}}"),
            &[400],
        ),
        ("a hidden zero", format!("{head}a: \0\r\n\r\n"), &[400]),
        ("100,000 headers", format!("{get}{many}\r\n"), &[431]),
        (
            "a negative length",
            format!("{head}Content-Length: -1\r\n\r\n"),
            &[400],
        ),
        (
            "a huge length",
            format!("{head}Content-Length: 18446744073709551615\r\n\r\n"),
            &[400, 413, 431],
        ),
        (
            "more than the largest number",
            format!("{head}Content-Length: 99999999999999999999999\r\n\r\n"),
            &[400],
        ),
        (
            "a long target",
            format!(
                "GET /{} HTTP/1.1\r\nHost: {address}\r\n\r\n",
                "x".repeat(5_000)
            ),
            &[414],
        ),
        ("no version", "GET /\r\n\r\n".to_owned(), &[400]),
        (
            "two spaces",
            format!("GET  / HTTP/1.1\r\nHost: {address}\r\n\r\n"),
            &[400],
        ),
    ];
    for (name, request, expected) in cases {
        let answer = raw(&address, request.as_bytes(), usize::MAX);
        // What is too long to be heard out is cut off, perhaps before the answer is read.
        let is_cut = answer.is_empty() && request.len() > 100_000;
        assert!(
            is_cut || expected.contains(&status(&answer)),
            "{name}: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            usize::from(!is_cut),
            "{name}: {answer}"
        );
    }
    // Line ends without CR are line ends (RFC 9112, 2.2), for the whole request.
    let bare = format!("GET /api/v2/version HTTP/1.1\nHost: {address}\nConnection: close\n\n");
    assert!([200, 400].contains(&status(&raw(&address, bare.as_bytes(), usize::MAX))));
    // A byte at a time.
    let answer = raw(&address, format!("{get}\r\n").as_bytes(), 1);
    assert_eq!(status(&answer), 200, "{answer}");
    let after = resident_bytes(&daemon);
    assert!(
        after.saturating_sub(before) <= MEMORY_MAX,
        "{} KiB more",
        (after - before) >> 10
    );
}

/// A connection may be used again, one after the other and piled up; it is closed when nobody uses it.
#[test]
fn a_connection_is_kept_for_the_next_request_and_not_for_ever() {
    let daemon = Daemon::with_page("keep", &[]);
    let address = daemon.address();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let get = format!("GET /api/v2/version HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let two = get.repeat(2);
    stream.write_all(two.as_bytes()).unwrap();
    let mut answers = String::new();
    // It ends because the daemon closes it, within its patience for the next request.
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}
