//! Requests that nobody should send. The daemon refuses each, and answers the next one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, status};

#[test]
fn what_is_too_large_or_not_right_is_refused_and_the_daemon_goes_on() {
    let daemon = Daemon::with("hostile", &[]);
    let get = |headers: &str| format!("GET /api/v2/version HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let post = |headers: &str, body: &str| {
        format!("POST /mini-dag/v1/reload HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}")
    };
    let many = "a: b\r\n".repeat(65);
    let big = "x".repeat(70_000);
    let deep = "[".repeat(30_000);
    let cases: [(&str, String, &[u16]); 17] = [
        (
            "a long header",
            get(&format!("a: {}\r\n", "x".repeat(9_000))),
            &[431],
        ),
        ("many headers", get(&many), &[431]),
        (
            "a long target",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9_000)),
            &[414, 431],
        ),
        ("an endless line", "x".repeat(100_000), &[400, 431, 414]),
        (
            "chunks",
            post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            &[411],
        ),
        (
            "both",
            post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "{}"),
            &[400, 411],
        ),
        (
            "two lengths",
            post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
            &[400],
        ),
        ("no number", post("Content-Length: two\r\n", "{}"), &[400]),
        (
            "less than none",
            post("Content-Length: -1\r\n", "{}"),
            &[400],
        ),
        ("too much", post("Content-Length: 70000\r\n", &big), &[413]),
        (
            "the largest number",
            post("Content-Length: 18446744073709551615\r\n", ""),
            &[400, 413, 431],
        ),
        ("no JSON", post("Content-Length: 1\r\n", "{"), &[422]),
        (
            "deep JSON",
            post("Content-Length: 30000\r\n", &deep),
            &[422],
        ),
        (
            "a lone letter",
            post("Content-Length: 2\r\n", "\u{fe}"),
            &[422],
        ),
        (
            "a path upwards",
            "GET /api/v2/../v2/dags HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            &[400],
        ),
        (
            "a hidden zero",
            "GET /api/v2/dags/a%00b HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            &[400],
        ),
        (
            "another language",
            "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".into(),
            &[400],
        ),
    ];
    for (name, request, expected) in cases {
        let answer = daemon.raw(request.as_bytes());
        assert!(expected.contains(&status(&answer)), "{name}: {answer}");
        assert_eq!(daemon.get("/api/v2/version").0, 200, "after {name}");
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let daemon = Daemon::with("bytes", &[]);
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    for byte in b"GET /api/v2/version HTTP/1.1\r\nHost: x\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
}

#[test]
fn a_hundred_silent_connections_keep_nobody_out() {
    let daemon = Daemon::with("silent", &[]);
    let start = Instant::now();
    let mut silent: Vec<_> = (0..100)
        .map(|at| {
            let mut stream = UnixStream::connect(daemon.socket()).unwrap();
            // Some have begun, and will never end.
            let begun: &[u8] = if at % 2 == 0 { b"" } else { b"GET / HT" };
            let _ = stream.write_all(begun);
            stream
        })
        .collect();
    daemon.ok(&["status"]);
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "nobody waits for the silent ones' deadline"
    );
    // And those that may stay have a deadline.
    let last = silent.last_mut().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let ended = last.read_to_end(&mut Vec::new());
    assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_forever() {
    let daemon = Daemon::with("body", &[]);
    let answer =
        daemon.raw(b"POST /mini-dag/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
    assert_eq!(status(&answer), 408, "{answer}");
}
