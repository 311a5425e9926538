//! `mini-dag run`: one run in the foreground, without a daemon.

use std::fs;
use std::path::PathBuf;

use rustix::fs::{Timespec, Timestamps, futimens};

use crate::{BROKEN, DIAMOND, Place, text};

#[test]
fn run_ends_with_the_state_of_the_run() {
    let place = Place::new("run").dag("diamond.json", DIAMOND);
    let output =
        place.run("run diamond --param name=you --logical-date 2026-11-22T06:00:00Z --json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("success in"),
        "progress goes to stderr"
    );
    let json = mini_dag::Value::parse(&text(&output.stdout)).unwrap();
    let field = |name: &str| json.get(name).map(mini_dag::Value::to_text).unwrap();
    assert_eq!(field("state"), "success");
    assert_eq!(field("dag_run_id"), "manual__2026-11-22T06:00:00+00:00");
    assert_eq!(field("data_interval_end"), "2026-11-22T06:00:00+00:00");
    let log = |task: &str| {
        let path = PathBuf::from(field("logs")).join(format!("task_id={task}/attempt=1.log"));
        fs::read_to_string(path).unwrap()
    };
    assert_eq!(
        (log("b"), log("d")),
        ("you\n".into(), "2026-11-22 3\n".into())
    );

    let place = place.dag(
        "bad.json",
        r#"{"tasks": [{"task_id": "t", "bash": "echo why; exit 3"}]}"#,
    );
    let output = place.run("run bad");
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains("failed") && told.contains("exit code 3") && told.contains("  | why"),
        "{told}"
    );
}

/// What is triggered is run, too, without a daemon; also if nobody waits for it.
#[test]
fn run_runs_what_its_tasks_trigger() {
    let place = Place::new("triggers")
        .dag("up.json", r#"{"tasks": [
            {"task_id": "wait", "trigger": {"dag_id": "down", "wait": true, "params": {"word": "{{ task_id }}"}}},
            {"task_id": "go", "trigger": {"dag_id": "down", "params": {"word": "{{ task_id }}"}}, "after": ["wait"]}]}"#)
        .dag("down.json", r#"{"is_paused_upon_creation": true, "params": {"word": ""}, "tasks": [
            {"task_id": "say", "bash": "sleep 0.1; echo \"$word\" >> \"$HOME/said\"", "env": {"word": "{{ params.word }}"}}]}"#)
        .dag("lost.json", r#"{"tasks": [{"task_id": "go", "trigger": {"dag_id": "nobody"}}]}"#);
    let output = place.run("run up");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        fs::read_to_string(place.0.join("said")).unwrap(),
        "wait\ngo\n"
    );
    let said = text(&output.stderr);
    let triggered = said
        .lines()
        .filter(|line| line.starts_with("triggered: down  manual__"));
    assert_eq!(triggered.count(), 2, "{said}");
    assert!(said.ends_with('\n'), "{said}");
    assert!(said.contains(".go.1  success"), "{said}");
    let output = place.run("run lost");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("there is no DAG `nobody`"), "{said}");
    let said = text(&place.run("run up --dry-run").stdout);
    let piece = "go (trigger, after wait)\n  dag   down\n  with  {\"word\":\"go\"}\n";
    assert!(said.contains(piece), "{said}");
}

