//! What has happened, counted by name: a feature that is silently not drawn any more, or a fault that no
//! longer comes to anything, is missed at the end of a long run.

use std::collections::BTreeMap;

use mini_dag::scheduler::{
    BackfillChange, BackfillFact, Choice, ClockTrust, Command, Ended, Event, Exit, Fact, HookCall,
    HookLevel, Mark, Occasion, Record, Reprocess, RunFact, RunType, Settled, Signal, StopCause,
    StopReason, TaskFact,
};

/// Each of these happens in a thousand worlds, most of them in a dozen.
pub const ALL: &[&str] = &[
    // People and other programs.
    "trigger",
    "trigger: for another date",
    "refused",
    "cancel",
    "clear",
    "clear: what runs",
    "mark: success",
    "mark: failed",
    "mark: skipped",
    "mark: what runs",
    "mark: what ran has ended",
    "note",
    "delete",
    "recalled",
    "pause",
    "unpause",
    "backfill",
    "backfill: newest first",
    "backfill: failed again",
    "backfill: all again",
    "backfill: paused",
    "backfill: unpaused",
    "backfill: cancelled",
    "backfill: passed over",
    "backfill: completed",
    // The schedule.
    "due: a moment",
    "due: after a boot",
    "due: after others",
    "due: all the time",
    "due: at the end of a gap",
    "due: in a fold, first",
    "due: in a fold, again",
    "skipped",
    "passed over",
    "rewound",
    "clock: unsynchronised",
    "clock: implausible",
    "clock: set",
    "run: cancelled",
    "run: timed out",
    "run: success",
    "run: failed",
    // Tasks.
    "task: success",
    "task: failed",
    "task: skipped",
    "task: tried again",
    "task: not yet",
    "task: poked without a record",
    "task: interrupted",
    "task: timed out",
    "task: killed",
    "task: stopped with its run",
    "task: not started",
    "task: unseen",
    "task: leaves something",
    "task: a branch",
    "task: a short circuit",
    "settled: success",
    "settled: failed",
    "settled: skipped",
    "settled: upstream failed",
    "waits: for the run before",
    "waits: for slots of a pool",
    // Runs that tasks trigger.
    "child: on its own",
    "child: of its own DAG",
    "child: found after a crash",
    "child: stopped",
    "child: cleared",
    "child: deleted",
    "wait: begins",
    "wait: goes on",
    "wait: for a turn",
    "wait: for a DAG that is paused",
    "wait: for a DAG that is not there",
    "wait: the run has succeeded",
    "wait: the run has failed",
    "wait: the run is gone",
    "wait: timed out",
    "wait: given up, it would never end",
    "wait: stopped with its run",
    "refused: no such DAG",
    "refused: a param",
    "refused: too many after each other",
    "refused: would never end",
    "hook: of a task",
    "hook: of a DAG",
    "hook: of all",
    "told twice",
    // What befalls a daemon.
    "reload",
    "reload: in mid-run",
    "removed",
    "removed: in mid-run",
    "config",
    "shutdown",
    "night",
    "crash: the process",
    "crash: the power",
    "crash: between records",
    "crash: between actions",
    "crash: at an operation of the disk",
    "tail: torn",
    "tail: zeroed",
    "tail: garbage",
    "lost records",
    "disk: EIO",
    "disk: ENOSPC",
    "disk: EROFS",
    "disk: short write",
    "disk: full",
    "not recording",
    "recording again",
];

