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

use super::disk::{Disk, DiskFile, in_words, write_all};
use super::encode::{self, Header, seal};
use super::health::{Health, Monitor};
use super::replay::{Recovered, replay};
use super::scan::{OpenError, TornTail};
use super::{Crc, UNSYNCED_BYTES_MAX, file_name};
use crate::dag::Dag;
use crate::scheduler::{Monotonic, Now, Record, State};
use crate::timetable::Timestamp;

const BALLAST: &str = "ballast";
const BALLAST_BYTES: usize = 64 << 10;
/// How much of a torn tail is kept aside, and how many of them.
const TORN_BYTES_MAX: u64 = 1 << 20;
const TORN_KEPT: usize = 3;

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A new segment is begun, with a snapshot, when one is this long.
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

/// What a journal is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// To be written.
    GoOn,
    /// To begin a new segment.
    Compact,
    /// To begin a new segment; what was damaged has been looked after.
    Repaired,
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
    generation: u64,
    result: io::Result<()>,
}

/// A point between two records.
#[derive(Clone, Copy, Debug)]
struct Mark {
    position: Position,
    /// Where the bodies after it begin; see `Journal::bodies_start`.
    body: u64,
    /// The number of the next line, and the checksum of the last.
    seq: u64,
    crc: Option<Crc>,
}

/// The segment that is being written.
struct Current {
    file: Arc<dyn DiskFile>,
    number: u64,
    bytes: u64,
    /// Nothing of it has been synced yet.
    is_fresh: bool,
    /// Replay can begin here once it is synced.
    has_snapshot: bool,
}

/// A segment that is to be the next, under its temporary name.
struct Rotation {
    next: Current,
    /// What its snapshot says.
    snapshot: Mark,
    seq: u64,
    crc: Option<Crc>,
}

struct InFlight {
    mark: Mark,
    has_directory: bool,
    has_rotation: bool,
}

/// A segment that is complete.
struct Past {
    number: u64,
    bytes: u64,
    /// When the one after it was begun.
    until: Timestamp,
}

/// A journal that is being written.
pub struct Journal {
    disk: Arc<dyn Disk>,
    options: Options,
    monitor: Monitor,
    current: Option<Current>,
    past: Vec<Past>,
    /// Past segments before this number are only history: replay does not need them.
    base: u64,
    /// The latest number that was given to a segment.
    number: u64,
    rotation: Option<Rotation>,
    /// Do not try to rotate while degraded before this.
    rotate_after: Monotonic,
    sync: Option<InFlight>,
    /// Syncs of earlier descriptors do not count any more.
    generation: u64,
    is_directory_dirty: bool,
    /// The bodies of all records that are not synced, each with a newline.
    bodies: String,
    /// How many bytes of bodies were there before `bodies`.
    bodies_start: u64,
    /// A new segment must begin with a snapshot: `bodies` is not all that is not synced.
    needs_snapshot: bool,
    appended: Position,
    written: Mark,
    synced: Mark,
    /// Records that were appended while nothing could be written and memory was full.
    lost: u64,
    absent: Vec<Record>,
    held: bool,
    has_ballast: bool,
    buffer: String,
}

