//! One daemon per state directory: a lock that dies with the process that holds it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A state directory is ours for as long as this lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

/// Why a state directory could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it; its number, if it could be read.
    Taken(Option<u32>),
    /// The lock file could not be opened.
    Io(io::Error),
}

impl Lock {
    /// Locks the state directory, and writes our process number into its `lock` file.
    pub fn take(state: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(state.join("lock")).map_err(LockError::Io)?;
        let mut text = String::new();
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let _ = (&file).take(32).read_to_string(&mut text);
            return Err(LockError::Taken(text.trim().parse().ok()));
        }
        let number = format!("{}\n", std::process::id());
        file.rewind()
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.write_all(number.as_bytes()))
            .map_err(LockError::Io)?;
        Ok(Self(file))
    }
}
