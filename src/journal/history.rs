//! Runs of the past, read from the segments, newest first, and no further back than needed.
//!
//! A reader writes nothing and needs no daemon; while one writes, it sees a moment between two records.
//! A segment that is deleted meanwhile is as if it had been deleted before.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::decode::{Checked, Entry, decode};
use super::disk::Disk;
use super::encode;
use super::replay::apply_replayed;
use super::scan::{OpenError, Segment, limit, list, stretches};
use crate::dag::Dag;
use crate::scheduler::{
    Attempt, Ended, Fact, Record, RunFact, RunFacts, RunImage, RunNumber, RunState, Settled, State,
    StopReason, TaskFact,
};
use crate::timetable::Timestamp;

/// Which runs are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'f> {
    /// Of this DAG; of all if `None`.
    pub dag_id: Option<&'f str>,
    /// Of this name, or of logical dates from one to another, if either is given.
    pub run_id: Option<&'f str>,
    /// See `run_id`.
    pub logical_dates: Option<(Timestamp, Timestamp)>,
    /// The latest so many. Without a name or dates they come without their XComs.
    pub limit: usize,
}

impl Filter<'_> {
    /// Whether only certain runs are wanted, however old they are.
    fn is_narrow(&self) -> bool {
        self.run_id.is_some() || self.logical_dates.is_some()
    }

    fn takes(&self, facts: &RunFacts) -> bool {
        let has_date = |(from, to)| (from..=to).contains(&facts.logical_date);
        self.run_id == Some(&facts.run_id) || self.logical_dates.is_some_and(has_date)
    }

    /// How every line about a run begins to say which.
    fn run(&self) -> String {
        let dag_id = self.dag_id.map_or(String::new(), |id| format!("{id}/"));
        format!("\"run\":\"{dag_id}")
    }

    /// One of these stands in the line that begins a run which it takes; if there are none, anything may.
    fn signs(&self) -> Vec<String> {
        let mut signs = Vec::new();
        if let Some(run_id) = self.run_id {
            let mut sign = String::new();
            encode::text(&mut sign, "run_id", run_id);
            signs.push(sign);
        }
        if let Some((from, to)) = self.logical_dates {
            let mut sign = String::new();
            encode::moment(&mut sign, "logical_date", Some(from));
            signs.push(sign);
            signs.retain(|_| from == to);
        }
        signs
    }
}

/// A run as the journal tells it. One that has not ended is here too.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// Its number.
    pub number: RunNumber,
    /// Its DAG.
    pub dag_id: Arc<str>,
    /// What it was created as.
    pub facts: Arc<RunFacts>,
    /// Where it stands.
    pub state: RunState,
    /// When it was created or cleared.
    pub queued_at: Timestamp,
    /// When it became `running`.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// It was told to stop.
    pub stopped: Option<StopReason>,
    /// Every attempt at its tasks, in the order they began.
    pub attempts: Vec<PastAttempt>,
    /// Task instances that ended without an attempt, and when.
    pub settled: Vec<(Arc<str>, Settled, Timestamp)>,
    records: Vec<Record>,
}

/// An attempt of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Its task.
    pub task_id: Arc<str>,
    /// From 1.
    pub try_number: u32,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// How it ended, if it has.
    pub end: Option<AttemptEnd>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// When.
    pub at: Timestamp,
    /// What the task instance was then.
    pub state: Ended,
    /// Exit code, duration, CPU time, memory.
    pub attempt: Attempt,
}

impl PastRun {
    /// The run as it stands now, for a DAG as it is now: what [`RunFact::Restored`] needs.
    pub fn image(&self, dag: &Arc<Dag>) -> Option<RunImage> {
        let mut state = State::default();
        state.insert_dag(dag.clone());
        for record in &self.records {
            // What no longer has a place in the DAG is left out.
            let _ = apply_replayed(&mut state, record);
        }
        state.run(self.number).map(crate::scheduler::Run::image)
    }

    fn of(number: RunNumber, records: Vec<Record>) -> Option<Self> {
        let first = records.first()?;
        let mut run = match &first.fact {
            Fact::Run(_, RunFact::Created(facts)) => Self {
                number,
                dag_id: first.dag_id.clone(),
                facts: facts.clone(),
                state: RunState::Queued,
                queued_at: first.at,
                started_at: None,
                ended_at: None,
                stopped: None,
                attempts: Vec::new(),
                settled: Vec::new(),
                records: Vec::new(),
            },
            Fact::Run(_, RunFact::Restored(image)) => Self {
                number,
                dag_id: first.dag_id.clone(),
                facts: image.facts.clone(),
                state: image.state,
                queued_at: image.queued_at,
                started_at: image.started_at,
                ended_at: image.ended_at,
                stopped: image.stopped,
                attempts: Vec::new(),
                settled: Vec::new(),
                records: Vec::new(),
            },
            Fact::Seen { .. }
            | Fact::Paused(_)
            | Fact::Skipped { .. }
            | Fact::Rewound { .. }
            | Fact::Passed(_)
            | Fact::Backfill(..)
            | Fact::Restored { .. }
            | Fact::Run(..) => return None,
        };
        for record in &records {
            if let Fact::Run(_, fact) = &record.fact {
                if *fact == RunFact::Deleted {
                    return None;
                }
                run.apply(record.at, fact);
            }
        }
        run.records = records;
        Some(run)
    }

