//! A record of every kind, and the body of its line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::dag::Value;
use mini_dag::scheduler::{
    Attempt, BackfillFact, BackfillFacts, BackfillImage, BackfillNumber, Choice, ClockTrust, Ended,
    Exit, Fact, Mark, Occasion, Parent, Ran, Record, Reprocess, RunFact, RunFacts, RunImage,
    RunNumber, RunState, RunType, RunsOver, Settled, StopCause, StopReason, TaskFact, TaskImage,
    TaskState,
};
use mini_dag::timetable::Timestamp;

/// 2026-11-22T08:01:28.160Z
pub fn at() -> Timestamp {
    Timestamp::from_millis(1_795_334_488_160)
}

pub fn record(fact: Fact) -> Record {
    Record {
        at: at(),
        dag_id: "sensor_log".into(),
        fact,
    }
}

pub fn run(fact: RunFact) -> Record {
    record(Fact::Run(RunNumber(17), fact))
}

fn task(fact: TaskFact) -> Record {
    run(RunFact::Task("read".into(), fact))
}

fn heard() -> BTreeMap<Arc<str>, u64> {
    BTreeMap::from([("a".into(), 0), ("b".into(), 3)])
}

fn fill(fact: BackfillFact) -> Record {
    record(Fact::Backfill(BackfillNumber(3), fact))
}

fn backfill() -> Arc<BackfillFacts> {
    Arc::new(BackfillFacts {
        from: Timestamp::from_secs(0),
        to: at(),
        reprocess: Reprocess::Failed,
        newest_first: true,
        max_active_runs: 2,
        params: BTreeMap::from([("a".to_owned(), Value::from(1))]),
    })
}

pub fn facts() -> Arc<RunFacts> {
    Arc::new(RunFacts {
        run_id: "manual__x".into(),
        run_type: RunType::Manual,
        logical_date: at(),
        data_interval: Some((Timestamp::from_secs(0), at())),
        clock: ClockTrust::Unsynchronised,
        params: BTreeMap::from([("a \"b\"".to_owned(), Value::from(vec![1, 2]))]),
        occasion: None,
    })
}

pub fn attempt() -> Attempt {
    Attempt {
        exit: Exit::Code(0),
        stopped: None,
        duration: Duration::from_millis(61_234),
        cpu: Duration::from_millis(120),
        memory_peak_bytes: 3456 * 1024,
        output_bytes: 0,
        output_dropped_bytes: 0,
        xcom: None,
        reason: None,
    }
}

fn ended(try_number: u32, state: Ended, attempt: Attempt) -> Record {
    task(TaskFact::Ended {
        try_number,
        state,
        attempt,
        choice: None,
    })
}

