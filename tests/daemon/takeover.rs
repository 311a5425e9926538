//! A daemon that becomes another program, while its tasks go on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::place::{Place, text};

/// Four tasks that end as they should when there is a file `go`: what they print, before and after, is in their logs,
/// and the last line is their XCom.
const FOUR: &str = r#"{"schedule": "@once", "start_date": "2026-01-01", "max_active_tasks": 4, "tasks": [
    {"task_id": "good", "bash": "echo $$ >> DIR/pids; printf 'half a '; touch DIR/good; until [ -e DIR/go ]; do sleep 0.01; done; echo line"},
    {"task_id": "bad", "bash": "echo $$ >> DIR/pids; until [ -e DIR/go ]; do sleep 0.01; done; exit 7"},
    {"task_id": "skip", "bash": "echo $$ >> DIR/pids; until [ -e DIR/go ]; do sleep 0.01; done; exit 99"},
    {"task_id": "killed", "bash": "echo $$ >> DIR/pids; until [ -e DIR/go ]; do sleep 0.01; done; kill -9 $$"}]}"#;

/// A place with a config file that lets four tasks run at once.
fn place(name: &str) -> Place {
    let place = Place::new(name);
    fs::write(place.path("mini-dag.json"), r#"{"parallelism": 4}"#).unwrap();
    fs::set_permissions(
        place.path("mini-dag.json"),
        PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    place
}

#[test]
fn tasks_go_on_when_the_daemon_becomes_another_program() {
    let place = place("takeover");
    place.dag("four.json", FOUR);
    let daemon = place.daemon();
    place.until("four tasks", || {
        place.lines("pids").len() == 4 && place.path("good").exists()
    });
    for times in 1..=2 {
        daemon.signal(Signal::USR2);
        place.until("the new program", || {
            daemon
                .log()
                .matches("4 tasks of the program before go on")
                .count()
                == times
        });
    }
    let second = place.start("dags");
    second.tells("another mini-dag is using");
    assert_eq!(second.end().code(), Some(1));
    place.touch("go");
    place.has_recorded("run_failed", "four", 1);
    daemon.stop();

    assert_eq!(place.lines("pids").len(), 4, "no task was started twice");
    assert!(place.recorded("interrupted", "four").is_empty());
    let ends = ["success", "failed", "skipped"].map(|event| place.recorded(event, "four"));
    assert_eq!(ends.each_ref().map(Vec::len), [1, 2, 1]);
    assert_eq!(text(&ends[0][0], "xcom"), "half a line");
    let numbers = |key| {
        let mut found: Vec<_> = ends[1]
            .iter()
            .filter_map(|end| end.get(key)?.as_i64())
            .collect();
        found.sort_unstable();
        found
    };
    assert_eq!((numbers("exit"), numbers("signal")), (vec![7], vec![9]));
    let logs = place.path("state/logs/dag_id=four");
    let run = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    let log = fs::read_to_string(run.join("task_id=good/attempt=1.log")).unwrap();
    assert_eq!(log, "half a line\n");
    assert!(place.verify().is_sound());
}

/// Its time limit runs on, and it is found and ended like any other.
#[test]
fn a_task_that_was_taken_over_is_ended_when_its_time_is_over() {
    let place = place("takeover-timeout");
    place.dag(
        "long.json",
        r#"{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{"task_id": "long", "timeout": "3s",
            "bash": "touch DIR/up; while :; do sleep 0.01; done"}]}"#,
    );
    let daemon = place.daemon();
    place.until("the task", || place.path("up").exists());
    daemon.signal(Signal::USR2);
    daemon.tells("1 tasks of the program before go on");
    place.has_recorded("run_failed", "long", 1);
    daemon.stop();
    assert_eq!(
        text(&place.recorded("failed", "long")[0], "stopped"),
        "timed_out"
    );
}

