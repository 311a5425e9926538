//! What can only be seen in a process that does nothing else: descriptors, threads, memory and zombies after
//! thousands of tasks, and leftovers that nothing but being alone gives away.
//!
//! `MINI_DAG_RUNS=10000` makes the long run as long as the promise says.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests measure how long things take, and fail by panicking"
)]

#[path = "exec/attempt.rs"]
#[expect(dead_code, reason = "the other test program uses the rest")]
mod attempt;

use std::fs;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use attempt::{argv, exists, in_time, memory_peak_of_this_program, read, sh, until};
use mini_dag::exec::{Exit, LaunchError, prepare, spawn};

/// The tests of this file have the process to themselves, one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(test: impl FnOnce()) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    test();
}

/// Descriptors, threads and children of this process, and its memory in KiB.
fn holds() -> (usize, usize, usize, u64) {
    let count = |directory: &str| fs::read_dir(directory).unwrap().count();
    let own = std::process::id().to_string();
    let children = fs::read_dir("/proc").unwrap().filter(|entry| {
        let stat = entry.as_ref().unwrap().path().join("stat");
        let stat = fs::read_to_string(stat).unwrap_or_default();
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1));
        parent == Some(own.as_str())
    });
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    (
        count("/proc/self/fd"),
        count("/proc/self/task"),
        children.count(),
        resident * 4,
    )
}

#[test]
fn thousands_of_tasks_leave_nothing_behind() {
    alone(|| {
        let runs: u32 = std::env::var("MINI_DAG_RUNS").map_or(2000, |runs| runs.parse().unwrap());
        let attempt = argv(&["/bin/true"]);
        let go = |runs: u32| {
            let executor = smol::LocalExecutor::new();
            let lane = async || {
                for _ in 0..runs / 2 {
                    let ending = spawn(&attempt.launch).unwrap().wait(|_| ()).await;
                    assert_eq!(ending.exit, Exit::Code(0));
                }
            };
            smol::block_on(executor.run(smol::future::zip(lane(), lane())));
        };
        go(200);
        let before = holds();
        go(runs);
        let after = holds();
        assert_eq!((before.0, before.1, before.2), (after.0, after.1, after.2));
        assert!(
            after.3 <= before.3 + 512,
            "from {} to {} KiB",
            before.3,
            after.3
        );
    });
}

#[test]
fn a_gigabyte_of_output_leaves_the_memory_flat() {
    alone(|| {
        let flood = |bytes: u64| {
            let mut attempt = sh(&format!(
                "yes 'a line of some length' | head -c {bytes}; head -c {bytes} /dev/zero"
            ));
            attempt.launch.output_bytes_max = 10 << 20;
            attempt.run()
        };
        flood(1 << 20);
        let before = memory_peak_of_this_program();
        let ended = flood(1 << 29);
        let after = memory_peak_of_this_program();
        assert_eq!(ended.ending.output_bytes, 1 << 30);
        assert_eq!(ended.ending.output_dropped_bytes, (1 << 30) - (10 << 20));
        assert!(ended.ending.last_line.is_cut);
        let note = "mini-dag: the output limit is 10485760 bytes; 1063256064 more were dropped\n";
        assert!(ended.log.ends_with(note) && ended.log.len() <= (10 << 20) + 1 + note.len());
        assert!(
            after <= before + (11 << 20) + (10 << 20),
            "from {before} to {after}"
        );
    });
}

#[test]
fn a_leftover_without_any_trace_is_killed_when_no_other_task_runs() {
    alone(|| {
        let script = "env -i setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!
            until [ $(cat /proc/$!/comm) = sleep ]; do :; done";
        let ended = sh(script).run();
        assert_eq!(ended.ending.leftovers_killed, 1);
        assert!(!exists(ended.log.trim()));
    });
}

#[test]
fn what_ended_on_its_own_is_reaped_with_the_next_task() {
    alone(|| {
        let attempt = sh(
            "sh -c 'setsid true </dev/null >/dev/null 2>&1 &'; echo up; until [ -e go ]; do sleep 0.01; done",
        );
        let executor = smol::LocalExecutor::new();
        in_time(executor.run(async {
            let ended = executor.spawn(spawn(&attempt.launch).unwrap().wait(|_| ()));
            until(|| !read(&attempt.launch.log).is_empty()).await;
            spawn(&argv(&["/bin/true"]).launch)
                .unwrap()
                .wait(|_| ())
                .await;
            attempt.directory.file("go", "");
            assert_eq!(ended.await.leftovers_killed, 0);
        }));
        assert_eq!(holds().2, 0);
    });
}

#[test]
fn descriptors_that_this_program_was_handed_are_not_handed_on() {
    alone(|| {
        let listing = || sh("ls /proc/$$/fd; :").run().log;
        assert_eq!(listing(), "0\n1\n2\n");
        // As a shell's `9>file` or systemd's socket would be.
        let handed = rustix::io::dup(std::io::stdin()).unwrap();
        assert_eq!(listing(), format!("0\n1\n2\n{}\n", handed.as_raw_fd()));
        prepare().unwrap();
        assert_eq!(listing(), "0\n1\n2\n");
    });
}

#[test]
fn a_lack_of_descriptors_is_told_and_leaves_nothing_behind() {
    alone(|| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let attempt = argv(&["/bin/true"]);
        in_time(spawn(&attempt.launch).unwrap().wait(|_| ()));
        let limit = getrlimit(Resource::Nofile);
        let before = holds();
        let mut refused = 0;
        // One descriptor more each time, until there are enough: every place where one is opened fails once.
        for spare in 0.. {
            let lowest_free = rustix::io::dup(std::io::stdin()).unwrap().as_raw_fd();
            let current = u64::try_from(lowest_free).unwrap() + spare;
            setrlimit(
                Resource::Nofile,
                Rlimit {
                    current: Some(current),
                    ..limit
                },
            )
            .unwrap();
            let spawned = spawn(&attempt.launch);
            setrlimit(Resource::Nofile, limit).unwrap();
            match spawned {
                Ok(running) => {
                    assert_eq!(in_time(running.wait(|_| ())).exit, Exit::Code(0));
                    break;
                }
                Err(LaunchError::Exhausted { .. }) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
            let after = holds();
            assert_eq!((before.0, before.2), (after.0, after.2));
        }
        assert!(refused >= 3, "{refused}");
    });
}
