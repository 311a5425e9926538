//! One daemon per state directory: a lock that dies with the process that holds it.
//!
//! It is a lock on the directory itself, which can be had on a full disk and on a read-only one too. The
//! file `lock` in it only tells who holds it, as far as the disk lets it be written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A state directory is ours for as long as this lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

/// Why a state directory could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it; its number, if it could be read.
    Taken(Option<u32>),
    /// The directory could not be opened or locked.
    Io(io::Error),
}

impl Lock {
    /// Locks the state directory, and writes our process number into its `lock` file.
    pub fn take(state: &Path) -> Result<Self, LockError> {
        let directory = File::open(state).map_err(LockError::Io)?;
        let file = state.join("lock");
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let text = fs::read_to_string(file).unwrap_or_default();
                return Err(LockError::Taken(text.trim().parse().ok()));
            }
            Err(error) => return Err(LockError::Io(error.into())),
        }
        if let Err(error) = tell(&file) {
            log::warn!("cannot write `{}`: {error}", file.display());
        }
        Ok(Self(directory))
    }
}

fn tell(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let number = format!("{}\n", std::process::id());
    options.open(file)?.write_all(number.as_bytes())
}
