//! A disk without room: full, read-only, or away for long. Degraded, told in words, and healed.

use std::io::ErrorKind;

use mini_dag::journal::{Health, Journal, Position, verify};

use crate::rng::Rng;
use crate::sim_disk::{Fault, SimDisk, Tail};
use crate::story::{fold, now, records};
use crate::{journal_of, open, options, read, sync, write};

fn why(journal: &Journal) -> (&str, bool) {
    match journal.health() {
        Health::Healthy => ("", true),
        Health::Degraded { why, is_writable } => (why, *is_writable),
    }
}

#[test]
fn a_full_disk_takes_the_last_records_in_place_of_the_ballast() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, options());
    let mut state = found.state;
    let records = records(10, 200);
    write(&mut journal, &mut state, &records[..50]);
    assert!(disk.files().contains(&"ballast".to_owned()));
    let used: usize = disk
        .files()
        .iter()
        .map(|name| disk.contents(name).len())
        .sum();
    disk.set_space(Some(used + 300));
    write(&mut journal, &mut state, &records[50..100]);
    assert_eq!(why(&journal), ("no space left on the device", true));
    assert_eq!(journal.synced(), Position(100));
    assert!(!disk.files().contains(&"ballast".to_owned()));
    // No room for ballast: still degraded when the time has come to look.
    journal.retry(now(31_000), &state);
    assert_eq!(why(&journal), ("no space left on the device", true));
    disk.set_space(None);
    journal.retry(now(40_000), &state);
    assert!(!why(&journal).0.is_empty(), "too early");
    journal.retry(now(100_000), &state);
    assert_eq!(*journal.health(), Health::Healthy);
    assert!(disk.files().contains(&"ballast".to_owned()));
    write(&mut journal, &mut state, &records[100..]);
    assert!(read(&disk).state == state);
}

#[test]
fn a_read_only_disk_is_told_in_words_and_waited_for() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, options());
    let mut state = found.state;
    let records = records(11, 100);
    write(&mut journal, &mut state, &records[..50]);
    disk.set_fault(Some(Fault {
        at: 1,
        for_ever: true,
        error: ErrorKind::ReadOnlyFilesystem,
        is_short: false,
    }));
    write(&mut journal, &mut state, &records[50..]);
    let words = "the state directory is read-only (failing SD card?)";
    assert_eq!(why(&journal), (words, false));
    assert_eq!(
        (journal.written(), journal.synced()),
        (Position(50), Position(50))
    );
    assert!(journal.begin_sync().is_none());
    // A daemon that starts now starts, and says the same.
    let (starting, found) = open(&disk, options());
    assert_eq!(why(&starting), (words, false));
    assert!(found.state == fold(&records[..50]));
    disk.set_fault(None);
    journal.retry(now(30_000), &state);
    sync(&mut journal, &state);
    assert_eq!(*journal.health(), Health::Healthy);
    assert_eq!(journal.synced(), Position(100));
    assert_eq!(journal.lost(), 0);
    assert!(read(&disk).state == state);
    assert!(verify(&disk).unwrap().is_sound());
}

/// More than memory is meant to keep: the wording of some records is lost, what they led to is not.
#[test]
fn a_disk_that_is_away_for_long_costs_bounded_memory_and_no_state() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, options());
    let mut state = found.state;
    disk.set_fault(Some(Fault {
        at: 1,
        for_ever: true,
        error: ErrorKind::Other,
        is_short: false,
    }));
    let mut story = crate::story::Story::new(12);
    for _ in 0..40_000 {
        for record in story.turn() {
            state.apply(&record).unwrap();
            journal.append(&record);
        }
        journal.flush(now(0), &state);
    }
    assert!(journal.lost() > 1_000);
    disk.set_fault(None);
    journal.retry(now(30_000), &state);
    sync(&mut journal, &state);
    assert_eq!(*journal.health(), Health::Healthy);
    assert!(disk.after_crash(Tail::Torn, &mut Rng::new(1)).files().len() >= 2);
    assert!(read(&disk).state == state);
}

/// In the middle of a number, a key, a newline: of a write of several lines the disk takes any part.
#[test]
fn a_write_that_the_disk_takes_a_part_of_loses_nothing_wherever_it_is_cut() {
    let records = records(20, 16);
    let states: Vec<_> = (0..=16).map(|count| fold(&records[..count])).collect();
    let used = |disk: &SimDisk| -> usize {
        let files = disk.files();
        files.iter().map(|name| disk.contents(name).len()).sum()
    };
    let begun = SimDisk::default();
    let (mut journal, found) = open(&begun, options());
    write(&mut journal, &mut found.state.clone(), &records[..8]);
    let before = used(&begun);
    let mut whole = 0;
    for room in 0.. {
        let disk = begun.copy();
        let (mut journal, _) = open(&disk, options());
        disk.set_space(Some(before + room));
        for record in &records[8..] {
            journal.append(record);
        }
        journal.flush(now(0), &states[16]);
        sync(&mut journal, &states[16]);
        // What the disk did not take stands in the room of the ballast, synced.
        assert_eq!(journal.synced(), Position(8), "{room}");
        let after = read(&disk.after_crash(Tail::Torn, &mut Rng::new(room as u64)));
        assert!(after.state == states[16], "{room}");
        assert_eq!((after.report.damage, after.report.held), (vec![], false));
        if *journal.health() == Health::Healthy {
            whole = room;
            break;
        }
        assert_eq!(why(&journal), ("no space left on the device", true));
        disk.set_space(None);
        journal.retry(now(30_000), &states[16]);
        assert_eq!(*journal.health(), Health::Healthy, "{room}");
        assert!(verify(&disk).unwrap().is_sound(), "{room}");
    }
    let lines = journal_of(&records).contents("0000000001.jsonl");
    let tail = lines.split_inclusive(|byte| *byte == b'\n').rev().take(8);
    assert_eq!(whole, tail.map(<[u8]>::len).sum::<usize>());
}
