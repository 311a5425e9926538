//! Records as text, written by hand: one pass into a buffer, the same bytes for the same record.
//!
//! A *body* is a line without its `seq` and `crc`, which are known only when the line is written to a
//! segment; it may be written a second time, to another segment, with another number.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::crc::crc32c_hex;
use super::{Crc, VERSION};
use crate::dag::Value;
use crate::scheduler::{
    Attempt, BackfillFact, BackfillFacts, BackfillNumber, Choice, ClockTrust, Ended, Exit, Fact,
    Occasion, Ran, Record, RunFact, RunFacts, RunImage, RunNumber, RunsOver, TaskFact, TaskImage,
    TaskState,
};
use crate::timetable::Timestamp;

/// What a segment's first line says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Of the line itself; it takes the place of every line of earlier segments from this number on.
    pub seq: u64,
    pub at: Timestamp,
    pub number: u64,
    pub boot_id: String,
    /// The checksum of the line before this one; none at the very beginning.
    pub prev: Option<Crc>,
    /// This many lines of snapshot follow; `None`: there is no snapshot here.
    pub snapshot: Option<u64>,
    /// How many runs had been created, of all DAGs.
    pub runs_created: u64,
    /// When a record was last written while the clock was synchronised.
    pub synced_at: Option<Timestamp>,
    /// Damage was found before and has not been repaired.
    pub held: bool,
}

/// Writes a record's body.
pub(super) fn record(out: &mut String, record: &Record) {
    at(out, record.at);
    let dag_id = &*record.dag_id;
    match &record.fact {
        Fact::Seen { is_paused } => {
            event(out, "seen");
            text(out, "dag", dag_id);
            flag(out, "paused", *is_paused);
        }
        Fact::Skipped { until } => {
            event(out, "fires_skipped");
            text(out, "dag", dag_id);
            moment(out, "until", Some(*until));
        }
        Fact::Rewound { until } => {
            event(out, "fires_rewound");
            text(out, "dag", dag_id);
            moment(out, "until", Some(*until));
        }
        Fact::Passed(cause) => {
            event(out, "passed");
            text(out, "dag", dag_id);
            occasion(out, cause);
        }
        Fact::Paused(is_paused) => {
            event(out, if *is_paused { "paused" } else { "unpaused" });
            text(out, "dag", dag_id);
        }
        Fact::Restored {
            is_paused,
            first_seen,
            scheduled_until,
            boot_id,
            heard,
            ran,
            successes,
            over,
            runs_created,
        } => {
            event(out, "dag");
            text(out, "dag", dag_id);
            flag(out, "paused", *is_paused);
            moment(out, "first_seen", *first_seen);
            moment(out, "until", *scheduled_until);
            self::ran(out, ran);
            if let Some(boot_id) = boot_id {
                text(out, "boot", boot_id);
            }
            if !heard.is_empty() {
                counts(out, "after", heard);
            }
            number(out, "successes", *successes);
            if let Some(over) = over.filter(|over| *over != RunsOver::default()) {
                let _ = write!(
                    out,
                    ",\"over\":{{\"success\":{},\"failed\":{}}}",
                    over.success, over.failed
                );
            }
            number(out, "runs_created", *runs_created);
        }
        Fact::Run(run, fact) => run_fact(out, dag_id, *run, fact),
        Fact::Backfill(number, fact) => backfill_fact(out, dag_id, *number, fact),
    }
}

