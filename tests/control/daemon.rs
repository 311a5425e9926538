//! A real daemon in a directory of its own, and the two ways to talk to it: the command line and the socket.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mini_dag::Value;
use mini_dag::exec::kill_strays;

/// Whatever is waited for has to have come by then.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Three tasks in a row; the second fails until the file `ok` is there.
pub const CHAIN: &str = r#"{"dag_id": "chain", "params": {"n": 3, "name": "x"}, "tasks": [
    {"task_id": "first", "bash": "echo one; echo n=$n", "env": {"n": "{{ params.n }}"}},
    {"task_id": "second", "bash": "echo looking; test -e \"$ok\"", "env": {"ok": "{{ params.name }}"}},
    {"task_id": "third", "bash": "echo done"}
], "order": ["first >> second >> third"]}"#;

/// One task that runs until it is stopped, or until the file is there.
pub const SLOW: &str = r#"{"dag_id": "slow", "params": {"gate": ""}, "tasks": [
    {"task_id": "wait", "env": {"gate": "{{ params.gate }}"},
     "bash": "echo begun; until [ -n \"$gate\" ] && [ -e \"$gate\" ]; do sleep 0.02; done; echo ended"}
]}"#;

pub struct Daemon {
    pub root: PathBuf,
    /// As of `$MINI_DAG_LISTEN`.
    pub listen: String,
    program: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// The directory only.
    pub fn place(test: &str) -> Self {
        let name = format!("c-{test}-{}", std::process::id());
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("dags")).unwrap();
        fs::create_dir_all(root.join("state")).unwrap();
        Self {
            root,
            listen: "none".to_owned(),
            program: env!("CARGO_BIN_EXE_mini-dag").into(),
            child: None,
        }
    }

    /// A daemon with these DAG files that answers.
    pub fn with(test: &str, dags: &[(&str, &str)]) -> Self {
        let mut daemon = Self::place(test);
        daemon.begin(dags);
        daemon
    }

    /// [`Daemon::with`] where every user may look: below the directory for temporary files, with a copy of
    /// the program.
    pub fn in_public(test: &str, dags: &[(&str, &str)]) -> Self {
        let mut daemon = Self::place(test);
        _ = fs::remove_dir_all(&daemon.root);
        daemon.root = std::env::temp_dir().join(daemon.root.file_name().unwrap());
        for folder in ["dags", "state"] {
            fs::create_dir_all(daemon.root.join(folder)).unwrap();
        }
        let program = daemon.root.join("mini-dag");
        fs::copy(env!("CARGO_BIN_EXE_mini-dag"), &program).unwrap();
        daemon.program = program;
        daemon.begin(dags);
        daemon
    }

    /// [`Daemon::with`] a web page and an API by TCP, on a free port.
    pub fn with_page(test: &str, dags: &[(&str, &str)]) -> Self {
        let mut daemon = Self::place(test);
        "127.0.0.1:0".clone_into(&mut daemon.listen);
        daemon.begin(dags);
        daemon
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.join("stderr")).unwrap()
    }

    /// `127.0.0.1` and the port of its page.
    pub fn address(&self) -> String {
        let log = self.log();
        let (_, rest) = log
            .split_once("http://")
            .unwrap_or_else(|| panic!("no page: {log}"));
        rest.split('/').next().unwrap().to_owned()
    }

    /// The password that the first start made.
    pub fn password(&self) -> String {
        let password = fs::read_to_string(self.root.join("state/admin_password")).unwrap();
        password.trim().to_owned()
    }

    pub fn begin(&mut self, dags: &[(&str, &str)]) {
        for (name, text) in dags {
            fs::write(self.root.join("dags").join(name), text).unwrap();
        }
        self.start();
        self.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .env("HOME", &self.root)
            .env("TZ", "UTC")
            .env("MINI_DAG_STATE", self.root.join("state"))
            .env("MINI_DAG_LISTEN", &self.listen)
            .env_remove("MINI_DAG_DAGS")
            .env_remove("STATE_DIRECTORY");
        command
    }

    pub fn start(&mut self) {
        let errors = File::create(self.root.join("stderr")).unwrap();
        self.start_into(errors.into(), "");
    }

    /// Starts it with this as its stderr, and what systemd says of its journal. Returns the end of a pipe to
    /// read it from, if it is one.
    pub fn start_into(&mut self, errors: Stdio, journal: &str) -> Option<ChildStderr> {
        let mut command = self.command(&["daemon", "--dags", "dags"]);
        command.env("JOURNAL_STREAM", journal);
        let child = command.stdout(Stdio::null()).stderr(errors).spawn();
        self.child.insert(child.unwrap()).stderr.take()
    }

    pub fn is_alive(&mut self) -> bool {
        let child = self.child.as_mut().unwrap();
        child.try_wait().unwrap().is_none()
    }

    /// Kills it: nothing of it can tidy up.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it as its unit would, and waits for its end.
    pub fn stop(&mut self) {
        let child = self.child.as_ref().unwrap();
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.wait_for("its end", |daemon| !daemon.is_alive());
        self.child = None;
    }

    pub fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "no {what} after {PATIENCE:?}");
            smol::block_on(smol::Timer::after(Duration::from_millis(5)));
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.root.join("state/control.sock")
    }

    pub fn path(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    /// Runs a command of the program.
    pub fn run(&self, args: &[&str]) -> Said {
        let output = self.command(args).output().unwrap();
        Said::new(&output, args)
    }

    /// Runs one that has to succeed, and gives what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{args:?}: {}{}", said.out, said.err);
        said.out
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        Value::parse(said.out.trim()).unwrap_or_else(|_| panic!("{args:?}: {said:?}"))
    }

    /// Sends bytes as they are and reads to the end, as far as it comes.
    pub fn raw(&self, request: &[u8]) -> String {
        let Ok(mut stream) = UnixStream::connect(self.socket()) else {
            return String::new();
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A daemon that has heard enough closes.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        String::from_utf8(answer).unwrap()
    }

    pub fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let answer = self.raw(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or(("", ""));
        let is_chunked = head.contains("transfer-encoding: chunked");
        let body = if is_chunked {
            unchunked(body)
        } else {
            body.to_owned()
        };
        (status(head), body)
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path, "", "")
    }

    /// The JSON answer to a request that has to succeed.
    pub fn answer(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.request(method, path, "", body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        Value::parse(&answer).unwrap()
    }

    pub fn state_of(&self, dag_id: &str, run_id: &str) -> String {
        let path = format!("/api/v2/dags/{dag_id}/dagRuns/{run_id}");
        text(&self.answer("GET", &path, ""), "state")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        // What its tasks have started goes, too.
        kill_strays(&format!("MINI_DAG_STATE={}", self.path("state")), &[]);
        _ = fs::remove_dir_all(&self.root);
    }
}

/// What was sent in chunks; the last of them is there.
fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
}

/// The status in the head of an answer; 0 if there is none.
pub fn status(answer: &str) -> u16 {
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn new(output: &Output, args: &[&str]) -> Self {
        Self {
            code: output
                .status
                .code()
                .unwrap_or_else(|| panic!("{args:?} was killed")),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}
