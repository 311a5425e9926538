//! One daemon per state directory: a lock that dies with the process that holds it.
//!
//! It is a lock on the directory itself, which can be had on a full disk and on a read-only one too. The
//! file `lock` in it only tells who holds it, as far as the disk lets it be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::exec::inherit;

/// How often, and how long each time, the lock of a daemon that is dead is waited for.
const WAITS_FOR_A_DEAD_HOLDER: u32 = 200;
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// A state directory is ours for as long as this lives.
#[derive(Debug)]
pub struct Lock(File);

/// Why a state directory could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it; its number, if it could be read.
    Taken(Option<u32>),
    /// The directory could not be opened or locked.
    Io(io::Error),
}

impl Lock {
    /// The lock that the program before this one in the same process has held, and keeps held.
    pub fn inherit(descriptor: RawFd) -> io::Result<Self> {
        Ok(Self(inherit(descriptor)?.into()))
    }

    /// Locks the state directory, and writes our process number into its `lock` file.
    pub fn take(state: &Path) -> Result<Self, LockError> {
        let directory = File::open(state).map_err(LockError::Io)?;
        let file = state.join("lock");
        let mut waits = WAITS_FOR_A_DEAD_HOLDER;
        loop {
            match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {
                    let text = fs::read_to_string(&file).unwrap_or_default();
                    let holder = text.trim().parse().ok();
                    if waits == 0 || holder.is_none_or(is_alive) {
                        return Err(LockError::Taken(holder));
                    }
                    // Killed while it started a task: that has the lock, too, until it is the task's program.
                    waits -= 1;
                    let _ = poll(&mut [], Some(&WAIT));
                }
                Err(error) => return Err(LockError::Io(error.into())),
            }
        }
        if let Err(error) = tell(&file) {
            log::warn!("cannot write `{}`: {error}", file.display());
        }
        Ok(Self(directory))
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Lock {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

fn tell(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let number = format!("{}\n", std::process::id());
    options.open(file)?.write_all(number.as_bytes())
}