fn run_fact(out: &mut String, dag_id: &str, run: RunNumber, fact: &RunFact) {
    let mut begin = |name| {
        event(out, name);
        out.push_str(",\"run\":\"");
        escaped(out, dag_id);
        let _ = write!(out, "/{}\"", run.0);
    };
    match fact {
        RunFact::Created(facts) => {
            begin("run_created");
            run_facts(out, facts);
        }
        RunFact::Restored(image) => {
            begin("run_restored");
            run_image(out, image);
        }
        RunFact::Started => begin("run_started"),
        RunFact::Stopped(reason) => {
            begin("run_stopped");
            text(out, "why", super::names::stop_reason(*reason));
        }
        RunFact::Ended { success } => begin(if *success {
            "run_success"
        } else {
            "run_failed"
        }),
        RunFact::Cleared(tasks) => {
            begin("run_cleared");
            out.push_str(",\"cleared\":");
            ids(out, tasks);
        }
        RunFact::Noted(note) => {
            begin("run_noted");
            text(out, "note", note);
        }
        RunFact::Deleted => begin("run_deleted"),
        RunFact::Task(task_id, fact) => {
            begin(match fact {
                TaskFact::Started { .. } => "start",
                TaskFact::Ended { state, .. } => super::names::ended(*state),
                TaskFact::Settled(_) => "settled",
                TaskFact::Marked(_) => "marked",
                TaskFact::Ending(_) => "ending",
                TaskFact::Noted(_) => "noted",
            });
            text(out, "task", task_id);
            task_fact(out, fact);
        }
    }
}

fn backfill_fact(out: &mut String, dag_id: &str, backfill: BackfillNumber, fact: &BackfillFact) {
    event(out, super::names::backfill(fact));
    text(out, "dag", dag_id);
    number(out, "backfill", backfill.0);
    match fact {
        BackfillFact::Created(facts) => backfill_facts(out, facts),
        BackfillFact::Restored(image) => {
            backfill_facts(out, &image.facts);
            moment(out, "started_at", Some(image.created_at));
            moment(out, "updated_at", Some(image.updated_at));
            moment(out, "ended_at", image.completed_at);
            flag(out, "paused", image.is_paused);
            flag(out, "cancelled", image.is_cancelled);
            moment(out, "until", image.cursor);
            number(out, "dates", image.passed);
            number(out, "successes", image.success);
            number(out, "failures", image.failed);
        }
        BackfillFact::Passed { until, dates } => {
            moment(out, "until", Some(*until));
            number(out, "dates", u64::from(*dates));
        }
        BackfillFact::Paused(_) | BackfillFact::Cancelled | BackfillFact::Completed => {}
    }
}

fn backfill_facts(out: &mut String, facts: &BackfillFacts) {
    out.push_str(",\"interval\":[\"");
    rfc3339(out, facts.from);
    out.push_str("\",\"");
    rfc3339(out, facts.to);
    out.push_str("\"]");
    text(out, "reprocess", facts.reprocess.name());
    flag(out, "newest_first", facts.newest_first);
    number(out, "parallel", u64::from(facts.max_active_runs));
    if !facts.params.is_empty() {
        let _ = write!(out, ",\"params\":{}", Value::Object(facts.params.clone()));
    }
}

fn task_fact(out: &mut String, fact: &TaskFact) {
    match fact {
        TaskFact::Started { try_number } => try_of(out, *try_number),
        TaskFact::Ended {
            try_number,
            state,
            attempt,
            choice,
        } => {
            try_of(out, *try_number);
            if let Ended::UpForRetry(delay) = state {
                number(out, "retry_ms", millis(*delay));
            }
            self::attempt(out, attempt);
            left(out, attempt.xcom.as_deref(), choice.as_ref());
        }
        TaskFact::Settled(settled) => text(out, "state", super::names::settled(*settled)),
        TaskFact::Marked(mark) | TaskFact::Ending(mark) => {
            text(out, "state", TaskState::from(*mark).name());
        }
        TaskFact::Noted(note) => text(out, "note", note),
    }
}

fn attempt(out: &mut String, attempt: &Attempt) {
    match &attempt.exit {
        Exit::Code(0) => {}
        Exit::Code(code) => {
            let _ = write!(out, ",\"exit\":{code}");
        }
        Exit::Signal(signal) => {
            let _ = write!(out, ",\"signal\":{signal}");
        }
        Exit::NotStarted(why) => text(out, "not_started", why),
        Exit::Unknown => flag(out, "unseen", true),
    }
    if let Some(cause) = attempt.stopped {
        text(out, "stopped", super::names::stop_cause(cause));
    }
    number(out, "ms", millis(attempt.duration));
    number(out, "cpu", millis(attempt.cpu));
    number(out, "kib", attempt.memory_peak_bytes.div_ceil(1024));
    number(out, "out", attempt.output_bytes);
    number(out, "dropped", attempt.output_dropped_bytes);
    if let Some(reason) = &attempt.reason {
        text(out, "reason", reason);
    }
}

