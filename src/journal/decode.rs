//! Lines back into records: frame and checksum first, then JSON, then meaning.
//!
//! Never panics, hangs or recurses, whatever the bytes: nanoserde, which does on malformed text, sees
//! only text that `dag::json` has accepted. It reads the first line of a segment; records, of which a
//! start may have a hundred thousand, are read from the checked tree, in less than half the time. Numbers
//! are bounded so that no arithmetic on them can overflow.

#![expect(clippy::question_mark, reason = "what nanoserde derives")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nanoserde::DeJson;

use super::crc::crc32c_hex;
use super::encode::{Header, UNSYNCED};
use super::fields::{Read, fields};
use super::{Crc, names};
use crate::dag::Value;
use crate::dag::json::Document;
use crate::scheduler::{
    Attempt, BackfillFact, BackfillFacts, BackfillImage, BackfillNumber, Choice, ClockTrust, Ended,
    Exit, Fact, Occasion, Parent, Ran, Record, Reprocess, RunFact, RunFacts, RunImage, RunNumber,
    RunsOver, TaskFact, TaskImage,
};
use crate::timetable::Timestamp;

/// Beyond this a number of a line is not believed.
const NUMBER_MAX: u64 = 1 << 53;
/// Beyond this a try number is not believed.
const TRY_MAX: u32 = 1 << 30;

/// A line whose frame and checksum are right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked<'l> {
    pub seq: u64,
    pub crc: Crc,
    pub text: &'l str,
}

/// What a line says.
#[derive(Debug)]
pub(super) enum Entry {
    Header(Header),
    Record(Record),
    /// Lines up to this number were lost and given up.
    Repaired(u64),
}

/// Why a line is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not the frame of a line.
    Frame,
    /// The checksum says that it has changed.
    Crc,
    /// The checksum is right, but it is not a record, and why.
    Content(String),
    /// Written by a newer program.
    Version(u64),
}

/// Checks a line, without its newline.
pub(super) fn check(line: &[u8]) -> Result<Checked<'_>, Flaw> {
    let (before, crc) = (|| {
        let rest = line.strip_suffix(b"\"}")?;
        let (rest, crc) = rest.split_last_chunk::<8>()?;
        Some((rest.strip_suffix(b",\"crc\":\"")?, *crc))
    })()
    .ok_or(Flaw::Frame)?;
    if crc32c_hex(before) != crc {
        return Err(Flaw::Crc);
    }
    let text = std::str::from_utf8(line).map_err(|_| Flaw::Frame)?;
    let seq = text.strip_prefix("{\"seq\":").and_then(|rest| {
        let (digits, _) = rest.split_once(',')?;
        digits.parse().ok()
    });
    let seq = seq.filter(|seq| *seq < NUMBER_MAX).ok_or(Flaw::Frame)?;
    Ok(Checked { seq, crc, text })
}

/// Whether a line, with its newline, says that the clock was not synchronised. A string cannot end so.
pub(super) fn is_unsynced(raw: &[u8]) -> bool {
    let frame = ",\"crc\":\"00000000\"}\n".len();
    let body = raw.split_at_checked(raw.len().saturating_sub(frame));
    body.is_some_and(|(body, _)| body.ends_with(UNSYNCED.as_bytes()))
}

/// Reads what a checked line says.
pub(super) fn decode(line: Checked) -> Result<Entry, Flaw> {
    let content = |why: &str| Flaw::Content(why.to_owned());
    let document =
        Document::parse(line.text).map_err(|error| Flaw::Content(error.message.clone()))?;
    if document.duplicates().next().is_some() {
        return Err(content("a key stands there twice"));
    }
    let fields = Fields::read(document.root()).ok_or_else(|| content("wrong fields"))?;
    if fields.ev == "segment" {
        let fields = SegmentFields::deserialize_json(line.text);
        let fields = fields.map_err(|_| content("wrong fields"))?;
        if fields.version != Some(super::VERSION) {
            return Err(Flaw::Version(fields.version.unwrap_or(0)));
        }
        let header = fields.header(line.seq).ok_or(content("wrong fields"))?;
        return Ok(Entry::Header(header));
    }
    if fields.ev == "repaired" {
        let last = fields.last.filter(|last| *last < NUMBER_MAX);
        return last.map(Entry::Repaired).ok_or(content("wrong fields"));
    }
    let record = fields.record();
    record
        .map(Entry::Record)
        .ok_or_else(|| content("not a record that this version knows"))
}