fn chose(xcom: Value, choice: Choice) -> Record {
    task(TaskFact::Ended {
        try_number: 1,
        state: Ended::Success,
        attempt: Attempt {
            xcom: Some(Arc::new(xcom)),
            ..attempt()
        },
        choice: Some(choice),
    })
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub fn golden() -> Vec<(Record, &'static str)> {
    let image = RunImage {
        facts: facts(),
        state: RunState::Failed,
        queued_at: at(),
        started_at: Some(at()),
        ended_at: Some(Timestamp::from_secs(1)),
        stopped: Some(StopReason::Cancelled),
        note: "a \"note\"".into(),
        tasks: vec![TaskImage {
            task_id: "read".into(),
            state: TaskState::UpForRetry,
            try_number: 1,
            max_tries: 2,
            started_at: Some(at()),
            ended_at: None,
            poking_since: Some(at()),
            is_cleared: true,
            ending: Some(Mark::Skipped),
            note: "by hand".into(),
            xcom: Some(Arc::new(Value::from([("n", 1.5)]))),
            choice: Some(Choice::Follow(vec!["b".into()])),
        }],
    };
    let other = |exit, stopped| Attempt {
        exit,
        stopped,
        output_bytes: 12,
        output_dropped_bytes: 3,
        ..attempt()
    };
    vec![
        (
            record(Fact::Paused(true)),
            r#""ev":"paused","dag":"sensor_log""#,
        ),
        (
            record(Fact::Paused(false)),
            r#""ev":"unpaused","dag":"sensor_log""#,
        ),
        (
            record(Fact::Passed(Occasion::Boot("5d3c".into()))),
            r#""ev":"passed","dag":"sensor_log","boot":"5d3c""#,
        ),
        (
            record(Fact::Passed(Occasion::After(heard()))),
            r#""ev":"passed","dag":"sensor_log","after":{"a":0,"b":3}"#,
        ),
        (
            fill(BackfillFact::Created(backfill())),
            r#""ev":"backfill_created","dag":"sensor_log","backfill":3,"interval":["1970-01-01T00:00:00.000Z","2026-11-22T08:01:28.160Z"],"reprocess":"failed","newest_first":true,"parallel":2,"params":{"a":1}"#,
        ),
        (
            fill(BackfillFact::Restored(Box::new(BackfillImage {
                facts: backfill(),
                created_at: at(),
                updated_at: at(),
                completed_at: Some(at()),
                is_paused: true,
                is_cancelled: true,
                cursor: Some(at()),
                passed: 5,
                success: 7,
                failed: 1,
            }))),
            r#""ev":"backfill_restored","dag":"sensor_log","backfill":3,"interval":["1970-01-01T00:00:00.000Z","2026-11-22T08:01:28.160Z"],"reprocess":"failed","newest_first":true,"parallel":2,"params":{"a":1},"started_at":"2026-11-22T08:01:28.160Z","updated_at":"2026-11-22T08:01:28.160Z","ended_at":"2026-11-22T08:01:28.160Z","paused":true,"cancelled":true,"until":"2026-11-22T08:01:28.160Z","dates":5,"successes":7,"failures":1"#,
        ),
        (
            fill(BackfillFact::Paused(true)),
            r#""ev":"backfill_paused","dag":"sensor_log","backfill":3"#,
        ),
        (
            fill(BackfillFact::Paused(false)),
            r#""ev":"backfill_unpaused","dag":"sensor_log","backfill":3"#,
        ),
        (
            fill(BackfillFact::Passed {
                until: at(),
                dates: 40,
            }),
            r#""ev":"backfill_passed","dag":"sensor_log","backfill":3,"until":"2026-11-22T08:01:28.160Z","dates":40"#,
        ),
        (
            fill(BackfillFact::Cancelled),
            r#""ev":"backfill_cancelled","dag":"sensor_log","backfill":3"#,
        ),
        (
            fill(BackfillFact::Completed),
            r#""ev":"backfill_completed","dag":"sensor_log","backfill":3"#,
        ),
        (
            run(RunFact::Created(Arc::new(RunFacts {
                run_id: "backfill__x".into(),
                run_type: RunType::Backfill,
                logical_date: at(),
                data_interval: None,
                params: BTreeMap::new(),
                clock: ClockTrust::default(),
                occasion: Some(Occasion::Backfill(BackfillNumber(3))),
            }))),
            r#""ev":"run_created","run":"sensor_log/17","run_id":"backfill__x","type":"backfill","logical_date":"2026-11-22T08:01:28.160Z","backfill":3"#,
        ),
        (
            run(RunFact::Created(Arc::new(RunFacts {
                run_id: "manual__x__3.go.2".into(),
                run_type: RunType::Manual,
                logical_date: at(),
                data_interval: None,
                params: BTreeMap::new(),
                clock: ClockTrust::default(),
                occasion: Some(Occasion::Task(Parent {
                    dag_id: "night".into(),
                    run: RunNumber(3),
                    task_id: "go".into(),
                    try_number: 2,
                    depth: 1,
                })),
            }))),
            r#""ev":"run_created","run":"sensor_log/17","run_id":"manual__x__3.go.2","type":"manual","logical_date":"2026-11-22T08:01:28.160Z","by":{"run":"night/3","task":"go","try":2,"depth":1}"#,
        ),
        (
            record(Fact::Restored {
                first_seen: None,
                scheduled_until: None,
                ran: Ran::of([(Timestamp::from_secs(0), at()), (at(), at())]),
                boot_id: Some("5d3c".into()),
                heard: heard(),
                successes: 5,
                over: Some(RunsOver {
                    success: 4,
                    failed: 0,
                }),
                is_paused: true,
                runs_created: 17,
            }),
            r#""ev":"dag","dag":"sensor_log","paused":true,"ran":[["1970-01-01T00:00:00.000Z","2026-11-22T08:01:28.161Z"]],"boot":"5d3c","after":{"a":0,"b":3},"successes":5,"over":{"success":4,"failed":0},"runs_created":17"#,
        ),
        (
            run(RunFact::Created(facts())),
            r#""ev":"run_created","run":"sensor_log/17","run_id":"manual__x","type":"manual","logical_date":"2026-11-22T08:01:28.160Z","interval":["1970-01-01T00:00:00.000Z","2026-11-22T08:01:28.160Z"],"clock":"unsynchronised","params":{"a \"b\"":[1,2]}"#,
        ),
        (
            run(RunFact::Restored(Box::new(image))),
            r#""ev":"run_restored","run":"sensor_log/17","run_id":"manual__x","type":"manual","logical_date":"2026-11-22T08:01:28.160Z","interval":["1970-01-01T00:00:00.000Z","2026-11-22T08:01:28.160Z"],"clock":"unsynchronised","params":{"a \"b\"":[1,2]},"state":"failed","queued_at":"2026-11-22T08:01:28.160Z","started_at":"2026-11-22T08:01:28.160Z","ended_at":"1970-01-01T00:00:01.000Z","why":"cancelled","note":"a \"note\"","tasks":[{"task":"read","state":"up_for_retry","try":1,"max_tries":2,"started_at":"2026-11-22T08:01:28.160Z","poking_since":"2026-11-22T08:01:28.160Z","cleared":true,"ending":"skipped","note":"by hand","xcom":{"n":1.5},"follow":["b"]}]"#,
        ),
        (
            run(RunFact::Started),
            r#""ev":"run_started","run":"sensor_log/17""#,
        ),
        (
            run(RunFact::Stopped(StopReason::TimedOut)),
            r#""ev":"run_stopped","run":"sensor_log/17","why":"timed_out""#,
        ),
        (
            run(RunFact::Ended { success: true }),
            r#""ev":"run_success","run":"sensor_log/17""#,
        ),
        (
            run(RunFact::Ended { success: false }),
            r#""ev":"run_failed","run":"sensor_log/17""#,
        ),
        (
            run(RunFact::Noted("seen\n".into())),
            r#""ev":"run_noted","run":"sensor_log/17","note":"seen\n""#,
        ),
        (
            run(RunFact::Deleted),
            r#""ev":"run_deleted","run":"sensor_log/17""#,
        ),
        (
            run(RunFact::Task("read".into(), TaskFact::Marked(Mark::Failed))),
            r#""ev":"marked","run":"sensor_log/17","task":"read","state":"failed""#,
        ),
        (
            task(TaskFact::Ending(Mark::Success)),
            r#""ev":"ending","run":"sensor_log/17","task":"read","state":"success""#,
        ),
        (
            task(TaskFact::Noted("by \"hand\"".into())),
            r#""ev":"noted","run":"sensor_log/17","task":"read","note":"by \"hand\"""#,
        ),
        (
            ended(
                1,
                Ended::Success,
                other(Exit::Signal(15), Some(StopCause::Marked)),
            ),
            r#""ev":"success","run":"sensor_log/17","task":"read","signal":15,"stopped":"marked","ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            run(RunFact::Cleared(vec!["read".into(), "push".into()])),
            r#""ev":"run_cleared","run":"sensor_log/17","cleared":["read","push"]"#,
        ),
        (
            task(TaskFact::Started { try_number: 1 }),
            r#""ev":"start","run":"sensor_log/17","task":"read""#,
        ),
        (
            task(TaskFact::Started { try_number: 2 }),
            r#""ev":"start","run":"sensor_log/17","task":"read","try":2"#,
        ),
        (
            ended(1, Ended::Success, attempt()),
            r#""ev":"success","run":"sensor_log/17","task":"read","ms":61234,"cpu":120,"kib":3456"#,
        ),
        (
            ended(
                2,
                Ended::UpForRetry(Duration::from_secs(30)),
                other(Exit::Code(1), None),
            ),
            r#""ev":"up_for_retry","run":"sensor_log/17","task":"read","try":2,"retry_ms":30000,"exit":1,"ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            ended(
                1,
                Ended::Failed,
                other(Exit::Signal(9), Some(StopCause::TimedOut)),
            ),
            r#""ev":"failed","run":"sensor_log/17","task":"read","signal":9,"stopped":"timed_out","ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            ended(
                1,
                Ended::Failed,
                other(Exit::NotStarted("no \"x\"\n".into()), None),
            ),
            r#""ev":"failed","run":"sensor_log/17","task":"read","not_started":"no \"x\"\n","ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            ended(
                1,
                Ended::Interrupted,
                other(Exit::Unknown, Some(StopCause::Shutdown)),
            ),
            r#""ev":"interrupted","run":"sensor_log/17","task":"read","unseen":true,"stopped":"shutdown","ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            ended(
                1,
                Ended::Skipped,
                other(Exit::Code(99), Some(StopCause::Cleared)),
            ),
            r#""ev":"skipped","run":"sensor_log/17","task":"read","exit":99,"stopped":"cleared","ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            chose(
                "b, \u{7f}".into(),
                Choice::Follow(vec!["a b".into(), "c".into()]),
            ),
            r#""ev":"success","run":"sensor_log/17","task":"read","ms":61234,"cpu":120,"kib":3456,"xcom":"b, \u007f","follow":["a b","c"]"#,
        ),
        (
            chose(vec![1, 2].into(), Choice::Nothing),
            r#""ev":"success","run":"sensor_log/17","task":"read","ms":61234,"cpu":120,"kib":3456,"xcom":[1,2],"short_circuit":true"#,
        ),
        (
            ended(
                1,
                Ended::Failed,
                Attempt {
                    reason: Some("a branch chose `x`".into()),
                    ..attempt()
                },
            ),
            r#""ev":"failed","run":"sensor_log/17","task":"read","ms":61234,"cpu":120,"kib":3456,"reason":"a branch chose `x`""#,
        ),
        (
            ended(1, Ended::Rescheduled, other(Exit::Code(1), None)),
            r#""ev":"up_for_reschedule","run":"sensor_log/17","task":"read","exit":1,"ms":61234,"cpu":120,"kib":3456,"out":12,"dropped":3"#,
        ),
        (
            task(TaskFact::Settled(Settled::Failed)),
            r#""ev":"settled","run":"sensor_log/17","task":"read","state":"failed""#,
        ),
        (
            task(TaskFact::Settled(Settled::UpstreamFailed)),
            r#""ev":"settled","run":"sensor_log/17","task":"read","state":"upstream_failed""#,
        ),
    ]
}
