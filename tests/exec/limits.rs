//! What an attempt may use, and what of its output may be seen.

use std::time::Duration;

use mini_dag::exec::{Exit, Over, Secrets};

use crate::attempt::{argv, sh};

#[test]
fn a_task_stands_back_as_it_is_told() {
    let mut attempt = sh("while [ \"$(nice)\" != 7 ]; do :; done; nice");
    attempt.launch.limits.nice = 7;
    let ended = attempt.run();
    assert_eq!(
        (ended.ending.exit, ended.log.as_str()),
        (Exit::Code(0), "7\n")
    );
}

#[test]
fn cpu_time_beyond_the_limit_ends_a_task_and_says_so() {
    let over = |script: &str| {
        let mut attempt = sh(script);
        attempt.launch.limits.cpu_time = Some(Duration::from_millis(900));
        attempt.run().ending
    };
    let xcpu = |has_core| Exit::Signal {
        number: libc::SIGXCPU,
        has_core,
    };
    let ending = over("ulimit -c 0; while :; do :; done");
    assert_eq!(ending.exit, xcpu(false));
    assert_eq!(ending.over, Some(Over::CpuTime(Duration::from_millis(900))));
    assert_eq!(ending.over.unwrap().to_string(), "cpu time over 900ms");
    // Who does not listen is killed; who dies of it below a shell is told of by the shell.
    let ending = over("trap '' XCPU; while :; do :; done");
    assert_eq!(
        ending.exit,
        Exit::Signal {
            number: libc::SIGKILL,
            has_core: false
        }
    );
    assert!(ending.over.is_some());
    let ending = over("ulimit -c 0; sh -c 'while :; do :; done'; exit $?");
    assert_eq!(ending.exit, Exit::Code(128 + libc::SIGXCPU));
    assert!(ending.over.is_some());
    // Another death is another death.
    let ending = over("kill -KILL $$");
    assert_eq!(ending.over, None);
}

#[test]
fn a_limit_says_what_it_was() {
    let memory = |bytes| Over::Memory(bytes).to_string();
    assert_eq!(memory(32 << 20), "killed: out of memory, limit 32 MiB");
    assert_eq!(memory(3 << 30), "killed: out of memory, limit 3 GiB");
    assert_eq!(memory(1000), "killed: out of memory, limit 1000 bytes");
}

/// The pieces are written one after the other, so that they are read one by one.
#[test]
fn a_secret_is_masked_in_the_log_and_the_last_line_however_it_is_printed() {
    let mut secrets = Secrets::default();
    secrets.add(b"hunter2!");
    secrets.add(b"-----BEGIN KEY-----\nMIIEvQ\n-----END KEY-----");
    let mut attempt = sh(
        "printf 'a hun'; sleep 0.05; printf 'ter'; sleep 0.05; echo '2! b'
         printf '%s\\n' '-----BEGIN KEY-----' MIIEvQ '-----END KEY-----'
         echo MIIEvQ
         echo token=hunter2! >&2
         printf 'the last hunter2!'",
    );
    attempt.launch.secrets = secrets;
    let ended = attempt.run();
    assert_eq!(ended.log, "a *** b\n***\n***\ntoken=***\nthe last ***");
    assert_eq!(ended.ending.last_line.bytes, b"the last ***");
    assert_eq!(ended.ending.exit, Exit::Code(0));
}

#[test]
fn what_only_begins_as_a_secret_is_kept() {
    let mut attempt = argv(&["/bin/echo", "-n", "hunter2"]);
    attempt.launch.secrets.add(b"hunter2!");
    let ended = attempt.run();
    assert_eq!(ended.log, "hunter2");
    assert_eq!(ended.ending.last_line.bytes, b"hunter2");
}
