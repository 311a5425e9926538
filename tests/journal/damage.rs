//! What is found when a journal is not as it was left.

use mini_dag::journal::{OpenError, read_state, verify};
use mini_dag::scheduler::{Record, State};

use crate::sim_disk::SimDisk;
use crate::story::{dags, empty_state, fold, records};
use crate::{files, journal_of, open, options, read};

const FILE: &str = "0000000001.jsonl";
/// The header and the snapshot of two DAGs.
const HEAD_LINES: usize = 3;

fn states(records: &[Record]) -> Vec<State> {
    let mut states = vec![empty_state()];
    let mut state = empty_state();
    for record in records {
        state.apply(record).unwrap();
        states.push(state.clone());
    }
    states
}

fn lines(disk: &SimDisk) -> Vec<Vec<u8>> {
    let bytes = disk.contents(FILE);
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn a_journal_cut_off_anywhere_is_its_whole_lines() {
    let records = records(1, 100);
    let states = states(&records);
    let whole = journal_of(&records).contents(FILE);
    for length in 0..=whole.len() {
        let disk = SimDisk::default();
        disk.put(FILE, &whole[..length]);
        let newlines = whole[..length].split(|byte| *byte == b'\n').count() - 1;
        let torn = whole[..length]
            .rsplit(|byte| *byte == b'\n')
            .next()
            .unwrap()
            .len();
        let found = read(&disk);
        let kept = newlines.saturating_sub(HEAD_LINES);
        assert!(found.state == states[kept], "cut off at {length}");
        let torn_found: u64 = found.report.torn.iter().map(|tail| tail.bytes).sum();
        assert_eq!(torn_found, torn as u64, "cut off at {length}");
        assert_eq!(found.report.damage_count, 0);
    }
}

/// Opening cuts the tail off, keeps it aside, and the next record stands after a newline.
#[test]
fn a_torn_tail_is_kept_aside_and_written_after() {
    let records = records(2, 20);
    let whole = journal_of(&records[..10]).contents(FILE);
    for tail in [
        &b"{\"seq\":14,\"at\""[..],
        &[0; 5000],
        b"\n\n\n",
        &[0xFF; 70],
        b"\0\0\0\n\0",
    ] {
        let disk = SimDisk::default();
        disk.put(FILE, &[&whole, tail].concat());
        let (mut journal, found) = open(&disk, options());
        assert_eq!(found.report.torn.len(), 1);
        assert_eq!(found.report.torn[0].bytes, tail.len() as u64);
        assert!(!found.report.held);
        let aside = files(&disk, "torn");
        assert_eq!(disk.contents(&aside[0]), tail);
        let mut state = found.state;
        for record in &records[10..] {
            state.apply(record).unwrap();
            journal.append(record);
        }
        journal.flush(crate::now(0), &state);
        let again = read(&disk);
        assert!(again.state == fold(&records));
        assert_eq!(again.report.torn, []);
        assert!(verify(&disk).unwrap().is_sound());
    }
}

#[test]
fn at_most_3_torn_tails_are_kept() {
    let disk = journal_of(&records(2, 10));
    for n in 0..6 {
        let mut bytes = disk.contents(FILE);
        bytes.extend(vec![b'x'; n + 1]);
        disk.put(FILE, &bytes);
        let (mut journal, found) = open(&disk, options());
        assert_eq!(found.report.torn.len(), 1);
        let mut state = found.state;
        let record = Record {
            at: crate::now(0).wall,
            dag_id: "chain".into(),
            fact: mini_dag::scheduler::Fact::Paused(n % 2 == 0),
        };
        state.apply(&record).unwrap();
        journal.append(&record);
        journal.flush(crate::now(0), &state);
    }
    assert_eq!(files(&disk, "torn").len(), 3);
}

/// Every flipped bit is noticed: as a torn tail in the last line, as damage in any other. All of them with
/// `cargo test --release`; without optimisation every 11th, which meets each bit of a byte as often.
#[test]
fn every_flipped_bit_is_noticed() {
    let records = records(3, 100);
    let disk = journal_of(&records);
    let whole = disk.contents(FILE);
    let last_line = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    let before_last = fold(&records[..99]);
    let threads: Vec<_> = (0..2)
        .map(|half| {
            let (whole, before_last) = (whole.clone(), before_last.clone());
            std::thread::spawn(move || {
                let stride = if cfg!(debug_assertions) { 11 } else { 1 };
                for bit in (half * stride..whole.len() * 8).step_by(2 * stride) {
                    let mut bytes = whole.clone();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    let disk = SimDisk::default();
                    disk.put(FILE, &bytes);
                    let found = read_state(&disk, dags()).unwrap();
                    if bit / 8 >= last_line {
                        assert_eq!(found.report.torn.len(), 1, "bit {bit}");
                        assert!(found.state == before_last, "bit {bit}");
                    } else {
                        assert!(found.report.held, "bit {bit}");
                        assert!(found.report.damage_count >= 1, "bit {bit}");
                        let damage = &found.report.damage[0];
                        let at = (bit / 8) as u64;
                        assert!(damage.byte <= at, "bit {bit}: {damage:?}");
                        assert!(at < damage.byte + damage.bytes, "bit {bit}: {damage:?}");
                        // Nobody knows which number the very first line had.
                        let missing = if damage.byte == 0 { 0..=1 } else { 1..=2 };
                        assert!(missing.contains(&damage.lines), "bit {bit}: {damage:?}");
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What one change to the lines of a journal of 30 records looks like: damage as (byte, bytes, lines).
fn check(change: impl FnOnce(&mut Vec<Vec<u8>>) -> Vec<(u64, u64, u64)>) {
    let disk = journal_of(&records(4, 30));
    let mut changed = lines(&disk);
    let expected = change(&mut changed);
    disk.put(FILE, &changed.concat());
    let found = read(&disk);
    let damage = found.report.damage.iter();
    let damage: Vec<_> = damage
        .map(|damage| (damage.byte, damage.bytes, damage.lines))
        .collect();
    assert_eq!(damage, expected, "{:#?}", found.report);
    assert_eq!(found.report.held, !expected.is_empty());
    assert_eq!(found.report.torn, []);
    assert_eq!(verify(&disk).unwrap().is_sound(), expected.is_empty());
}

fn start(lines: &[Vec<u8>], index: usize) -> u64 {
    lines[..index].iter().map(|line| line.len() as u64).sum()
}

#[test]
fn what_is_wrong_in_the_middle_is_told_with_its_place() {
    check(|_| Vec::new());
    // A line is missing.
    check(|lines| {
        lines.remove(10);
        vec![(start(lines, 10), 0, 1)]
    });
    // A line stands there twice.
    check(|lines| {
        let line = lines[10].clone();
        lines.insert(11, line);
        vec![(start(lines, 11), lines[11].len() as u64, 0)]
    });
    // Two lines are swapped.
    check(|lines| {
        lines.swap(10, 11);
        vec![
            (start(lines, 10), 0, 1),
            (start(lines, 11), lines[11].len() as u64, 0),
        ]
    });
    // A torn line, and the next one glued to it: the next is saved.
    check(|lines| {
        lines[10].truncate(20);
        vec![(start(lines, 10), 20, 1)]
    });
    // NULs without a newline, and a line glued to them.
    check(|lines| {
        lines.insert(10, vec![0; 4096]);
        vec![(start(lines, 10), 4096, 0)]
    });
    // Two newlines are lost.
    check(|lines| {
        let newline = lines[10].pop();
        assert_eq!(newline, Some(b'\n'));
        vec![(start(lines, 10), lines[10].len() as u64, 1)]
    });
    // The letters of a checksum in capitals.
    check(|lines| {
        let index = (5..25).find(|index| {
            let line = &lines[*index];
            line[line.len() - 11..].iter().any(u8::is_ascii_lowercase)
        });
        let index = index.unwrap();
        let crc = lines[index].len() - 11;
        lines[index][crc..].make_ascii_uppercase();
        vec![(start(lines, index), lines[index].len() as u64, 1)]
    });
}

/// With its checksum right, as somebody hostile would have it.
fn sealed(before: &str) -> Vec<u8> {
    let crc = crc32c(before.as_bytes());
    format!("{before},\"crc\":\"{crc:08x}\"}}\n").into_bytes()
}

/// Bit by bit: slow, and nothing in common with the one that is tested.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn another_version_is_refused_and_nothing_is_touched() {
    for version in [0, 2, 99] {
        let disk = journal_of(&records(5, 10));
        disk.put(FILE, &[&disk.contents(FILE)[..], b"torn"].concat());
        let header = format!(
            "{{\"seq\":14,\"at\":\"x\",\"ev\":\"segment\",\"version\":{version},\"new\":[{{}}]"
        );
        disk.put("0000000002.jsonl", &sealed(&header));
        let before: Vec<_> = disk
            .files()
            .iter()
            .map(|name| disk.contents(name))
            .collect();
        let disk_of = std::sync::Arc::new(disk.clone());
        let result = mini_dag::journal::Journal::open(disk_of, options(), dags(), crate::now(0));
        let error = result.err().unwrap();
        let OpenError::Version { version: told, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*told, version);
        let text = format!(
            "0000000002.jsonl is of format version {version}; this program knows version 1"
        );
        assert_eq!(error.to_string(), text);
        let after: Vec<_> = disk
            .files()
            .iter()
            .map(|name| disk.contents(name))
            .collect();
        assert!(before == after);
    }
}

#[test]
fn an_unknown_field_is_ignored_and_an_unknown_event_is_damage() {
    let at = "\"at\":\"2026-11-22T06:00:00.000Z\"";
    let paused = |seq, ev, more| {
        sealed(&format!(
            "{{\"seq\":{seq},{at},\"ev\":\"{ev}\",\"dag\":\"chain\"{more}"
        ))
    };
    let whole = journal_of(&[]).contents(FILE);
    let disk = SimDisk::default();
    disk.put(
        FILE,
        &[whole.clone(), paused(4, "paused", ",\"new\":{\"a\":[1]}")].concat(),
    );
    let found = read(&disk);
    assert!(found.state.dag("chain").unwrap().is_paused && !found.report.held);
    let unknown = [whole, paused(4, "frozen", ""), paused(5, "paused", "")].concat();
    disk.put(FILE, &unknown);
    let found = read(&disk);
    assert!(found.state.dag("chain").unwrap().is_paused && found.report.held);
}

/// nanoserde hangs or panics on some of these; a line with a right checksum may have any of them.
#[test]
fn a_hostile_line_with_a_right_checksum_is_only_damage() {
    let deep = "[".repeat(100_000);
    let tails = [
        ",\"zz\":[".to_owned(),
        ",\"zz\":".to_owned(),
        ",\"zz\":}".to_owned(),
        format!(",\"zz\":{deep}"),
        ",\"run\":\"chain/18446744073709551615\"".to_owned(),
        ",\"run\":\"chain/1\",\"task\":\"fetch\",\"try\":4294967295".to_owned(),
        ",\"run\":\"chain\"".to_owned(),
        ",\"dag\":7".to_owned(),
        ",\"dag\":\"chain\",\"dag\":\"fan\"".to_owned(),
        ",\"dag\":\"\\ud800\"".to_owned(),
        "/* */,\"dag\":\"chain\"".to_owned(),
        "\u{0}".to_owned(),
        "}{\"a\":{}".to_owned(),
    ];
    let whole = journal_of(&[]).contents(FILE);
    for ev in [
        "start",
        "dag",
        "run_restored",
        "segment\",\"version\":1,\"x\":\"",
        "repaired",
    ] {
        for tail in &tails {
            let line = sealed(&format!(
                "{{\"seq\":4,\"at\":\"2026-11-22T06:00:00.000Z\",\"ev\":\"{ev}\"{tail}"
            ));
            let disk = SimDisk::default();
            disk.put(FILE, &[&whole[..], &line].concat());
            let found = read(&disk);
            assert!(found.state == empty_state(), "{ev}{tail:.40}");
        }
    }
    for seq in ["18446744073709551615", "-1", "9007199254740993", "4e1", ""] {
        let line = sealed(&format!(
            "{{\"seq\":{seq},\"at\":\"2026-11-22T06:00:00.000Z\",\"ev\":\"paused\",\"dag\":\"chain\""
        ));
        let disk = SimDisk::default();
        disk.put(FILE, &[&whole[..], &line].concat());
        assert_eq!(read(&disk).report.torn.len(), 1, "{seq}");
    }
}
