//! Root works on the state of a daemon that is another user as that user: what it puts there the daemon can read, and no
//! link that a task has put there leads it elsewhere.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use rustix::{fs::Gid, fs::Uid};

use super::Failure;
use crate::dag::Diagnostic;

/// Changes nothing unless this is root and the state directory is somebody else's. Call it while there is one thread.
pub(super) fn become_it(state: &Path) -> Result<(), Failure> {
    // One that is not there has nobody yet.
    let Ok(metadata) = fs::metadata(state) else {
        return Ok(());
    };
    if !geteuid().is_root() || metadata.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|error| {
            let (place, why) = (state.display(), io::Error::from(error));
            let message = format!("cannot work on `{place}` as its owner, user {uid}: {why}");
            Diagnostic::new(message).into()
        })
}
