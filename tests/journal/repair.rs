//! Looking after a journal by hand: damage holds until `repair`, which drops exactly what is damaged.

use std::sync::Arc;

use mini_dag::journal::{Options, compact, repair, verify};

use crate::rng::Rng;
use crate::sim_disk::SimDisk;
use crate::story::{dags, fold, now, records};
use crate::{journal_of, open, options, read, segments, small, write};

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

#[test]
fn compact_begins_a_segment_with_a_snapshot() {
    let records = records(17, 100);
    let disk = journal_of(&records);
    compact(Arc::new(disk.clone()), options(), dags(), now(0)).unwrap();
    assert_eq!(segments(&disk).len(), 2);
    assert!(read(&disk).state == fold(&records));
}
