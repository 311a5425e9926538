//! Ending a task: everything it has started goes with it, wherever it went.

use std::time::Duration;

use mini_dag::exec::{Exit, Signal, spawn};

use crate::attempt::{Attempt, argv, exists, in_time, read, sh, until};

const KILLED: Exit = Exit::Signal {
    number: libc::SIGKILL,
    has_core: false,
};
const TERMINATED: Exit = Exit::Signal {
    number: libc::SIGTERM,
    has_core: false,
};

/// Starts it, waits until it has printed that many lines, sends the signals, and returns its end, its log and
/// how long the end took.
fn signalled(
    attempt: &Attempt,
    lines: usize,
    signals: &[Signal],
) -> (mini_dag::exec::Ending, String, Duration) {
    let executor = smol::LocalExecutor::new();
    in_time(executor.run(async {
        let running = spawn(&attempt.launch).unwrap();
        let process = running.process();
        let ended = executor.spawn(running.wait(|_| ()));
        until(|| read(&attempt.launch.log).lines().count() >= lines).await;
        let start = std::time::Instant::now();
        for signal in signals {
            process.signal(*signal);
        }
        let ending = ended.await;
        let took = start.elapsed();
        // Nothing is there to be signalled any more, and nobody else is.
        process.signal(Signal::Kill);
        (ending, read(&attempt.launch.log), took)
    }))
}

#[track_caller]
fn assert_all_gone(log: &str) {
    for pid in log.split_ascii_whitespace() {
        assert!(pid.parse::<u32>().is_ok(), "no pid: {log}");
        assert!(!exists(pid), "{pid} is still there");
    }
}

#[test]
fn a_tree_that_ignores_sigterm_is_killed_in_all_its_sessions() {
    let deaf = r#"trap "" TERM HUP; echo $$; while :; do sleep 600 & wait; done"#;
    let attempt = sh(&format!(
        "trap '' TERM HUP
         sh -c '{deaf}' &
         setsid sh -c '{deaf}' &
         setsid sh -c 'setsid sh -c \"$0\" & {deaf}' '{deaf}' &
         env -i setsid sh -c '{deaf}' </dev/null &
         echo $$
         while :; do sleep 600 & wait; done"
    ));
    let (ending, log, took) = signalled(&attempt, 6, &[Signal::Term, Signal::Kill]);
    assert_eq!(ending.exit, KILLED);
    assert_all_gone(&log);
    assert!(took < Duration::from_millis(2500), "{took:?}");
    assert_eq!(ending.leftovers_alive, 0);
}

#[test]
fn sigterm_reaches_other_sessions_and_what_is_stopped() {
    let polite = r#"trap "echo bye; exit 0" TERM; echo up; while :; do sleep 600 & wait $!; done"#;
    let attempt = sh(&format!("setsid sh -c '{polite}' & {polite}"));
    let (ending, log, _) = signalled(&attempt, 2, &[Signal::Term]);
    assert_eq!(ending.exit, Exit::Code(0));
    assert_eq!(log.matches("bye").count(), 2, "{log}");
    let attempt = sh("echo up; kill -STOP $$; echo never");
    let (ending, log, _) = signalled(&attempt, 1, &[Signal::Term]);
    assert_eq!((ending.exit, log.as_str()), (TERMINATED, "up\n"));
}

#[test]
fn what_a_task_leaves_in_a_session_of_its_own_is_killed_and_reaped() {
    for detach in ["setsid", "nohup", "setsid nohup"] {
        let ended = sh(&format!(
            "{detach} sleep 600 </dev/null >/dev/null 2>&1 & echo $!"
        ))
        .run();
        assert_eq!(ended.ending.exit, Exit::Code(0), "{detach}");
        assert_eq!(ended.ending.leftovers_killed, 1, "{detach}");
        assert_all_gone(&ended.log);
    }
    // Twice removed, so that it has no parent of the task any more, and not in its group.
    let ended = sh("sh -c 'setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!'; echo $$").run();
    assert_eq!(ended.ending.leftovers_killed, 1);
    assert_all_gone(&ended.log);
    // Without its environment, but with the task's output.
    let ended = sh("env -i setsid sleep 600 & echo $!").run();
    assert_eq!(ended.ending.leftovers_killed, 1);
    assert_all_gone(&ended.log);
}

#[test]
fn a_task_keeps_its_children_when_another_ends() {
    let long = sh(
        "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!; until [ -e go ]; do sleep 0.01; done; kill -0 $!",
    );
    let executor = smol::LocalExecutor::new();
    in_time(executor.run(async {
        let ended = executor.spawn(spawn(&long.launch).unwrap().wait(|_| ()));
        until(|| !read(&long.launch.log).is_empty()).await;
        for script in ["true", "setsid sleep 600 >/dev/null 2>&1 &"] {
            let short = sh(script);
            spawn(&short.launch).unwrap().wait(|_| ()).await;
        }
        long.directory.file("go", "");
        assert_eq!(ended.await.exit, Exit::Code(0));
    }));
}

#[test]
fn the_main_process_alone_decides_how_the_task_ended() {
    let ended = argv(&[
        "/bin/sh",
        "-c",
        "setsid sh -c 'exit 3' & sh -c 'exit 4' & wait; exit 5",
    ])
    .run();
    assert_eq!(ended.ending.exit, Exit::Code(5));
    assert_eq!(
        (ended.ending.leftovers_killed, ended.ending.leftovers_alive),
        (0, 0)
    );
}
