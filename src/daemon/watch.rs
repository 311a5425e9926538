//! Tells when a DAG directory has changed, without looking at it again and again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use smol::channel::Sender;
use smol::{Async, Timer, future};

use super::driver::Notice;

/// Changes that come within this time of each other are one.
const QUIET: Duration = Duration::from_millis(200);
/// However many changes come, they are told after this time.
const QUIET_MAX: Duration = Duration::from_secs(2);

/// Changes that nobody has been told yet.
#[derive(Debug)]
pub struct Changes(OwnedFd);

/// From now on each change in one of `directories` is held to be [told](watch): a file that was closed
/// after writing, or came or went. A file that is being written is left alone until its writer closes it.
/// To be called before the files are read: what changes in between is not missed.
pub fn hold(directories: &[PathBuf]) -> io::Result<Changes> {
    let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let changes = WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB;
    for directory in directories {
        if let Err(error) = inotify::add_watch(&watcher, directory, changes) {
            log::warn!(
                "cannot watch `{}`: {error}; `mini-dag reload` reads it",
                directory.display()
            );
        }
    }
    Ok(Changes(watcher))
}

/// Sends a notice after each change.
pub async fn watch(changes: Changes, sender: Sender<Notice>) -> io::Result<()> {
    let Changes(watcher) = changes;
    let watcher = Async::new_nonblocking(watcher)?;
    loop {
        watcher.readable().await?;
        drain(&watcher);
        let mut limit = Timer::after(QUIET_MAX);
        loop {
            let again = async { watcher.readable().await.is_ok() };
            let quiet = async {
                Timer::after(QUIET).await;
                false
            };
            let late = async {
                (&mut limit).await;
                false
            };
            if !future::or(late, future::or(again, quiet)).await {
                break;
            }
            drain(&watcher);
        }
        if sender.send(Notice::FilesChanged).await.is_err() {
            return Ok(());
        }
    }
}

fn drain(watcher: &Async<OwnedFd>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watcher, &mut buffer);
    while reader.next().is_ok() {}
}
