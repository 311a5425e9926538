//! Runs of the past, as they are read from segments.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mini_dag::journal::{Disk, DiskFile, Filter, Options, PastRun, history};
use mini_dag::scheduler::{
    Ended, Fact, Record, Run, RunFact, RunFacts, RunImage, RunNumber, State, TaskFact,
};

use crate::sim_disk::SimDisk;
use crate::story::{dags, now, records};
use crate::{open, options, read, sync};

const ALL: Filter<'static> = Filter {
    dag_id: None,
    run_id: None,
    logical_dates: None,
    limit: usize::MAX,
};

/// A journal of many small segments.
fn disk_of(records: &[Record], retention_bytes: u64) -> (SimDisk, State) {
    let disk = SimDisk::default();
    let options = Options {
        segment_bytes_max: 3_000,
        retention_bytes,
        ..options()
    };
    let (mut journal, found) = open(&disk, options);
    let mut state = found.state;
    for record in records {
        state.apply(record).unwrap();
        journal.append(record);
        journal.flush(now(0), &state);
        sync(&mut journal, &state);
    }
    (disk, state)
}

fn numbers(runs: &[PastRun]) -> Vec<RunNumber> {
    runs.iter().map(|run| run.number).collect()
}

/// Numbers of runs, with how many attempts and settled task instances they had.
fn expected(records: &[Record]) -> BTreeMap<RunNumber, (usize, usize)> {
    let mut runs: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for record in records {
        if let Fact::Run(number, fact) = &record.fact {
            let (attempts, settled) = runs.entry(*number).or_default();
            let is_start = matches!(fact, RunFact::Task(_, TaskFact::Started { .. }));
            let is_settled = matches!(fact, RunFact::Task(_, TaskFact::Settled(_)));
            *attempts += usize::from(is_start);
            *settled += usize::from(is_settled);
        }
    }
    runs
}

/// A run as a list of many has it.
fn listed(run: &Run) -> RunImage {
    let mut image = run.image();
    for task in &mut image.tasks {
        task.xcom = None;
    }
    image
}

/// A list of many runs would hold the XComs of all of them: 1 MiB a run.
#[test]
fn only_a_run_that_is_asked_for_by_name_comes_with_its_xcoms() {
    let mut records = records(20, 300);
    let mut left = 0;
    for record in &mut records {
        if let Fact::Run(_, RunFact::Task(_, TaskFact::Ended { attempt, state, .. })) =
            &mut record.fact
            && *state == Ended::Success
        {
            attempt.xcom = Some(Arc::new("left".into()));
            left += 1;
        }
    }
    assert!(left > 5, "{left}");
    let (disk, _) = disk_of(&records, u64::MAX);
    let with_xcoms = |runs: &[PastRun]| {
        let ends = runs.iter().flat_map(|run| &run.attempts);
        let ends = ends.filter_map(|attempt| attempt.end.as_ref());
        ends.filter(|end| end.attempt.xcom.is_some()).count()
    };
    let runs = history(&disk, ALL).unwrap();
    assert_eq!(with_xcoms(&runs), 0);
    let images = runs.iter().map(|run| {
        let dags = dags();
        let dag = dags.iter().find(|dag| dag.dag_id == run.dag_id);
        run.image(dag.unwrap()).unwrap()
    });
    let mut tasks = images.flat_map(|image| image.tasks);
    assert!(tasks.all(|task| task.xcom.is_none()));
    let mut found = 0;
    for run in &runs {
        let dag_id = run.dag_id.to_string();
        let filter = Filter {
            dag_id: Some(&dag_id),
            run_id: Some(&run.facts.run_id),
            limit: 1,
            ..ALL
        };
        found += with_xcoms(&history(&disk, filter).unwrap());
    }
    assert_eq!(found, left);
}

#[test]
fn every_run_is_told_with_all_its_attempts() {
    let records = records(20, 300);
    let (disk, state) = disk_of(&records, u64::MAX);
    let expected = expected(&records);
    let runs = history(&disk, ALL).unwrap();
    assert_eq!(
        numbers(&runs),
        expected.keys().rev().copied().collect::<Vec<_>>()
    );
    assert!(runs.len() > 12);
    for run in &runs {
        let told = (run.attempts.len(), run.settled.len());
        assert_eq!(told, expected[&run.number], "run {}", run.number.0);
        if let Some(known) = state.run(run.number) {
            assert_eq!(run.state, known.state);
            assert_eq!(run.facts, known.facts);
            assert_eq!(
                (run.queued_at, run.started_at),
                (known.queued_at, known.started_at)
            );
            assert_eq!(
                (
                    run.ended_at,
                    run.stopped.filter(|_| !run.state.is_finished())
                ),
                (known.ended_at, known.stopped)
            );
            assert_eq!(
                run.image(&known.dag),
                Some(listed(known)),
                "run {}",
                run.number.0
            );
        }
        for attempt in &run.attempts {
            assert!(attempt.started_at.is_some());
            assert!(attempt.end.is_some() || !run.state.is_finished());
        }
    }
}

