//! Beginning segments: because one is full, because a disk failed, because there is room again.

use std::io;
use std::sync::Arc;

use super::disk::{DiskFile, in_words, write_all};
use super::encode::{self, Header, seal};
use super::writer::{BALLAST, BALLAST_BYTES, Current, Journal, Mark, Past, Rotation, seal_all};
use super::{Crc, file_name};
use crate::scheduler::{Now, State};
use crate::timetable::Timestamp;

impl Journal {
    /// Healthy again, if there is room for the ballast.
    pub(super) fn settle_ballast(&mut self, now: Now) {
        match self.load_ballast() {
            Ok(()) => self.monitor.heal(),
            Err(error) => self.degrade(&error, now),
        }
    }

    pub(super) fn load_ballast(&mut self) -> io::Result<()> {
        if self.has_ballast {
            return Ok(());
        }
        let file = self.disk.create(BALLAST)?;
        let written = write_all(&*file, &vec![b'\n'; BALLAST_BYTES]);
        self.has_ballast = written.is_ok();
        if written.is_err() {
            // Part of it would only take the room that records need.
            let _ = self.disk.remove(BALLAST);
        }
        written
    }

    pub(super) fn degrade(&mut self, error: &io::Error, now: Now) {
        let is_writable = self.current.is_some();
        self.monitor
            .degrade(now.monotonic, in_words(error), is_writable);
    }

    /// A write or a sync failed: the descriptor is dead. Everything since the last sync goes into a new
    /// segment, or waits in memory.
    pub(super) fn fail(&mut self, error: &io::Error, now: Now, state: &State) {
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
                // The new one has failed too. What it has may be all that is left of its records, so it
                // stays until the next one, which begins at the same line, has its name.
                if let Some(older) = self.superseded.replace(dead.number) {
                    let _ = self.disk.remove(&file_name(older));
                }
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
    pub(super) fn start_over(&mut self, now: Now, state: &State) -> io::Result<()> {
        match self.begin_segment(now, state) {
            Err(error) if is_full(&error) && self.has_ballast => {
                self.has_ballast = self.disk.remove(BALLAST).is_err();
                self.begin_segment(now, state)
            }
            result => result,
        }
    }

    /// Begins a segment that goes on after the last synced line, with everything since.
    pub(super) fn begin_segment(&mut self, now: Now, state: &State) -> io::Result<()> {
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
        if let Some(older) = self.superseded.take() {
            let _ = self.disk.remove(&file_name(older));
        }
        self.is_directory_dirty = true;
        self.current = Some(Current {
            file,
            number,
            bytes,
            snapshot_bytes: if self.needs_snapshot { bytes } else { 0 },
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
    pub(super) fn head(
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
            synced_at: self.synced_at,
            held: self.held,
        };
        let mut body = String::new();
        encode::header(&mut body, &header);
        let crc = seal(lines, mark.seq, &body);
        seal_all(lines, &snapshot, mark.seq + 1, Some(crc))
    }

    /// Writes a file under a temporary name.
    pub(super) fn create(&self, number: u64, lines: &str) -> io::Result<Arc<dyn DiskFile>> {
        let name = temporary(number);
        let file = self.disk.create(&name)?;
        if let Err(error) = write_all(&*file, lines.as_bytes()) {
            let _ = self.disk.remove(&name);
            return Err(error);
        }
        Ok(file)
    }

    /// Writes the next segment, with a snapshot, aside. The next sync covers it.
    pub(super) fn begin_rotation(&mut self, now: Now, state: &State) -> io::Result<()> {
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
                snapshot_bytes: lines.len() as u64,
                is_fresh: false,
                has_snapshot: true,
            },
            snapshot: self.written,
            seq,
            crc,
        });
        Ok(())
    }

    pub(super) fn give_up_rotation(&mut self, error: &io::Error, now: Now) {
        self.degrade(error, now);
        self.rotate_after = self.monitor.retry_at().unwrap_or(now.monotonic);
    }

    /// The old segment and the new one are synced: writes what has come since to the new one, and goes on
    /// there.
    pub(super) fn finish_rotation(&mut self, now: Now, state: &State) {
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
    pub(super) fn delete_history(&mut self, now: Timestamp) {
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

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn temporary(number: u64) -> String {
    format!("{number:010}.tmp")
}