    fn apply(&mut self, at: Timestamp, fact: &RunFact) {
        match fact {
            RunFact::Created(_) | RunFact::Restored(_) | RunFact::Noted(_) | RunFact::Deleted => {}
            RunFact::Started => {
                self.state = RunState::Running;
                self.started_at = Some(at);
            }
            RunFact::Stopped(reason) => self.stopped = Some(*reason),
            RunFact::Ended { success } => {
                self.state = RunState::over(*success);
                self.ended_at = Some(at);
            }
            RunFact::Cleared(_) => {
                if self.state.is_finished() {
                    self.state = RunState::Queued;
                    self.queued_at = at;
                    self.started_at = None;
                    self.ended_at = None;
                    self.stopped = None;
                }
            }
            RunFact::Task(task_id, fact) => {
                if matches!(fact, TaskFact::Marked(_)) && self.state.is_finished() {
                    self.state = RunState::Queued;
                    self.queued_at = at;
                    self.ended_at = None;
                }
                self.apply_task(at, task_id, fact);
            }
        }
    }

    fn apply_task(&mut self, at: Timestamp, task_id: &Arc<str>, fact: &TaskFact) {
        match fact {
            TaskFact::Started { try_number } => {
                let is_it = |known: &&mut PastAttempt| {
                    known.task_id == *task_id && known.try_number == *try_number
                };
                // Poked again, and put on record to be stopped.
                if let Some(known) = self.attempts.iter_mut().rev().find(is_it) {
                    known.end = None;
                    return;
                }
                self.attempts.push(PastAttempt {
                    task_id: task_id.clone(),
                    try_number: *try_number,
                    started_at: Some(at),
                    end: None,
                });
            }
            TaskFact::Ended {
                try_number,
                state,
                attempt,
                ..
            } => {
                let end = Some(AttemptEnd {
                    at,
                    state: *state,
                    attempt: attempt.clone(),
                });
                let known = self
                    .attempts
                    .iter_mut()
                    .rev()
                    .find(|known| known.task_id == *task_id && known.try_number == *try_number);
                if let Some(known) = known {
                    known.end = end;
                } else {
                    self.attempts.push(PastAttempt {
                        task_id: task_id.clone(),
                        try_number: *try_number,
                        started_at: None,
                        end,
                    });
                }
            }
            TaskFact::Marked(_) | TaskFact::Ending(_) | TaskFact::Noted(_) => {}
            TaskFact::Settled(settled) => self.settled.push((task_id.clone(), *settled, at)),
        }
    }
}

/// What has been found of a run so far.
#[derive(Default)]
struct Found {
    /// Of the newest segment first.
    records: Vec<Vec<Record>>,
    /// What the oldest snapshot so far says of it; needed if what was before that is deleted.
    image: Option<Record>,
    /// Its creation has been found.
    is_whole: bool,
}

/// The latest runs, newest first. O(bytes of the segments since the oldest of them was created); certain runs are looked
/// for in all of them, and only their own lines are understood.
pub fn history(disk: &dyn Disk, filter: Filter<'_>) -> Result<Vec<PastRun>, OpenError> {
    let segments = list(disk)?;
    let wanted = if filter.is_narrow() {
        Some(numbers(disk, &segments, filter)?)
    } else {
        None
    };
    let enough = wanted.as_ref().map_or(filter.limit, BTreeSet::len);
    let mut found: BTreeMap<RunNumber, Found> = BTreeMap::new();
    for (index, segment) in segments.iter().enumerate().rev() {
        let whole = found.values().filter(|found| found.is_whole).count();
        if whole >= enough && found.len() == whole {
            break;
        }
        let limit = limit(&segments, index);
        was_there(read_segment(
            disk,
            segment,
            limit,
            filter,
            wanted.as_ref(),
            &mut found,
        ))?;
        let beyond = found.keys().rev().nth(filter.limit).copied();
        if let Some(beyond) = beyond.filter(|_| wanted.is_none()) {
            found.retain(|number, _| *number > beyond);
        }
    }
    let runs = found.into_iter().rev().filter_map(|(number, found)| {
        let image = found.image.filter(|_| !found.is_whole);
        let later = found.records.into_iter().rev().flatten();
        PastRun::of(number, image.into_iter().chain(later).collect())
    });
    Ok(runs.take(filter.limit).collect())
}