/// What a task left to those after it.
fn choice(follow: Option<Vec<String>>, short_circuit: Option<bool>) -> Option<Choice> {
    match (follow, short_circuit) {
        (_, Some(true)) => Some(Choice::Nothing),
        (Some(tasks), _) => Some(Choice::Follow(tasks.into_iter().map(Arc::from).collect())),
        (None, _) => None,
    }
}

/// The fields of a segment's first line.
#[derive(DeJson)]
struct SegmentFields {
    at: String,
    runs_created: Option<u64>,
    version: Option<u64>,
    number: Option<u64>,
    boot: Option<String>,
    prev: Option<String>,
    snapshot: Option<u64>,
    synced_at: Option<String>,
    held: Option<bool>,
}

fields! {
    /// Every field of every other line but `seq` and `crc`.
    struct Fields {
        "at" => at: String,
        "ev" => ev: String,
        "dag" => dag: Option<String>,
        "run" => run: Option<String>,
        "task" => task: Option<String>,
        "try" => try_number: Option<u32>,
        "retry_ms" => retry_ms: Option<u64>,
        "exit" => exit: Option<i32>,
        "signal" => signal: Option<i32>,
        "not_started" => not_started: Option<String>,
        "unseen" => unseen: Option<bool>,
        "stopped" => stopped: Option<String>,
        "ms" => ms: Option<u64>,
        "cpu" => cpu: Option<u64>,
        "kib" => kib: Option<u64>,
        "out" => out: Option<u64>,
        "dropped" => dropped: Option<u64>,
        "reason" => reason: Option<String>,
        "xcom" => xcom: Option<Arc<Value>>,
        "follow" => follow: Option<Vec<String>>,
        "short_circuit" => short_circuit: Option<bool>,
        "state" => state: Option<String>,
        "run_id" => run_id: Option<String>,
        "type" => run_type: Option<String>,
        "logical_date" => logical_date: Option<String>,
        "interval" => interval: Option<Vec<String>>,
        "clock" => clock: Option<String>,
        "params" => params: BTreeMap<String, Value>,
        "queued_at" => queued_at: Option<String>,
        "started_at" => started_at: Option<String>,
        "ended_at" => ended_at: Option<String>,
        "why" => why: Option<String>,
        "tasks" => tasks: Option<Vec<TaskFields>>,
        "cleared" => cleared: Option<Vec<String>>,
        "note" => note: Option<String>,
        "paused" => paused: Option<bool>,
        "first_seen" => first_seen: Option<String>,
        "until" => until: Option<String>,
        "ran" => ran: Option<Vec<Vec<String>>>,
        "runs_created" => runs_created: Option<u64>,
        "boot" => boot: Option<String>,
        "after" => after: Option<BTreeMap<String, u64>>,
        "successes" => successes: Option<u64>,
        "over" => over: Option<BTreeMap<String, u64>>,
        "failures" => failures: Option<u64>,
        "backfill" => backfill: Option<u64>,
        "by" => by: Option<ParentFields>,
        "reprocess" => reprocess: Option<String>,
        "newest_first" => newest_first: Option<bool>,
        "parallel" => parallel: Option<u32>,
        "updated_at" => updated_at: Option<String>,
        "cancelled" => cancelled: Option<bool>,
        "dates" => dates: Option<u64>,
        "last" => last: Option<u64>,
    }
}

fields! {
    /// The task instance that has triggered a run.
    struct ParentFields {
        "run" => run: Option<String>,
        "task" => task: Option<String>,
        "try" => try_number: Option<u32>,
        "depth" => depth: Option<u32>,
    }
}

impl ParentFields {
    fn parent(self) -> Option<Parent> {
        let (dag_id, run) = run_of(&self.run?)?;
        Some(Parent {
            dag_id,
            run,
            task_id: self.task?.into(),
            try_number: self.try_number.filter(|number| *number <= TRY_MAX)?,
            depth: self.depth?,
        })
    }
}

fields! {
    /// A task instance in a snapshot.
    struct TaskFields {
        "task" => task: Option<String>,
        "state" => state: Option<String>,
        "try" => try_number: Option<u32>,
        "max_tries" => max_tries: Option<u32>,
        "started_at" => started_at: Option<String>,
        "ended_at" => ended_at: Option<String>,
        "xcom" => xcom: Option<Arc<Value>>,
        "follow" => follow: Option<Vec<String>>,
        "short_circuit" => short_circuit: Option<bool>,
        "poking_since" => poking_since: Option<String>,
        "cleared" => cleared: Option<bool>,
    }
}

