//! A place of one test: DAG files, a state directory, and daemons that come and go on them.
//!
//! Nothing here waits for time to pass: [`until`] looks again and again for what must become true. When
//! a test is over, so are its daemons and whatever their tasks have started.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mini_dag::dag::Value;
use mini_dag::exec::kill_strays;
use mini_dag::journal::{Directory, Verified, cat, verify};
use rustix::process::{Pid, Signal, kill_process};

/// A test that waits longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// The directories of one test.
pub struct Place {
    root: PathBuf,
}

impl Place {
    pub fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("mini-dag-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("dags")).unwrap();
        Self { root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Puts a DAG file there as a careful editor does: all of it at once. `DIR` in it is this place.
    pub fn dag(&self, name: &str, text: &str) {
        let text = text.replace("DIR", self.root.to_str().unwrap());
        fs::write(self.path("draft"), text).unwrap();
        fs::rename(self.path("draft"), self.path("dags").join(name)).unwrap();
    }

    /// What a task has written, line by line.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Makes an empty file that tasks wait for.
    pub fn touch(&self, name: &str) {
        fs::write(self.path(name), "").unwrap();
    }

    /// Starts a daemon on the DAG directory, and waits until it is at work.
    pub fn daemon(&self) -> Daemon<'_> {
        self.daemon_on("dags")
    }

    /// Starts a daemon on a file or directory of DAGs.
    pub fn daemon_on(&self, dags: &str) -> Daemon<'_> {
        let daemon = self.start(dags);
        daemon.tells("DAGs, state in");
        daemon
    }

    /// Starts a daemon that need not succeed.
    pub fn start(&self, dags: &str) -> Daemon<'_> {
        self.start_with(dags, &[])
    }

    /// The same, with more in its environment.
    pub fn start_with(&self, dags: &str, env: &[(&str, &str)]) -> Daemon<'_> {
        self.start_program(Path::new(env!("CARGO_BIN_EXE_mini-dag")), dags, env)
    }

    /// The same, of a program of the test's own.
    pub fn start_program(&self, program: &Path, dags: &str, env: &[(&str, &str)]) -> Daemon<'_> {
        let log = self.path("daemon.log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let told_before = usize::try_from(log.metadata().unwrap().len()).unwrap();
        let mut command = Command::new(program);
        command.arg("daemon").arg("--dags").arg(dags);
        command.arg("--state").arg(self.path("state"));
        command.env("MINI_DAG_LISTEN", "none");
        command.env_remove("MINI_DAG_STATE").current_dir(&self.root);
        command.envs(env.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Daemon {
            place: self,
            child: command.spawn().unwrap(),
            told_before,
        }
    }

    /// What a command prints that asks the daemon.
    pub fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
        command.args(words).arg("--state").arg(self.path("state"));
        let output = command.current_dir(&self.root).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// All lines of the journal that count.
    pub fn journal(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        let disk = Directory::new(&self.path("state/journal"));
        cat(&disk, &mut |line| lines.push(Value::parse(line).unwrap())).unwrap();
        lines
    }

    /// The lines of the journal about `event` in runs of a DAG, oldest first.
    pub fn recorded(&self, event: &str, dag_id: &str) -> Vec<Value> {
        let mut lines = self.journal();
        let run = format!("{dag_id}/");
        lines.retain(|line| text(line, "ev") == event && text(line, "run").starts_with(&run));
        lines
    }

    /// Waits until the journal has at least so many lines about `event` in runs of a DAG.
    pub fn has_recorded(&self, event: &str, dag_id: &str, count: usize) {
        let what = format!("{count} × {event} of {dag_id}");
        self.until(&what, || self.recorded(event, dag_id).len() >= count);
    }

    pub fn verify(&self) -> Verified {
        verify(&Directory::new(&self.path("state/journal"))).unwrap()
    }

    /// Waits until something is so, and shows the daemon's log if it never is.
    pub fn until(&self, what: &str, is_so: impl FnMut() -> bool) {
        if !until(is_so) {
            let log = fs::read_to_string(self.path("daemon.log")).unwrap_or_default();
            panic!("waited in vain for {what}; the daemon said:\n{log}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        kill_strays(
            &format!("MINI_DAG_STATE={}", self.path("state").display()),
            &[],
        );
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A field of a line, as text; empty if there is none.
pub fn text<'l>(line: &'l Value, key: &str) -> &'l str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A daemon; killed when dropped.
pub struct Daemon<'p> {
    place: &'p Place,
    child: Child,
    told_before: usize,
}

impl Daemon<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let log = fs::read(self.place.path("daemon.log")).unwrap();
        String::from_utf8_lossy(&log[self.told_before..]).into_owned()
    }

    /// Waits until it has logged `piece`.
    pub fn tells(&self, piece: &str) {
        self.place
            .until(&format!("`{piece}`"), || self.log().contains(piece));
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> ExitStatus {
        let mut status = None;
        self.place.until("the daemon's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// SIGTERM, and the end that it leads to.
    pub fn stop(self) {
        self.signal(Signal::TERM);
        assert_eq!(self.end().code(), Some(0));
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether something becomes true in time.
pub fn until(mut is_so: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > DEADLINE {
            return false;
        }
        smol::block_on(smol::Timer::after(Duration::from_millis(5)));
    }
    true
}

/// Whether a process lives, by the number that it has written to a file.
pub fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