/// The runs that a narrow filter takes. Only what begins a run has to be understood for that, and of a name only the
/// lines that have it.
fn numbers(
    disk: &dyn Disk,
    segments: &[Segment],
    filter: Filter<'_>,
) -> io::Result<BTreeSet<RunNumber>> {
    let mut numbers = BTreeSet::new();
    let (run, signs) = (filter.run(), filter.signs());
    for (index, segment) in segments.iter().enumerate().rev() {
        let limit = limit(segments, index);
        was_there(stretches(disk, &segment.file, &mut |stretch| {
            let line = stretch.line.ok().filter(|line| line.seq < limit);
            let is_candidate = |line: &Checked<'_>| {
                line.text.contains(&run)
                    && (signs.is_empty() || signs.iter().any(|sign| line.text.contains(sign)))
            };
            if let Some(line) = line.filter(is_candidate)
                && let Ok(Entry::Record(record)) = decode(line)
                && filter.dag_id.is_none_or(|dag_id| *record.dag_id == *dag_id)
                && let Fact::Run(number, fact) = &record.fact
                && let Some(facts) = facts(fact)
                && filter.takes(facts)
            {
                numbers.insert(*number);
            }
            true
        }))?;
        // Of two runs of one name, the older was deleted.
        if filter.logical_dates.is_none() && !numbers.is_empty() {
            break;
        }
    }
    Ok(numbers)
}

/// What is said of a run by the line that begins it.
fn facts(fact: &RunFact) -> Option<&RunFacts> {
    if let RunFact::Created(facts) = fact {
        Some(facts)
    } else if let RunFact::Restored(image) = fact {
        Some(&image.facts)
    } else {
        None
    }
}

/// The run that a line is about.
fn number_of(line: &str) -> Option<RunNumber> {
    let (_, run) = line.split_once("\"run\":\"")?;
    let (_, number) = run.split_once('"')?.0.rsplit_once('/')?;
    number.parse().ok().map(RunNumber)
}

/// A segment that is deleted meanwhile has nothing.
fn was_there(read: io::Result<()>) -> io::Result<()> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        read => read,
    }
}

/// What a list of many runs is told: what their tasks have left may be 1 MiB a run, and no list shows it.
fn without_xcoms(mut record: Record) -> Record {
    match &mut record.fact {
        Fact::Run(_, RunFact::Task(_, TaskFact::Ended { attempt, .. })) => attempt.xcom = None,
        Fact::Run(_, RunFact::Restored(image)) => {
            image.tasks.iter_mut().for_each(|task| task.xcom = None);
        }
        Fact::Run(..)
        | Fact::Seen { .. }
        | Fact::Paused(_)
        | Fact::Skipped { .. }
        | Fact::Rewound { .. }
        | Fact::Passed(_)
        | Fact::Backfill(..)
        | Fact::Restored { .. } => {}
    }
    record
}

fn read_segment(
    disk: &dyn Disk,
    segment: &Segment,
    limit: u64,
    filter: Filter<'_>,
    wanted: Option<&BTreeSet<RunNumber>>,
    found: &mut BTreeMap<RunNumber, Found>,
) -> io::Result<()> {
    let run = filter.run();
    let header = segment.header.as_ref();
    let snapshot = header.and_then(|header| Some(header.seq..=header.seq + header.snapshot?));
    let mut here: BTreeMap<RunNumber, Vec<Record>> = BTreeMap::new();
    stretches(disk, &segment.file, &mut |stretch| {
        let is_wanted = |number| wanted.is_none_or(|wanted| wanted.contains(&number));
        let line = stretch.line.ok();
        let line = line.filter(|line| line.seq < limit && line.text.contains(&run));
        let Some(line) = line.filter(|line| number_of(line.text).is_some_and(is_wanted)) else {
            return true;
        };
        let Ok(Entry::Record(record)) = decode(line) else {
            return true;
        };
        let Fact::Run(number, fact) = &record.fact else {
            return true;
        };
        let number = *number;
        if filter
            .dag_id
            .is_some_and(|dag_id| *record.dag_id != *dag_id)
        {
            return true;
        }
        let run = found.entry(number).or_default();
        match fact {
            RunFact::Created(_) => run.is_whole = true,
            RunFact::Restored(_) => {
                if snapshot
                    .as_ref()
                    .is_some_and(|range| range.contains(&line.seq))
                {
                    run.image = Some(if filter.is_narrow() {
                        record
                    } else {
                        without_xcoms(record)
                    });
                    // What came before a snapshot in the same segment there is none of.
                    return true;
                }
            }
            RunFact::Started
            | RunFact::Stopped(_)
            | RunFact::Ended { .. }
            | RunFact::Cleared(_)
            | RunFact::Noted(_)
            | RunFact::Deleted
            | RunFact::Task(..) => {}
        }
        let record = if filter.is_narrow() {
            record
        } else {
            without_xcoms(record)
        };
        here.entry(number).or_default().push(record);
        true
    })?;
    for (number, records) in here {
        found.entry(number).or_default().records.push(records);
    }
    Ok(())
}
