//! The one who writes.
//!
//! Nothing here waits for a disk to be synced, except [`Journal::open`]: a sync is handed out as a
//! [`SyncTask`] to be done elsewhere, and its result is brought back. No I/O error ends anything; see
//! [`Health`] and the crash argument in the module header.
//!
//! ```text
//! append ──▶ bodies, in memory ──flush──▶ written ──begin_sync, sync_done──▶ synced, and forgotten
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, DiskFile, write_all};
use super::encode::{self, seal};
use super::health::{Health, Monitor};
use super::{Crc, UNSYNCED_BYTES_MAX};
use crate::scheduler::{Monotonic, Now, Record, State};
use crate::timetable::Timestamp;

pub(super) const BALLAST: &str = "ballast";
pub(super) const BALLAST_BYTES: usize = 64 << 10;
/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A new segment is begun, with a snapshot, when this much has been written since the last one.
    pub segment_bytes_max: u64,
    /// History is deleted, oldest first, while all segments together are longer.
    pub retention_bytes: u64,
    /// History that is older is deleted.
    pub retention_age: Option<Duration>,
    /// This boot of the machine. A new segment is begun when it changes.
    pub boot_id: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes_max: 1 << 20,
            retention_bytes: 64 << 20,
            retention_age: None,
            boot_id: String::new(),
        }
    }
}

/// The n-th record that was appended since the journal was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// A sync to be done where it may block.
pub struct SyncTask {
    files: Vec<Arc<dyn DiskFile>>,
    directory: Option<Arc<dyn Disk>>,
    generation: u64,
}

impl SyncTask {
    /// Does it. Blocks for as long as the disk takes.
    pub fn run(self) -> SyncDone {
        let sync = || {
            for file in &self.files {
                file.sync()?;
            }
            self.directory
                .as_ref()
                .map_or(Ok(()), |disk| disk.sync_directory())
        };
        SyncDone {
            generation: self.generation,
            result: sync(),
        }
    }
}

/// How a sync went.
#[derive(Debug)]
pub struct SyncDone {
    pub(super) generation: u64,
    pub(super) result: io::Result<()>,
}

/// A point between two records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) position: Position,
    /// Where the bodies after it begin; see `Journal::bodies_start`.
    pub(super) body: u64,
    /// The number of the next line, and the checksum of the last.
    pub(super) seq: u64,
    pub(super) crc: Option<Crc>,
}

/// The segment that is being written.
pub(super) struct Current {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// How much of that its snapshot is.
    pub(super) snapshot_bytes: u64,
    /// Nothing of it has been synced yet.
    pub(super) is_fresh: bool,
    /// Replay can begin here once it is synced.
    pub(super) has_snapshot: bool,
}

/// A segment that is to be the next, under its temporary name.
pub(super) struct Rotation {
    pub(super) next: Current,
    /// What its snapshot says.
    pub(super) snapshot: Mark,
    pub(super) seq: u64,
    pub(super) crc: Option<Crc>,
}

pub(super) struct InFlight {
    mark: Mark,
    has_directory: bool,
    has_rotation: bool,
}

/// A segment that is complete.
pub(super) struct Past {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// When the one after it was begun.
    pub(super) until: Timestamp,
}

/// A journal that is being written.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no two make a state"
)]
pub struct Journal {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    pub(super) monitor: Monitor,
    pub(super) current: Option<Current>,
    pub(super) past: Vec<Past>,
    /// Past segments before this number are only history: replay does not need them.
    pub(super) base: u64,
    /// The latest number that was given to a segment.
    pub(super) number: u64,
    pub(super) rotation: Option<Rotation>,
    /// A segment that was never synced and failed: to be removed when the next one has its name.
    pub(super) superseded: Option<u64>,
    /// Do not try to rotate while degraded before this.
    pub(super) rotate_after: Monotonic,
    pub(super) sync: Option<InFlight>,
    /// Syncs of earlier descriptors do not count any more.
    pub(super) generation: u64,
    pub(super) is_directory_dirty: bool,
    /// The bodies of all records that are not synced, each with a newline.
    pub(super) bodies: String,
    /// How many bytes of bodies were there before `bodies`.
    pub(super) bodies_start: u64,
    /// A new segment must begin with a snapshot: `bodies` is not all that is not synced.
    pub(super) needs_snapshot: bool,
    pub(super) appended: Position,
    pub(super) written: Mark,
    pub(super) synced: Mark,
    /// Records that were appended while nothing could be written and memory was full.
    pub(super) lost: u64,
    pub(super) absent: Vec<Record>,
    /// The clock is right, for all that is known; and when it was when a record was appended.
    pub(super) is_synchronised: bool,
    pub(super) synced_at: Option<Timestamp>,
    pub(super) held: bool,
    pub(super) has_ballast: bool,
    pub(super) buffer: String,
}