/// How often each has happened.
#[derive(Clone, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub fn count(&mut self, what: &'static str) {
        assert!(ALL.contains(&what), "`{what}` is not in the list");
        *self.0.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Those that have never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        let all = ALL.iter().copied();
        all.filter(|what| !self.0.contains_key(what)).collect()
    }

    /// The rarest of all.
    pub fn rarest(&self) -> Vec<(u64, &'static str)> {
        let mut counts: Vec<_> = self.0.iter().map(|(what, count)| (*count, *what)).collect();
        counts.sort_unstable();
        counts.truncate(6);
        counts
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Limits(_) => self.count("config"),
            Event::Recording(false) => self.count("not recording"),
            Event::Recording(true) => self.count("recording again"),
            Event::Shutdown => self.count("shutdown"),
            Event::Command(_, command) => self.command(command),
            Event::Tick
            | Event::Booted(_)
            | Event::DagLoaded(_)
            | Event::DagRemoved(_)
            | Event::Exited(..)
            | Event::Lost(_)
            | Event::Clock(_)
            | Event::Recalled(..)
            | Event::Found(..) => {}
        }
    }

    fn command(&mut self, command: &Command) {
        self.count(match command {
            Command::Trigger(trigger) if trigger.logical_date.is_some() => {
                "trigger: for another date"
            }
            Command::Trigger(_) => "trigger",
            Command::Cancel { .. } => "cancel",
            Command::Clear { .. } => "clear",
            Command::Mark { mark, .. } => match mark {
                Mark::Success => "mark: success",
                Mark::Failed => "mark: failed",
                Mark::Skipped => "mark: skipped",
            },
            Command::Note { .. } => "note",
            Command::Delete { .. } => "delete",
            Command::Pause {
                is_paused: true, ..
            } => "pause",
            Command::Pause { .. } => "unpause",
            Command::Backfill(new) => match new.facts.reprocess {
                _ if new.facts.newest_first => "backfill: newest first",
                Reprocess::None => "backfill",
                Reprocess::Failed => "backfill: failed again",
                Reprocess::Completed => "backfill: all again",
            },
            Command::ChangeBackfill(_, change) => match change {
                BackfillChange::Pause => "backfill: paused",
                BackfillChange::Unpause => "backfill: unpaused",
                BackfillChange::Cancel => "backfill: cancelled",
            },
        });
    }

    pub fn signal(&mut self, signal: Signal) {
        if signal == Signal::Kill {
            self.count("task: killed");
        }
    }

    pub fn hook(&mut self, call: &HookCall) {
        self.count(match call.level {
            HookLevel::Task => "hook: of a task",
            HookLevel::Dag => "hook: of a DAG",
            HookLevel::All => "hook: of all",
        });
    }

    pub fn record(&mut self, record: &Record) {
        match &record.fact {
            Fact::Skipped { .. } => self.count("skipped"),
            Fact::Rewound { .. } => self.count("rewound"),
            Fact::Passed(_) => self.count("passed over"),
            Fact::Backfill(_, BackfillFact::Passed { .. }) => self.count("backfill: passed over"),
            Fact::Backfill(_, BackfillFact::Completed) => self.count("backfill: completed"),
            Fact::Run(_, fact) => self.run(fact),
            Fact::Seen { .. } | Fact::Paused(_) | Fact::Restored { .. } | Fact::Backfill(..) => {}
        }
    }

    fn run(&mut self, fact: &RunFact) {
        match fact {
            RunFact::Created(facts) => {
                match (&facts.occasion, facts.run_type) {
                    (Some(Occasion::Boot(_)), _) => self.count("due: after a boot"),
                    (Some(Occasion::After(_)), _) => self.count("due: after others"),
                    (_, RunType::Scheduled) => self.count("due: a moment"),
                    (_, RunType::Manual | RunType::Backfill) => {}
                }
                match facts.clock {
                    ClockTrust::Synchronised => {}
                    ClockTrust::Unsynchronised => self.count("clock: unsynchronised"),
                    ClockTrust::Implausible => self.count("clock: implausible"),
                }
            }
            RunFact::Stopped(StopReason::Cancelled) => self.count("run: cancelled"),
            RunFact::Stopped(StopReason::TimedOut) => self.count("run: timed out"),
            RunFact::Ended { success: true } => self.count("run: success"),
            RunFact::Ended { success: false } => self.count("run: failed"),
            RunFact::Task(_, fact) => self.task(fact),
            RunFact::Restored(_)
            | RunFact::Started
            | RunFact::Cleared(_)
            | RunFact::Noted(_)
            | RunFact::Deleted => {}
        }
    }

    fn task(&mut self, fact: &TaskFact) {
        let (state, attempt, choice) = match fact {
            TaskFact::Ended {
                state,
                attempt,
                choice,
                ..
            } => (state, attempt, choice),
            TaskFact::Settled(settled) => {
                return self.count(match settled {
                    Settled::Success => "settled: success",
                    Settled::Failed => "settled: failed",
                    Settled::Skipped => "settled: skipped",
                    Settled::UpstreamFailed => "settled: upstream failed",
                });
            }
            TaskFact::Started { .. } | TaskFact::Marked(_) | TaskFact::Noted(_) => return,
            TaskFact::Ending(_) => return self.count("mark: what runs"),
        };
        self.count(match state {
            Ended::Success => "task: success",
            Ended::Failed => "task: failed",
            Ended::Skipped => "task: skipped",
            Ended::UpForRetry(_) => "task: tried again",
            Ended::Rescheduled => "task: not yet",
            Ended::Interrupted => "task: interrupted",
        });
        match attempt.stopped {
            Some(StopCause::TimedOut) => self.count("task: timed out"),
            Some(StopCause::RunStopped) => self.count("task: stopped with its run"),
            Some(StopCause::Cleared) => self.count("clear: what runs"),
            Some(StopCause::Marked) => self.count("mark: what ran has ended"),
            Some(StopCause::Shutdown) | None => {}
        }
        match attempt.exit {
            Exit::NotStarted(_) => self.count("task: not started"),
            Exit::Unknown => self.count("task: unseen"),
            Exit::Code(_) | Exit::Signal(_) => {}
        }
        if attempt.xcom.is_some() {
            self.count("task: leaves something");
        }
        match choice {
            Some(Choice::Follow(_)) => self.count("task: a branch"),
            Some(Choice::Nothing) => self.count("task: a short circuit"),
            None => {}
        }
    }
}
