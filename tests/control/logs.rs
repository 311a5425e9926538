//! Large logs: all of one in one answer, and what a reader costs who does not read.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use mini_dag::Value;

use crate::daemon::{Daemon, text};
use crate::storm::{MEMORY_MAX, resident_bytes};

/// 4 MiB of what takes the most as JSON, a line of it, and the same again in lines.
const LOUD: &str = r#"{"dag_id": "loud", "tasks": [{"task_id": "t",
    "bash": "head -c 2097152 /dev/zero | tr '\\0' '\\1'; echo; head -c 2097152 /dev/zero | tr '\\0' '\\1' | fold -w 1023; echo; echo end"}]}"#;
const LOG: &str = "/api/v2/dags/loud/dagRuns/r/taskInstances/t/logs/1";
const READERS: usize = 8;

fn after_a_run(test: &str) -> Daemon {
    let daemon = Daemon::with(test, &[("loud.json", LOUD)]);
    daemon.ok(&["trigger", "loud", "--run-id", "r", "--wait"]);
    daemon
}

#[test]
fn all_of_a_large_log_comes_in_one_answer_or_in_many() {
    let daemon = after_a_run("large");
    let events = |answer: &Value| {
        let lines = answer.get("content").and_then(Value::as_array).unwrap();
        lines
            .iter()
            .map(|line| text(line, "event"))
            .collect::<Vec<_>>()
    };
    let full = daemon.answer("GET", &format!("{LOG}?full_content=true"), "");
    assert_eq!(full.get("continuation_token"), Some(&Value::Null));
    let whole = events(&full);
    assert_eq!(whole.concat().len(), (4 << 20) + 3);
    assert_eq!(whole.last().unwrap(), "end");
    let (mut token, mut pieces) = ("0".to_owned(), Vec::new());
    while !token.is_empty() {
        let (status, body) = daemon.get(&format!("{LOG}?token={token}"));
        assert!(status == 200 && body.len() <= 257 << 10, "{}", body.len());
        let piece = Value::parse(&body).unwrap();
        pieces.extend(events(&piece));
        token = text(&piece, "continuation_token");
    }
    assert!(pieces.concat() == whole.concat());
    let header = "Accept: application/x-ndjson\r\n";
    let (_, lines) = daemon.request("GET", &format!("{LOG}?full_content=true"), header, "");
    assert_eq!(lines.lines().count(), whole.len());
}

/// Six MiB of text were made for each, and waited in memory.
#[test]
fn readers_who_do_not_read_cost_a_piece_each() {
    let daemon = after_a_run("stuck");
    daemon.answer("GET", &format!("{LOG}?full_content=true"), "");
    let before = resident_bytes(&daemon);
    let request = format!("GET {LOG}?full_content=true HTTP/1.1\r\nHost: x\r\n\r\n");
    let begin = |_| {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    let mut readers: Vec<_> = (0..READERS).map(begin).collect();
    let more = resident_bytes(&daemon).saturating_sub(before);
    assert!(more <= MEMORY_MAX, "{} KiB more", more >> 10);
    // Whoever goes on reading gets all of it.
    let mut rest = Vec::new();
    readers[0].read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\"continuation_token\":null}\r\n0\r\n\r\n"));
    assert!(rest.len() > 6 * (4 << 20));
}
