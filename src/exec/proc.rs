//! What `/proc` says of processes, and which children of this process are tasks.
//!
//! This process is a subreaper: what a task leaves behind becomes a child of this process at the moment its
//! parent ends. So one read of our own list of children tells whether anything was left behind at all, and only
//! then is `/proc` walked.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::sys;

/// The main processes of tasks that are not reaped yet: as many as run at once, so a list does.
static TASKS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Every child that is no task is what a task left behind: true once [`note_inherited_children`] found none.
static CHILDREN_ARE_OURS: AtomicBool = AtomicBool::new(false);

/// The main processes of tasks; whoever starts or reaps one holds this meanwhile, so that no other thread
/// takes a task for a leftover.
pub(super) fn tasks() -> MutexGuard<'static, Vec<Pid>> {
    TASKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks whether this process has children before it starts any: `exec` keeps those of the program that ran
/// before, and process 1 of a container is given everybody's. Then a stray child need not come from a task.
pub(super) fn note_inherited_children() {
    let ours = getpid() != Pid::INIT && children().is_empty();
    CHILDREN_ARE_OURS.store(ours, Ordering::Relaxed);
}

/// Whether a child that nothing else ties to a task must nevertheless come from `main`: there is no other.
pub(super) fn is_only_task(main: Pid) -> bool {
    CHILDREN_ARE_OURS.load(Ordering::Relaxed) && *tasks() == [main]
}

/// Our children that are no task: left behind by one, alive or dead.
pub(super) fn orphans() -> Vec<Pid> {
    let tasks = tasks();
    let mut found = children();
    found.retain(|pid| !tasks.contains(pid));
    found
}

/// Reaps what tasks have left behind and has ended, as init would.
pub(super) fn reap_orphans() {
    for pid in orphans() {
        // It may live, or be reaped by the end of its own task; both are fine.
        let _ = sys::reap(pid);
    }
}

/// The kernel hands orphans to the first thread, so its list holds them all.
fn children() -> Vec<Pid> {
    children_of(getpid())
}

/// Kernels that are built without this list (`CONFIG_PROC_CHILDREN`) cost a walk of `/proc`.
fn children_of(parent: Pid) -> Vec<Pid> {
    let number = parent.as_raw_pid();
    match fs::read_to_string(format!("/proc/{number}/task/{number}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(pid).collect(),
        Err(_) => all()
            .unwrap_or_default()
            .into_iter()
            .filter(|process| process.parent == number)
            .map(|process| process.pid)
            .collect(),
    }
}

/// Applies something that children inherit to a process that has just been started, and to the children that
/// it may have by now: each before its own children are looked for, so that none is missed.
pub(super) fn each_in_family(main: Pid, mut apply: impl FnMut(Pid)) {
    let mut family = vec![main];
    let mut applied = 0;
    while let Some(pid) = family.get(applied).copied() {
        applied += 1;
        apply(pid);
        if family.len() < FAMILY_MAX {
            family.extend(children_of(pid));
        }
    }
}

/// Whoever has started more in its first moments means no good; its cgroup or its end will find them.
const FAMILY_MAX: usize = 256;

fn pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// It has ended and waits to be reaped.
    pub(super) is_dead: bool,
    /// In clock ticks since boot. Pid and start time together name a process for ever.
    pub(super) start_time: u64,
}

impl Stat {
    pub(super) fn read(pid: Pid) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        Self::parse(pid, &text)
    }

    /// The second field is the program's name in parentheses, with any bytes in it, `)` too.
    fn parse(pid: Pid, text: &[u8]) -> Option<Self> {
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&text[name_end + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let is_zombie = matches!(fields.next()?, "Z" | "X" | "x");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let threads: u32 = fields.nth(14)?.parse().ok()?;
        let start_time = fields.nth(1)?.parse().ok()?;
        Some(Self {
            pid,
            parent,
            group,
            // A program may end its first thread and live on in the others.
            is_dead: is_zombie && threads <= 1,
            start_time,
        })
    }

    /// Sends `signal` to this very process: after the pidfd is open, the number can no longer change hands,
    /// so if the start time is still the same the pidfd is that of this process.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pidfd = pidfd_open(self.pid, rustix::process::PidfdFlags::empty())?;
        match Self::read(self.pid) {
            Some(now) if now.start_time == self.start_time => {
                Ok(pidfd_send_signal(&pidfd, signal)?)
            }
            Some(_) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// The number of every process that can be seen.
pub(super) fn pids() -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        found.extend(entry?.file_name().to_str().and_then(pid));
    }
    Ok(found)
}

/// Every process that can be seen.
pub(super) fn all() -> io::Result<Vec<Stat>> {
    Ok(pids()?.into_iter().filter_map(Stat::read).collect())
}

/// Whether the environment that the process was started with has an entry (`NAME=value`) that `is_it`. `None`
/// if it has no environment at all: then it may be in the middle of `exec`, and have one in a moment.
pub(super) fn has_in_environment(pid: Pid, is_it: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let environ = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
    let mut entries = environ.split(|byte| *byte == 0);
    (!environ.is_empty()).then(|| entries.any(is_it))
}

/// Whether the process holds an end of the pipe with this inode number.
pub(super) fn holds_pipe(pid: Pid, inode: u64) -> bool {
    let pipe = format!("pipe:[{inode}]");
    fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry
                .and_then(|entry| fs::read_link(entry.path()))
                .is_ok_and(|target| target.as_os_str() == pipe.as_str())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_call_itself_what_it_likes() {
        let fields = "S 7 9 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        for name in ["sh", "a) R 1 1 1", "))(", "two words", "\u{1f680}"] {
            let stat = Stat::parse(Pid::INIT, format!("1 ({name}) {fields}").as_bytes());
            let expected = Stat {
                pid: Pid::INIT,
                parent: 7,
                group: 9,
                is_dead: false,
                start_time: 12345,
            };
            assert_eq!(stat, Some(expected), "{name}");
        }
        for cut in ["", "1", "1 (sh", "1 (sh) S 7", "1 (sh) S x 9"] {
            assert_eq!(Stat::parse(Pid::INIT, cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn this_process_is_seen_with_its_start_time() {
        let own = Stat::read(getpid()).unwrap();
        assert!(all().unwrap().contains(&own));
        assert!(own.start_time > 0 && !own.is_dead);
    }

    #[test]
    fn a_number_that_changed_hands_is_not_signalled() {
        let mut stranger = Stat::read(getpid()).unwrap();
        stranger.start_time -= 1;
        // Were it sent, this test would not see the next line.
        assert!(stranger.signal(Signal::KILL).is_err());
    }
}
