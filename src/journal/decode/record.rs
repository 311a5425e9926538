//! What the fields of a line mean: a record, or none that this version knows.
//!
//! Numbers are bounded so that no arithmetic on them can overflow.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::fields::{Read, fields};
use super::super::names;
use super::{Entry, NUMBER_MAX, bounded};
use crate::dag::Value;
use crate::dag::json::Item;
use crate::scheduler::{
    Attempt, BackfillFact, BackfillFacts, BackfillImage, BackfillNumber, Choice, ClockTrust, Ended,
    Exit, Fact, Occasion, Parent, Ran, Record, Reprocess, RunFact, RunFacts, RunImage, RunNumber,
    RunsOver, TaskFact, TaskImage,
};
use crate::timetable::Timestamp;

/// Beyond this a try number is not believed.
const TRY_MAX: u32 = 1 << 30;

fields! {
    /// Every field of every other line but `seq` and `crc`.
    pub(super) struct Fields<'l> {
        "at" => at: Option<Timestamp>,
        "ev" => ev: Cow<'l, str>,
        "dag" => dag: Option<Arc<str>>,
        "run" => run: Option<RunName>,
        "task" => task: Option<Arc<str>>,
        "try" => try_number: Option<u32>,
        "retry_ms" => retry_ms: Option<u64>,
        "exit" => exit: Option<i32>,
        "signal" => signal: Option<i32>,
        "not_started" => not_started: Option<String>,
        "unseen" => unseen: Option<bool>,
        "stopped" => stopped: Option<Cow<'l, str>>,
        "ms" => ms: Option<u64>,
        "cpu" => cpu: Option<u64>,
        "kib" => kib: Option<u64>,
        "out" => out: Option<u64>,
        "dropped" => dropped: Option<u64>,
        "reason" => reason: Option<String>,
        "xcom" => xcom: Option<Arc<Value>>,
        "follow" => follow: Option<Vec<Arc<str>>>,
        "short_circuit" => short_circuit: Option<bool>,
        "state" => state: Option<Cow<'l, str>>,
        "run_id" => run_id: Option<Arc<str>>,
        "type" => run_type: Option<Cow<'l, str>>,
        "logical_date" => logical_date: Option<Timestamp>,
        "interval" => interval: Option<(Timestamp, Timestamp)>,
        "clock" => clock: Option<Cow<'l, str>>,
        "params" => params: BTreeMap<String, Value>,
        "queued_at" => queued_at: Option<Timestamp>,
        "started_at" => started_at: Option<Timestamp>,
        "ended_at" => ended_at: Option<Timestamp>,
        "why" => why: Option<Cow<'l, str>>,
        "tasks" => tasks: Option<Vec<TaskFields<'l>>>,
        "cleared" => cleared: Option<Vec<Arc<str>>>,
        "note" => note: Option<Arc<str>>,
        "paused" => paused: Option<bool>,
        "first_seen" => first_seen: Option<Timestamp>,
        "until" => until: Option<Timestamp>,
        "ran" => ran: Vec<(Timestamp, Timestamp)>,
        "runs_created" => runs_created: Option<u64>,
        "boot" => boot: Option<Arc<str>>,
        "after" => after: Option<BTreeMap<Arc<str>, u64>>,
        "successes" => successes: Option<u64>,
        "over" => over: Option<BTreeMap<Arc<str>, u64>>,
        "failures" => failures: Option<u64>,
        "backfill" => backfill: Option<u64>,
        "by" => by: Option<ParentFields<'l>>,
        "reprocess" => reprocess: Option<Cow<'l, str>>,
        "newest_first" => newest_first: Option<bool>,
        "parallel" => parallel: Option<u32>,
        "updated_at" => updated_at: Option<Timestamp>,
        "cancelled" => cancelled: Option<bool>,
        "dates" => dates: Option<u64>,
        "last" => last: Option<u64>,
    }
}

/// A run as lines name it: `weather/7`.
#[derive(Debug)]
struct RunName(Arc<str>, RunNumber);

impl Read<'_> for RunName {
    fn read(item: Item<'_>) -> Option<Self> {
        let name = Cow::read(item)?;
        let (dag_id, number) = name.rsplit_once('/')?;
        let number = number.parse().ok().filter(|number| *number < NUMBER_MAX)?;
        Some(Self(dag_id.into(), RunNumber(number)))
    }
}

