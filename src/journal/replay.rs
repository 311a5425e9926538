//! From lines to a state: recovery, and every question that is asked without a daemon.

use std::sync::Arc;

use super::decode::{Entry, is_unsynced};
use super::disk::Disk;
use super::encode::Header;
use super::scan::{Line, OpenError, Report, Segment, Walked, limit, list, walk};
use crate::dag::Dag;
use crate::scheduler::{
    ApplyError, Fact, Occasion, Record, RunFact, RunImage, RunNumber, RunState, State, StopReason,
};
use crate::timetable::Timestamp;

/// How often a reader begins anew because the daemon deleted what it was about to read, or the disk
/// would not give it.
const ATTEMPTS: u32 = 5;
/// Refused records that are told one by one.
const REFUSED_MAX: usize = 1_000;

/// What a journal says.
#[derive(Debug)]
pub struct Recovered {
    /// What is.
    pub state: State,
    /// How the journal is.
    pub report: Report,
    /// Which boot the newest segment was begun in.
    pub boot_id: Option<String>,
    /// When the last record was written while the clock was synchronised.
    pub synced_at: Option<Timestamp>,
}

/// All that replay finds out.
pub(super) struct Replay {
    pub state: State,
    pub walked: Walked,
    pub segments: Vec<Segment>,
    /// The segment that it began at.
    pub base: Option<u64>,
    /// What is known of DAGs that are not there, in a form that can be applied at any later time.
    pub absent: Vec<Record>,
    /// When the last record was written while the clock was synchronised.
    pub synced_at: Option<Timestamp>,
}

impl Replay {
    pub fn boot_id(&self) -> Option<&str> {
        let header = self.last_header()?;
        Some(&header.boot_id)
    }

    fn last_header(&self) -> Option<&Header> {
        let mut newest_first = self.segments.iter().rev();
        newest_first.find_map(|segment| segment.header.as_ref())
    }
}

/// Reads a journal and changes nothing, while a daemon writes it or not. O(what came since the newest
/// snapshot).
pub fn read_state(
    disk: &dyn Disk,
    dags: impl IntoIterator<Item = Arc<Dag>>,
) -> Result<Recovered, OpenError> {
    let replay = replay(disk, dags)?;
    let boot_id = replay.boot_id().map(str::to_owned);
    Ok(Recovered {
        state: replay.state,
        report: replay.walked.report,
        boot_id,
        synced_at: replay.synced_at,
    })
}

pub(super) fn replay(
    disk: &dyn Disk,
    dags: impl IntoIterator<Item = Arc<Dag>>,
) -> Result<Replay, OpenError> {
    let mut known = State::default();
    for dag in dags {
        known.insert_dag(dag);
    }
    for _ in 1..ATTEMPTS {
        let replay = replay_once(disk, &known)?;
        if !replay.walked.is_partial {
            return Ok(replay);
        }
    }
    replay_once(disk, &known)
}

/// Begins at the newest segment whose snapshot verifies. That shows when it has been read, and one that does not is
/// rare: so it is read as if it did.
fn replay_once(disk: &dyn Disk, known: &State) -> Result<Replay, OpenError> {
    let segments = list(disk)?;
    for base in (0..segments.len()).rev() {
        if let Some(snapshot) = Snapshot::of(&segments, base)
            && let Some(replay) = replay_from(disk, &segments, Some((base, snapshot)), known)
        {
            return Ok(replay);
        }
    }
    let replay = replay_from(disk, &segments, None, known);
    Ok(replay.expect("what begins at no snapshot waits for none"))
}

/// Which lines of a snapshot are still to come.
struct Snapshot {
    next: u64,
    last: u64,
    /// A line is missing, or stands for lost ones.
    is_broken: bool,
}

impl Snapshot {
    /// That of a segment; `None` if there is none, or later segments take the place of a part of it.
    fn of(segments: &[Segment], index: usize) -> Option<Self> {
        let header = segments[index].header.as_ref()?;
        let last = header.seq + header.snapshot?;
        (last < limit(segments, index)).then_some(Self {
            next: header.seq,
            last,
            is_broken: false,
        })
    }

    fn take(&mut self, line: &Line<'_>) {
        if self.next <= self.last {
            let is_lost = matches!(line.entry, Entry::Repaired(_));
            self.is_broken |= line.seq != self.next || is_lost;
            self.next += 1;
        }
    }

    fn verifies(&self) -> bool {
        !self.is_broken && self.next > self.last
    }
}

