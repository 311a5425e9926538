//! What an earlier process of ours left running when it was killed.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open};

use super::proc;
use super::spawn::MARK;

/// How long a killed process is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// A process that starts others faster than this is reported as still there.
const ROUNDS: u32 = 10;

/// Kills every process that was started by [`super::spawn`] (here or in a process before) and whose
/// environment has `entry` (`NAME=value`), but not those with a mark that is to be `spared`, and waits for their ends. Returns how many were killed, and how many are still there. Blocks; for the start of a program.
pub fn kill_strays(entry: &str, spared: &[&str]) -> (usize, usize) {
    let mut killed = 0;
    for _ in 0..ROUNDS {
        let strays = strays(entry, spared);
        if strays.is_empty() {
            return (killed, 0);
        }
        for stray in strays {
            let Ok(pidfd) = pidfd_open(stray.pid, PidfdFlags::empty()) else {
                continue;
            };
            if stray.signal(Signal::KILL).is_ok() {
                killed += 1;
                let patience = Timespec {
                    tv_sec: PATIENCE.as_secs().cast_signed(),
                    tv_nsec: 0,
                };
                let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
                let _ = poll(&mut ended, Some(&patience));
            }
        }
    }
    (killed, strays(entry, spared).len())
}

fn strays(entry: &str, spared: &[&str]) -> Vec<proc::Stat> {
    // Somebody may have `entry` in a shell of their own; only what we start has our mark.
    let mark = format!("{MARK}=").into_bytes();
    let is_wanted = |it: &[u8]| {
        let own = it.strip_prefix(&mark[..]);
        own.is_some_and(|own| spared.iter().all(|spared| spared.as_bytes() != own))
    };
    let is_ours =
        |pid: Pid| proc::has_in_environment(pid, |it| it == entry.as_bytes()) == Some(true);
    // Of most processes the environment is enough. Of the others it is asked again, of the one that is meant from then on.
    let mut pids = proc::pids().unwrap_or_default();
    pids.retain(|pid| *pid != getpid() && is_ours(*pid));
    let found = pids.into_iter().filter_map(proc::Stat::read);
    let is_stray = |process: &proc::Stat| {
        !process.is_dead
            && is_ours(process.pid)
            && proc::has_in_environment(process.pid, is_wanted) == Some(true)
    };
    found.filter(is_stray).collect()
}