fields! {
    /// The task instance that has triggered a run.
    struct ParentFields<'l> {
        "run" => run: Option<RunName>,
        "task" => task: Option<Cow<'l, str>>,
        "try" => try_number: Option<u32>,
        "depth" => depth: Option<u32>,
    }
}

impl ParentFields<'_> {
    fn parent(self) -> Option<Parent> {
        let RunName(dag_id, run) = self.run?;
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
    struct TaskFields<'l> {
        "task" => task: Option<Arc<str>>,
        "state" => state: Option<Cow<'l, str>>,
        "try" => try_number: Option<u32>,
        "max_tries" => max_tries: Option<u32>,
        "started_at" => started_at: Option<Timestamp>,
        "ended_at" => ended_at: Option<Timestamp>,
        "xcom" => xcom: Option<Arc<Value>>,
        "follow" => follow: Option<Vec<Arc<str>>>,
        "short_circuit" => short_circuit: Option<bool>,
        "poking_since" => poking_since: Option<Timestamp>,
        "cleared" => cleared: Option<bool>,
        "ending" => ending: Option<Cow<'l, str>>,
        "note" => note: Option<Arc<str>>,
    }
}

/// What a task left to those after it.
fn choice(follow: Option<Vec<Arc<str>>>, short_circuit: Option<bool>) -> Option<Choice> {
    match (follow, short_circuit) {
        (_, Some(true)) => Some(Choice::Nothing),
        (Some(tasks), _) => Some(Choice::Follow(tasks)),
        (None, _) => None,
    }
}

impl Fields<'_> {
    /// What the line tells, if that can be.
    pub(super) fn entry(self) -> Option<Entry> {
        if self.ev == "repaired" {
            let last = self.last.filter(|last| *last < NUMBER_MAX);
            return last.map(Entry::Repaired);
        }
        self.record().map(Entry::Record)
    }

    fn record(mut self) -> Option<Record> {
        let at = self.at?;
        if let Some(dag_id) = self.dag.take() {
            if let Some(number) = self.backfill.take() {
                let number = BackfillNumber(bounded(Some(number))?);
                let fact = Fact::Backfill(number, self.backfill_fact()?);
                return Some(Record { at, dag_id, fact });
            }
            let fact = match &*self.ev {
                "seen" => Fact::Seen {
                    is_paused: self.paused.unwrap_or(false),
                },
                "fires_skipped" => Fact::Skipped { until: self.until? },
                "fires_rewound" => Fact::Rewound { until: self.until? },
                "passed" => Fact::Passed(self.occasion()??),
                "paused" => Fact::Paused(true),
                "unpaused" => Fact::Paused(false),
                "dag" => Fact::Restored {
                    is_paused: self.paused.unwrap_or(false),
                    first_seen: self.first_seen,
                    scheduled_until: self.until,
                    ran: ran(self.ran)?,
                    boot_id: self.boot,
                    heard: counts(self.after.unwrap_or_default())?,
                    successes: bounded(self.successes)?,
                    over: self.over.as_ref().and_then(over),
                    runs_created: bounded(self.runs_created)?,
                },
                _ => return None,
            };
            return Some(Record { at, dag_id, fact });
        }
        let RunName(dag_id, run) = self.run.take()?;
        let fact = Fact::Run(run, self.run_fact()?);
        Some(Record { at, dag_id, fact })
    }

    fn backfill_fact(mut self) -> Option<BackfillFact> {
        Some(match &*self.ev {
            "backfill_created" => BackfillFact::Created(self.backfill_facts()?),
            "backfill_restored" => BackfillFact::Restored(Box::new(BackfillImage {
                facts: self.backfill_facts()?,
                created_at: self.started_at?,
                updated_at: self.updated_at?,
                completed_at: self.ended_at,
                is_paused: self.paused.unwrap_or(false),
                is_cancelled: self.cancelled.unwrap_or(false),
                cursor: self.until,
                passed: bounded(self.dates)?,
                success: bounded(self.successes)?,
                failed: bounded(self.failures)?,
            })),
            "backfill_paused" => BackfillFact::Paused(true),
            "backfill_unpaused" => BackfillFact::Paused(false),
            "backfill_passed" => BackfillFact::Passed {
                until: self.until?,
                dates: u32::try_from(self.dates.unwrap_or(0)).ok()?,
            },
            "backfill_cancelled" => BackfillFact::Cancelled,
            "backfill_completed" => BackfillFact::Completed,
            _ => return None,
        })
    }

    fn backfill_facts(&mut self) -> Option<Arc<BackfillFacts>> {
        let (from, to) = self.interval?;
        Some(Arc::new(BackfillFacts {
            from,
            to,
            reprocess: Reprocess::of(self.reprocess.as_deref()?)?,
            newest_first: self.newest_first.unwrap_or(false),
            max_active_runs: self.parallel.filter(|parallel| *parallel > 0)?,
            params: std::mem::take(&mut self.params),
        }))
    }

    fn run_fact(mut self) -> Option<RunFact> {
        if let Some(task_id) = self.task.take() {
            return Some(RunFact::Task(task_id, self.task_fact()?));
        }
        Some(match &*self.ev {
            "run_created" => RunFact::Created(self.run_facts()?),
            "run_restored" => RunFact::Restored(Box::new(self.run_image()?)),
            "run_started" => RunFact::Started,
            "run_stopped" => RunFact::Stopped(names::stop_reason_of(&self.why?)?),
            "run_success" => RunFact::Ended { success: true },
            "run_failed" => RunFact::Ended { success: false },
            "run_cleared" => RunFact::Cleared(self.cleared?),
            "run_noted" => RunFact::Noted(self.note?),
            "run_deleted" => RunFact::Deleted,
            _ => return None,
        })
    }

    fn task_fact(self) -> Option<TaskFact> {
        let try_number = self.try_number.unwrap_or(1);
        if try_number > TRY_MAX {
            return None;
        }
        match &*self.ev {
            "start" => return Some(TaskFact::Started { try_number }),
            "settled" => return Some(TaskFact::Settled(names::settled_of(&self.state?)?)),
            "marked" => return Some(TaskFact::Marked(names::mark_of(&self.state?)?)),
            "ending" => return Some(TaskFact::Ending(names::mark_of(&self.state?)?)),
            "noted" => return Some(TaskFact::Noted(self.note?)),
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
            run_id: self.run_id.take()?,
            run_type: names::run_type_of(self.run_type.as_deref()?)?,
            logical_date: self.logical_date?,
            data_interval: self.interval,
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
            (Some(boot_id), None, None, None) => Some(Occasion::Boot(boot_id)),
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
            queued_at: self.queued_at?,
            started_at: self.started_at,
            ended_at: self.ended_at,
            stopped,
            note: self.note.unwrap_or_else(|| "".into()),
            tasks: tasks.collect::<Option<_>>()?,
        })
    }
}

