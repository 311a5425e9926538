//! The crate as a library: `examples/own_dags.rs` has a DAG and a function of its own and a `main` of three
//! lines. Here it runs as its users run it. And what `run` can leave out.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MINI_DAG: &str = env!("CARGO_BIN_EXE_mini-dag");

/// A home of one test, gone when the test is over.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("library-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, program: &Path, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.0).env_clear();
        command.env("HOME", &self.0).output().unwrap()
    }

    fn tells(&self, program: &Path, words: &[&str]) -> String {
        let output = self.run(program, words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {output:?}");
        said
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `cargo test` builds examples beside the programs; `cargo test --test library` alone does not.
fn example() -> PathBuf {
    let path = Path::new(MINI_DAG).with_file_name("examples/own_dags");
    if !path.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-q", "--example", "own_dags"]);
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.unwrap().success());
    }
    path
}

/// The logs of the latest run of `dag`, by the names of their files.
fn log(home: &Home, dag: &str, file: &str) -> String {
    let runs = home.0.join(format!(
        ".local/state/mini-dag/foreground/logs/dag_id={dag}"
    ));
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    fs::read_to_string(run.join(file)).unwrap_or_default()
}

#[test]
fn a_program_with_its_own_dag_has_the_whole_command_line() {
    let home = Home::new("own");
    let program = example();
    let listed = home.tells(&program, &["list"]);
    assert!(listed.contains("greeting"), "{listed}");
    let said = home.tells(&program, &["run", "greeting", "--param", "name=Ada"]);
    assert!(said.contains("success"), "{said}");
    assert_eq!(
        log(&home, "greeting", "task_id=greet/attempt=1.log"),
        "Hello, Ada!\n"
    );
    assert_eq!(
        log(&home, "greeting", "task_id=tell/attempt=1.log"),
        "8 letters\n"
    );
    // The function has a minute, and its process has begun by then.
    let counted = log(&home, "greeting", "task_id=count/attempt=1.log");
    let left = counted.trim_start_matches("at most ").split(' ').next();
    let left: u64 = left.unwrap().parse().unwrap();
    assert!((30..60).contains(&left), "{counted}");
    let hook = log(&home, "greeting", "on_success.dag.log");
    assert!(
        hook.starts_with("manual__") && hook.ends_with(" is done\n"),
        "{hook}"
    );
}

const CHAIN: &str = r#"{"dag_id": "chain", "params": {"n": 1},
    "tasks": [
        {"task_id": "a", "bash": "echo a >> ran"},
        {"task_id": "b", "bash": "echo b $n >> ran", "env": {"n": "{{ params.n }}"}},
        {"task_id": "c", "bash": "echo c >> ran", "secrets": {"TOKEN": "token"}},
        {"task_id": "d", "argv": ["sh", "-c", "echo d >> ran"]}],
    "order": ["a >> b >> c", "b >> d"]}"#;

#[test]
fn run_runs_one_task_or_a_task_and_what_follows() {
    let home = Home::new("parts");
    let mini_dag = Path::new(MINI_DAG);
    fs::write(home.0.join("chain.json"), CHAIN).unwrap();
    let secrets = home.0.join(".config/mini-dag/secrets");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&secrets)
        .unwrap();
    let mut options = fs::OpenOptions::new();
    let token = options
        .write(true)
        .create(true)
        .mode(0o600)
        .open(secrets.join("token"));
    std::io::Write::write_all(&mut token.unwrap(), b"hunter2!").unwrap();
    let ran = || {
        let text = fs::read_to_string(home.0.join("ran")).unwrap_or_default();
        let _ = fs::remove_file(home.0.join("ran"));
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines.join(",")
    };
    home.tells(
        mini_dag,
        &["run", "chain.json", "--task", "b", "--param", "n=7"],
    );
    assert_eq!(ran(), "b 7");
    home.tells(mini_dag, &["run", "chain.json", "--from", "b"]);
    assert_eq!(ran(), "b 1,c,d");
    home.tells(
        mini_dag,
        &["run", "chain.json", "--from", "c", "--task", "a"],
    );
    assert_eq!(ran(), "a,c");
    home.tells(mini_dag, &["run", "chain.json"]);
    assert_eq!(ran(), "a,b 1,c,d");
    let wrong = home.run(mini_dag, &["run", "chain.json", "--task", "e"]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said.contains("DAG `chain` has no task `e`"), "{said}");
    let shown = home.tells(mini_dag, &["run", "chain.json", "--from", "b", "--dry-run"]);
    assert_eq!(ran(), "", "a dry run runs nothing");
    for line in [
        "b (bash)",
        "  env   n=1",
        "c (bash, after b)",
        "  env   TOKEN=***",
        "  argv  [\"sh\", \"-c\", \"echo d >> ran\"]",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}:\n{shown}");
    }
    assert!(
        !shown.contains("hunter2!") && !shown.contains("a (bash"),
        "{shown}"
    );
    // What the daemon's config says holds here, too.
    fs::rename(&secrets, home.0.join("keys")).unwrap();
    let config = r#"{"secrets": "keys", "env": {"n": "0", "WHERE": "here"}, "timezone": "UTC",
        "on_success": {"bash": "echo \"$MINI_DAG_HOOK_STATE in $WHERE\" >> ran"}}"#;
    fs::write(home.0.join("mini-dag.json"), config).unwrap();
    home.tells(mini_dag, &["run", "chain.json", "--from", "b"]);
    assert_eq!(ran(), "b 1,c,d,success in here");
    let secrets = home.0.join("keys");
    fs::remove_file(secrets.join("token")).unwrap();
    let lacks = home.run(mini_dag, &["run", "chain.json", "--dry-run"]);
    let said = String::from_utf8_lossy(&lacks.stderr).into_owned();
    assert_eq!(lacks.status.code(), Some(1));
    assert!(
        said.contains("task `c` could not start: there is no secret `token`"),
        "{said}"
    );
}
