//! The exact bytes of lines. A test that fails here means that old journals cannot be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::journal::cat;
use mini_dag::scheduler::{
    Ended, Fact, Ran, Record, RunFact, RunImage, RunNumber, RunState, RunsOver, State, TaskFact,
};

use crate::lines::{at, attempt, facts, golden, record, run};
use crate::sim_disk::SimDisk;
use crate::story::now;
use crate::{open, options, sync};

/// Lines of these records, as they stand in a journal.
fn lines_of(records: &[Record]) -> Vec<String> {
    let disk = SimDisk::default();
    let (mut journal, _) = open(&disk, options());
    for record in records {
        journal.append(record);
    }
    journal.flush(now(0), &State::default());
    sync(&mut journal, &State::default());
    let mut lines = Vec::new();
    cat(&disk, &mut |line| lines.push(line.to_owned())).unwrap();
    lines.split_off(3)
}

#[test]
fn every_kind_of_line_has_these_bytes() {
    let golden = golden();
    let records: Vec<_> = golden.iter().map(|(record, _)| record.clone()).collect();
    let lines = lines_of(&records);
    assert_eq!(lines.len(), golden.len());
    for (index, ((_, body), line)) in golden.iter().zip(&lines).enumerate() {
        let expected = format!(
            "{{\"seq\":{},\"at\":\"2026-11-22T08:01:28.160Z\",{body},\"crc\":\"",
            index + 4
        );
        assert_eq!(line[..line.len() - 10], expected, "{line}");
        assert!(line.ends_with("\"}"));
    }
    let line = lines_of(&[run(RunFact::Started)]);
    assert_eq!(
        line,
        [
            r#"{"seq":4,"at":"2026-11-22T08:01:28.160Z","ev":"run_started","run":"sensor_log/17","crc":"b758de24"}"#
        ]
    );
}

#[test]
fn a_journal_begins_with_these_bytes() {
    let disk = SimDisk::default();
    drop(open(&disk, options()));
    let text = String::from_utf8(disk.contents("0000000001.jsonl")).unwrap();
    assert_eq!(text, [
            r#"{"seq":1,"at":"2026-11-22T08:00:00.000Z","ev":"segment","version":1,"number":1,"boot":"boot","snapshot":2,"crc":"a8ed0985"}"#,
            r#"{"seq":2,"at":"2026-11-22T08:00:00.000Z","ev":"dag","dag":"chain","crc":"58ed7de0"}"#,
            r#"{"seq":3,"at":"2026-11-22T08:00:00.000Z","ev":"dag","dag":"fan","crc":"50fbf8c9"}"#,
            "",
        ]
        .join("\n"));
}

#[test]
fn an_ordinary_task_takes_300_bytes_at_most() {
    let of = |fact| Record {
        at: at(),
        dag_id: "a_dag_with_20_letter".into(),
        fact: Fact::Run(RunNumber(1234), RunFact::Task("twelve_lette".into(), fact)),
    };
    let ended = TaskFact::Ended {
        try_number: 1,
        state: Ended::Success,
        attempt: attempt(),
        choice: None,
    };
    let lines = lines_of(&[of(TaskFact::Started { try_number: 1 }), of(ended)]);
    let seq_digits = 2 * (6 - 1);
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum::<usize>() + seq_digits;
    assert!(bytes <= 300, "{bytes} bytes: {lines:#?}");
}

#[test]
fn a_snapshot_that_does_not_count_what_is_over_is_counted() {
    let restored = |over| {
        record(Fact::Restored {
            first_seen: None,
            scheduled_until: None,
            ran: Ran::default(),
            boot_id: None,
            heard: BTreeMap::new(),
            successes: 0,
            over,
            is_paused: false,
            runs_created: 17,
        })
    };
    let image = RunImage {
        facts: facts(),
        state: RunState::Failed,
        queued_at: at(),
        started_at: None,
        ended_at: Some(at()),
        stopped: None,
        note: "".into(),
        tasks: Vec::new(),
    };
    let over = |told| {
        let mut state = State::default();
        let dag = Dag::new("sensor_log");
        dag.empty("read");
        state.insert_dag(Arc::new(dag.finish().unwrap()));
        for record in [
            run(RunFact::Restored(Box::new(image.clone()))),
            restored(told),
        ] {
            state.apply(&record).unwrap();
        }
        let over = state.dag("sensor_log").unwrap().over;
        (over.success, over.failed)
    };
    let (success, failed) = (3, 2);
    assert_eq!(over(None), (0, 1));
    assert_eq!(over(Some(RunsOver { success, failed })), (3, 2));
}
