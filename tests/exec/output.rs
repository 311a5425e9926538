//! What a task prints, and for how long it is listened to.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mini_dag::exec::{Exit, spawn};

use crate::attempt::{argv, exists, in_time, sh};

#[test]
fn the_log_has_both_streams_byte_for_byte() {
    let ended = sh(r"printf 'a\377\000b\n'; printf 'err\r\n' >&2; printf tail").run();
    let log = fs::read(ended.directory.0.join("logs/attempt=1.log")).unwrap();
    assert_eq!(log, b"a\xff\x00b\nerr\r\ntail");
    assert_eq!(ended.ending.output_bytes, log.len() as u64);
    assert_eq!(ended.ending.output_dropped_bytes, 0);
    assert_eq!(ended.ending.last_line.bytes, b"tail");
}

#[test]
fn the_log_is_private_and_appears_with_the_first_byte() {
    let ended = sh("echo").run();
    let mode = |name: &str| {
        fs::metadata(ended.directory.0.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("logs/attempt=1.log"), 0o600);
    assert_eq!(mode("logs"), 0o700);
    assert!(!argv(&["/bin/true"]).run().directory.0.join("logs").exists());
}

#[test]
fn a_log_ends_at_its_limit_and_says_so() {
    let check = |script: &str, output_bytes_max: u64, expected: &str, dropped: u64| {
        let mut attempt = sh(script);
        attempt.launch.output_bytes_max = output_bytes_max;
        let ended = attempt.run();
        assert_eq!(ended.log, expected);
        assert_eq!(ended.ending.output_dropped_bytes, dropped);
        assert_eq!(ended.ending.exit, Exit::Code(7));
        assert_eq!(ended.ending.last_line.bytes, b"three");
    };
    let script = "echo one; echo two; echo three; exit 7";
    check(script, 14, "one\ntwo\nthree\n", 0);
    check(
        script,
        8,
        "one\ntwo\nmini-dag: the output limit is 8 bytes; 6 more were dropped\n",
        6,
    );
    check(
        script,
        6,
        "one\ntw\nmini-dag: the output limit is 6 bytes; 8 more were dropped\n",
        8,
    );
    check(
        script,
        0,
        "mini-dag: the output limit is 0 bytes; 14 more were dropped\n",
        14,
    );
}

#[test]
fn a_log_that_cannot_be_written_does_not_fail_the_task() {
    let mut attempt = sh("echo one; echo two; exit 3");
    attempt.launch.log = attempt.directory.file("file", "").join("attempt=1.log");
    let ending = in_time(spawn(&attempt.launch).unwrap().wait(|_| ()));
    assert_eq!(ending.exit, Exit::Code(3));
    assert_eq!((ending.output_bytes, ending.output_dropped_bytes), (8, 8));
    assert_eq!(
        ending.log_error.unwrap().kind(),
        std::io::ErrorKind::NotADirectory
    );
    // A symbolic link that somebody put there is not followed.
    let mut attempt = sh("echo one");
    let other = attempt.directory.file("other", "");
    attempt.launch.log = attempt.directory.0.join("link");
    std::os::unix::fs::symlink(&other, &attempt.launch.log).unwrap();
    let ending = in_time(spawn(&attempt.launch).unwrap().wait(|_| ()));
    assert!(ending.log_error.is_some());
    assert_eq!(fs::read(other).unwrap(), b"");
}

#[test]
fn progress_is_told_while_the_task_runs() {
    let attempt = sh("echo first; until [ -e go ]; do sleep 0.01; done; echo second");
    let seen = RefCell::new(Vec::new());
    let ending = in_time(spawn(&attempt.launch).unwrap().wait(|line| {
        seen.borrow_mut().push(line.bytes.clone());
        attempt.directory.file("go", "");
    }));
    assert_eq!(seen.borrow()[0], b"first");
    assert_eq!(ending.last_line.bytes, b"second");
}

#[test]
fn a_background_process_that_holds_the_output_ends_with_its_task() {
    // The quickest of three: another test may have the processor.
    let tries = [0; 3].map(|_| {
        let ended = sh("sleep 600 & echo $!").run();
        assert_eq!(ended.ending.exit, Exit::Code(0));
        assert_eq!(ended.ending.leftovers_killed, 1);
        assert!(!exists(ended.log.trim()), "sleep is still there");
        ended.took
    });
    let quickest = tries.iter().min().unwrap();
    assert!(*quickest <= Duration::from_millis(500), "{tries:?}");
}

#[test]
fn what_a_child_still_prints_is_waited_for_but_not_for_ever() {
    let ended = sh("(sleep 0.1; echo late) & echo early").run();
    assert_eq!(ended.log, "early\nlate\n");
    assert_eq!(ended.ending.leftovers_killed, 0);
    let ended = sh("while :; do echo again; sleep 0.05; done & echo $! > pid").run();
    assert!(
        ended.took > Duration::from_secs(2) && ended.took < Duration::from_secs(5),
        "{:?}",
        ended.took
    );
    let pid = fs::read_to_string(ended.directory.0.join("pid")).unwrap();
    assert!(!exists(pid.trim()));
    let ended = sh("yes & echo $! > pid").run();
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    let pid = fs::read_to_string(ended.directory.0.join("pid")).unwrap();
    assert!(!exists(pid.trim()));
}

#[test]
fn a_task_that_floods_does_not_starve_another() {
    let flood = argv(&["yes"]);
    let executor = smol::LocalExecutor::new();
    in_time(executor.run(async {
        let flooding = spawn(&flood.launch).unwrap();
        let process = flooding.process();
        let flooded = executor.spawn(flooding.wait(|_| ()));
        for _ in 0..20 {
            let quiet = sh("echo done");
            let ending = spawn(&quiet.launch).unwrap().wait(|_| ()).await;
            assert_eq!(ending.last_line.bytes, b"done");
        }
        process.signal(mini_dag::exec::Signal::Kill);
        let ending = flooded.await;
        assert!(ending.output_bytes > 1 << 20);
        assert_eq!(ending.output_bytes - ending.output_dropped_bytes, 1 << 20);
    }));
}