/// What a task leaves to those after it.
fn left(out: &mut String, xcom: Option<&Value>, choice: Option<&Choice>) {
    if let Some(xcom) = xcom {
        let _ = write!(out, ",\"xcom\":{xcom}");
    }
    match choice {
        Some(Choice::Follow(tasks)) => {
            out.push_str(",\"follow\":");
            ids(out, tasks);
        }
        Some(Choice::Nothing) => flag(out, "short_circuit", true),
        None => {}
    }
}

fn ids(out: &mut String, tasks: &[std::sync::Arc<str>]) {
    out.push('[');
    for (index, task) in tasks.iter().enumerate() {
        out.push_str(if index > 0 { ",\"" } else { "\"" });
        escaped(out, task);
        out.push('"');
    }
    out.push(']');
}

fn run_facts(out: &mut String, facts: &RunFacts) {
    text(out, "run_id", &facts.run_id);
    text(out, "type", facts.run_type.name());
    moment(out, "logical_date", Some(facts.logical_date));
    if let Some(interval) = facts.data_interval {
        out.push_str(",\"interval\":");
        span(out, interval);
    }
    if facts.clock != ClockTrust::default() {
        text(out, "clock", facts.clock.name());
    }
    if !facts.params.is_empty() {
        let _ = write!(out, ",\"params\":{}", Value::Object(facts.params.clone()));
    }
    if let Some(cause) = &facts.occasion {
        occasion(out, cause);
    }
}

fn occasion(out: &mut String, occasion: &Occasion) {
    match occasion {
        Occasion::Boot(boot_id) => text(out, "boot", boot_id),
        Occasion::After(successes) => counts(out, "after", successes),
        Occasion::Backfill(backfill) => number(out, "backfill", backfill.0),
        Occasion::Task(parent) => {
            out.push_str(",\"by\":{\"run\":\"");
            escaped(out, &parent.dag_id);
            let _ = write!(out, "/{}\",\"task\":\"", parent.run.0);
            escaped(out, &parent.task_id);
            out.push('"');
            number(out, "try", u64::from(parent.try_number));
            number(out, "depth", u64::from(parent.depth));
            out.push('}');
        }
    }
}

/// `{"a":3,"b":0}`
fn counts(out: &mut String, key: &str, counts: &BTreeMap<Arc<str>, u64>) {
    let _ = write!(out, ",\"{key}\":{{");
    for (index, (id, count)) in counts.iter().enumerate() {
        out.push_str(if index > 0 { ",\"" } else { "\"" });
        escaped(out, id);
        let _ = write!(out, "\":{count}");
    }
    out.push('}');
}

/// Two moments, as an array.
fn span(out: &mut String, (from, until): (Timestamp, Timestamp)) {
    out.push_str("[\"");
    rfc3339(out, from);
    out.push_str("\",\"");
    rfc3339(out, until);
    out.push_str("\"]");
}

/// Nothing is left out.
fn ran(out: &mut String, ran: &Ran) {
    for (index, interval) in ran.spans().iter().enumerate() {
        out.push_str(if index > 0 { "," } else { ",\"ran\":[" });
        span(out, *interval);
    }
    if !ran.spans().is_empty() {
        out.push(']');
    }
}

fn run_image(out: &mut String, image: &RunImage) {
    run_facts(out, &image.facts);
    text(out, "state", image.state.name());
    moment(out, "queued_at", Some(image.queued_at));
    moment(out, "started_at", image.started_at);
    moment(out, "ended_at", image.ended_at);
    if let Some(reason) = image.stopped {
        text(out, "why", super::names::stop_reason(reason));
    }
    if !image.note.is_empty() {
        text(out, "note", &image.note);
    }
    out.push_str(",\"tasks\":[");
    for (index, task) in image.tasks.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        task_image(out, task);
    }
    out.push(']');
}

