//! A running process, handed from one program to the next in the same process (`exec` keeps children, and open
//! descriptors if it is asked to).
//!
//! Nothing of the process's output is lost or kept twice: what is in the pipe stays there, and what was taken out
//! of it is in the log or here. The secrets that are masked go along, in memory only.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::fstat;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};
use smol::Async;

use super::cgroup::Cgroups;
use super::log::{Kept, TaskLog};
use super::mask::{Held, Masker, Secrets};
use super::output::{LastLine, Output};
use super::proc::{self, Stat};
use super::running::{Process, Running};
use super::spawn::{Limits, MARK};
use super::sys;
use super::tree::Tree;

/// All that a program has to know of a process that another one has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// The main process.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// The descriptor of the reading end of its output.
    pub pipe: RawFd,
    /// What its environment is marked with.
    pub mark: String,
    /// What is in its log.
    pub kept: Kept,
    /// What it has printed in all, in bytes.
    pub output_bytes: u64,
    /// The last line so far.
    pub last_line: Vec<u8>,
    /// That line was longer than what is kept.
    pub is_cut: bool,
    /// That line has ended.
    pub is_ended: bool,
    /// What is masked in its output.
    pub secrets: Secrets,
    /// What is held back of its output because it may be the beginning of a secret.
    pub held: Held,
}

/// Keeps a descriptor open for the next program, or no longer.
pub fn keep_on_exec(descriptor: impl AsFd, is_kept: bool) -> io::Result<()> {
    let flags = if is_kept {
        FdFlags::empty()
    } else {
        FdFlags::CLOEXEC
    };
    Ok(fcntl_setfd(descriptor, flags)?)
}

/// Owns a descriptor that the program before this one has kept open for it.
pub fn inherit(descriptor: RawFd) -> io::Result<OwnedFd> {
    sys::inherit(descriptor)
}

impl Process {
    /// Hands the process over, and keeps its pipe open for the next program. `None` if its end has been reported.
    pub fn hand_over(&self) -> Option<Handed> {
        let start_time = self.start_time()?;
        keep_on_exec(&self.pipe, true).ok()?;
        let output = self.output.borrow();
        let masker = output.masker.as_ref();
        Some(Handed {
            pid: self.pid.as_raw_pid(),
            start_time,
            pipe: self.pipe.as_raw_fd(),
            mark: self.tree.borrow().mark().to_owned(),
            kept: output.log.so_far(),
            output_bytes: output.bytes,
            last_line: output.last_line.bytes.clone(),
            is_cut: output.last_line.is_cut,
            is_ended: output.last_line.is_ended,
            secrets: masker.map(|it| it.secrets.clone()).unwrap_or_default(),
            held: masker.map(Masker::held).unwrap_or_default(),
        })
    }

    /// There was no next program: the pipe is this one's again.
    pub fn keep(&self) {
        // It has worked the other way round a moment ago.
        let _ = keep_on_exec(&self.pipe, false);
    }
}

/// Goes on with a process that was handed over: with its log, limits and cgroup.
///
/// Errors: it is no child of ours, or its pipe is not there.
pub fn adopt(
    handed: &Handed,
    log: &Path,
    output_bytes_max: u64,
    limits: Limits,
    cgroups: Option<&Cgroups>,
) -> io::Result<Running> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let pid = Pid::from_raw(handed.pid).ok_or_else(gone)?;
    let is_ours =
        |stat: &Stat| stat.start_time == handed.start_time && stat.parent == getpid().as_raw_pid();
    Stat::read(pid).filter(is_ours).ok_or_else(gone)?;
    let pidfd = Async::<OwnedFd>::new_nonblocking(pidfd_open(pid, PidfdFlags::empty())?)?;
    let pipe = sys::inherit(handed.pipe)?;
    let pipe_inode = fstat(&pipe)?.st_ino;
    let pipe = Async::new(pipe)?;
    proc::tasks().push(pid);
    let cgroup = cgroups.and_then(|cgroups| cgroups.find(&handed.mark));
    let tree = Tree::new(pid, format!("{MARK}={}", handed.mark), pipe_inode, cgroup);
    let output = Output {
        log: TaskLog::go_on(log, output_bytes_max, handed.kept),
        masker: Masker::go_on(&handed.secrets, handed.held.clone()),
        last_line: LastLine {
            bytes: handed.last_line.clone(),
            is_cut: handed.is_cut,
            is_ended: handed.is_ended,
        },
        bytes: handed.output_bytes,
    };
    Ok(Running::new(pid, pidfd, tree, limits, pipe, output))
}
