//! The daemon's own log: who reads it does not hold it up, and systemd's journal gets priorities.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::daemon::{CHAIN, Daemon};

/// Lines that fill a pipe of 64 KiB many times over.
const REFUSED: usize = 60;

#[test]
fn a_reader_of_stderr_that_is_stuck_holds_nothing_up() {
    let mut daemon = Daemon::place("stuck-stderr");
    fs::write(daemon.path("dags/chain.json"), CHAIN).unwrap();
    let pipe = daemon.start_into(Stdio::piped(), "").unwrap();
    daemon.wait_for("an answer", |daemon| daemon.get("/health").0 == 200);
    // A change that is refused is told in the log, with its path.
    let path = format!("/{}", "x".repeat(100)).repeat(30);
    for _ in 0..REFUSED {
        let (status, _) = daemon.request("PATCH", &path, "", r#"{"is_paused": true}"#);
        assert_eq!(status, 404);
    }
    daemon.ok(&[
        "trigger", "chain", "--run-id", "r", "--param", "name=/", "--wait",
    ]);
    // Somebody reads again: what was lost is counted, and what comes now is there.
    let mut lines = BufReader::new(pipe).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("20"), "{first}");
    let reader = std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .find(|line| line.contains("lines could not be written"))
    });
    daemon.wait_for("the reader", |daemon| {
        daemon.request("PATCH", &path, "", r#"{"is_paused": true}"#);
        reader.is_finished()
    });
    let counted = reader.join().unwrap().unwrap();
    let lost = counted.trim_start_matches('(').split(' ').next().unwrap();
    assert!(lost.parse::<usize>().unwrap() > REFUSED / 2, "{counted}");
}

#[test]
fn under_systemds_journal_a_line_has_a_priority_and_no_time() {
    for (is_it, begins) in [(true, "<6>"), (false, "20")] {
        let mut daemon = Daemon::place("priority");
        fs::write(daemon.path("dags/bad.json"), "{").unwrap();
        let fails = r#"{"tasks": [{"task_id": "a", "bash": "exit 3"}]}"#;
        fs::write(daemon.path("dags/fails.json"), fails).unwrap();
        let file = File::create(daemon.path("stderr")).unwrap();
        let stat = file.metadata().unwrap();
        let journal = format!("{}:{}", stat.dev(), stat.ino() + u64::from(!is_it));
        daemon.start_into(file.into(), &journal);
        daemon.wait_for("an answer", |daemon| daemon.get("/health").0 == 200);
        let log = daemon.log();
        let ready = log.lines().find(|line| line.contains("ready: ")).unwrap();
        assert!(ready.starts_with(begins), "{log}");
        let bad = log.lines().find(|line| line.contains("bad.json")).unwrap();
        assert_eq!(bad.starts_with("<3>"), is_it, "{log}");
        assert_eq!(bad.contains(" ERROR "), !is_it, "{log}");
        // What a reload finds as it was is no news; a run that fails is.
        let run = ["trigger", "fails", "--run-id", "r", "--wait"];
        for command in [&["reload"][..], &run[..]] {
            assert_eq!(daemon.run(command).code, 1);
        }
        let log = daemon.log();
        assert!(!log.contains("loaded"), "{log}");
        let failed = log.lines().find(|line| line.contains("dag=fails run=r"));
        let failed = failed.unwrap_or_else(|| panic!("{log}"));
        assert_eq!(failed.starts_with("<4>"), is_it, "{log}");
        assert!(failed.ends_with("dag=fails run=r failed"), "{log}");
    }
}