/// Replays from a segment on, or from the first; `None` if its snapshot does not verify.
fn replay_from(
    disk: &dyn Disk,
    segments: &[Segment],
    base: Option<(usize, Snapshot)>,
    known: &State,
) -> Option<Replay> {
    let (base, mut snapshot) = base.unzip();
    let mut state = known.clone();
    let mut absent = Vec::new();
    let mut refused = Vec::new();
    // A snapshot's lines are no older or younger than its segment.
    let (mut synced_at, mut snapshot_end) = (None, 0);
    let from = &segments[base.unwrap_or(0)..];
    let mut walked = walk(disk, from, &mut |line| {
        if let Some(snapshot) = &mut snapshot {
            snapshot.take(&line);
            if snapshot.is_broken {
                return;
            }
        }
        match line.entry {
            Entry::Header(header) => {
                state.skip_runs(header.runs_created);
                synced_at = header.synced_at.or(synced_at);
                snapshot_end = header.seq + header.snapshot.unwrap_or(0);
            }
            Entry::Record(_) if line.is_snapshot => {}
            Entry::Record(record) => {
                if line.seq > snapshot_end && !is_unsynced(line.raw) {
                    synced_at = Some(record.at);
                }
                if state.dag(&record.dag_id).is_none() {
                    match record.fact {
                        Fact::Run(number, _) => state.skip_runs(number.0),
                        Fact::Backfill(number, _) => state.skip_backfills(number),
                        Fact::Seen { .. }
                        | Fact::Paused(_)
                        | Fact::Skipped { .. }
                        | Fact::Rewound { .. }
                        | Fact::Passed(_)
                        | Fact::Restored { .. } => {}
                    }
                    absent.extend(for_any_time(record));
                } else if let Err(error) = apply_replayed(&mut state, &record)
                    && refused.len() < REFUSED_MAX
                {
                    refused.push((record.dag_id.to_string(), error.to_string()));
                }
            }
            Entry::Repaired(_) => {}
        }
    });
    if snapshot.is_some_and(|snapshot| !snapshot.verifies()) {
        return None;
    }
    walked.report.refused = refused;
    // Without a snapshot to begin at, only the very first segment says all.
    let begins = from.first().and_then(|segment| segment.header.as_ref());
    if base.is_none() && begins.is_some_and(|header| header.seq > 1) {
        walked.report.held = true;
    }
    Some(Replay {
        state,
        walked,
        base: base.map(|index| segments[index].number),
        segments: segments.to_vec(),
        absent,
        synced_at,
    })
}

/// Records that say the same, but can be applied after runs with later numbers: `run_created` as
/// `run_restored`, and beforehand what that does not say, that its occasion is served.
fn for_any_time(mut record: Record) -> impl Iterator<Item = Record> {
    let served = if let Fact::Run(_, RunFact::Created(facts)) = &record.fact {
        // A backfill's run says itself how far its backfill has come, and one that was triggered by whom.
        let is_said =
            |occasion: &&Occasion| matches!(occasion, Occasion::Backfill(_) | Occasion::Task(_));
        facts.occasion.as_ref().filter(|o| !is_said(o)).cloned()
    } else {
        None
    };
    if let Fact::Run(_, fact) = &mut record.fact
        && let RunFact::Created(facts) = fact
    {
        *fact = RunFact::Restored(Box::new(RunImage {
            facts: facts.clone(),
            state: RunState::Queued,
            queued_at: record.at,
            started_at: None,
            ended_at: None,
            stopped: None,
            note: "".into(),
            tasks: Vec::new(),
        }));
    }
    let served = served.map(|occasion| Record {
        fact: Fact::Passed(occasion),
        ..record.clone()
    });
    served.into_iter().chain([record])
}

/// Applies a record of the past. A run that has ended is over, even if its DAG has got tasks since that
/// it never had: they are `skipped`. What a run that finds no place says of its DAG holds all the same.
pub fn apply_replayed(state: &mut State, record: &Record) -> Result<(), ApplyError> {
    let result = apply_or_stop(state, record);
    if let (Err(_), Fact::Run(number, fact)) = (&result, &record.fact) {
        state.note_run(&record.dag_id, *number, fact);
    }
    result
}

fn apply_or_stop(state: &mut State, record: &Record) -> Result<(), ApplyError> {
    let result = state.apply(record);
    let Fact::Run(number, RunFact::Ended { .. }) = record.fact else {
        return result;
    };
    if result.is_ok() || !is_live(state, number) {
        return result;
    }
    let stopped = Fact::Run(number, RunFact::Stopped(StopReason::Cancelled));
    state.apply(&Record {
        fact: stopped,
        ..record.clone()
    })?;
    state.apply(record)
}

fn is_live(state: &State, number: RunNumber) -> bool {
    state
        .run(number)
        .is_some_and(|run| !run.state.is_finished())
}
