//! The command line, as its users meet it: what it prints, where, and with which exit code.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

mod run;

/// A directory of one test, gone when the test is over.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("cli-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("dags")).unwrap();
        Self(path)
    }

    fn dag(self, name: &str, text: &str) -> Self {
        fs::write(self.0.join("dags").join(name), text).unwrap();
        self
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
        command.args(args.split_whitespace()).current_dir(&self.0);
        command
            .env_clear()
            .env("HOME", &self.0)
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs `mini-dag` and compares its exit code and what it prints to stdout.
    fn check(&self, args: &str, code: i32, stdout: &str) {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args}: {out}{err}");
        assert_eq!(out, stdout, "{args}");
    }

    /// Runs `mini-dag` and looks for a piece of what it complains about.
    fn complains(&self, args: &str, code: i32, piece: &str) {
        let output = self.run(args);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args}: {err}");
        assert!(err.contains(piece), "{args}: no `{piece}` in:\n{err}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const DIAMOND: &str = r#"{"description": "A diamond.", "schedule": "0 6 * * *", "timezone": "UTC",
    "params": {"count": 3, "name": "x"}, "tasks": [
    {"task_id": "a", "bash": "true", "retries": 2, "retry_delay": "90s"}, {"task_id": "b", "argv": ["echo", "{{ params.name }}"]},
    {"task_id": "c", "empty": true}, {"task_id": "d", "bash": "echo {{ ds }} $n", "env": {"n": "{{ params.count }}"}, "trigger_rule": "all_done", "timeout": "1m"}],
    "order": ["a >> [b, c] >> d"]}"#;
const BROKEN: &str = r#"{"tasks": [{"task_id": "a", "bash": "true", "after": ["b"]}]}"#;

#[test]
fn validate_tells_what_is_there_and_what_is_wrong() {
    let place = Place::new("validate")
        .dag("good.json", DIAMOND)
        .dag("notes.txt", "not a DAG");
    place.check("validate dags", 0, "1 file, 1 DAG, 0 errors\n");
    place.check(
        "validate dags/good.json dags",
        0,
        "1 file, 1 DAG, 0 errors\n",
    );
    place.check(
        "validate --json dags",
        0,
        "{\"files\":1,\"dags\":1,\"errors\":0}\n",
    );
    let place = place.dag("bad.json", BROKEN).dag("worse.json", "{");
    place.check("validate dags", 1, "3 files, 1 DAG, 2 errors\n");
    place.complains("validate dags", 1, "task `a` has unknown upstream `b`");
    place.complains("validate dags/bad.json", 1, " --> dags/bad.json:1:");
    place.complains(
        "validate nowhere.json",
        1,
        "cannot read `nowhere.json`: No such file",
    );
    let place = place.dag(
        "twin.json",
        r#"{"dag_id": "good", "tasks": [{"task_id": "t", "empty": true}]}"#,
    );
    place.complains(
        "validate dags/good.json dags/twin.json",
        1,
        "two files have the dag_id `good`",
    );
    fs::write(place.0.join("dags/latin.json"), b"{\n\"doc\": \"\xe9\"}").unwrap();
    place.complains("validate dags/latin.json", 1, "is not UTF-8: line 2");
}

/// `UPDATE=1` writes what is compared; the diff is the review.
#[test]
fn validate_tells_of_dags_that_wait_for_nobody_or_for_each_other() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
    command.args(["validate", "waiting"]).current_dir(&golden);
    let output = command.env_clear().stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "6 files, 6 DAGs, 3 errors\n");
    let out = golden.join("waiting.out");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(out, &output.stderr).unwrap();
    } else {
        assert_eq!(text(&output.stderr), fs::read_to_string(out).unwrap());
    }
    // A file that is named alone may wait for one that is elsewhere.
    let alone = Place::new("alone").dag(
        "b.json",
        &fs::read_to_string(golden.join("waiting/a.json")).unwrap(),
    );
    alone.check("validate dags/b.json", 1, "1 file, 0 DAGs, 1 error\n");
    let alone = Place::new("elsewhere").dag(
        "a.json",
        &fs::read_to_string(golden.join("waiting/a.json")).unwrap(),
    );
    alone.check("validate dags/a.json", 0, "1 file, 1 DAG, 0 errors\n");
}