impl SegmentFields {
    fn header(self, seq: u64) -> Option<Header> {
        let prev = match self.prev {
            Some(text) => Some(text.as_bytes().try_into().ok()?),
            None => None,
        };
        Some(Header {
            seq,
            at: Timestamp::parse(&self.at).ok()?,
            number: bounded(self.number)?,
            boot_id: self.boot.unwrap_or_default(),
            prev,
            snapshot: self.snapshot,
            runs_created: bounded(self.runs_created)?,
            synced_at: moment(self.synced_at.as_deref())?,
            held: self.held.unwrap_or(false),
        })
    }
}

impl Fields {
    fn record(mut self) -> Option<Record> {
        let at = Timestamp::parse(&self.at).ok()?;
        if let Some(dag_id) = self.dag.take() {
            if let Some(number) = self.backfill.take() {
                let number = BackfillNumber(bounded(Some(number))?);
                let fact = Fact::Backfill(number, self.backfill_fact()?);
                let dag_id = dag_id.into();
                return Some(Record { at, dag_id, fact });
            }
            let fact = match self.ev.as_str() {
                "seen" => Fact::Seen {
                    is_paused: self.paused.unwrap_or(false),
                },
                "fires_skipped" => Fact::Skipped {
                    until: moment(self.until.as_deref())??,
                },
                "fires_rewound" => Fact::Rewound {
                    until: moment(self.until.as_deref())??,
                },
                "passed" => Fact::Passed(self.occasion()??),
                "paused" => Fact::Paused(true),
                "unpaused" => Fact::Paused(false),
                "dag" => Fact::Restored {
                    is_paused: self.paused.unwrap_or(false),
                    first_seen: moment(self.first_seen.as_deref())?,
                    scheduled_until: moment(self.until.as_deref())?,
                    ran: ran(self.ran.as_deref())?,
                    boot_id: self.boot.map(Arc::from),
                    heard: counts(self.after.unwrap_or_default())?,
                    successes: bounded(self.successes)?,
                    over: self.over.as_ref().and_then(over),
                    runs_created: bounded(self.runs_created)?,
                },
                _ => return None,
            };
            let dag_id = dag_id.into();
            return Some(Record { at, dag_id, fact });
        }
        let (dag_id, run) = run_of(&self.run.take()?)?;
        let fact = Fact::Run(run, self.run_fact()?);
        Some(Record { at, dag_id, fact })
    }

    fn backfill_fact(mut self) -> Option<BackfillFact> {
        Some(match self.ev.as_str() {
            "backfill_created" => BackfillFact::Created(self.backfill_facts()?),
            "backfill_restored" => BackfillFact::Restored(Box::new(BackfillImage {
                facts: self.backfill_facts()?,
                created_at: moment(self.started_at.as_deref())??,
                updated_at: moment(self.updated_at.as_deref())??,
                completed_at: moment(self.ended_at.as_deref())?,
                is_paused: self.paused.unwrap_or(false),
                is_cancelled: self.cancelled.unwrap_or(false),
                cursor: moment(self.until.as_deref())?,
                passed: bounded(self.dates)?,
                success: bounded(self.successes)?,
                failed: bounded(self.failures)?,
            })),
            "backfill_paused" => BackfillFact::Paused(true),
            "backfill_unpaused" => BackfillFact::Paused(false),
            "backfill_passed" => BackfillFact::Passed {
                until: moment(self.until.as_deref())??,
                dates: u32::try_from(self.dates.unwrap_or(0)).ok()?,
            },
            "backfill_cancelled" => BackfillFact::Cancelled,
            "backfill_completed" => BackfillFact::Completed,
            _ => return None,
        })
    }

    fn backfill_facts(&mut self) -> Option<Arc<BackfillFacts>> {
        let (from, to) = self.interval()??;
        Some(Arc::new(BackfillFacts {
            from,
            to,
            reprocess: Reprocess::of(self.reprocess.as_deref()?)?,
            newest_first: self.newest_first.unwrap_or(false),
            max_active_runs: self.parallel.filter(|parallel| *parallel > 0)?,
            params: std::mem::take(&mut self.params),
        }))
    }

