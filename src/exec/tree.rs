//! Finding and ending everything that a task has started, wherever it went.
//!
//! A process belongs to a task if it is in the task's group, descends from one that belongs, or is an orphan of
//! ours that carries the task's mark in its environment or holds the task's output pipe. What changes its
//! group, its session, its environment and its output *and* loses its parent is recognised while no other task
//! runs; beyond that only a cgroup can tell, where there is one.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open};
use smol::{Async, Timer, future};

use super::cgroup::Cgroup;
use super::proc::{self, Stat};
use super::sys::{self, Usage};

/// Rounds of looking for newcomers. Each one stops what it finds, so only a process that was in the middle of
/// `fork` can add to the next: a handful is always enough.
const ROUNDS_MAX: usize = 16;
/// How long the end of killed leftovers is waited for.
const END_MAX: Duration = Duration::from_secs(2);
/// How long to wait for one leftover before looking at all of them again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often, and how far apart, an orphan is looked at that may be in the middle of `exec`.
const LOOKS_MAX: u32 = 5;
const LOOK_CLOSER: Duration = Duration::from_millis(10);

/// The processes of one task.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    main: Pid,
    /// `NAME=value`, in the environment of what the task starts.
    mark: String,
    /// The inode number of the pipe that the task prints to.
    pipe: u64,
    /// Everything that ever belonged: pid and start time.
    known: HashSet<(Pid, u64)>,
    killed: HashSet<(Pid, u64)>,
    /// The last survey saw an orphan that could not be told to belong or not.
    is_unsure: bool,
    cgroup: Option<Cgroup>,
}

/// What was left behind, once the main process had ended.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    pub(super) killed: u32,
    /// Could not be killed: they belong to another user, or sleep in the kernel.
    pub(super) alive: u32,
    pub(super) usage: Usage,
}

impl Tree {
    pub(super) fn new(main: Pid, mark: String, pipe: u64, cgroup: Option<Cgroup>) -> Self {
        Self {
            main,
            mark,
            pipe,
            known: HashSet::new(),
            killed: HashSet::new(),
            is_unsure: false,
            cgroup,
        }
    }

    /// What its environment is marked with.
    pub(super) fn mark(&self) -> &str {
        let mark = self.mark.split_once('=');
        mark.map_or("", |(_, mark)| mark)
    }

    /// The cgroup that it lives in, if it has one.
    pub(super) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    /// Asks everything to end, and wakes what is stopped, so that it can.
    pub(super) fn terminate(&mut self) {
        for process in self.survey() {
            // What cannot be signalled is gone, or not ours to signal; the kill that follows tells.
            let _ = process.signal(Signal::TERM);
            let _ = process.signal(Signal::CONT);
        }
    }