#[test]
fn list_shows_every_dag_and_every_file_that_is_none() {
    let place = Place::new("list").dag("diamond.json", DIAMOND);
    place.check(
        "list",
        0,
        "DAG                       SCHEDULE   TASKS  DESCRIPTION\n\
         diamond                   0 6 * * *      4  A diamond.\n\
         download_rocket_launches  by hand        3  Download rocket pictures of recently launched rockets.\n",
    );
    let place = place.dag("bad.json", BROKEN);
    place.complains("list", 1, "unknown upstream `b`");
    let json = text(&place.run("list --json").stdout);
    let json = mini_dag::Value::parse(&json).unwrap();
    let first = &json
        .get("dags")
        .and_then(mini_dag::Value::as_array)
        .unwrap()[0];
    let field = |name: &str| first.get(name).map(mini_dag::Value::to_text).unwrap();
    assert_eq!(field("dag_id"), "diamond");
    assert_eq!(field("timetable_summary"), "0 6 * * *");
    assert_eq!(field("relative_fileloc"), "diamond.json");
}

#[test]
fn show_draws_a_dag() {
    let place = Place::new("show").dag("diamond.json", DIAMOND);
    place.check(
        "show diamond",
        0,
        "diamond  (0 6 * * *)\nA diamond.\n\n     ┌→ b ─┐\n  a ─┤     ├→ d\n     └→ c ─┘\n\n  \
         a  bash; 2 retries after 1m30s\n  b  argv echo; after a\n  c  empty; after a\n  \
         d  bash; after b, c; all_done; at most 1m\n",
    );
    place.check(
        "show diamond --format dot",
        0,
        "digraph \"diamond\" {\n  rankdir=LR;\n  node [shape=box];\n  \"a\";\n  \"b\";\n  \"c\";\n  \"d\";\n  \
         \"a\" -> \"b\";\n  \"a\" -> \"c\";\n  \"b\" -> \"d\";\n  \"c\" -> \"d\";\n}\n",
    );
    place.check(
        "show dags/diamond.json --format mermaid",
        0,
        "flowchart LR\n  t0[\"a\"]\n  t1[\"b\"]\n  t2[\"c\"]\n  t3[\"d\"]\n  t0 --> t1\n  t0 --> t2\n  t1 --> t3\n  t2 --> t3\n",
    );
    let json = mini_dag::Value::parse(&text(&place.run("show diamond --json").stdout)).unwrap();
    let tasks = json
        .get("tasks")
        .and_then(mini_dag::Value::as_array)
        .unwrap();
    assert_eq!(
        tasks[0].get("downstream_task_ids").unwrap().to_string(),
        r#"["b","c"]"#
    );
    assert_eq!(
        tasks[3]
            .get("trigger_rule")
            .and_then(mini_dag::Value::as_str),
        Some("all_done")
    );
    let picture = text(&place.run("show diamond --format svg").stdout);
    assert!(picture.starts_with("<svg xmlns=") && picture.ends_with("</svg>\n"));
    assert!(picture.contains("<title>c: EmptyOperator</title>"));
    assert_eq!(picture.matches("marker-end").count(), 4);
    place.complains(
        "show diamond --format dot --run latest",
        2,
        "use --format text or svg",
    );
    place.complains("show diamand", 1, "did you mean `diamond`?");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new("pipe").dag("diamond.json", DIAMOND);
    for args in ["list", "show diamond", "run diamond", "--help"] {
        let mut child = place
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(text(&output.stderr), "", "{args}");
        assert_eq!(output.status.code(), Some(0), "{args}");
    }
}

#[test]
fn help_says_what_there_is() {
    let place = Place::new("help");
    let help = text(&place.run("--help").stdout);
    for word in ["run", "validate", "list", "show", "daemon", "Exit codes"] {
        assert!(help.contains(word), "{help}");
    }
    assert_eq!(place.run("").status.code(), Some(2));
    place.check(
        "--version",
        0,
        concat!("mini-dag ", env!("CARGO_PKG_VERSION"), "\n"),
    );
}

