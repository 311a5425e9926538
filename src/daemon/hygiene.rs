//! Which files a daemon may take orders from: those that only root or its own user can have written.
//!
//! As sshd's `StrictModes` and cron do it. The file of a foreign owner, or one that the whole world may
//! write, would let anybody run commands as the daemon's user.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::dag::DAG_FILE_BYTES_MAX;

/// Why nothing in this directory may be trusted, if so.
pub fn refuse_directory(directory: &Path) -> Option<String> {
    let metadata = fs::metadata(directory).ok()?;
    let is_sticky = metadata.mode() & 0o1000 != 0;
    if metadata.mode() & 0o002 != 0 && !is_sticky {
        return Some("everybody may write to it; `chmod o-w` it".to_owned());
    }
    refuse_owner(&metadata)
}

/// Why this file of `directory` may not be trusted, if so.
pub fn refuse_file(directory: &Path, file: &Path) -> Option<String> {
    let link = fs::symlink_metadata(file).ok()?;
    if link.is_symlink() {
        let target = fs::canonicalize(file).ok()?;
        let home = fs::canonicalize(directory).ok()?;
        if !target.starts_with(&home) {
            return Some(format!(
                "it is a link that leaves `{}`",
                directory.display()
            ));
        }
    }
    let metadata = fs::metadata(file).ok()?;
    let kind = metadata.file_type();
    if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
        return Some("it is not a regular file".to_owned());
    }
    if metadata.len() > DAG_FILE_BYTES_MAX as u64 {
        return Some(format!("it is longer than {DAG_FILE_BYTES_MAX} bytes"));
    }
    if metadata.mode() & 0o002 != 0 {
        return Some("everybody may write to it; `chmod o-w` it".to_owned());
    }
    refuse_owner(&metadata)
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
