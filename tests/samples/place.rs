//! A directory for one test, in which `mini-dag run` is run, and what one run left there.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the DAG that is run when none is named.
pub const DEFAULT: &str = "";

/// A directory of its own, with a blank and Hangul in its name, that goes when the test ends.
pub struct Place {
    root: PathBuf,
}

impl Place {
    pub fn new(test: &str) -> Self {
        let name = format!("mini dag 가 {test} {}", std::process::id());
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("empty")).unwrap();
        fs::create_dir_all(root.join("home")).unwrap();
        Self { root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs a DAG in an empty working directory, with the config that comes along: a sample's file if the name ends in `.json` and has no slash.
    pub fn run(&self, dag: &str, params: &[(&str, &str)]) -> Ended {
        let mut states = (1..).map(|n| self.path(&format!("state{n}")));
        let state = states.find(|state| !state.exists()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
        command.arg("run");
        if !dag.contains('/') && Path::new(dag).extension().is_some() {
            command.arg(format!("{}/dags/{dag}", env!("CARGO_MANIFEST_DIR")));
        } else if dag != DEFAULT {
            command.arg(dag);
        }
        for (name, value) in params {
            command.arg("--param").arg(format!("{name}={value}"));
        }
        command
            .current_dir(self.path("empty"))
            .env("HOME", self.path("home"))
            .env(
                "MINI_DAG_CONFIG",
                concat!(env!("CARGO_MANIFEST_DIR"), "/mini-dag.json"),
            )
            .env("XDG_STATE_HOME", &state)
            .env_remove("MINI_DAG_STATE")
            .env_remove("MINI_DAG_DAGS")
            .env_remove("STATE_DIRECTORY");
        let output = command.output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        let logs = state.join("mini-dag/foreground/logs");
        Ended {
            code: output.status.code(),
            told: String::from_utf8(told).unwrap(),
            logs,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.root);
    }
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub told: String,
    /// With a folder for the DAG, if a run has begun.
    logs: PathBuf,
}

impl Ended {
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.told);
        self
    }

    pub fn failed(self) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.told);
        self
    }

    /// What a task printed in its first attempt; `None` if it had none.
    pub fn log(&self, task_id: &str) -> Option<String> {
        let log = only_entry(&only_entry(&self.logs))
            .join(format!("task_id={task_id}"))
            .join("attempt=1.log");
        fs::read_to_string(log).ok()
    }
}

/// Each run has a state directory of its own, so there is one DAG in it, with one run.
fn only_entry(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir).unwrap();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let [path] = &paths[..] else {
        panic!("{paths:?}");
    };
    path.clone()
}

/// Every file under a directory by its path in it, with what is in it; directories end in a slash.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                open.push(path);
            } else {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The names in [`files`].
pub fn names(dir: &Path) -> Vec<String> {
    files(dir).into_keys().collect()
}

/// Whether there is a curl, which two of the samples use. Without it their tests test nothing, and say so past
/// the harness that hides what a passing test prints.
pub fn has_curl(test: &str) -> bool {
    let has = Command::new("curl").arg("--version").output().is_ok();
    if !has {
        _ = writeln!(
            std::io::stderr(),
            "\n*** SKIPPED: {test} needs curl, and there is none ***\n"
        );
    }
    has
}
