//! Keeping a journal for years: rotation, retention, full disks, DAGs that come and go, repair.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::dag::Dag;
use mini_dag::journal::{
    Directory, Health, Journal, Options, Position, Verified, apply_replayed, compact, read_state,
    repair, verify,
};
use mini_dag::scheduler::{Fact, Record, RunFact, RunState, State};

use crate::rng::Rng;
use crate::sim_disk::{Fault, SimDisk, Tail};
use crate::story::{dags, empty_state, fold, now, records};
use crate::{files, journal_of, open, options, read, sync};

fn small() -> Options {
    Options {
        segment_bytes_max: 4_000,
        ..options()
    }
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

/// A DAG whose file does not load at a start is not forgotten, through rotations and restarts.
#[test]
fn what_is_known_of_a_dag_that_is_away_is_kept() {
    let records = records(13, 200);
    let whole = fold(&records);
    let disk = journal_of(&records);
    let without_fan = || dags().into_iter().filter(|dag| &*dag.dag_id == "chain");
    let boot = |n: u32| Options {
        boot_id: format!("{n}"),
        ..options()
    };
    for n in 0..3 {
        let disk = Arc::new(disk.clone());
        let (_, found) = Journal::open(disk, boot(n), without_fan(), now(0)).unwrap();
        assert!(found.state.dag("fan").is_none());
        assert_eq!(found.report.refused, []);
        assert_eq!(found.state.next_run(), whole.next_run());
    }
    assert!(read(&disk).state == whole);
    // Or it comes back while the daemon runs.
    let (mut journal, found) =
        Journal::open(Arc::new(disk.clone()), boot(9), without_fan(), now(0)).unwrap();
    let mut state = found.state;
    for dag in dags() {
        state.insert_dag(dag);
    }
    for record in journal.claim("fan") {
        apply_replayed(&mut state, &record).unwrap();
    }
    assert!(state == whole);
    assert!(journal.claim("fan").is_empty());
}

/// A DAG that got a task while the daemon was down would otherwise wake its old runs up.
#[test]
fn a_run_that_has_ended_stays_over_when_its_dag_gets_a_task() {
    let disk = journal_of(&records(14, 300));
    let more = Dag::new("chain");
    for task in ["fetch", "clean", "push", "new"] {
        more.bash(task, "true");
    }
    let live = |state: &State| {
        let live = state.runs().filter(|(_, run)| !run.state.is_finished());
        live.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let chain = Arc::new(more.finish().unwrap());
    let fan = dags().remove(1);
    let found = read_state(&disk, [chain, fan]).unwrap();
    let before = read(&disk).state;
    assert_eq!(live(&found.state), live(&before));
    let finished = |state: &State| {
        state
            .runs()
            .filter(|(_, run)| run.state == RunState::Success)
            .count()
    };
    assert!(finished(&before) > 0);
    assert_eq!(finished(&found.state), finished(&before));
    assert!(!found.report.held);
}

#[test]
fn damage_holds_until_it_is_repaired() {
    let records = records(15, 60);
    let disk = journal_of(&records);
    let file = "0000000001.jsonl";
    let mut bytes = disk.contents(file);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    disk.put(file, &bytes);
    // Restarts, boots and new segments do not make it forgotten.
    for boot_id in ["boot", "boot", "later", "later"] {
        let boot_id = boot_id.to_owned();
        let (_, found) = open(
            &disk,
            Options {
                boot_id,
                ..options()
            },
        );
        assert!(found.report.held);
    }
    assert!(!verify(&disk).unwrap().is_sound());
    let before = read(&disk).state;
    let report = repair(Arc::new(disk.clone()), options(), dags(), now(0)).unwrap();
    assert_eq!(report.damage_count, 1);
    assert_eq!(report.damage[0].lines, 1);
    assert!(verify(&disk).unwrap().is_sound(), "{:#?}", verify(&disk));
    let found = read(&disk);
    assert!(!found.report.held && found.state == before);
    assert_eq!(disk.contents("0000000001.broken"), bytes);
    // Exactly the damaged line has gone.
    let repaired = disk.contents(file);
    let lines = |bytes: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let (old, new) = (lines(&bytes), lines(&repaired));
    let changed: Vec<_> = (0..old.len())
        .filter(|line| old[*line] != new[*line])
        .collect();
    assert_eq!((changed.len(), old.len()), (1, new.len()));
    assert!(String::from_utf8_lossy(&new[changed[0]]).contains("\"ev\":\"repaired\""));
}

/// Whatever is broken, wherever: after `repair` the journal is sound, and opens as before.
#[test]
fn repair_makes_every_journal_sound() {
    let disk = SimDisk::default();
    let (mut journal, found) = open(&disk, small());
    let mut state = found.state;
    write(&mut journal, &mut state, &records(16, 120));
    drop(journal);
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let broken = disk.copy();
        for _ in 0..=rng.below(6) {
            let files = segments(&broken);
            let file = &files[rng.below(files.len())];
            let mut bytes = broken.contents(file);
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => bytes[at] ^= 1 << rng.below(8),
                1 => drop(bytes.drain(at..bytes.len().min(at + rng.below(600)))),
                2 => bytes.splice(at..at, vec![0; 300]).for_each(drop),
                _ => {
                    // A whole line.
                    let start = bytes[..at]
                        .iter()
                        .rposition(|byte| *byte == b'\n')
                        .map_or(0, |n| n + 1);
                    let end = at
                        + bytes[at..]
                            .iter()
                            .position(|byte| *byte == b'\n')
                            .unwrap_or(0)
                        + 1;
                    let line: Vec<_> = bytes[start..end].to_vec();
                    bytes.splice(start..start, line).for_each(drop);
                }
            }
            broken.put(file, &bytes);
        }
        let before = read(&broken).state;
        repair(Arc::new(broken.clone()), small(), dags(), now(0)).unwrap();
        let verified = verify(&broken).unwrap();
        assert!(verified.is_sound(), "seed {seed}: {verified:#?}");
        let found = read(&broken);
        assert!(!found.report.held, "seed {seed}");
        // It may be more: a snapshot with a line too many verifies when that line is gone.
        assert_eq!(found.state.next_run(), before.next_run(), "seed {seed}");
        for (number, _) in before.runs() {
            assert!(
                found.state.run(number).is_some(),
                "seed {seed}: run {}",
                number.0
            );
        }
        let (_, opened) = open(&broken, small());
        assert!(
            opened.state == found.state && !opened.report.held,
            "seed {seed}"
        );
    }
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

#[test]
fn compact_begins_a_segment_with_a_snapshot() {
    let records = records(17, 100);
    let disk = journal_of(&records);
    compact(Arc::new(disk.clone()), options(), dags(), now(0)).unwrap();
    assert_eq!(segments(&disk).len(), 2);
    assert!(read(&disk).state == fold(&records));
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