impl Journal {
    /// Takes a record to be written at the end of this turn.
    pub fn append(&mut self, record: &Record) -> Position {
        if self.bodies.len() > UNSYNCED_BYTES_MAX {
            self.make_room();
        }
        encode::record(&mut self.bodies, record);
        if self.is_synchronised {
            self.synced_at = Some(record.at);
        } else {
            self.bodies.push_str(encode::UNSYNCED);
        }
        self.bodies.push('\n');
        self.appended.0 += 1;
        self.appended
    }

    /// Whether what is appended from now on is written by a clock that is synchronised. It is until this is
    /// called.
    pub fn set_synchronised(&mut self, is_synchronised: bool) {
        self.is_synchronised = is_synchronised;
    }

    /// Forgets bodies that are written, or that cannot be: a snapshot will have to do.
    fn make_room(&mut self) {
        self.needs_snapshot = true;
        if self.current.is_some() {
            self.forget_bodies(self.written.body);
        } else {
            self.lost += self.bodies.lines().count() as u64;
            self.forget_bodies(self.bodies_end());
        }
    }

    pub(super) fn bodies_end(&self) -> u64 {
        self.bodies_start + self.bodies.len() as u64
    }

    pub(super) fn forget_bodies(&mut self, until: u64) {
        let count = self.body_index(until);
        self.bodies.drain(..count);
        self.bodies_start += count as u64;
    }

    pub(super) fn body_index(&self, body: u64) -> usize {
        let index = body.saturating_sub(self.bodies_start);
        usize::try_from(index).map_or(self.bodies.len(), |index| index.min(self.bodies.len()))
    }