/// `script` gives the program a terminal; util-linux has it on every Debian.
#[test]
fn a_terminal_shows_a_line_a_task_and_colours_unless_told_not_to() {
    let place = Place::new("terminal").dag("diamond.json", DIAMOND);
    let on_a_terminal = |no_colour: bool| {
        let program = format!("{} run diamond", env!("CARGO_BIN_EXE_mini-dag"));
        let mut command = Command::new("script");
        command
            .args(["-qec", &program, "/dev/null"])
            .current_dir(&place.0)
            .env("HOME", &place.0);
        command
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        if no_colour {
            command.env("NO_COLOR", "1");
        }
        command.output().map(|output| text(&output.stdout))
    };
    let Ok(shown) = on_a_terminal(false) else {
        use std::io::Write;
        // Past the harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "*** SKIPPED: no `script` here, so no terminal"
        );
        return;
    };
    assert!(shown.contains("\x1b[32msuccess"), "{shown:?}");
    assert!(
        shown.contains("\x1b[J"),
        "the picture is drawn again: {shown:?}"
    );
    let plain = on_a_terminal(true).unwrap();
    assert!(
        plain.contains("success") && !plain.contains("\x1b[32m"),
        "{plain:?}"
    );
}

/// What a command says of the daemon that it asks when none is named, whoever runs one, and what says where.
#[test]
fn without_a_word_the_systems_service_is_asked_unless_there_is_an_own_daemon() {
    let place = Place::new("asked");
    let system = place.0.join("etc.json");
    fs::write(&system, r#"{"state": "of-system"}"#).unwrap();
    let asks = |what: &str, args: &str, env: &[(&str, &str)]| {
        let mut command = place.command(args);
        command.env("MINI_DAG_SYSTEM_CONFIG", &system);
        let output = command.envs(env.iter().copied()).output().unwrap();
        let (err, state) = (text(&output.stderr), place.0.join(what));
        let piece = format!("no daemon runs on `{}`", state.display());
        assert!(err.contains(&piece), "{args}: no `{piece}` in:\n{err}");
    };
    let own = ".local/state/mini-dag";
    asks("of-system", "pause x", &[]);
    asks(
        "elsewhere",
        "pause x",
        &[(
            "MINI_DAG_STATE",
            place.0.join("elsewhere").to_str().unwrap(),
        )],
    );
    let named = format!("pause x --state {}", place.0.join("named").display());
    asks("named", &named, &[]);
    asks(
        own,
        "pause x",
        &[("MINI_DAG_SYSTEM_CONFIG", "/does/not/exist")],
    );
    // A run in the foreground is no daemon.
    fs::create_dir_all(place.0.join(own).join("foreground")).unwrap();
    asks("of-system", "pause x", &[]);
    fs::create_dir_all(place.0.join(own).join("journal")).unwrap();
    asks(own, "pause x", &[]);
    let here = format!("{{\"state\": {:?}}}", place.0.join("here"));
    fs::write(place.0.join("mini-dag.json"), here).unwrap();
    asks("here", "pause x", &[]);
}

/// Needs root, who alone can be somebody else.
#[test]
fn what_root_changes_is_still_the_daemons() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = std::env::temp_dir().join(format!("mini-dag-owner-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    let place = Place(root);
    let state = place.0.join("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(4_321), Some(4_322)).unwrap();
    let add = |name: &str| {
        let mut command = place.command(&format!("user add {name} --state {}", state.display()));
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"long enough\n")
            .unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(add("anna").status.success());
    for file in ["users.json", "users.lock"] {
        let metadata = fs::metadata(state.join(file)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (4_321, 4_322), "{file}");
    }
    // Where a link leads, only the owner of the directory could go anyway.
    let other = place.0.join("other");
    fs::remove_file(state.join("users.lock")).unwrap();
    symlink(&other, state.join("users.lock")).unwrap();
    assert!(!add("bob").status.success());
    assert!(!other.exists());
}