    #[expect(
        clippy::option_option,
        reason = "wrong, absent, there: `?` reads best on it"
    )]
    fn interval(&mut self) -> Option<Option<(Timestamp, Timestamp)>> {
        Some(match self.interval.take().as_deref() {
            None => None,
            Some([from, until]) => {
                Some((Timestamp::parse(from).ok()?, Timestamp::parse(until).ok()?))
            }
            Some(_) => return None,
        })
    }

    fn run_fact(mut self) -> Option<RunFact> {
        if let Some(task_id) = self.task.take() {
            return Some(RunFact::Task(task_id.into(), self.task_fact()?));
        }
        Some(match self.ev.as_str() {
            "run_created" => RunFact::Created(self.run_facts()?),
            "run_restored" => RunFact::Restored(Box::new(self.run_image()?)),
            "run_started" => RunFact::Started,
            "run_stopped" => RunFact::Stopped(names::stop_reason_of(&self.why?)?),
            "run_success" => RunFact::Ended { success: true },
            "run_failed" => RunFact::Ended { success: false },
            "run_cleared" => RunFact::Cleared(self.cleared?.into_iter().map(Arc::from).collect()),
            "run_noted" => RunFact::Noted(self.note?.into()),
            "run_deleted" => RunFact::Deleted,
            _ => return None,
        })
    }

    fn task_fact(self) -> Option<TaskFact> {
        let try_number = self.try_number.unwrap_or(1);
        if try_number > TRY_MAX {
            return None;
        }
        match self.ev.as_str() {
            "start" => return Some(TaskFact::Started { try_number }),
            "settled" => return Some(TaskFact::Settled(names::settled_of(&self.state?)?)),
            "marked" => return Some(TaskFact::Marked(names::mark_of(&self.state?)?)),
            _ => {}
        }
        let retry = duration(self.retry_ms);
        let state: Ended = names::ended_of(&self.ev, retry)?;
        let exit = match (self.signal, self.not_started, self.unseen) {
            (Some(signal), ..) => Exit::Signal(signal),
            (_, Some(why), _) => Exit::NotStarted(why),
            (_, _, Some(true)) => Exit::Unknown,
            (None, None, _) => Exit::Code(self.exit.unwrap_or(0)),
        };
        let stopped = match self.stopped {
            Some(name) => Some(names::stop_cause_of(&name)?),
            None => None,
        };
        let attempt = Attempt {
            exit,
            stopped,
            duration: duration(self.ms),
            cpu: duration(self.cpu),
            memory_peak_bytes: self.kib.unwrap_or(0).saturating_mul(1024),
            output_bytes: self.out.unwrap_or(0),
            output_dropped_bytes: self.dropped.unwrap_or(0),
            xcom: self.xcom,
            reason: self.reason,
        };
        Some(TaskFact::Ended {
            try_number,
            state,
            attempt,
            choice: choice(self.follow, self.short_circuit),
        })
    }

    fn run_facts(&mut self) -> Option<Arc<RunFacts>> {
        Some(Arc::new(RunFacts {
            run_id: self.run_id.take()?.into(),
            run_type: names::run_type_of(self.run_type.as_deref()?)?,
            logical_date: moment(self.logical_date.as_deref())??,
            data_interval: self.interval()?,
            params: std::mem::take(&mut self.params),
            clock: match self.clock.as_deref() {
                Some(name) => names::clock_trust_of(name)?,
                None => ClockTrust::default(),
            },
            occasion: self.occasion()?,
        }))
    }

    #[expect(
        clippy::option_option,
        reason = "wrong, absent, there: `?` reads best on it"
    )]
    fn occasion(&mut self) -> Option<Option<Occasion>> {
        let occasion = (
            self.boot.take(),
            self.after.take(),
            self.backfill.take(),
            self.by.take(),
        );
        Some(match occasion {
            (None, None, None, None) => None,
            (Some(boot_id), None, None, None) => Some(Occasion::Boot(boot_id.into())),
            (None, Some(after), None, None) => Some(Occasion::After(counts(after)?)),
            (None, None, Some(number), None) => {
                let number = BackfillNumber(bounded(Some(number))?);
                Some(Occasion::Backfill(number))
            }
            (None, None, None, Some(by)) => Some(Occasion::Task(by.parent()?)),
            (..) => return None,
        })
    }

    fn run_image(mut self) -> Option<RunImage> {
        let facts = self.run_facts()?;
        let stopped = match self.why {
            Some(name) => Some(names::stop_reason_of(&name)?),
            None => None,
        };
        let tasks = self.tasks?.into_iter().map(TaskFields::image);
        Some(RunImage {
            facts,
            state: names::run_state_of(&self.state?)?,
            queued_at: moment(self.queued_at.as_deref())??,
            started_at: moment(self.started_at.as_deref())?,
            ended_at: moment(self.ended_at.as_deref())?,
            stopped,
            note: self.note.unwrap_or_default().into(),
            tasks: tasks.collect::<Option<_>>()?,
        })
    }
}