#[test]
fn a_dry_run_shows_what_is_not_known_yet_as_it_is_written_and_says_what_it_never_knows() {
    let dag = r#"{"tasks": [{"task_id": "count", "bash": "wc -l < rows"},
        {"task_id": "tell", "argv": ["echo", "{{ xcom.count }} rows on {{ ds }}"], "after": ["count"]},
        {"task_id": "call", "trigger": {"dag_id": "d", "params": {"n": "{{ xcom.count }}"}}, "after": ["count"]}SINCE]}"#;
    let since = r#", {"task_id": "since", "bash": "ask", "env": {"t": "{{ prev_data_interval_end_success }}"}}"#;
    let place = Place::new("dry")
        .dag("now.json", &dag.replace("SINCE", ""))
        .dag("since.json", &dag.replace("SINCE", since));
    let told = |name: &str| {
        let command = format!("run {name} --dry-run --logical-date 2026-11-22T00:00:00+00:00");
        text(&place.run(&command).stdout)
    };
    let now = told("now");
    let argv = r#"  argv  ["echo", "{{ xcom.count }} rows on 2026-11-22"]"#;
    assert!(now.contains(argv), "{now}");
    assert!(now.contains(r#"  with  {"n":"{{ xcom.count }}"}"#), "{now}");
    let note =
        "`prev_data_interval_end_success` is empty: `mini-dag run` knows no run before this one\n";
    assert!(!now.contains(note), "{now}");
    assert!(told("since").ends_with(note), "{}", told("since"));
}

#[test]
fn a_task_that_cannot_be_started_says_why_where_its_output_would_be() {
    let dag = r#"{"tasks": [{"task_id": "t", "argv": ["no-such-program"]}]}"#;
    let place = Place::new("unstartable").dag("t.json", dag);
    let told = text(&place.run("run t").stdout);
    assert!(
        told.contains("`no-such-program` was not found in PATH"),
        "{told}"
    );
    assert!(
        told.contains("  | cannot be started: `no-such-program`"),
        "{told}"
    );
}

#[test]
fn a_run_that_cannot_begin_says_why() {
    let place = Place::new("refused")
        .dag("diamond.json", DIAMOND)
        .dag("broken.json", BROKEN);
    place.complains("run diamond --param nam=x", 1, "did you mean `name`?");
    place.complains(
        "run diamond --param count=many",
        1,
        "parameter `count` cannot be `many`",
    );
    place.complains("run diamond --param name", 2, "write --param NAME=VALUE");
    place.complains(
        "run diamond --logical-date yesterday",
        2,
        "`yesterday` is not a date",
    );
    place.complains("run diamond --parallelism 0", 2, "0 is not in 1..=10000");
    place.complains("run nothing", 1, "there is no DAG `nothing`");
    place.complains("run broken", 1, "unknown upstream `b`");
    place.complains(
        "run diamond --state /proc/nowhere",
        1,
        "cannot create `/proc/nowhere",
    );
    place.complains("frobnicate", 2, "unrecognized subcommand");
    place.complains("run --frobnicate", 2, "unexpected argument");
}

#[test]
fn two_runs_in_one_second_have_two_names() {
    let place = Place::new("names").dag("diamond.json", DIAMOND);
    for expected in [
        "manual__2026-01-01T00:00:00+00:00\n",
        "manual__2026-01-01T00:00:00+00:00_2\n",
    ] {
        let told = text(
            &place
                .run("run diamond --logical-date 2026-01-01T00:00:00Z")
                .stdout,
        );
        assert!(told.starts_with(&format!("diamond  {expected}")), "{told}");
    }
}

#[test]
fn only_the_latest_foreground_runs_keep_their_logs() {
    let place = Place::new("kept").dag(
        "t.json",
        r#"{"tasks": [{"task_id": "t", "bash": "echo x"}]}"#,
    );
    let logs = place
        .0
        .join(".local/state/mini-dag/foreground/logs/dag_id=t");
    // The latest of all is of 2040, which 32 bits of seconds do not reach.
    let latest = logs.join("run_id=latest");
    fs::create_dir_all(&latest).unwrap();
    let at = Timespec {
        tv_sec: 2_208_988_800,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: at,
        last_modification: at,
    };
    futimens(fs::File::open(&latest).unwrap(), &times).unwrap();
    for _ in 0..13 {
        assert!(place.run("run t").status.success());
    }
    assert_eq!(fs::read_dir(logs).unwrap().count(), 10);
    assert!(latest.exists());
}
