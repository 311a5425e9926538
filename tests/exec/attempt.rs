//! One attempt of a test: a launch with its own directory, run to its end against a deadline.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use mini_dag::exec::{
    Ending, Launch, LaunchError, Limits, Secrets, Stdin, base_env, prepare, spawn,
};

/// Long enough for any machine; what must be quicker says so itself.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs to the end, or fails the test.
pub(crate) fn in_time<T>(work: impl Future<Output = T>) -> T {
    smol::block_on(smol::future::or(work, async {
        smol::Timer::after(DEADLINE).await;
        panic!("not done after {DEADLINE:?}");
    }))
}

/// A directory that goes with its test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mini-dag-exec-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Attempt {
    pub(crate) launch: Launch,
    pub(crate) directory: Directory,
}

pub(crate) struct Ended {
    pub(crate) ending: Ending,
    pub(crate) log: String,
    pub(crate) took: Duration,
    pub(crate) directory: Directory,
}

pub(crate) fn argv(argv: &[&str]) -> Attempt {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| prepare().unwrap());
    let directory = Directory::new();
    Attempt {
        launch: Launch {
            argv: argv.iter().map(Into::into).collect(),
            env: base_env(),
            cwd: Some(directory.0.clone()),
            stdin: Stdin::Null,
            log: directory.0.join("logs/attempt=1.log"),
            output_bytes_max: 1 << 20,
            limits: Limits::default(),
            cgroups: None,
            secrets: Secrets::default(),
        },
        directory,
    }
}

pub(crate) fn sh(script: &str) -> Attempt {
    argv(&["/bin/sh", "-c", script])
}

impl Attempt {
    pub(crate) fn run(self) -> Ended {
        let start = Instant::now();
        let ending = in_time(spawn(&self.launch).unwrap().wait(|_| ()));
        Ended {
            ending,
            took: start.elapsed(),
            log: read(&self.launch.log),
            directory: self.directory,
        }
    }

    pub(crate) fn error(&self) -> LaunchError {
        match spawn(&self.launch) {
            Ok(running) => panic!("it started: {:?}", in_time(running.wait(|_| ()))),
            Err(error) => error,
        }
    }
}

pub(crate) fn read(log: &Path) -> String {
    match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("{}: {error}", log.display()),
    }
}

/// Whether there is such a process, alive or waiting to be reaped.
pub(crate) fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

/// Waits until the condition holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        smol::Timer::after(Duration::from_millis(2)).await;
    }
}

/// What a child that needs less is reported to have had.
pub(crate) fn memory_peak_of_this_program() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}
