//! The file that keeps what one attempt printed.
//!
//! The file appears with its first byte and never holds more than its limit, one closing line apart. A disk
//! that fails does not fail the task: the error is kept for the report, and the bytes count as dropped.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How much is in a log, and is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes in the file.
    pub kept: u64,
    /// Bytes that had no place in it.
    pub dropped: u64,
    /// The last byte that was kept ends a line.
    pub ends_line: bool,
}

/// The log of one attempt.
#[derive(Debug)]
pub struct TaskLog {
    path: PathBuf,
    bytes_max: u64,
    file: Option<File>,
    kept: u64,
    dropped: u64,
    ends_line: bool,
    error: Option<io::Error>,
}

impl TaskLog {
    /// A log that will be at `path` and keep at most `bytes_max` bytes. Touches no file yet.
    pub fn new(path: &Path, bytes_max: u64) -> Self {
        Self {
            path: path.to_owned(),
            bytes_max,
            file: None,
            kept: 0,
            dropped: 0,
            ends_line: true,
            error: None,
        }
    }

    /// The log of an attempt that another program has kept so far.
    pub(super) fn go_on(path: &Path, bytes_max: u64, so_far: Kept) -> Self {
        Self {
            kept: so_far.kept.min(bytes_max),
            dropped: so_far.dropped,
            ends_line: so_far.ends_line,
            ..Self::new(path, bytes_max)
        }
    }

    /// What a program that goes on with it has to know.
    pub(super) fn so_far(&self) -> Kept {
        Kept {
            kept: self.kept,
            dropped: self.dropped,
            ends_line: self.ends_line,
        }
    }

    /// Appends the bytes as they are, or counts what does not fit.
    pub fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.file.is_none() && self.error.is_none() {
            self.error = self.open().err();
        }
        let room = usize::try_from(self.bytes_max - self.kept).unwrap_or(usize::MAX);
        let (fits, excess) = bytes.split_at(bytes.len().min(room));
        self.dropped += excess.len() as u64;
        if fits.is_empty() {
            return;
        }
        if self.error.is_some() {
            self.dropped += fits.len() as u64;
            return;
        }
        match self.append(fits) {
            Ok(()) => self.kept += fits.len() as u64,
            Err(error) => {
                self.dropped += fits.len() as u64;
                self.error = Some(error);
            }
        }
    }

    /// Says in a last line how much was dropped, if anything was. Returns the number of dropped bytes, and why
    /// the disk refused some of them, if it did.
    pub fn finish(&mut self) -> (u64, Option<io::Error>) {
        if self.dropped > 0 && self.error.is_none() {
            let note = format!(
                "{}mini-dag: the output limit is {} bytes; {} more were dropped\n",
                if self.ends_line { "" } else { "\n" },
                self.bytes_max,
                self.dropped
            );
            self.error = self.append(note.as_bytes()).err();
        }
        (self.dropped, self.error.take())
    }

    /// What an earlier process of the same attempt printed stays, as long as it is not much: then it makes
    /// room, so that the log of something that is poked for a week is bounded, and tells of the latest pokes.
    fn open(&mut self) -> io::Result<()> {
        let file = create(&self.path)?;
        self.kept = file.metadata()?.len();
        self.file = Some(file);
        if self.kept > 0 && self.kept >= self.bytes_max / 2 {
            if let Some(file) = &self.file {
                file.set_len(0)?;
            }
            self.kept = 0;
            self.append(b"mini-dag: what was here before was dropped\n")?;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)?;
        self.ends_line = bytes.ends_with(b"\n");
        Ok(())
    }
}

/// An attempt that is repeated after a crash of the daemon has the same name: the log goes on.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(directory) = path.parent() {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(directory)?;
            }
            options.open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As often as it is poked, and whatever it prints.
    #[test]
    fn the_log_of_many_processes_is_bounded_and_tells_of_the_latest() {
        let name = format!("mini-dag-log-{}", std::process::id());
        let path = std::env::temp_dir().join(name).join("attempt=1.log");
        for poke in 0..100 {
            let mut log = TaskLog::new(&path, 100);
            log.write(format!("poke {poke:03} says not yet\n").as_bytes());
            assert_eq!(log.finish().0, 0);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.len() < 200, "{text}");
            assert!(
                text.ends_with(&format!("poke {poke:03} says not yet\n")),
                "{text}"
            );
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("mini-dag: what was here before was dropped\n"));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
