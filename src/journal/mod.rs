//! What happened, on disk.
//!
//! # The format
//!
//! `journal/` holds segments, `0000000001.jsonl` and so on: text, one JSON object a line, for `grep`,
//! `jq` and `tail -f`. Each line has
//!
//! - `seq`, first: the line's number, one more than that of the line before, across segments;
//! - `at`: when it happened, RFC 3339 in UTC with milliseconds;
//! - `ev`: what happened;
//! - `crc`, last: eight lower-case hexadecimal digits, the CRC32C of the bytes of the line before
//!   `,"crc":"`. They are compared as text, so that a flipped letter case is noticed too;
//! - `unsynced`, just before `crc`: the clock was not known to be right when a record was written, so that
//!   its `at` is not to be relied on. The `at` of the last record without it, snapshots apart, is what a
//!   clock is measured against after a restart; nothing is written for that alone.
//!
//! A run is named `"run":"sensor_log/17"`: its DAG and its number. What is zero, false or usual (try 1,
//! exit code 0, a `clock` that is synchronised) is left out. Times are in milliseconds (`ms`, `cpu`), memory in KiB (`kib`, rounded up).
//!
//! ```text
//! {"seq":1,"at":"2026-11-22T06:00:00.000Z","ev":"segment","version":1,"number":1,"boot":"…","snapshot":0,"crc":"…"}
//! {"seq":2,"at":"…","ev":"run_created","run":"sensor_log/17","run_id":"…","type":"manual","logical_date":"…","interval":["…","…"],"params":{…},"crc":"…"}
//! {"seq":3,"at":"…","ev":"run_started","run":"sensor_log/17","crc":"…"}
//! {"seq":4,"at":"…","ev":"start","run":"sensor_log/17","task":"read","crc":"…"}
//! {"seq":5,"at":"…","ev":"success","run":"sensor_log/17","task":"read","ms":812,"cpu":120,"kib":3456,"crc":"…"}
//! ```
//!
//! An attempt that succeeded may have `xcom`, the JSON value that it left for other tasks; `follow`, the tasks
//! directly after it that a `branch` chose; or `short_circuit`: nothing after it goes on. `reason` says what an
//! exit code does not. A task instance in a snapshot has the first three, too, and `cleared` if it was while it
//! ran.
//!
//! | `ev` | of | means |
//! | --- | --- | --- |
//! | `segment` | | a segment's first line: format `version`, `number`, `boot` id, `prev` = the `crc` of line `seq` - 1, `snapshot` = how many lines of snapshot follow, `runs_created` before them, `synced_at` = when a record was last written while the clock was synchronised, `held` = damage was found before and waits for a repair |
//! | `seen` `paused` `unpaused` `dag` | `dag` | it was seen for the first time, `paused` or not; a switch; and what a snapshot knows of a DAG: `first_seen`, fires are done `until` then, the last `boot`, what it has heard (`after`), its `successes`, how its runs that are `over` ended, and `ran` are the spans of time, each from a moment to before another, that runs took |
//! | `fires_skipped` | `dag` | it was due `until` then, and was not run |
//! | `fires_rewound` | `dag` | the clock had been far ahead: what is due after `until` is looked at again, and skipped where it was run |
//! | `passed` | `dag` | what it could have been due for, a `boot` id or how often others had succeeded (`after`), is served without a run |
//! | `run_created` `run_started` `run_stopped` `run_success` `run_failed` `run_cleared` | `run` | the life of a run; `boot`, `after` or `backfill` is what it was created for, `by` the `run`, `task` and `try` that have triggered it, and how many triggers it has come of (`depth`) |
//! | `backfill_created` `backfill_paused` `backfill_unpaused` `backfill_cancelled` `backfill_completed` | `dag` | the life of a backfill, by its number (`backfill`): `interval`, `reprocess`, `newest_first`, `parallel` |
//! | `backfill_passed` | `dag` | so many `dates`, `until` the one of this fire, have a run already |
//! | `backfill_restored` | `dag` | all of a backfill, in a snapshot; its runs that are not over follow |
//! | `run_restored` | `run` | all of a run, in a snapshot or because an old run is cleared |
//! | `start` | `run` `task` | an attempt began; of a task that triggers, after the `run_created` of its run |
//! | `success` `failed` `skipped` `up_for_retry` `up_for_reschedule` `interrupted` | `run` `task` | an attempt ended; `up_for_reschedule`: the first poke of a try said "not yet", later ones leave no line |
//! | `settled` | `run` `task` | a task instance ended without an attempt, in `state` |
//! | `marked` | `run` `task` | somebody said that a task instance is in `state` |
//! | `run_noted` `run_deleted` | `run` | somebody wrote a `note` about it, or had it deleted |
//! | `repaired` | | the lines up to number `last` were lost, and somebody ran `repair` |
//!
//! **Versions.** This is version 1, and the first; a segment of any other version is refused and
//! nothing is touched. Unknown fields are ignored. An unknown event is a damaged line: a program that
//! adds one raises the version. The first line of every later version keeps the form of this one.
//!
//! **Segments.** A segment's first line, number s, takes the place of every line of earlier segments
//! from number s on. With `snapshot`, the lines after it are all that has to be known to go on from
//! there ([`crate::scheduler::State::snapshot`]): replay begins at the newest such segment whose
//! snapshot verifies. Earlier segments are history.
//!
//! Beside the segments there are `*.tmp` (being written; ignored, and removed by the next start), `*.torn` and
//! `*.broken` (what was cut off or repaired, for people), and `ballast`: 64 KiB that are given up when the disk
//! is full, so that what runs can still be recorded.
//!
//! # What a crash can do
//!
//! A record is *written* when the kernel has it: it survives the end of the process. It is *synced* when
//! the disk has it: it survives the end of the power. What is lost is always an end of what was not
//! synced; the state after a restart is that of a moment at or after the last sync.
//!
//! - **While lines are written.** The segment ends in a torn line, NULs or garbage, without a valid line
//!   after it: a torn tail. It is copied aside (`*.torn`), cut off, and its bytes are reported. A
//!   complete line without its newline counts as torn: it cannot have been synced.
//! - **While a segment is begun** (rotation). It is written under a temporary name (`*.tmp`) and synced
//!   together with the old one; meanwhile records go to the old one. Then what came since the snapshot
//!   is written to the new one too, and it gets its name. Before that moment the old segment has
//!   everything and `*.tmp` is ignored. After it, the new one has everything: the snapshot, synced; and the
//!   lines that take the place of those in the old one, not synced, and not reported as synced
//!   before file and directory are. Should the name be lost with the power, the old segment still has all
//!   that was synced. Nothing is deleted before the directory was synced.
//! - **A write or a sync fails.** Nobody knows what the disk has of that file since its last sync, and
//!   asking again proves nothing: the descriptor is given up. A new segment begins with the number after
//!   the last synced line, and has every line since, from memory. Whatever the old one has from there on
//!   no longer counts, be it valid, torn or missing. If there is too much to be kept in memory
//!   ([`UNSYNCED_BYTES_MAX`]), the new segment begins with a snapshot instead.
//! - **That new segment is lost with the power**, before its first sync: it is a torn tail (all of it),
//!   and the old one has all that was synced.
//! - **A line goes bad later**, with valid lines after it: a damaged middle. What verifies is used, the
//!   rest is reported with segment, byte and count. Which DAGs it was about cannot be known, so all of them
//!   are held until `repair`; `held` in later segments keeps that from being forgotten. A missing,
//!   repeated or misplaced line shows by its number and counts as damage too. So does a hole in what was
//!   not synced, if a file system wrote later pages first: a false alarm rather than a silent loss.

mod crc;
mod dates;
mod decode;
mod disk;
mod encode;
mod fields;
mod health;
mod history;
mod names;
mod offline;
mod open;
mod replay;
mod scan;
mod segments;
mod writer;

pub use dates::dates;
pub use disk::{Directory, Disk, DiskFile};
pub use health::Health;
pub use history::{AttemptEnd, Filter, PastAttempt, PastRun, history};
pub use offline::{SegmentReport, Verified, cat, compact, repair, verify};
pub use replay::{Recovered, apply_replayed, read_state};
pub use scan::{Damage, OpenError, Report, TornTail};
pub use writer::{Journal, Options, Position, SyncDone, SyncTask};

/// The version of the format.
pub const VERSION: u64 = 1;
/// Memory for records that are not synced yet.
pub const UNSYNCED_BYTES_MAX: usize = 1 << 20;

/// A checksum as it stands in a line.
type Crc = [u8; 8];

/// The file of a segment.
fn file_name(number: u64) -> String {
    format!("{number:010}.jsonl")
}
