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

/// Directories whose changes are noticed from now on, be they asked for now or later: watch first, then
/// read, and nothing comes between.
pub struct Watcher(Async<OwnedFd>);

impl Watcher {
    /// Watches `directories` for files that are closed after writing, or come or go. A file that is being
    /// written is left alone until its writer closes it. What is no directory cannot be watched.
    pub fn new(directories: &[PathBuf]) -> io::Result<Self> {
        let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB;
        for directory in directories.iter().filter(|path| path.is_dir()) {
            if let Err(error) = inotify::add_watch(&watcher, directory, changes) {
                log::warn!(
                    "cannot watch `{}`: {error}; `mini-dag reload` reads it",
                    directory.display()
                );
            }
        }
        Async::new_nonblocking(watcher).map(Self)
    }

    /// Sends a notice after each change.
    pub async fn tell(self, sender: Sender<Notice>) -> io::Result<()> {
        loop {
            self.0.readable().await?;
            drain(&self.0);
            self.until_quiet().await;
            if sender.send(Notice::FilesChanged).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn until_quiet(&self) {
        let mut limit = Timer::after(QUIET_MAX);
        loop {
            let again = async { self.0.readable().await.is_ok() };
            let quiet = async {
                Timer::after(QUIET).await;
                false
            };
            let late = async {
                (&mut limit).await;
                false
            };
            if !future::or(late, future::or(again, quiet)).await {
                return;
            }
            drain(&self.0);
        }
    }
}

fn drain(watcher: &Async<OwnedFd>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watcher, &mut buffer);
    while reader.next().is_ok() {}
}
