//! `mini-dag show` as text: for every `tests/golden/show/NAME.json` what a terminal of 80 columns shows is in
//! `NAME.out`, and so for the samples. `UPDATE=1 cargo test --test show` writes them; the diff is the review.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn show(file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
    command.arg("show").arg(file).env_clear();
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

/// What a terminal of so many columns is sent; `None` where no terminal can be had.
fn on_terminal(file: &Path, columns: usize, environment: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_mini-dag");
    let command = format!(
        "stty cols {columns}; {environment} '{program}' show '{}'",
        file.display()
    );
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]);
    script.current_dir(env!("CARGO_MANIFEST_DIR"));
    script.env("TERM", "xterm").env_remove("NO_COLOR");
    let Ok(output) = script.stdin(Stdio::null()).output() else {
        let skipped = "\n*** SKIPPED: a test of `show` needs `script`, and there is none ***\n";
        _ = std::io::stderr().write_all(skipped.as_bytes());
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.replace("\r\n", "\n"))
}

/// A line that is too wide goes on in the next one, and nobody can read a graph or a table of such lines.
#[test]
fn a_terminal_gets_no_more_of_a_line_than_it_can_show() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/show");
    for (name, columns) in [
        ("ten_wide", 44),
        ("thirty", 60),
        ("ten_wide", 80),
        ("too_wide", 1),
    ] {
        let file = golden.join(format!("{name}.json"));
        let Some(shown) = on_terminal(&file, columns, "") else {
            return;
        };
        let widest = shown.lines().map(|line| line.chars().count()).max();
        // Ids stand there whole, whatever that takes.
        let ids = if columns == 1 { 37 } else { columns };
        assert!(
            widest <= Some(ids) && widest > Some(30),
            "{name}, {columns}: {shown}"
        );
    }
    let wide = golden.join("ten_wide.json");
    let whole = fs::read_to_string(wide.with_extension("out")).unwrap();
    let Some(shown) = on_terminal(&wide, 300, "") else {
        return;
    };
    assert_eq!(shown, whole);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_graph_is_drawn_as_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = root.join("tests/golden/show");
    let (drawn, samples) = (files(&golden), files(&root.join("dags")));
    assert!(drawn.len() >= 6 && samples.len() >= 5);
    let mut wrong = String::new();
    for file in drawn.iter().chain(&samples) {
        let output = show(file);
        assert!(output.status.success(), "{output:?}");
        let got = String::from_utf8(output.stdout).unwrap();
        let graph = got.split("\n\n").nth(1).unwrap();
        let lines = graph.lines().filter(|line| line.contains('→'));
        let widest = lines.map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{got}");
        let out = golden.join(file.with_extension("out").file_name().unwrap());
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&out, got).unwrap();
        } else if fs::read_to_string(&out).ok().as_deref() != Some(&got) {
            _ = write!(wrong, "\n=== {} gives\n{got}", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A graph of a thousand tasks is none that anybody reads, and one of ten thousand costs no more than a moment.
#[test]
fn what_is_too_large_for_a_graph_is_a_list() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("show-large.json");
    let ids = (0..10_000).map(|n| format!("{{\"task_id\": \"t{n}\", \"empty\": true}}"));
    let ids: Vec<_> = ids.collect();
    let others: Vec<_> = (1..10_000).map(|n| format!("t{n}")).collect();
    let order = format!("t0 >> [{}]", others.join(", "));
    let dag = format!(
        "{{\"tasks\": [{}], \"order\": [\"{order}\"]}}",
        ids.join(",")
    );
    fs::write(&place, dag).unwrap();
    let output = show(&place);
    let got = String::from_utf8(output.stdout).unwrap();
    assert_eq!(got.lines().count(), 10_002);
    assert!(got.contains("\n  └─ t9999  empty; after t0\n"));
}