impl TaskFields {
    fn image(self) -> Option<TaskImage> {
        let believed = |number: Option<u32>| Some(number.unwrap_or(0)).filter(|n| *n <= TRY_MAX);
        Some(TaskImage {
            task_id: self.task?.into(),
            state: names::task_state_of(&self.state?)?,
            try_number: believed(self.try_number)?,
            max_tries: believed(self.max_tries)?,
            started_at: moment(self.started_at.as_deref())?,
            ended_at: moment(self.ended_at.as_deref())?,
            xcom: self.xcom,
            choice: choice(self.follow, self.short_circuit),
            poking_since: moment(self.poking_since.as_deref())?,
            is_cleared: self.cleared.unwrap_or(false),
        })
    }
}

fn span(moments: &[String]) -> Option<(Timestamp, Timestamp)> {
    let [from, until] = moments else {
        return None;
    };
    Some((Timestamp::parse(from).ok()?, Timestamp::parse(until).ok()?))
}

fn ran(spans: Option<&[Vec<String>]>) -> Option<Ran> {
    let spans = spans.unwrap_or_default().iter();
    let spans = spans.map(|moments| span(moments).filter(|(from, until)| from <= until));
    spans.collect::<Option<Vec<_>>>().map(Ran::of)
}

/// The number, 0 if there is none, `None` if it cannot be true.
/// A run as lines name it: `weather/7`.
fn run_of(text: &str) -> Option<(Arc<str>, RunNumber)> {
    let (dag_id, number) = text.rsplit_once('/')?;
    let number = number.parse().ok().filter(|number| *number < NUMBER_MAX)?;
    Some((dag_id.into(), RunNumber(number)))
}

fn bounded(number: Option<u64>) -> Option<u64> {
    Some(number.unwrap_or(0)).filter(|number| *number < NUMBER_MAX)
}

fn counts(counts: BTreeMap<String, u64>) -> Option<BTreeMap<Arc<str>, u64>> {
    let mut bounded_counts = BTreeMap::new();
    for (id, count) in counts {
        bounded_counts.insert(id.into(), bounded(Some(count))?);
    }
    Some(bounded_counts)
}

/// A count that makes no sense is as if nobody had counted.
fn over(counts: &BTreeMap<String, u64>) -> Option<RunsOver> {
    let count = |name: &str| bounded(counts.get(name).copied());
    Some(RunsOver {
        success: count("success")?,
        failed: count("failed")?,
    })
}

fn duration(millis: Option<u64>) -> Duration {
    Duration::from_millis(millis.unwrap_or(0).min(NUMBER_MAX))
}

/// The moment, if there is one; `None` if it is none.
#[expect(
    clippy::option_option,
    reason = "wrong, absent, there: `?` reads best on it"
)]
fn moment(text: Option<&str>) -> Option<Option<Timestamp>> {
    match text {
        Some(text) => Timestamp::parse(text).ok().map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::encode::seal;

    #[test]
    fn a_line_with_any_bit_flipped_is_refused() {
        let bodies = [
            r#""at":"2026-11-22T08:01:28.160Z","ev":"start","run":"sensor_log/17","task":"read""#,
            r#""at":"2026-11-22T08:01:28.160Z","ev":"paused","dag":"ABCDEFabcdef""#,
        ];
        for seq in 0..50 {
            for body in bodies {
                let mut line = String::new();
                seal(&mut line, seq, body);
                let mut bytes = line.trim_end().as_bytes().to_vec();
                assert_eq!(check(&bytes).unwrap().seq, seq);
                for bit in 0..bytes.len() * 8 {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    assert!(check(&bytes).is_err(), "bit {bit} of {line}");
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            }
        }
    }
}
