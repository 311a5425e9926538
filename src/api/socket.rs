//! The control socket as a file: it appears complete, with its mode, or not at all.
//!
//! It is bound in a directory that only its owner can enter, gets its mode there, and is renamed to its
//! place: at no moment can anybody connect who may not. A socket that nobody listens on is replaced; what
//! is not a socket, and one that is answered, are left alone.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Read and write for the owner and the group.
const MODE: u32 = 0o660;

/// Listens at `path`. Errors say what is in the way.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    clear_the_way(path)?;
    let place = path.parent().unwrap_or(Path::new("."));
    // Short, because a socket's path is at most 107 bytes long.
    let private = place.join(format!(".s{}", std::process::id()));
    remove(&private)?;
    DirBuilder::new().mode(0o700).create(&private)?;
    let bound = private.join("s");
    let listener = UnixListener::bind(&bound).and_then(|listener| {
        fs::set_permissions(&bound, Permissions::from_mode(MODE))?;
        fs::rename(&bound, path)?;
        Ok(listener)
    });
    remove(&private)?;
    listener
}

fn clear_the_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::other("there is something that is not a socket"))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            Err(io::Error::other("another process listens there"))
        }
        // Nobody listens: the rename replaces it.
        Ok(_) => Ok(()),
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
