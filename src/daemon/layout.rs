//! Where things are kept.
//!
//! ```text
//! <state>/logs/dag_id=D/run_id=R/task_id=T/attempt=N.log      of the daemon
//! <state>/foreground/logs/…                                   of `mini-dag run`
//! ```
//!
//! Ids are checked before they come here: none of them can leave its directory.

use std::env;
use std::path::{Path, PathBuf};

/// The state directory unless one is named: `$MINI_DAG_STATE`, `$STATE_DIRECTORY` (systemd),
/// `$XDG_STATE_HOME/mini-dag`, `~/.local/state/mini-dag`. `None` without any of them.
pub fn default_state() -> Option<PathBuf> {
    named_state()
        .or_else(|| set("XDG_STATE_HOME").map(|home| home.join("mini-dag")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/mini-dag")))
}

/// Whether the environment says where it is.
pub(super) fn is_state_named() -> bool {
    named_state().is_some()
}

fn named_state() -> Option<PathBuf> {
    set("MINI_DAG_STATE").or_else(|| set("STATE_DIRECTORY").map(first_of_list))
}

/// A path in the environment.
fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Where the control socket of a state directory is: in `/run/mini-dag` for `/var/lib/mini-dag` and the like, where a
/// unit has made that directory, so that it is there on a read-only disk, too; else in the state directory.
pub fn control_socket(state: &Path) -> PathBuf {
    let run = state
        .strip_prefix("/var/lib")
        .map(|name| Path::new("/run").join(name));
    let place = run
        .ok()
        .filter(|run| run != Path::new("/run") && run.is_dir());
    place.as_deref().unwrap_or(state).join("control.sock")
}

/// systemd separates several directories with colons.
fn first_of_list(list: PathBuf) -> PathBuf {
    let first = list
        .to_str()
        .and_then(|text| text.split(':').next())
        .map(PathBuf::from);
    first.unwrap_or(list)
}

/// Where the DAG files are unless directories are named: `$MINI_DAG_DAGS`, `/etc/mini-dag/dags` under
/// systemd, else `./dags`.
pub fn default_dags() -> PathBuf {
    if let Some(dags) = set("MINI_DAG_DAGS") {
        return dags;
    }
    if is_unit() {
        "/etc/mini-dag/dags".into()
    } else {
        "dags".into()
    }
}

/// Where secrets are unless a directory is named: `/etc/mini-dag/secrets` under systemd, else
/// `$XDG_CONFIG_HOME/mini-dag/secrets` (`~/.config/mini-dag/secrets`).
pub fn default_secrets() -> PathBuf {
    if is_unit() {
        return "/etc/mini-dag/secrets".into();
    }
    let home = || set("HOME").unwrap_or_else(|| "/".into());
    let config = set("XDG_CONFIG_HOME").unwrap_or_else(|| home().join(".config"));
    config.join("mini-dag/secrets")
}

/// Whether systemd started this program as a service with a state directory.
pub(super) fn is_unit() -> bool {
    env::var_os("INVOCATION_ID").is_some() && env::var_os("STATE_DIRECTORY").is_some()
}

/// The logs of one run.
pub fn run_logs(root: &Path, dag_id: &str, run_id: &str) -> PathBuf {
    root.join("logs")
        .join(format!("dag_id={dag_id}"))
        .join(format!("run_id={run_id}"))
}

/// What a hook of a run, or of an attempt, prints; `level` tells apart those of one end.
pub fn hook_log(of: &Path, level: &str, hook: &str) -> PathBuf {
    let attempt = of.file_stem().filter(|_| of.extension().is_some());
    match attempt {
        Some(attempt) => of.with_file_name(format!("{}.{hook}{level}.log", attempt.display())),
        None => of.join(format!("{hook}{level}.log")),
    }
}

/// The log of one attempt.
pub fn attempt_log(root: &Path, dag_id: &str, run_id: &str, task_id: &str, number: u32) -> PathBuf {
    run_logs(root, dag_id, run_id)
        .join(format!("task_id={task_id}"))
        .join(format!("attempt={number}.log"))
}
