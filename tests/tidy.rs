//! The rules of the house, kept by a test: who may know whom, which rooms are pure, what is not left behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may know.
const ROOMS: [(&str, &[&str]); 9] = [
    ("timetable", &[]),
    ("dag", &["timetable"]),
    ("scheduler", &["timetable", "dag"]),
    ("journal", &["timetable", "dag", "scheduler"]),
    ("exec", &["timetable", "dag", "scheduler"]),
    (
        "daemon",
        &["timetable", "dag", "scheduler", "journal", "exec"],
    ),
    ("ui", &[]),
    (
        "api",
        &["timetable", "dag", "scheduler", "journal", "daemon", "ui"],
    ),
    (
        "cli",
        &[
            "timetable",
            "dag",
            "scheduler",
            "journal",
            "exec",
            "daemon",
            "api",
        ],
    ),
];

/// Rooms that read no clock, no file, no environment, start nothing and log nothing.
const PURE: [&str; 3] = ["timetable", "dag", "scheduler"];

/// What a pure room does not name.
const IMPURE: [&str; 14] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::os",
    "time::Instant",
    "SystemTime",
    "smol",
    "rustix",
    "libc::",
    "log::",
    "println!",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no Rust file below {}", folder.display());
    files.sort();
    files
}

/// The lines of a file that are code: no comments, and nothing of its own tests.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .enumerate()
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or("").to_owned()))
        .collect()
}

/// Complains about every line of `folder` that `is_wrong`.
fn forbid(folder: &str, why: &str, is_wrong: impl Fn(&str) -> bool) {
    let mut found = String::new();
    for path in rust_files(&root().join(folder)) {
        for (line, text) in code(&path) {
            if is_wrong(&text) {
                writeln!(found, "{}:{line}: {}", path.display(), text.trim()).unwrap();
            }
        }
    }
    assert!(found.is_empty(), "{why}:\n{found}");
}

/// Whether `name` stands in `line` as a whole path or word, not as a part of one.
fn names(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + name.len()..].starts_with(is_word)
    })
}

#[test]
fn pure_rooms_stay_pure() {
    for room in PURE {
        forbid(
            &format!("src/{room}"),
            &format!("`{room}` is pure"),
            |line| {
                IMPURE
                    .iter()
                    .any(|name| names(line, name.trim_end_matches("::")) && line.contains(name))
            },
        );
    }
}

#[test]
fn dependencies_point_one_way() {
    for (room, may_know) in ROOMS {
        let others = ROOMS.iter().map(|(other, _)| *other);
        let forbidden: Vec<_> = others
            .filter(|other| *other != room && !may_know.contains(other))
            .map(|other| format!("crate::{other}"))
            .collect();
        forbid(
            &format!("src/{room}"),
            &format!("`{room}` may know only {may_know:?}"),
            |line| forbidden.iter().any(|name| names(line, name)),
        );
    }
    let rooms = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for room in rooms.filter(|path| path.is_dir()) {
        let name = room.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(
            ROOMS.iter().any(|(known, _)| *known == name),
            "`{name}` has no place in ROOMS"
        );
    }
}

#[test]
fn nothing_unfinished_is_left_behind() {
    for folder in ["src", "dags"] {
        forbid(folder, "left behind", |line| {
            ["todo!", "unimplemented!", "dbg!", "#[ignore"]
                .iter()
                .any(|word| line.contains(word))
        });
    }
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "dags", "tests"] {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("//! "), "{} has no header", path.display());
        }
    }
}

#[test]
fn the_version_stands_in_the_changelog() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version = concat!("## ", env!("CARGO_PKG_VERSION"));
    assert!(
        changelog.contains(version),
        "CHANGELOG.md has no `{version}`"
    );
}

/// A clock that shows an earlier date than this cannot be right; so it may not be one that somebody made up.
#[test]
fn the_source_is_as_old_as_the_newest_version_in_the_changelog() {
    if option_env!("SOURCE_DATE_EPOCH").is_some() {
        return;
    }
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let dated = changelog.lines().find_map(|line| {
        let (_, date) = line.strip_prefix("## ")?.split_once(" (")?;
        date.strip_suffix(')')
    });
    let built = mini_dag::scheduler::build_date().to_string();
    assert_eq!(dated, built.strip_suffix("T00:00:00+00:00"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do"
)]
fn mini_dag(args: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .args(args)
        .output()
        .unwrap()
}

/// Every `mini-dag …` line of the README's sessions is a command line that the program takes.
#[test]
fn every_command_of_the_readme_parses() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut commands = 0;
    let mut session = "";
    for line in readme.lines() {
        session = line.strip_prefix("```").unwrap_or(session);
        // In a console, what has no `$` is what a command said.
        let command = match session {
            "console" => line.strip_prefix("$ "),
            "sh" => Some(line),
            _ => None,
        };
        let Some(rest) = command.and_then(|command| command.strip_prefix("mini-dag ")) else {
            continue;
        };
        let words = rest.split('#').next().unwrap_or("").split_whitespace();
        let command = words.clone().next().unwrap_or_default().to_owned();
        let help = mini_dag(&[&command, "--help"]);
        assert!(help.status.success(), "README: `{line}`: no such command");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        for flag in words.filter(|word| word.starts_with("--")) {
            let flag = flag.split('=').next().unwrap_or(flag);
            assert!(
                help.contains(flag),
                "README: `{line}`: `{command}` has no {flag}"
            );
        }
        commands += 1;
    }
    assert!(commands >= 5, "only {commands} commands were found");
}