fn task_image(out: &mut String, task: &TaskImage) {
    out.push_str("{\"task\":\"");
    escaped(out, &task.task_id);
    out.push('"');
    text(out, "state", task.state.name());
    number(out, "try", u64::from(task.try_number));
    number(out, "max_tries", u64::from(task.max_tries));
    moment(out, "started_at", task.started_at);
    moment(out, "ended_at", task.ended_at);
    moment(out, "poking_since", task.poking_since);
    flag(out, "cleared", task.is_cleared);
    if let Some(mark) = task.ending {
        text(out, "ending", TaskState::from(mark).name());
    }
    if !task.note.is_empty() {
        text(out, "note", &task.note);
    }
    left(out, task.xcom.as_deref(), task.choice.as_ref());
    out.push('}');
}

/// Writes the body of a segment's first line.
pub(super) fn header(out: &mut String, header: &Header) {
    at(out, header.at);
    event(out, "segment");
    number(out, "version", VERSION);
    number(out, "number", header.number);
    text(out, "boot", &header.boot_id);
    if let Some(prev) = &header.prev {
        text(out, "prev", &String::from_utf8_lossy(prev));
    }
    if let Some(lines) = header.snapshot {
        let _ = write!(out, ",\"snapshot\":{lines}");
    }
    number(out, "runs_created", header.runs_created);
    moment(out, "synced_at", header.synced_at);
    flag(out, "held", header.held);
}

/// Writes the body of the line that stands for the lost lines up to number `last`.
pub(super) fn repaired(out: &mut String, now: Timestamp, last: u64) {
    at(out, now);
    event(out, "repaired");
    number(out, "last", last);
}

/// The end of the body of a record that was written while the clock was not synchronised.
pub(super) const UNSYNCED: &str = ",\"unsynced\":true";

/// Makes a line of a body: numbers it, and closes it with its checksum, which is returned.
pub(super) fn seal(out: &mut String, seq: u64, body: &str) -> Crc {
    let start = out.len();
    let _ = write!(out, "{{\"seq\":{seq},{body}");
    let crc = crc32c_hex(&out.as_bytes()[start..]);
    out.push_str(",\"crc\":\"");
    out.extend(crc.map(char::from));
    out.push_str("\"}\n");
    crc
}

fn at(out: &mut String, moment: Timestamp) {
    out.push_str("\"at\":\"");
    rfc3339(out, moment);
    out.push('"');
}

fn event(out: &mut String, name: &str) {
    text(out, "ev", name);
}

pub(super) fn text(out: &mut String, key: &str, value: &str) {
    let _ = write!(out, ",\"{key}\":\"");
    escaped(out, value);
    out.push('"');
}

fn try_of(out: &mut String, try_number: u32) {
    if try_number != 1 {
        number(out, "try", u64::from(try_number));
    }
}

/// Zero is left out.
fn number(out: &mut String, key: &str, value: u64) {
    if value != 0 {
        let _ = write!(out, ",\"{key}\":{value}");
    }
}

/// `false` is left out.
fn flag(out: &mut String, key: &str, value: bool) {
    if value {
        let _ = write!(out, ",\"{key}\":true");
    }
}

pub(super) fn moment(out: &mut String, key: &str, value: Option<Timestamp>) {
    if let Some(value) = value {
        let _ = write!(out, ",\"{key}\":\"");
        rfc3339(out, value);
        out.push('"');
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A string's inside. Ids are plain; what a person or the kernel says may be anything.
fn escaped(out: &mut String, value: &str) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if value.as_bytes().iter().all(is_plain) {
        out.push_str(value);
    } else {
        let quoted = Value::from(value).to_string();
        out.push_str(&quoted[1..quoted.len() - 1]);
    }
}

fn rfc3339(out: &mut String, moment: Timestamp) {
    let utc = moment.to_utc();
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second(),
        utc.millisecond()
    );
}