impl Journal {
    /// Replays a journal, repairs its end, and gets ready to write. Blocks while the disk syncs.
    /// A disk that cannot be written is no error: the journal is degraded then, and tries again.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        dags: impl IntoIterator<Item = Arc<Dag>>,
        now: Now,
    ) -> Result<(Self, Recovered), OpenError> {
        Self::open_as(Opening::GoOn, disk, options, dags, now)
    }

    pub(super) fn open_as(
        opening: Opening,
        disk: Arc<dyn Disk>,
        options: Options,
        dags: impl IntoIterator<Item = Arc<Dag>>,
        now: Now,
    ) -> Result<(Self, Recovered), OpenError> {
        let replay = replay(&*disk, dags)?;
        let boot_id = replay.boot_id().map(str::to_owned);
        let mark = Mark {
            position: Position(0),
            body: 0,
            seq: replay.walked.next_seq,
            crc: replay.walked.crc,
        };
        let mut journal = Self {
            disk,
            options,
            monitor: Monitor::new(),
            current: None,
            past: Vec::new(),
            base: replay.base.unwrap_or(0),
            number: replay.segments.last().map_or(0, |segment| segment.number),
            rotation: None,
            rotate_after: now.monotonic,
            sync: None,
            generation: 0,
            is_directory_dirty: false,
            bodies: String::new(),
            bodies_start: 0,
            needs_snapshot: true,
            appended: Position(0),
            written: mark,
            synced: mark,
            lost: 0,
            absent: replay.absent,
            held: replay.walked.report.held && opening != Opening::Repaired,
            has_ballast: false,
            buffer: String::new(),
        };
        journal.past = replay
            .segments
            .iter()
            .zip(replay.segments.iter().skip(1).map(Some).chain([None]))
            .map(|(segment, next)| Past {
                number: segment.number,
                bytes: segment.bytes,
                until: next
                    .and_then(|next| Some(next.header.as_ref()?.at))
                    .unwrap_or(now.wall),
            })
            .collect();
        let is_same_boot = boot_id.as_deref() == Some(&*journal.options.boot_id);
        // Damage is told on in the next segment's first line; see `Header::held`.
        let is_sound = replay.base.is_some() && replay.walked.report.damage_count == 0;
        let goes_on = opening == Opening::GoOn && is_same_boot && is_sound;
        let state = &replay.state;
        if let Err(error) = journal.go_on(&replay.walked.report.torn, goes_on, now, state) {
            journal.fail(&error, now, state);
        }
        let recovered = Recovered {
            state: replay.state,
            report: replay.walked.report,
            boot_id,
        };
        Ok((journal, recovered))
    }

    /// Makes the end of the journal one that can be written after.
    fn go_on(
        &mut self,
        torn: &[TornTail],
        goes_on: bool,
        now: Now,
        state: &State,
    ) -> io::Result<()> {
        let files = self.disk.list()?;
        self.has_ballast = files
            .iter()
            .any(|(name, bytes)| name == BALLAST && *bytes >= BALLAST_BYTES as u64);
        for (name, _) in files.iter().filter(|(name, _)| name.ends_with(".tmp")) {
            self.disk.remove(name)?;
        }
        for tail in torn.iter().rev() {
            self.cut_off(tail)?;
        }
        if !torn.is_empty() {
            self.forget_torn()?;
        }
        if let Some(last) = self.past.last() {
            let (number, bytes) = (last.number, last.bytes);
            let file = self.disk.append(&file_name(number))?;
            // Written by an earlier process, perhaps, and not synced.
            file.sync()?;
            self.disk.sync_directory()?;
            if goes_on {
                self.past.pop();
                self.needs_snapshot = false;
                self.current = Some(Current {
                    file,
                    number,
                    bytes,
                    is_fresh: false,
                    has_snapshot: false,
                });
            }
        }
        if !goes_on {
            self.begin_segment(now, state)?;
            self.sync_now(now, state)?;
        }
        if let Err(error) = self.load_ballast() {
            self.degrade(&error, now);
        }
        Ok(())
    }

    /// Copies a torn tail aside and cuts it off. A segment that has nothing else goes.
    fn cut_off(&mut self, tail: &TornTail) -> io::Result<()> {
        let name = file_name(tail.segment);
        let mut reader = self.disk.read(&name)?;
        io::copy(&mut io::Read::take(&mut reader, tail.byte), &mut io::sink())?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(&mut reader, TORN_BYTES_MAX), &mut bytes)?;
        let aside = format!("{:010}-{:010}.torn", tail.segment, tail.byte);
        let copy = self.disk.create(&aside)?;
        write_all(&*copy, &bytes)?;
        copy.sync()?;
        if tail.byte == 0 {
            self.disk.remove(&name)?;
            self.past.retain(|past| past.number != tail.segment);
            return self.disk.sync_directory();
        }
        let file = self.disk.append(&name)?;
        file.truncate(tail.byte)?;
        let segments = self.past.iter_mut();
        for past in segments.filter(|past| past.number == tail.segment) {
            past.bytes = tail.byte;
        }
        file.sync()
    }

    fn forget_torn(&self) -> io::Result<()> {
        let files = self.disk.list()?.into_iter().map(|(name, _)| name);
        let mut torn: Vec<_> = files.filter(|name| name.ends_with(".torn")).collect();
        torn.sort();
        let old = torn.len().saturating_sub(TORN_KEPT);
        torn.iter()
            .take(old)
            .try_for_each(|name| self.disk.remove(name))
    }

    /// Takes a record to be written at the end of this turn.
    pub fn append(&mut self, record: &Record) -> Position {
        if self.bodies.len() > UNSYNCED_BYTES_MAX {
            self.make_room();
        }
        encode::record(&mut self.bodies, record);
        self.bodies.push('\n');
        self.appended.0 += 1;
        self.appended
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

    fn bodies_end(&self) -> u64 {
        self.bodies_start + self.bodies.len() as u64
    }

    fn forget_bodies(&mut self, until: u64) {
        let count = self.body_index(until);
        self.bodies.drain(..count);
        self.bodies_start += count as u64;
    }

    fn body_index(&self, body: u64) -> usize {
        let index = body.saturating_sub(self.bodies_start);
        usize::try_from(index).map_or(self.bodies.len(), |index| index.min(self.bodies.len()))
    }

    /// Writes what was appended: one write. `state` is that after all of it. Begins the next segment when
    /// it is time. Does nothing if there is nothing to do; never fails, see [`Journal::health`].
    pub fn flush(&mut self, now: Now, state: &State) {
        if self.current.is_some() && self.written.position < self.appended {
            if let Err(error) = self.write() {
                self.fail(&error, now, state);
            }
        }
        let is_full = |current: &Current| current.bytes >= self.options.segment_bytes_max;
        if self.current.as_ref().is_some_and(is_full)
            && self.rotation.is_none()
            && self.sync.is_none()
            && self.written.position == self.appended
            && now.monotonic >= self.rotate_after
        {
            if let Err(error) = self.begin_rotation(now, state) {
                self.give_up_rotation(&error, now);
            }
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

    fn end_mark(&self, seq: u64, crc: Option<Crc>) -> Mark {
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

    fn sync_now(&mut self, now: Now, state: &State) -> io::Result<()> {
        let Some(task) = self.begin_sync() else {
            return Ok(());
        };
        let SyncDone { generation, result } = task.run();
        result?;
        let done = SyncDone {
            generation,
            result: Ok(()),
        };
        self.sync_done(done, now, state);
        Ok(())
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

    /// Healthy again, if there is room for the ballast.
    fn settle_ballast(&mut self, now: Now) {
        match self.load_ballast() {
            Ok(()) => self.monitor.heal(),
            Err(error) => self.degrade(&error, now),
        }
    }

    fn load_ballast(&mut self) -> io::Result<()> {
        if self.has_ballast {
            return Ok(());
        }
        let file = self.disk.create(BALLAST)?;
        let written = write_all(&*file, &[b'\n'; BALLAST_BYTES]);
        self.has_ballast = written.is_ok();
        if written.is_err() {
            // Part of it would only take the room that records need.
            let _ = self.disk.remove(BALLAST);
        }
        written
    }

    fn degrade(&mut self, error: &io::Error, now: Now) {
        let is_writable = self.current.is_some();
        self.monitor
            .degrade(now.monotonic, in_words(error), is_writable);
    }

    /// A write or a sync failed: the descriptor is dead. Everything since the last sync goes into a new
    /// segment, or waits in memory.
    fn fail(&mut self, error: &io::Error, now: Now, state: &State) {
        self.generation += 1;
        self.sync = None;
        if let Some(rotation) = self.rotation.take() {
            let _ = self.disk.remove(&temporary(rotation.next.number));
        }
        let dead = self.current.take();
        // What was written is as good as not written, until it is written again.
        self.written = self.synced;
        if let Some(dead) = dead {
            if dead.is_fresh {
                let _ = self.disk.remove(&file_name(dead.number));
                // The new one has failed too.
                self.degrade(error, now);
                return;
            }
            self.past.push(Past {
                number: dead.number,
                bytes: dead.bytes,
                until: now.wall,
            });
        }
        match self.start_over(now, state) {
            Ok(()) if is_full(error) => self.degrade(error, now),
            Ok(()) => {}
            Err(error) => self.degrade(&error, now),
        }
    }

    /// Begins a segment, if need be in the room that the ballast took.
    fn start_over(&mut self, now: Now, state: &State) -> io::Result<()> {
        match self.begin_segment(now, state) {
            Err(error) if is_full(&error) && self.has_ballast => {
                self.has_ballast = self.disk.remove(BALLAST).is_err();
                self.begin_segment(now, state)
            }
            result => result,
        }
    }

    /// Begins a segment that goes on after the last synced line, with everything since.
    fn begin_segment(&mut self, now: Now, state: &State) -> io::Result<()> {
        let number = self.number + 1;
        let mut lines = std::mem::take(&mut self.buffer);
        lines.clear();
        let (mark, with_snapshot) = (self.synced, self.needs_snapshot);
        let (mut seq, mut crc) =
            self.head(&mut lines, number, mark, with_snapshot, now.wall, state);
        if !self.needs_snapshot {
            (seq, crc) = seal_all(&mut lines, &self.bodies, seq, crc);
        }
        let file = self.create(number, &lines);
        let bytes = lines.len() as u64;
        self.buffer = lines;
        let file = file?;
        // From here on the number may be taken, whatever happens.
        self.number = number;
        self.disk.rename(&temporary(number), &file_name(number))?;
        self.is_directory_dirty = true;
        self.current = Some(Current {
            file,
            number,
            bytes,
            is_fresh: true,
            has_snapshot: self.needs_snapshot,
        });
        self.written = self.end_mark(seq, crc);
        if self.needs_snapshot {
            self.forget_bodies(self.bodies_end());
        }
        Ok(())
    }

    /// Writes a segment's first line, and the snapshot if it is to have one.
    fn head(
        &self,
        lines: &mut String,
        number: u64,
        mark: Mark,
        with_snapshot: bool,
        at: Timestamp,
        state: &State,
    ) -> (u64, Option<Crc>) {
        let mut snapshot = String::new();
        if with_snapshot {
            for record in self.absent.iter().cloned().chain(state.snapshot(at)) {
                encode::record(&mut snapshot, &record);
                snapshot.push('\n');
            }
        }
        let header = Header {
            seq: mark.seq,
            at,
            number,
            boot_id: self.options.boot_id.clone(),
            prev: mark.crc,
            snapshot: with_snapshot.then(|| snapshot.lines().count() as u64),
            // Without a snapshot, what was created lately is still to be told.
            runs_created: if with_snapshot {
                state.next_run().0 - 1
            } else {
                0
            },
            held: self.held,
        };
        let mut body = String::new();
        encode::header(&mut body, &header);
        let crc = seal(lines, mark.seq, &body);
        seal_all(lines, &snapshot, mark.seq + 1, Some(crc))
    }

    /// Writes a file under a temporary name.
    fn create(&self, number: u64, lines: &str) -> io::Result<Arc<dyn DiskFile>> {
        let name = temporary(number);
        let file = self.disk.create(&name)?;
        if let Err(error) = write_all(&*file, lines.as_bytes()) {
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        Ok(file)
    }

    /// Writes the next segment, with a snapshot, aside. The next sync covers it.
    fn begin_rotation(&mut self, now: Now, state: &State) -> io::Result<()> {
        let number = self.number + 1;
        let mut lines = String::new();
        // Its first line follows the last one that was written: all of those are synced with it.
        let mark = self.written;
        let (seq, crc) = self.head(&mut lines, number, mark, true, now.wall, state);
        let file = self.create(number, &lines)?;
        self.rotation = Some(Rotation {
            next: Current {
                file,
                number,
                bytes: lines.len() as u64,
                is_fresh: false,
                has_snapshot: true,
            },
            snapshot: self.written,
            seq,
            crc,
        });
        Ok(())
    }

    fn give_up_rotation(&mut self, error: &io::Error, now: Now) {
        self.degrade(error, now);
        self.rotate_after = self.monitor.retry_at().unwrap_or(now.monotonic);
    }

    /// The old segment and the new one are synced: writes what has come since to the new one, and goes on
    /// there.
    fn finish_rotation(&mut self, now: Now, state: &State) {
        let Some(rotation) = self.rotation.take() else {
            return;
        };
        let Rotation {
            mut next,
            seq,
            crc,
            snapshot,
        } = rotation;
        let number = next.number;
        if snapshot.body < self.bodies_start {
            // Too much has come since to be kept in memory; another time.
            let _ = self.disk.remove(&temporary(number));
            return;
        }
        let mut lines = String::new();
        let from = self.body_index(snapshot.body);
        let (seq, crc) = seal_all(&mut lines, &self.bodies[from..], seq, crc);
        if let Err(error) = write_all(&*next.file, lines.as_bytes()) {
            let _ = self.disk.remove(&temporary(number));
            self.give_up_rotation(&error, now);
            return;
        }
        self.number = number;
        if let Err(error) = self.disk.rename(&temporary(number), &file_name(number)) {
            // It may have its name nevertheless, and then takes the place of what the old one has.
            self.fail(&error, now, state);
            return;
        }
        self.is_directory_dirty = true;
        next.bytes += lines.len() as u64;
        if let Some(old) = self.current.replace(next) {
            self.past.push(Past {
                number: old.number,
                bytes: old.bytes,
                until: now.wall,
            });
        }
        self.written = self.end_mark(seq, crc);
    }

    /// Deletes old segments; what replay needs stays. One that cannot be deleted is tried again.
    fn delete_history(&mut self, now: Timestamp) {
        let current = self.current.as_ref().map_or(0, |current| current.bytes);
        let mut bytes = current + self.past.iter().map(|past| past.bytes).sum::<u64>();
        while let Some(oldest) = self.past.first() {
            let is_old = self
                .options
                .retention_age
                .is_some_and(|age| now.since(oldest.until) > age);
            let is_history = oldest.number < self.base;
            if !is_history || !(is_old || bytes > self.options.retention_bytes) {
                return;
            }
            match self.disk.remove(&file_name(oldest.number)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return,
            }
            bytes -= oldest.bytes;
            self.past.remove(0);
        }
    }
}

/// Makes lines of bodies; returns the number of the next line and the checksum of the last.
fn seal_all(
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

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn temporary(number: u64) -> String {
    format!("{number:010}.tmp")
}
