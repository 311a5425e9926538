//! The one seam between the journal and the disk: everything it ever asks of one, for one directory.
//!
//! Names are plain file names. Tests put a disk behind it that forgets what was not synced, tears
//! writes and fails on demand.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory.
pub trait Disk: Send + Sync {
    /// The files in it and their lengths in bytes, in no order. The directory is made if it is missing
    /// and that is possible; without it there are no files.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// Opens a file for reading from its beginning.
    fn read(&self, name: &str) -> io::Result<Box<dyn Read>>;
    /// Makes an empty file, of an existing one too, to write to.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file to write to its end.
    fn append(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, at once or not at all.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable. Blocks.
    fn sync_directory(&self) -> io::Result<()>;
}

/// A file that is written to.
pub trait DiskFile: Send + Sync {
    /// Appends some of `bytes`; returns how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts it off.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written durable. Blocks; after an error nobody knows what is on the disk, and a
    /// second try proves nothing.
    fn sync(&self) -> io::Result<()>;
}

/// Appends all of `bytes`.
pub(super) fn write_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What an I/O error means to the person who has to do something about it.
pub(super) fn in_words(error: &io::Error) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "not our enum; the rest has words of its own"
    )]
    match error.kind() {
        io::ErrorKind::StorageFull => "no space left on the device".to_owned(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => {
            "the state directory is read-only (failing SD card?)".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "the state directory may not be written by this user".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A real directory. Its files are 0600, the directory 0700 if it is made here.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Nothing is touched yet.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // One that has gone since is no longer there.
            if let Some(data) = entry.metadata().ok().filter(std::fs::Metadata::is_file) {
                files.push((name, data.len()));
            }
        }
        Ok(files)
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(self.0.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if !self.0.is_dir() {
            let mut directory = DirBuilder::new();
            directory.recursive(true).mode(0o700).create(&self.0)?;
            let parent = self.0.parent().filter(|path| !path.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        Ok(Arc::new(RealFile(options.open(self.0.join(name))?)))
    }

    fn append(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).open(self.0.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
