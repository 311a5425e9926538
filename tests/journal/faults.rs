//! What a failing disk and a lost power do: nothing that was reported as synced is ever lost.

use std::io::ErrorKind;
use std::sync::Arc;

use mini_dag::journal::{Health, Journal, Options, Position};
use mini_dag::scheduler::{Now, Record, State};

use crate::rng::Rng;
use crate::sim_disk::{Fault, SimDisk, Tail};
use crate::story::{dags, empty_state, fold, now, records};
use crate::{options, read, sync};

fn small() -> Options {
    Options {
        segment_bytes_max: 2_000,
        retention_bytes: 20_000,
        ..options()
    }
}

/// What a life on a disk came to.
struct Life {
    appended: usize,
    synced: usize,
    written: usize,
    health: Health,
}

/// Writes records in turns of a few, syncs now and then, and tries again when it is time. The seed decides
/// when; time passes so fast that retries come.
fn live(disk: &SimDisk, records: &[Record], seed: u64) -> Life {
    let mut rng = Rng::new(seed);
    let mut clock = 0;
    let Ok((mut journal, found)) =
        Journal::open(Arc::new(disk.clone()), small(), dags(), now(clock))
    else {
        return Life {
            appended: 0,
            synced: 0,
            written: 0,
            health: Health::Healthy,
        };
    };
    let mut state = found.state;
    let mut rest = records;
    let mut task = None;
    while !rest.is_empty() {
        clock += 7_000;
        let (turn, later) = rest.split_at(rest.len().min(1 + rng.below(4)));
        rest = later;
        for record in turn {
            state.apply(record).unwrap();
            journal.append(record);
        }
        step(&mut journal, now(clock), &state);
        // A sync takes a turn or two.
        if let Some(task) = task.take_if(|_| rng.one_in(2)) {
            let task: mini_dag::journal::SyncTask = task;
            journal.sync_done(task.run(), now(clock), &state);
        }
        if task.is_none() && rng.one_in(2) {
            task = journal.begin_sync();
        }
    }
    if let Some(task) = task {
        journal.sync_done(task.run(), now(clock), &state);
    }
    for _ in 0..8 {
        clock += 700_000;
        step(&mut journal, now(clock), &state);
        sync(&mut journal, &state);
    }
    let count = |position: Position| usize::try_from(position.0).unwrap();
    Life {
        appended: records.len(),
        synced: count(journal.synced()),
        written: count(journal.written()),
        health: journal.health().clone(),
    }
}

fn step(journal: &mut Journal, now: Now, state: &State) {
    journal.flush(now, state);
    journal.retry(now, state);
    let deadline = journal.next_deadline();
    assert!(
        deadline.is_none_or(|at| at > now.monotonic),
        "a retry was not served"
    );
    assert_eq!(deadline.is_some(), *journal.health() != Health::Healthy);
}

/// The state on the disk is that of a prefix with at least `synced` records; nothing counts as damage.
fn check_prefix(disk: &SimDisk, states: &[State], synced: usize, what: &str) {
    let found = read(disk);
    assert_eq!(found.report.damage, [], "{what}");
    assert_eq!(found.report.refused, [], "{what}");
    let kept = (synced..states.len()).find(|kept| found.state == states[*kept]);
    assert!(
        kept.is_some(),
        "{what}: {synced} records were synced, the state has none of that"
    );
    // Opening it to write changes nothing of that.
    let again = disk.copy();
    let (_, opened) = crate::open(&again, small());
    assert!(opened.state == found.state, "{what}");
    let reopened = read(&again);
    assert!(reopened.state == found.state, "{what}: opened");
    assert_eq!(reopened.report.torn, [], "{what}");
    assert_eq!(reopened.report.damage, [], "{what}");
}

fn states(records: &[Record]) -> Vec<State> {
    let mut states = vec![empty_state()];
    let mut state = empty_state();
    for record in records {
        state.apply(record).unwrap();
        states.push(state.clone());
    }
    states
}

