//! What the HTTP API takes on loopback, as README shows it: `cargo bench --bench api`.
//!
//! A daemon with 100 DAGs, bound to one CPU where `taskset` is there; one client that waits for each answer, and
//! four that keep a connection each and ask for something small.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock, starts processes by hand and prints"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DAGS: usize = 100;
const ASKED: usize = 2_000;
const CLIENTS: usize = 4;
const LONG: Duration = Duration::from_secs(5);

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let root = std::env::temp_dir().join(format!("mini-dag-bench-api-{}", std::process::id()));
    fs::create_dir_all(root.join("dags")).unwrap();
    for number in 0..DAGS {
        let dag = r#"{"schedule": "0 0 1 1 *", "tags": ["t"], "tasks": [{"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true"}]}"#;
        fs::write(root.join(format!("dags/dag{number:03}.json")), dag).unwrap();
    }
    let log = root.join("log");
    let program = env!("CARGO_BIN_EXE_mini-dag");
    let has_taskset = Command::new("taskset")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    let mut command = Command::new(if has_taskset { "taskset" } else { program });
    if has_taskset {
        command.args(["-c", "0", program]);
    }
    command
        .args(["daemon", "--listen", "127.0.0.1:0", "--dags"])
        .arg(root.join("dags"));
    command.arg("--state").arg(root.join("state"));
    let child = command
        .stdin(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let daemon = Daemon(child);
    let text = || fs::read_to_string(&log).unwrap();
    while !text().contains("ready: ") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let address = text()
        .split_once("http://")
        .unwrap()
        .1
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let password = fs::read_to_string(root.join("state/admin_password")).unwrap();
    let body = format!(r#"{{"username":"admin","password":"{}"}}"#, password.trim());
    let request = format!(
        "POST /auth/token HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (answer, _) = Client::new(&address).ask(&request);
    let token = answer.split('"').nth(3).unwrap().to_owned();
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n")
    };

    println!("| what | measured | goal |\n| --- | --- | --- |");
    let list = get("/api/v2/dags?limit=100");
    let mut client = Client::new(&address);
    let mut took: Vec<_> = (0..ASKED)
        .map(|_| {
            let (answer, took) = client.ask(&list);
            assert!(answer.contains("dag099"));
            took
        })
        .collect();
    took.sort_unstable();
    let at = |percent: usize| took[ASKED * percent / 100];
    println!(
        "| GET /dags with 100 DAGs | p50 {:?}, p99 {:?} | p50 ≤ 1 ms |",
        at(50),
        at(99)
    );

    let small = get("/api/v2/dags/dag001");
    let begun = Instant::now();
    let threads: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, small) = (address.clone(), small.clone());
            std::thread::spawn(move || {
                let mut client = Client::new(&address);
                let mut count = 0_u32;
                while begun.elapsed() < LONG {
                    client.ask(&small);
                    count += 1;
                }
                count
            })
        })
        .collect();
    let count: u32 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    let on = if has_taskset { "one core" } else { "any core" };
    println!("| GET /dags/{{id}}, 4 connections, daemon on {on} | {rate:.0}/s | ≥ 5,000/s |");
    drop(daemon);
    fs::remove_dir_all(root).unwrap();
}

/// A connection that is kept.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// The body of the answer, and how long it took to come.
    fn ask(&mut self, request: &str) -> (String, Duration) {
        let begun = Instant::now();
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (String::from_utf8(body).unwrap(), begun.elapsed())
    }
}
