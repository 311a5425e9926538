//! Keeping a journal for years: rotation, retention, restarts.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::journal::{
    Directory, Health, Journal, Options, Position, Verified, read_state, verify,
};
use mini_dag::scheduler::{Fact, Record, RunFact};

use crate::sim_disk::{Fault, SimDisk};
use crate::story::{dags, empty_state, now, records};
use crate::{journal_of, open, options, read, segments, small, write};

fn paused(dag_id: &str) -> Record {
    Record {
        at: now(0).wall,
        dag_id: dag_id.into(),
        fact: Fact::Paused(true),
    }
}

#[test]
fn a_full_segment_is_followed_by_one_with_a_snapshot() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, small());
    let mut state = found.state;
    let records = records(8, 300);
    write(&mut journal, &mut state, &records);
    assert_eq!(journal.synced(), Position(300));
    let Verified { segments, report } = verify(&disk).unwrap();
    assert!(segments.len() > 3);
    assert!(segments.iter().all(|segment| segment.has_snapshot));
    assert_eq!(report.damage, []);
    assert!(read(&disk).state == state);
    // Replay needs the newest segment only.
    let files = self::segments(&disk);
    let newest = SimDisk::default();
    let last = files.last().unwrap();
    newest.put(last, &disk.contents(last));
    assert!(read(&newest).state == state);
    // If its snapshot goes bad, the one before takes over.
    let mut bytes = disk.contents(last);
    let second_line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    bytes[second_line] ^= 1;
    disk.put(last, &bytes);
    let found = read(&disk);
    assert!(found.state == state && found.report.held);
}

/// What followed would be read as the rest of it.
#[test]
fn a_snapshot_of_which_a_part_is_there_is_not_written_on() {
    let whole = SimDisk::default();
    let (mut journal, found) = open(&whole, small());
    write(&mut journal, &mut found.state.clone(), &records(8, 300));
    let last = segments(&whole).pop().unwrap();
    let bytes = whole.contents(&last);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let header = std::str::from_utf8(lines[0]).unwrap();
    let (_, count) = header.split_once("\"snapshot\":").unwrap();
    let count: usize = count[..count.find(',').unwrap()].parse().unwrap();
    assert!(count > 2, "{header}");
    for kept in 0..count {
        let disk = whole.copy();
        disk.put(&last, &lines[..=kept].concat());
        let (mut journal, found) = open(&disk, small());
        let mut state = found.state;
        write(&mut journal, &mut state, &[paused("chain")]);
        assert!(read(&disk).state == state, "{kept} of {count} lines");
    }
}

/// Syncs take several turns on an SD card; rotation comes about all the same.
#[test]
fn records_that_come_during_a_rotation_do_not_put_it_off() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, small());
    let mut state = found.state;
    let mut task = None;
    for (n, record) in records(8, 400).iter().enumerate() {
        state.apply(record).unwrap();
        journal.append(record);
        journal.flush(now(0), &state);
        match n % 5 {
            0 => task = journal.begin_sync(),
            3 => journal.sync_done(task.take().unwrap().run(), now(0), &state),
            _ => {}
        }
    }
    assert!(segments(&disk).len() > 3, "{:?}", segments(&disk));
    assert!(read(&disk).state == state);
    assert!(verify(&disk).unwrap().is_sound());
}

/// With many DAGs a snapshot is longer than a segment is meant to be.
#[test]
fn a_long_snapshot_is_not_written_every_time() {
    let disk = SimDisk::default();
    let options = Options {
        segment_bytes_max: 10,
        ..options()
    };
    let (mut journal, found) = open(&disk, options);
    let records = records(8, 600);
    write(&mut journal, &mut found.state.clone(), &records);
    let plain = journal_of(&records).contents("0000000001.jsonl").len();
    let used: usize = segments(&disk)
        .iter()
        .map(|name| disk.contents(name).len())
        .sum();
    assert!(used < 3 * plain, "{used} bytes, {plain} without snapshots");
}

