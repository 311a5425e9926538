//! What this process must be before it starts others. Called once, before the first thread and the first task.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open, set_child_subreaper};

use super::{proc, sys};

/// Makes this process one that tasks can be started from:
///
/// - descriptors from 3 on that it was handed are not handed on (those that this program opens never are),
/// - no signal is blocked or, apart from what a terminal or `nohup` asks for, ignored: tasks inherit both,
/// - what a task leaves behind becomes a child of this process, so that it is found, killed and reaped.
///
/// The umask is left alone: tasks get the one that the unit or the shell gave. Files of our own are created
/// with explicit modes instead.
///
/// Errors: `/proc` is not mounted, or the kernel is older than 5.3 (of 2019) and has no `pidfd_open`.
pub fn prepare() -> io::Result<()> {
    let said =
        |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    for entry in std::fs::read_dir("/proc/self/fd")
        .map_err(|error| said("cannot read /proc/self/fd", error))?
    {
        let name = entry?.file_name();
        if let Some(descriptor) = name.to_str().and_then(|name| name.parse().ok())
            && descriptor > 2
        {
            sys::close_on_exec(descriptor);
        }
    }
    sys::unblock_signals();
    // An ignored SIGCHLD makes the kernel reap our children behind our back; an ignored SIGTERM would make
    // tasks that a cancel cannot end politely.
    for signal in [
        libc::SIGCHLD,
        libc::SIGTERM,
        libc::SIGALRM,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ] {
        sys::stop_ignoring(signal);
    }
    match set_child_subreaper(Some(Pid::INIT)) {
        // qemu-user knows no subreapers; Linux has them since 3.4.
        Err(Errno::INVAL) => log::warn!("no subreapers here: what tasks leave behind may stay"),
        done => done.map_err(|error| said("cannot become a subreaper", error.into()))?,
    }
    pidfd_open(getpid(), PidfdFlags::empty()).map_err(|error| {
        said(
            "this kernel has no pidfd_open; Linux 5.3 or newer is needed",
            error.into(),
        )
    })?;
    proc::note_inherited_children();
    Ok(())
}
