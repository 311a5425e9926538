//! What neither std nor rustix offers safely: `wait4`, `sigprocmask`, `sigaction`, and descriptors by their number
//! (`fcntl`, owning one). The only unsafe code of the crate.

#![expect(
    unsafe_code,
    reason = "these calls have no safe wrapper in std or rustix"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::time::Duration;

use rustix::process::Pid;

/// What the kernel says of a process that was reaped.
pub(super) struct Reaped {
    pub(super) status: ExitStatus,
    pub(super) usage: Usage,
}

/// What a process and the children that it waited for have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu_user: Duration,
    pub(super) cpu_system: Duration,
    pub(super) memory_peak_bytes: u64,
}

/// Reaps the child `pid`, or returns `None` if it still lives. Never blocks.
///
/// Errors: `ECHILD` if it is no child of ours, or reaped already.
pub(super) fn reap(pid: Pid) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // The kernel's own layout, which `libc::rusage` is where a `timeval` is two longs.
    const { assert!(size_of::<libc::timeval>() == 2 * size_of::<libc::c_long>()) };
    // Not `libc::wait4`: of musl for 32 bits that is a translation, which forgets to fill in the usage.
    // SAFETY: both pointers are valid for writes of their types for the length of the call.
    let found = unsafe {
        libc::syscall(
            libc::SYS_wait4,
            pid.as_raw_pid(),
            &raw mut status,
            libc::WNOHANG,
            usage.as_mut_ptr(),
        )
    };
    match found {
        0 => Ok(None),
        found if found > 0 => {
            // SAFETY: wait4 succeeded, and all-zero bytes are a valid rusage anyway.
            let usage = unsafe { usage.assume_init() };
            Ok(Some(Reaped {
                status: ExitStatus::from_raw(status),
                usage: Usage {
                    cpu_user: duration(usage.ru_utime),
                    cpu_system: duration(usage.ru_stime),
                    // Linux counts in KiB.
                    memory_peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
                },
            }))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

/// Marks the descriptor as one that a new program does not get. A number that is not open is left alone.
pub(super) fn close_on_exec(descriptor: i32) {
    // SAFETY: F_SETFD touches no memory of ours, and the flag changes nothing for this process.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Owns a descriptor that the program before this one in the same process has left open for it.
///
/// Errors: it is not open, or a standard one.
pub(super) fn inherit(descriptor: i32) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD touches no memory of ours.
    if descriptor <= 2 || unsafe { libc::fcntl(descriptor, libc::F_GETFD) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    close_on_exec(descriptor);
    // SAFETY: it is open. Whoever opened it is gone with its program; its number was handed over once, and this
    // program has opened nothing that could have the same number.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Unblocks every signal in this thread and in those that it will start.
pub(super) fn unblock_signals() {
    let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `none` is valid for writes, and initialised by sigemptyset before it is read.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Gives `signal` its default action if it is ignored; a handler stays.
pub(super) fn stop_ignoring(signal: i32) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `action` is valid for writes and, zeroed, for reads; a null pointer for the other one is allowed.
    // The new action is the old one with SIG_DFL, so that no handler is made up.
    unsafe {
        if libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) != 0 {
            return;
        }
        let mut action = action.assume_init();
        if action.sa_sigaction == libc::SIG_IGN {
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}