#[test]
fn an_error_at_any_operation_loses_nothing_that_was_synced() {
    let records = records(6, 60);
    let states = states(&records);
    let mut fired = 0;
    for (error, is_short) in [
        (ErrorKind::Other, false),
        (ErrorKind::StorageFull, false),
        (ErrorKind::ReadOnlyFilesystem, false),
        (ErrorKind::Other, true),
    ] {
        for for_ever in [false, true] {
            let mut at = 1;
            loop {
                let disk = SimDisk::default();
                let fault = Fault {
                    at,
                    for_ever,
                    error,
                    is_short,
                };
                disk.set_fault(Some(fault));
                let life = live(&disk, &records, at);
                let what = format!("{fault:?}");
                let has_fired = disk.fired() > 0;
                if disk.operations() < at {
                    break;
                }
                disk.set_fault(None);
                if !for_ever && has_fired && life.appended > 0 {
                    assert_eq!(life.health, Health::Healthy, "{what}");
                    assert_eq!(life.synced, records.len(), "{what}");
                }
                if has_fired && for_ever && !is_short && life.appended > 0 {
                    assert_ne!(life.health, Health::Healthy, "{what}");
                }
                fired += u32::from(has_fired);
                check_prefix(&disk.copy(), &states, life.synced.max(life.written), &what);
                for (seed, tail) in [(1, Tail::Torn), (2, Tail::Zeroed), (3, Tail::Garbage)] {
                    let after = disk.after_crash(tail, &mut Rng::new(at * 7 + seed));
                    check_prefix(&after, &states, life.synced, &format!("{what}, {tail:?}"));
                }
                at += 1;
            }
        }
    }
    assert!(fired > 300, "only {fired} faults fired");
}

/// The power goes at every operation in turn.
#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_synced() {
    let records = records(7, 150);
    let states = states(&records);
    let mut crashes = 0;
    for at in 1.. {
        let disk = SimDisk::default();
        disk.crash_at(at);
        let life = live(&disk, &records, at);
        if !disk.has_crashed() {
            break;
        }
        crashes += 1;
        check_prefix(
            &disk.copy(),
            &states,
            life.synced.max(life.written),
            &format!("{at}"),
        );
        for (seed, tail) in [(1, Tail::Torn), (2, Tail::Zeroed), (3, Tail::Garbage)] {
            for round in 0..2 {
                let mut rng = Rng::new(at * 31 + seed * 7 + round);
                let after = disk.after_crash(tail, &mut rng);
                check_prefix(
                    &after,
                    &states,
                    life.synced,
                    &format!("{at}, {tail:?}, {round}"),
                );
            }
        }
    }
    assert!(crashes > 100, "only {crashes} crashes");
}

/// Longer lives with several crashes and faults each; what was synced in any of them stays.
#[test]
fn random_lives_keep_what_was_synced() {
    let seeds = std::env::var("SEEDS").map_or(150, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let mut rng = Rng::new(seed);
        let records = records(seed, 150);
        let mut disk = SimDisk::default();
        let mut kept = 0;
        while kept < records.len() {
            if rng.one_in(2) {
                let errors = [
                    ErrorKind::Other,
                    ErrorKind::StorageFull,
                    ErrorKind::ReadOnlyFilesystem,
                ];
                disk.set_fault(Some(Fault {
                    at: 1 + rng.next() % 60,
                    for_ever: rng.one_in(3),
                    error: errors[rng.below(3)],
                    is_short: rng.one_in(4),
                }));
            }
            if rng.one_in(3) {
                disk.crash_at(1 + rng.next() % 80);
            }
            let end = records.len().min(kept + 1 + rng.below(60));
            let life = live(&disk, &records[kept..end], rng.next());
            let tail = [Tail::Torn, Tail::Zeroed, Tail::Garbage, Tail::Kept][rng.below(4)];
            let synced = if tail == Tail::Kept {
                life.written.max(life.synced)
            } else {
                life.synced
            };
            disk = disk.after_crash(tail, &mut rng);
            let found = read(&disk);
            assert_eq!(found.report.damage, [], "seed {seed}");
            let next = (kept + synced..=end).find(|n| found.state == fold(&records[..*n]));
            assert!(
                next.is_some(),
                "seed {seed}: {synced} of {kept}..{end} were synced"
            );
            kept = next.unwrap();
        }
    }
}