    /// Kills everything. Stops it all first, so that nothing starts a new process, and no parent that tells
    /// where a process comes from is gone, while we look.
    pub(super) fn kill(&mut self) {
        let mut stopped = HashSet::new();
        for _ in 0..ROUNDS_MAX {
            let mut is_stable = true;
            for process in self.survey() {
                if stopped.insert((process.pid, process.start_time)) {
                    is_stable = false;
                    let _ = process.signal(Signal::STOP);
                }
            }
            if is_stable {
                break;
            }
        }
        for process in self.survey() {
            self.killed.insert((process.pid, process.start_time));
            let _ = process.signal(Signal::KILL);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }

    /// After the end of the main process, and before it is reaped: kills and reaps what it left behind.
    pub(super) async fn settle(&mut self) -> Leftovers {
        let mut leftovers = Leftovers::default();
        if proc::orphans().is_empty() {
            return leftovers;
        }
        self.killed.clear();
        let mut deadline = Timer::after(END_MAX);
        let mut is_in_time = true;
        let mut looks_left = LOOKS_MAX;
        loop {
            let alive = self.survey();
            // After the survey: whatever was dead then has become our child by now.
            for pid in proc::orphans() {
                self.reap(pid, &mut leftovers.usage);
            }
            if alive.is_empty() && self.is_unsure && looks_left > 0 {
                looks_left -= 1;
                Timer::after(LOOK_CLOSER).await;
                continue;
            }
            if alive.is_empty() || !is_in_time {
                leftovers.killed = count(self.killed.len().saturating_sub(alive.len()));
                leftovers.alive = count(alive.len());
                return leftovers;
            }
            self.kill();
            let ended = async {
                wait_for_end(alive[0].pid).await;
                true
            };
            let late = async {
                (&mut deadline).await;
                false
            };
            is_in_time = future::or(late, ended).await;
        }
    }

    fn reap(&self, pid: Pid, usage: &mut Usage) {
        // ECHILD: it was reaped by the end of another task, which found it first.
        let is_ours = self.known.iter().any(|(known, _)| *known == pid);
        if let Ok(Some(reaped)) = sys::reap(pid)
            && is_ours
        {
            usage.cpu_user += reaped.usage.cpu_user;
            usage.cpu_system += reaped.usage.cpu_system;
            usage.memory_peak_bytes = usage.memory_peak_bytes.max(reaped.usage.memory_peak_bytes);
        }
    }

    /// Whether an orphan carries the mark of this task, or holds its output.
    fn has_trace(&mut self, orphan: Pid) -> bool {
        let is_marked = proc::has_in_environment(orphan, |it| it == self.mark.as_bytes());
        let has_trace = is_marked == Some(true) || proc::holds_pipe(orphan, self.pipe);
        self.is_unsure |= is_marked.is_none() && !has_trace;
        has_trace
    }

    /// The living processes of the task. Those that belong are remembered, so that their children are
    /// recognised even when they themselves are gone.
    fn survey(&mut self) -> Vec<Stat> {
        let mut processes = proc::all().unwrap_or_default();
        processes.sort_unstable_by_key(|process| process.parent);
        let own = getpid();
        let takes_strays = proc::is_only_task(self.main);
        let main_start = processes
            .iter()
            .find(|process| process.pid == self.main)
            .map_or(u64::MAX, |main| main.start_time);
        let orphans: HashSet<Pid> = proc::orphans().into_iter().collect();
        let members = self.cgroup.as_ref().map(Cgroup::members);
        let members: HashSet<Pid> = members.into_iter().flatten().collect();

        self.is_unsure = false;
        let mut to_follow = Vec::new();
        for process in processes.iter().filter(|process| process.pid != own) {
            let is_tied = process.pid == self.main
                || process.group == self.main.as_raw_pid()
                || members.contains(&process.pid)
                || self.known.contains(&(process.pid, process.start_time));
            if is_tied
                || orphans.contains(&process.pid)
                    && !process.is_dead
                    && (self.has_trace(process.pid)
                        || takes_strays && process.start_time >= main_start)
            {
                to_follow.push(*process);
            }
        }
        let mut belongs: HashSet<Pid> = HashSet::new();
        let mut alive = Vec::new();
        while let Some(process) = to_follow.pop() {
            if !belongs.insert(process.pid) {
                continue;
            }
            self.known.insert((process.pid, process.start_time));
            if !process.is_dead {
                alive.push(process);
            }
            let number = process.pid.as_raw_pid();
            let first = processes.partition_point(|other| other.parent < number);
            let children = processes[first..]
                .iter()
                .take_while(|other| other.parent == number);
            to_follow.extend(children.filter(|child| child.pid != own));
        }
        alive
    }
}

fn count(processes: usize) -> u32 {
    u32::try_from(processes).unwrap_or(u32::MAX)
}

/// Resolves when the process has ended, or after [`LOOK_AGAIN`].
async fn wait_for_end(pid: Pid) {
    let ended = async {
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
            && let Ok(pidfd) = Async::<OwnedFd>::new_nonblocking(pidfd)
        {
            let _ = pidfd.readable().await;
        }
    };
    future::or(ended, async {
        Timer::after(LOOK_AGAIN).await;
    })
    .await;
}