impl TaskFields<'_> {
    fn image(self) -> Option<TaskImage> {
        let believed = |number: Option<u32>| Some(number.unwrap_or(0)).filter(|n| *n <= TRY_MAX);
        Some(TaskImage {
            task_id: self.task?,
            state: names::task_state_of(&self.state?)?,
            try_number: believed(self.try_number)?,
            max_tries: believed(self.max_tries)?,
            started_at: self.started_at,
            ended_at: self.ended_at,
            xcom: self.xcom,
            choice: choice(self.follow, self.short_circuit),
            poking_since: self.poking_since,
            is_cleared: self.cleared.unwrap_or(false),
            ending: match self.ending {
                Some(name) => Some(names::mark_of(&name)?),
                None => None,
            },
            note: self.note.unwrap_or_default(),
        })
    }
}

/// Spans that end before they begin cannot be true.
fn ran(spans: Vec<(Timestamp, Timestamp)>) -> Option<Ran> {
    let are_spans = spans.iter().all(|(from, until)| from <= until);
    are_spans.then(|| Ran::of(spans))
}

fn counts(counts: BTreeMap<Arc<str>, u64>) -> Option<BTreeMap<Arc<str>, u64>> {
    let are_bounded = counts.values().all(|count| *count < NUMBER_MAX);
    are_bounded.then_some(counts)
}

/// A count that makes no sense is as if nobody had counted.
fn over(counts: &BTreeMap<Arc<str>, u64>) -> Option<RunsOver> {
    let count = |name: &str| bounded(counts.get(name).copied());
    Some(RunsOver {
        success: count("success")?,
        failed: count("failed")?,
    })
}

fn duration(millis: Option<u64>) -> Duration {
    Duration::from_millis(millis.unwrap_or(0).min(NUMBER_MAX))
}
