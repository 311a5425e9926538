//! Opening a journal to write: replay, then an end that can be written after.

use std::io;
use std::sync::Arc;

use super::disk::{Disk, write_all};
use super::file_name;
use super::health::Monitor;
use super::replay::{Recovered, replay};
use super::scan::{OpenError, TornTail};
use super::writer::{
    BALLAST, BALLAST_BYTES, Current, Journal, Mark, Options, Past, Position, SyncDone,
};
use crate::dag::Dag;
use crate::scheduler::{Now, State};

/// How much of a torn tail is kept aside, and how many of them.
const TORN_BYTES_MAX: u64 = 1 << 20;
const TORN_KEPT: usize = 3;

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
            superseded: None,
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
            is_synchronised: true,
            synced_at: replay.synced_at,
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
        // What follows a snapshot of which the power took a part would be read as the rest of it.
        let last = replay.segments.last();
        let is_whole = last
            .and_then(|last| last.header.as_ref())
            .is_none_or(|header| {
                let last_line = header.seq + header.snapshot.unwrap_or(0);
                last_line < replay.walked.next_seq
            });
        let goes_on = opening == Opening::GoOn && is_same_boot && is_sound && is_whole;
        let state = &replay.state;
        if let Err(error) = journal.go_on(&replay.walked.report.torn, goes_on, now, state) {
            journal.fail(&error, now, state);
        }
        let recovered = Recovered {
            state: replay.state,
            report: replay.walked.report,
            boot_id,
            synced_at: replay.synced_at,
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
        for (name, _) in files.iter().filter(|(name, _)| has_extension(name, "tmp")) {
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
                    snapshot_bytes: 0,
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
        let mut torn: Vec<_> = files.filter(|name| has_extension(name, "torn")).collect();
        torn.sort();
        let old = torn.len().saturating_sub(TORN_KEPT);
        torn.iter()
            .take(old)
            .try_for_each(|name| self.disk.remove(name))
    }

    pub(super) fn sync_now(&mut self, now: Now, state: &State) -> io::Result<()> {
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
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, end)| end == extension)
}