/// Something that cannot take over is noticed before anything is given up.
#[test]
fn a_program_that_cannot_take_over_does_not() {
    let place = place("takeover-refused");
    let program = place.path("mini-dag");
    fs::copy(env!("CARGO_BIN_EXE_mini-dag"), &program).unwrap();
    place.dag("four.json", FOUR);
    let daemon = place.start_program(&program, "dags", &[]);
    daemon.tells("DAGs, state in");
    place.until("four tasks", || place.lines("pids").len() == 4);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\necho takeover=0 journal=0\n").unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    daemon.signal(Signal::USR2);
    daemon.tells("cannot take over: it says `takeover=0 journal=0`");
    fs::write(&program, "this is no program").unwrap();
    daemon.signal(Signal::USR2);
    daemon.tells("is neither a program for this machine nor a script");
    place.touch("go");
    place.has_recorded("run_failed", "four", 1);
    daemon.stop();
    assert!(place.recorded("interrupted", "four").is_empty());
}

/// Who asks for it sees what it waits for: here, a hook, which no other program could go on with.
#[test]
fn a_takeover_says_that_it_waits_for_hooks() {
    let place = place("takeover-hooks");
    place.dag(
        "d.json",
        r#"{"tasks": [{"task_id": "a", "bash": "true",
            "on_success": {"bash": "touch DIR/called; until [ -e DIR/go ]; do sleep 0.01; done"}}]}"#,
    );
    let daemon = place.daemon();
    let before = daemon.pid();
    place.command(&["trigger", "d"]);
    place.until("the hook", || place.path("called").exists());
    let said = fs::File::create(place.path("said")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini-dag"));
    let command = command.args(["reload", "--exec", "--state"]);
    let command = command.arg(place.path("state")).stderr(said);
    let mut reload = command.stdout(Stdio::piped()).spawn().unwrap();
    place.until("the reason", || {
        place.lines("said") == ["waits: hooks still run: 1"]
    });
    place.touch("go");
    assert!(reload.wait().unwrap().success());
    assert_eq!(daemon.pid(), before);
    daemon.tells("takes over, with 0 tasks");
    daemon.stop();
}

/// What a newer version has written in another format, this one leaves as it is; and what it has written in this one,
/// it goes on with.
#[test]
fn an_older_program_refuses_the_journal_of_a_newer_one_and_changes_nothing() {
    let place = place("downgrade");
    place.dag("d.json", r#"{"tasks": [{"task_id": "a", "bash": "true"}]}"#);
    let daemon = place.daemon();
    place.command(&["trigger", "d"]);
    place.has_recorded("run_success", "d", 1);
    daemon.stop();
    let segment = place.path("state/journal/0000000001.jsonl");
    let written = fs::read_to_string(&segment).unwrap();
    let header = written.lines().next().unwrap();
    let newer = header.replace(r#""version":1"#, r#""version":2"#);
    assert_ne!(header, newer);
    let (before, _) = newer.rsplit_once(r#","crc""#).unwrap();
    let newer = format!("{before},\"crc\":\"{:08x}\"}}\n", crc32c(before.as_bytes()));
    fs::write(&segment, &newer).unwrap();
    let files = || {
        let files = fs::read_dir(place.path("state/journal")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let before_files = files();
    let daemon = place.start("dags");
    daemon.tells("0000000001.jsonl is of format version 2; this program knows version 1");
    daemon.tells("install the version of mini-dag again that wrote it");
    assert_eq!(daemon.end().code(), Some(1));
    assert_eq!(fs::read_to_string(&segment).unwrap(), newer);
    assert_eq!(files(), before_files);
    fs::write(&segment, &written).unwrap();
    place.daemon().stop();
    assert_eq!(place.recorded("run_success", "d").len(), 1);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let table = |mut crc: u32| {
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 * (crc & 1));
        }
        crc
    };
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (crc >> 8) ^ table((crc ^ u32::from(*byte)) & 0xff)
    })
}
