//! What a journal remembers of the clock: when a record was last written while it was synchronised.

use mini_dag::journal::{Journal, Options, cat};
use mini_dag::scheduler::{Fact, Record, State};
use mini_dag::timetable::Timestamp;

use crate::sim_disk::{SimDisk, Tail};
use crate::story::{dags, empty_state, now};
use crate::{open, options, read, sync};

/// A record of so many seconds after the beginning, by whatever clock.
fn record(secs: i64) -> Record {
    Record {
        at: at(secs),
        dag_id: dags()[0].dag_id.clone(),
        fact: Fact::Paused(secs % 2 == 0),
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(now(0).wall.secs() + secs)
}

fn write(journal: &mut Journal, state: &mut State, is_synchronised: bool, secs: i64) {
    let record = record(secs);
    state.apply(&record).unwrap();
    journal.set_synchronised(is_synchronised);
    journal.append(&record);
    journal.flush(now(0), state);
    sync(journal, state);
}

/// The last by number, not the latest: a clock that was ahead is forgotten with the next record.
#[test]
fn the_last_record_of_a_synchronised_clock_is_found_again() {
    let disk = SimDisk::default();
    let (mut journal, recovered) = open(&disk, options());
    assert_eq!(recovered.synced_at, None);
    let mut state = empty_state();
    for (is_synchronised, secs, synced_at) in [
        (false, 10, None),
        (true, 20, Some(20)),
        (false, 4_000_000, Some(20)),
        (true, 5_000_000, Some(5_000_000)),
        (true, 30, Some(30)),
        (false, 40, Some(30)),
    ] {
        write(&mut journal, &mut state, is_synchronised, secs);
        assert_eq!(read(&disk).synced_at, synced_at.map(at), "{secs}");
    }
    let mut lines = Vec::new();
    cat(&disk, &mut |line| {
        lines.push(line.contains(r#","unsynced":true,"crc":""#));
    })
    .unwrap();
    // After the segment's first line and its snapshot of two DAGs.
    assert_eq!(
        lines[3..],
        [true, false, true, false, false, true],
        "a line a record, and nothing besides"
    );
}

/// Its lines are written by a clock that shows now, whatever they tell of.
#[test]
fn a_snapshot_keeps_it_and_is_not_taken_for_it() {
    let disk = SimDisk::default();
    let small = || Options {
        segment_bytes_max: 1,
        ..options()
    };
    let (mut journal, _) = open(&disk, small());
    let mut state = empty_state();
    write(&mut journal, &mut state, true, -500);
    for secs in -400..-300 {
        write(&mut journal, &mut state, false, secs);
    }
    drop(journal);
    assert_eq!(read(&disk).synced_at, Some(at(-500)));
    let disk = disk.after_crash(Tail::Kept, &mut crate::Rng::new(0));
    let reboot = Options {
        boot_id: "another".to_owned(),
        ..options()
    };
    let (mut journal, recovered) = open(&disk, reboot);
    assert_eq!(recovered.synced_at, Some(at(-500)));
    write(&mut journal, &mut state, false, 1_000);
    assert_eq!(read(&disk).synced_at, Some(at(-500)));
}