    /// Writes what was appended: one write. `state` is that after all of it. Begins the next segment when
    /// it is time. Does nothing if there is nothing to do; never fails, see [`Journal::health`].
    pub fn flush(&mut self, now: Now, state: &State) {
        if self.current.is_some()
            && self.written.position < self.appended
            && let Err(error) = self.write()
        {
            self.fail(&error, now, state);
        }
        // So that snapshots, however long, are never more than half of what is written.
        let is_full = |current: &Current| {
            let since = current.bytes - current.snapshot_bytes;
            since >= self.options.segment_bytes_max.max(current.snapshot_bytes)
        };
        if self.current.as_ref().is_some_and(is_full)
            && self.rotation.is_none()
            && self.sync.is_none()
            && self.written.position == self.appended
            && now.monotonic >= self.rotate_after
            && let Err(error) = self.begin_rotation(now, state)
        {
            self.give_up_rotation(&error, now);
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let from = self.body_index(self.written.body);
        self.buffer.clear();
        let (seq, crc) = seal_all(
            &mut self.buffer,
            &self.bodies[from..],
            self.written.seq,
            self.written.crc,
        );
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        write_all(&*current.file, self.buffer.as_bytes())?;
        current.bytes += self.buffer.len() as u64;
        self.written = self.end_mark(seq, crc);
        Ok(())
    }

    pub(super) fn end_mark(&self, seq: u64, crc: Option<Crc>) -> Mark {
        Mark {
            position: self.appended,
            body: self.bodies_end(),
            seq,
            crc,
        }
    }

    /// Everything up to here survives the end of the process.
    pub fn written(&self) -> Position {
        self.written.position
    }

    /// Everything up to here survives the end of the power.
    pub fn synced(&self) -> Position {
        self.synced.position
    }

    /// Keeps more history, or less, the next time that some is deleted.
    pub fn set_retention(&mut self, bytes: u64, age: Option<Duration>) {
        self.options.retention_bytes = bytes;
        self.options.retention_age = age;
    }

    /// How it is doing.
    pub fn health(&self) -> &Health {
        &self.monitor.health
    }

    /// Records whose wording is lost because nothing could be written for too long; what they led to is
    /// not.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// When to call [`Journal::retry`].
    pub fn next_deadline(&self) -> Option<Monotonic> {
        self.monitor.retry_at()
    }

    /// Takes what is known of a DAG that was not there at [`Journal::open`] and is now, to be applied to
    /// the state with [`super::apply_replayed`].
    pub fn claim(&mut self, dag_id: &str) -> Vec<Record> {
        let (claimed, absent) = std::mem::take(&mut self.absent)
            .into_iter()
            .partition(|record| *record.dag_id == *dag_id);
        self.absent = absent;
        claimed
    }

    /// The sync to be done now, if any is needed and none is under way.
    pub fn begin_sync(&mut self) -> Option<SyncTask> {
        let current = self.current.as_ref().filter(|_| self.sync.is_none())?;
        let is_needed = self.synced.position < self.written.position
            || self.is_directory_dirty
            || self.rotation.is_some()
            || current.is_fresh;
        if !is_needed {
            return None;
        }
        let mut files = vec![current.file.clone()];
        files.extend(
            self.rotation
                .iter()
                .map(|rotation| rotation.next.file.clone()),
        );
        let has_directory = self.is_directory_dirty;
        self.sync = Some(InFlight {
            // What follows a snapshot is written once more, and is not safe before that is synced.
            mark: self
                .rotation
                .as_ref()
                .map_or(self.written, |rotation| rotation.snapshot),
            has_directory,
            has_rotation: self.rotation.is_some(),
        });
        Some(SyncTask {
            files,
            directory: has_directory.then(|| self.disk.clone()),
            generation: self.generation,
        })
    }

    /// Takes the result of a sync.
    pub fn sync_done(&mut self, done: SyncDone, now: Now, state: &State) {
        if done.generation != self.generation {
            return;
        }
        let Some(sync) = self.sync.take() else {
            return;
        };
        if let Err(error) = done.result {
            self.fail(&error, now, state);
            return;
        }
        self.synced = sync.mark;
        self.forget_bodies(sync.mark.body);
        if self.written.body <= sync.mark.body {
            self.needs_snapshot = false;
        }
        if let Some(current) = &mut self.current {
            current.is_fresh = false;
        }
        if let Health::Degraded {
            is_writable: false, ..
        } = self.monitor.health
        {
            self.settle_ballast(now);
        }
        if sync.has_directory {
            self.is_directory_dirty = false;
            let current = self.current.as_ref().filter(|current| current.has_snapshot);
            self.base = current.map_or(self.base, |current| current.number);
            self.delete_history(now.wall);
        }
        if sync.has_rotation {
            self.finish_rotation(now, state);
        }
    }

    /// Before the end of the program: if nothing can be written, tries a last time, whatever the time.
    /// Blocks while the disk syncs.
    pub fn try_last(&mut self, now: Now, state: &State) {
        if self.current.is_none() && self.start_over(now, state).is_ok() {
            // If that fails, it is at least written.
            let _ = self.sync_now(now, state);
        }
    }

    /// Tries again what failed, if it is time.
    pub fn retry(&mut self, now: Now, state: &State) {
        if !self.monitor.is_due(now.monotonic) {
            return;
        }
        if self.current.is_some() {
            self.settle_ballast(now);
        } else if let Err(error) = self.start_over(now, state) {
            self.degrade(&error, now);
        } else {
            self.monitor.put_off(now.monotonic);
        }
    }
}

/// Makes lines of bodies; returns the number of the next line and the checksum of the last.
pub(super) fn seal_all(
    lines: &mut String,
    bodies: &str,
    mut seq: u64,
    mut crc: Option<Crc>,
) -> (u64, Option<Crc>) {
    for body in bodies.lines() {
        crc = Some(seal(lines, seq, body));
        seq += 1;
    }
    (seq, crc)
}
