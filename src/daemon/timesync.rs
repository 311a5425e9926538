//! What this host says of its clock, and how the loop hears of a change. Decides nothing: see
//! `scheduler::clock`.
//!
//! A clock that is set wakes the loop by itself ([`super::clock::WallTimer`]). systemd-timesyncd makes a
//! file when it has found the right time, which may need no set; the kernel tells nobody when another NTP
//! program has. So the kernel is asked when something happens anyway, at most once a minute, and oftener
//! only while schedules wait for it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use smol::Async;
use smol::channel::Sender;

use super::adjtimex;
use super::driver::Notice;
use crate::scheduler::{ClockReport, ClockRule, Monotonic, Now};
use crate::timetable::Timestamp;

/// Made by systemd-timesyncd when the clock is right.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// Touched by it whenever it is.
const SAVED: [&str; 2] = [
    "/var/lib/systemd/timesync/clock",
    "/var/lib/private/systemd/timesync/clock",
];
/// The kernel is not asked again before this.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What is known of the clock of this host.
#[derive(Debug)]
pub struct TimeSync {
    synchronised: PathBuf,
    recorded: Option<Timestamp>,
    saved: Option<Timestamp>,
    looked_at: Option<Monotonic>,
    is_synchronised: bool,
}

impl TimeSync {
    /// `recorded`: when a record was written last while the clock was synchronised, before this daemon.
    pub fn new(recorded: Option<Timestamp>) -> Self {
        Self {
            synchronised: SYNCHRONISED.into(),
            recorded,
            saved: SAVED.iter().find_map(|path| modified(Path::new(path))),
            looked_at: None,
            is_synchronised: false,
        }
    }

    /// Asks again. Cheap: one system call, and one look for a file.
    pub fn look(&mut self, rule: ClockRule, now: Now) -> ClockReport {
        self.looked_at = Some(now.monotonic);
        self.is_synchronised =
            adjtimex::is_synchronised() == Some(true) || self.synchronised.exists();
        ClockReport {
            rule,
            booted: Monotonic(0),
            is_synchronised: self.is_synchronised,
            saved: self.saved,
            recorded: self.recorded,
        }
    }

    /// Whether what was heard last is old.
    pub fn is_old(&self, now: Now) -> bool {
        self.look_at().is_none_or(|at| at <= now.monotonic)
    }

    /// When what was heard last is old.
    pub fn look_at(&self) -> Option<Monotonic> {
        self.looked_at.map(|at| at.after(LOOK_AGAIN))
    }

    /// Whether it was said to be right when it was looked at last.
    pub fn is_synchronised(&self) -> bool {
        self.is_synchronised
    }

    /// Sends a notice when systemd-timesyncd makes its file, once. Returns at once on a host without.
    pub fn tell(&self, sender: Sender<Notice>) -> impl Future<Output = io::Result<()>> + 'static {
        let file = self.synchronised.clone();
        async move {
            if appears(&file).await? {
                // The loop has ended.
                let _ = sender.send(Notice::ClockSynchronised).await;
            }
            Ok(())
        }
    }
}

/// Waits until a file is there. `false`: neither its directory nor the one above is, so it will not come.
async fn appears(file: &Path) -> io::Result<bool> {
    let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let watcher = Async::new_nonblocking(watcher)?;
    let made = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
    while !file.exists() {
        // The directory itself may come later: then what is above it tells.
        let directories = file.ancestors().skip(1).take(2);
        let mut places =
            directories.filter(|path| inotify::add_watch(&watcher, *path, made).is_ok());
        if places.next().is_none() {
            return Ok(false);
        }
        // It may have come before it was watched.
        if !file.exists() {
            watcher.readable().await?;
            drain(&watcher);
        }
    }
    Ok(true)
}

fn drain(watcher: &Async<OwnedFd>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watcher, &mut buffer);
    while reader.next().is_ok() {}
}

fn modified(path: &Path) -> Option<Timestamp> {
    let stat = rustix::fs::stat(path).ok()?;
    Some(Timestamp::from_secs(stat.st_mtime))
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::{Timer, future};

    /// The file is what matters, be its directory there or not.
    #[test]
    fn a_file_that_is_made_is_noticed_and_so_is_its_directory() {
        let root = std::env::temp_dir().join(format!("mini-dag-timesync-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        for directory in ["a", "b"] {
            let file = root.join(directory).join("synchronized");
            if directory == "a" {
                std::fs::create_dir(root.join(directory)).unwrap();
            }
            let noticed = smol::block_on(future::or(
                async { Some(appears(&file).await.unwrap()) },
                async {
                    let make = || {
                        std::fs::create_dir_all(root.join(directory)).unwrap();
                        std::fs::write(&file, "").unwrap();
                    };
                    Timer::after(Duration::from_millis(20)).await;
                    make();
                    Timer::after(Duration::from_secs(20)).await;
                    None
                },
            ));
            assert_eq!(noticed, Some(true), "{directory}");
        }
        let nowhere = root.join("c/d/synchronized");
        assert!(!smol::block_on(appears(&nowhere)).unwrap());
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_kernel_is_asked_and_no_oftener_than_once_a_minute() {
        let at = |secs| Now {
            wall: Timestamp::from_secs(secs),
            monotonic: Monotonic(u64::try_from(secs).unwrap() * 1_000),
        };
        let mut sync = TimeSync::new(None);
        assert!(sync.is_old(at(0)));
        let report = sync.look(ClockRule::default(), at(0));
        assert_eq!(report.is_synchronised, sync.is_synchronised());
        assert!(!sync.is_old(at(59)) && sync.is_old(at(60)));
    }
}