#[test]
fn history_is_deleted_by_whole_segments_oldest_first() {
    for (bytes, age) in [
        (60_000, None),
        (1, None),
        (u64::MAX, Some(Duration::from_secs(600))),
    ] {
        let disk = SimDisk::default();
        let options = Options {
            retention_bytes: bytes,
            retention_age: age,
            ..small()
        };
        let (mut journal, found) = open(&disk, options);
        let mut state = found.state;
        for (n, record) in records(9, 1_500).iter().enumerate() {
            let now = now(n as u64 * 1_000);
            state.apply(record).unwrap();
            journal.append(record);
            journal.flush(now, &state);
            if let Some(task) = journal.begin_sync() {
                journal.sync_done(task.run(), now, &state);
            }
        }
        let files = segments(&disk);
        assert!(*files[0] > *"0000000003.jsonl", "{files:?}");
        let length = |name: &String| disk.contents(name).len();
        // The newest two have come since history was last looked at.
        let history: usize = files.iter().rev().skip(2).map(length).sum();
        match bytes {
            1 => assert!(files.len() <= 2, "{files:?}"),
            60_000 => assert!(history <= 60_000, "{history}"),
            _ => assert!(history > 0, "{files:?}"),
        }
        assert!(read(&disk).state == state);
        assert_eq!(verify(&disk).unwrap().report.damage, []);
    }
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, small());
    write(&mut journal, &mut found.state.clone(), &records(8, 20));
    disk.set_fault(None);
    for n in 0..100 {
        journal.flush(now(n * 60_000), &found.state);
        journal.retry(now(n * 60_000), &found.state);
        assert!(journal.begin_sync().is_none());
    }
    assert_eq!(disk.operations(), 0);
}

#[test]
fn a_restart_goes_on_in_the_same_segment_and_a_boot_begins_one() {
    let disk = SimDisk::default();
    drop(open(&disk, options()));
    let (_, found) = open(&disk, options());
    assert_eq!(found.boot_id.as_deref(), Some("boot"));
    assert_eq!(segments(&disk).len(), 1);
    let booted = Options {
        boot_id: "later".to_owned(),
        ..options()
    };
    let (_, found) = open(&disk, booted);
    assert_eq!(found.boot_id.as_deref(), Some("boot"));
    assert_eq!(segments(&disk).len(), 2);
    assert_eq!(read(&disk).boot_id.as_deref(), Some("later"));
}

/// A new segment after a failure has no snapshot: what it goes on from is not history.
#[test]
fn the_newest_snapshot_is_never_deleted() {
    let disk = SimDisk::default();
    let options = Options {
        retention_bytes: 1,
        ..options()
    };
    let (mut journal, found) = open(&disk, options);
    let mut state = found.state;
    let records = records(19, 60);
    for (n, record) in records.iter().enumerate() {
        if n % 10 == 5 {
            disk.set_fault(Some(Fault {
                at: 1,
                for_ever: false,
                error: ErrorKind::Other,
                is_short: false,
            }));
        }
        write(&mut journal, &mut state, std::slice::from_ref(record));
    }
    assert_eq!(segments(&disk).len(), 7);
    assert_eq!(journal.synced(), Position(60));
    assert!(read(&disk).state == state);
}

/// On a real disk, with the modes that the state of a daemon should have.
#[test]
fn a_real_directory_works_and_is_private() {
    let path = std::env::temp_dir().join(format!("mini-dag-journal-{}", std::process::id()));
    let directory = path.join("journal");
    let disk = || Arc::new(Directory::new(&directory));
    assert!(read_state(&*disk(), dags()).unwrap().state == empty_state());
    assert!(!path.exists(), "reading made a directory");
    let records = records(18, 300);
    let (mut journal, found) = Journal::open(disk(), small(), dags(), now(0)).unwrap();
    assert_eq!(*journal.health(), Health::Healthy);
    let mut state = found.state;
    write(&mut journal, &mut state, &records);
    drop(journal);
    let (mut journal, found) = Journal::open(disk(), small(), dags(), now(0)).unwrap();
    assert!(found.state == state);
    let record = paused("chain");
    state.apply(&record).unwrap();
    journal.append(&record);
    journal.flush(now(0), &state);
    assert!(read(&*disk()).state == state);
    assert!(verify(&*disk()).unwrap().is_sound());
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    std::fs::remove_dir_all(&path).unwrap();
    let is_run = |record: &Record| matches!(record.fact, Fact::Run(_, RunFact::Created(_)));
    assert!(records.iter().any(is_run));
}