#[test]
fn a_filter_gives_the_latest_runs_that_match() {
    let records = records(20, 300);
    let (disk, _) = disk_of(&records, u64::MAX);
    let all = history(&disk, ALL).unwrap();
    for limit in [0, 1, 3, 10] {
        let filter = Filter { limit, ..ALL };
        let latest = history(&disk, filter).unwrap();
        assert_eq!(numbers(&latest), numbers(&all[..limit]));
        for (run, same) in latest.iter().zip(&all) {
            assert_eq!(run.attempts, same.attempts, "run {}", run.number.0);
        }
    }
    let filter = Filter {
        dag_id: Some("fan"),
        limit: 4,
        ..ALL
    };
    let of_fan = all.iter().filter(|run| &*run.dag_id == "fan").take(4);
    let of_fan: Vec<_> = of_fan.map(|run| run.number).collect();
    assert_eq!(numbers(&history(&disk, filter).unwrap()), of_fan);
    for run in all.iter().step_by(9) {
        let filter = Filter {
            dag_id: Some(&run.dag_id),
            run_id: Some(&run.facts.run_id),
            limit: 1,
            ..ALL
        };
        let found = history(&disk, filter).unwrap();
        assert_eq!(numbers(&found), [run.number]);
        assert_eq!(found[0].attempts, run.attempts);
        // One that has the date, though not the name.
        let dated = Filter {
            run_id: Some("nobody"),
            logical_dates: Some((run.facts.logical_date, run.facts.logical_date)),
            ..filter
        };
        let found = history(&disk, dated).unwrap();
        assert_eq!(found[0].facts.logical_date, run.facts.logical_date);
    }
    let nobody = Filter {
        run_id: Some("nobody"),
        ..ALL
    };
    assert!(history(&disk, nobody).unwrap().is_empty());
}

/// Names are looked for as they stand in lines, where some characters stand otherwise.
#[test]
fn a_run_is_found_by_whatever_name_it_has() {
    let odd = [
        "a \"b\"",
        "back\\slash",
        "한 글",
        "\",\"run\":\"fan/1",
        "\t",
        "\u{7f}",
    ];
    let mut records = records(20, 200);
    for record in &mut records {
        if let Fact::Run(number, RunFact::Created(facts)) = &mut record.fact {
            let at = usize::try_from(number.0).unwrap() % odd.len();
            let run_id = format!("{}{}", odd[at], number.0).into();
            *facts = Arc::new(RunFacts {
                run_id,
                ..(**facts).clone()
            });
        }
    }
    let (disk, _) = disk_of(&records, u64::MAX);
    let all = history(&disk, ALL).unwrap();
    assert!(all.len() > odd.len());
    for run in &all {
        let filter = Filter {
            run_id: Some(&run.facts.run_id),
            ..ALL
        };
        let found = history(&disk, filter).unwrap();
        assert_eq!(numbers(&found), [run.number], "{}", run.facts.run_id);
    }
}

/// A run that began in a segment that is deleted is known from the snapshots of later ones.
#[test]
fn what_retention_leaves_of_a_run_is_told() {
    let records = records(21, 400);
    let (disk, state) = disk_of(&records, 9_000);
    let runs = history(&disk, ALL).unwrap();
    for (number, known) in state.runs() {
        let run = runs.iter().find(|run| run.number == number).unwrap();
        assert_eq!(run.state, known.state, "run {}", number.0);
        assert_eq!(
            run.image(&known.dag),
            Some(listed(known)),
            "run {}",
            number.0
        );
    }
}

/// An old run, long out of memory, can be had back to be cleared.
#[test]
fn an_old_run_can_be_restored_from_history() {
    let records = records(20, 500);
    let (disk, mut state) = disk_of(&records, u64::MAX);
    let runs = history(&disk, ALL).unwrap();
    let old = runs.iter().filter(|run| state.run(run.number).is_none());
    let old: Vec<_> = old.collect();
    assert!(old.len() > 3);
    for run in old {
        let dag = dags()
            .into_iter()
            .find(|dag| dag.dag_id == run.dag_id)
            .unwrap();
        let image = run.image(&Arc::clone(&dag)).unwrap();
        let restored = Record {
            at: now(0).wall,
            dag_id: run.dag_id.clone(),
            fact: Fact::Run(run.number, RunFact::Restored(Box::new(image))),
        };
        state.apply(&restored).unwrap();
        assert_eq!(state.run(run.number).unwrap().state, run.state);
    }
}

/// A disk where a daemon deletes a segment between looking for it and reading it, so often.
struct Hasty(SimDisk, AtomicU32, &'static str);

impl Disk for Hasty {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = self.0.list()?;
        let left = self.1.load(Ordering::Relaxed);
        if left > 0 {
            self.1.store(left - 1, Ordering::Relaxed);
            files.push((self.2.to_owned(), 1_000));
        }
        Ok(files)
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        self.0.read(name)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        panic!("a reader writes nothing")
    }

    fn append(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        panic!("a reader writes nothing")
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        panic!("a reader writes nothing")
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        panic!("a reader writes nothing")
    }

    fn sync_directory(&self) -> io::Result<()> {
        panic!("a reader writes nothing")
    }
}

#[test]
fn a_reader_begins_anew_when_a_segment_has_gone() {
    let (disk, state) = disk_of(&records(20, 300), u64::MAX);
    let runs = history(&disk, ALL).unwrap();
    for file in ["0000000000.jsonl", "9999999999.jsonl"] {
        let found = read(&Hasty(disk.clone(), AtomicU32::new(3), file));
        assert!(found.state == state && !found.report.held, "{file}");
        let hasty = Hasty(disk.clone(), AtomicU32::new(1), file);
        assert_eq!(numbers(&history(&hasty, ALL).unwrap()), numbers(&runs));
    }
}
