//! The journal: its bytes, what damage does to it, and what a failing disk does to it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod answers;
mod bytes;
mod clock;
mod dags;
mod damage;
mod faults;
mod keep;
mod lines;
mod past;
mod repair;
mod rng;
mod room;
mod sim_disk;
mod story;

use std::sync::Arc;

use mini_dag::journal::{Disk, Journal, Options, Recovered, read_state};
use mini_dag::scheduler::{Record, State};

use rng::Rng;
use sim_disk::{SimDisk, Tail};
use story::{dags, empty_state, now};

fn options() -> Options {
    Options {
        boot_id: "boot".to_owned(),
        ..Options::default()
    }
}

/// Segments are full soon.
fn small() -> Options {
    Options {
        segment_bytes_max: 4_000,
        ..options()
    }
}

fn open(disk: &SimDisk, options: Options) -> (Journal, Recovered) {
    Journal::open(Arc::new(disk.clone()), options, dags(), now(0)).unwrap()
}

fn read(disk: &dyn Disk) -> Recovered {
    read_state(disk, dags()).unwrap()
}

/// The files of a kind, by name.
fn files(disk: &SimDisk, extension: &str) -> Vec<String> {
    let files = disk.files().into_iter();
    let is_one = |name: &String| {
        name.rsplit_once('.')
            .is_some_and(|(_, end)| end == extension)
    };
    files.filter(is_one).collect()
}

/// Does the sync that is due, if one is.
fn sync(journal: &mut Journal, state: &State) {
    if let Some(task) = journal.begin_sync() {
        journal.sync_done(task.run(), now(0), state);
    }
}

/// A disk with a synced journal of these records, in one segment.
fn journal_of(records: &[Record]) -> SimDisk {
    let disk = SimDisk::default();
    let options = Options {
        segment_bytes_max: u64::MAX,
        ..options()
    };
    let (mut journal, _) = open(&disk, options);
    let mut state = empty_state();
    for record in records {
        state.apply(record).unwrap();
        journal.append(record);
        journal.flush(now(0), &state);
    }
    sync(&mut journal, &state);
    assert_eq!(journal.synced(), journal.written());
    disk.after_crash(Tail::Torn, &mut Rng::new(0))
}

/// A life without trouble; a sync after every record.
fn write(journal: &mut Journal, state: &mut State, records: &[Record]) {
    for record in records {
        state.apply(record).unwrap();
        journal.append(record);
        journal.flush(now(0), state);
        sync(journal, state);
    }
}

fn segments(disk: &SimDisk) -> Vec<String> {
    files(disk, "jsonl")
}
