//! `mini-dag next`, as its users meet it: with fixed moments, in fixed zones.
//!
//! The zone of the host is set by rules (`TZ=CET-1CEST,…`), which needs no zone database; the tests that name a zone say
//! loudly that they were skipped where the host has none.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

mod clocks;
mod errors;
mod fires;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ZONES: &str = "/usr/share/zoneinfo";
const BERLIN: &str = "Europe/Berlin";
const BERLIN_RULES: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// What `mini-dag next` prints to stdout and stderr, and its exit code.
fn next(tz: &str, folder: &Path, args: &[&str]) -> (String, String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .arg("next")
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("TZ", tz)
        .env("TZDIR", ZONES)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (text(output.stdout), text(output.stderr), code)
}

/// Compares what is printed after the first line, which is `title`, and an empty line.
#[track_caller]
fn check_in(folder: &Path, tz: &str, args: &[&str], title: &str, expected: &[&str]) {
    let (out, err, code) = next(tz, folder, args);
    let mut lines = out.lines();
    assert_eq!((code, &*err), (0, ""), "{args:?}: {out}");
    assert_eq!(lines.next(), Some(title), "{args:?}");
    assert_eq!(lines.next(), Some(""), "{args:?}");
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.join("\n"), expected.join("\n"), "{args:?}");
}

#[track_caller]
fn check(tz: &str, args: &[&str], title: &str, expected: &[&str]) {
    check_in(&std::env::temp_dir(), tz, args, title, expected);
}

#[track_caller]
fn complains(args: &[&str], expected_code: i32, expected: &str) {
    let (out, err, code) = next("UTC", &std::env::temp_dir(), args);
    assert_eq!(
        (&*out, &*err, code),
        ("", expected, expected_code),
        "{args:?}"
    );
}

fn has_zones() -> bool {
    let has = Path::new(ZONES).join(BERLIN).exists();
    if !has {
        eprintln!("SKIPPED: this host has no zone {BERLIN} in {ZONES}");
    }
    has
}

/// A directory of DAG files, gone when the test is over.
struct Dags(PathBuf);

impl Dags {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("next-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(path.join("dags")).unwrap();
        for (name, keys) in files {
            let text = format!("{{{keys}, \"tasks\": [{{\"task_id\": \"a\", \"empty\": true}}]}}");
            fs::write(path.join("dags").join(name), text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Dags {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
