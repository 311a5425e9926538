//! Which files a daemon may take orders from: those that only root or its own user can have written.
//!
//! As sshd's `StrictModes` and cron do it. The file of a foreign owner, or one that the whole world may
//! write, would let anybody run commands as the daemon's user. What is asked of a file is asked of the one that was
//! opened: nobody can put another in its place meanwhile.

use std::fmt::Display;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::dag::DAG_FILE_BYTES_MAX;

/// Why nobody knows what is in a file.
#[derive(Debug)]
pub enum Unread {
    /// It may not be trusted, and why.
    Refused(String),
    /// It cannot be read.
    Io(io::Error),
}

impl Unread {
    /// The same, said of a file.
    pub fn of(&self, name: &impl Display) -> String {
        match self {
            Self::Refused(why) => format!("`{name}` is refused: {why}"),
            Self::Io(error) => format!("cannot read `{name}`: {error}"),
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why nothing in this directory may be trusted, if so.
pub fn refuse_directory(directory: &Path) -> Option<String> {
    let metadata = fs::metadata(directory).ok()?;
    let is_sticky = metadata.mode() & 0o1000 != 0;
    if metadata.mode() & 0o002 != 0 && !is_sticky {
        return Some("everybody may write to it; `chmod o-w` it".to_owned());
    }
    refuse_owner(&metadata)
}

/// What a file holds, if it may be trusted. Of a file in `home` only links within it are followed.
pub fn read(file: &Path, home: Option<&Path>) -> Result<Vec<u8>, Unread> {
    // That of a file which is named alone is empty.
    let alone = (home == Some(Path::new(""))).then_some(Path::new("."));
    let home = alone.or(home);
    let opened = match (
        home,
        open(file, home.map_or(OFlags::empty(), |_| OFlags::NOFOLLOW)),
    ) {
        (Some(home), Err(Errno::LOOP)) => {
            let target = fs::canonicalize(file)?;
            if !target.starts_with(fs::canonicalize(home)?) {
                let why = format!("it is a link that leaves `{}`", home.display());
                return Err(Unread::Refused(why));
            }
            open(&target, OFlags::NOFOLLOW)
        }
        (_, opened) => opened,
    };
    let opened = match opened {
        // A socket.
        Err(Errno::NXIO) => return Err(Unread::Refused("it is not a regular file".to_owned())),
        opened => opened.map_err(io::Error::from)?,
    };
    let metadata = opened.metadata()?;
    if let Some(why) = refuse_file(&metadata) {
        return Err(Unread::Refused(why));
    }
    Ok(contents(&opened, &metadata)?)
}

/// What a regular file holds, whoever wrote it; of one that is too large to be a DAG file, the beginning.
pub fn read_any(file: &Path) -> io::Result<Vec<u8>> {
    let opened = open(file, OFlags::empty())?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    contents(&opened, &metadata)
}

/// Waits for nobody at the other end of a pipe.
fn open(file: &Path, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(file, flags, Mode::empty()).map(File::from)
}

/// At most one byte more than a DAG file may have.
fn contents(mut file: &File, metadata: &Metadata) -> io::Result<Vec<u8>> {
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    // Room for a byte more than there should be: so the first read tells that it has come to the end.
    let mut bytes = Vec::with_capacity(length.min(DAG_FILE_BYTES_MAX) + 1);
    let read = rustix::io::read(file, spare_capacity(&mut bytes))?;
    if read != length {
        let rest = (DAG_FILE_BYTES_MAX + 1).saturating_sub(read);
        file.by_ref().take(rest as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn refuse_file(metadata: &Metadata) -> Option<String> {
    if !metadata.is_file() {
        return Some("it is not a regular file".to_owned());
    }
    if metadata.len() > DAG_FILE_BYTES_MAX as u64 {
        return Some(format!("it is longer than {DAG_FILE_BYTES_MAX} bytes"));
    }
    if metadata.mode() & 0o002 != 0 {
        return Some("everybody may write to it; `chmod o-w` it".to_owned());
    }
    refuse_owner(metadata)
}

fn refuse_owner(metadata: &Metadata) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    let is_trusted = metadata.uid() == 0 || metadata.uid() == own;
    (!is_trusted).then(|| {
        format!(
            "it belongs to user {}, not to root or to user {own}",
            metadata.uid()
        )
    })
}
