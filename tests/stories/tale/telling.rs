//! What happened, as lines of text.

use std::fmt::Write as _;

use mini_dag::scheduler::{
    BackfillFact, Fact, HookCall, HookOccasion, Occasion, Record, RunFact, RunType, TaskFact,
    TaskState,
};

use super::Tale;

impl Tale {
    pub(super) fn tell_hook(&mut self, call: &HookCall) {
        let (now_s, name) = (self.now_s, call.kind.name());
        let of = match &call.occasion {
            HookOccasion::Task { task, .. } => call.dag.task(*task).task_id.to_string(),
            HookOccasion::Run {
                failed, duration, ..
            } => {
                let failed = failed.iter().map(|it| &*call.dag.task(*it).task_id);
                let failed: Vec<_> = failed.collect();
                let run_id = &call.facts.run_id;
                format!("{run_id} {}s [{}]", duration.as_secs(), failed.join(" "))
            }
        };
        let level = call.level;
        writeln!(self.told, "{now_s} {name} {level:?}: {of}").unwrap();
    }

    pub(super) fn tell(&mut self, record: &Record) {
        let now_s = self.now_s;
        let line = match &record.fact {
            Fact::Paused(true) => "paused".to_owned(),
            Fact::Paused(false) => "unpaused".to_owned(),
            Fact::Seen { .. } | Fact::Restored { .. } => return,
            Fact::Skipped { until } => format!("skipped until {}", short(&until.to_string())),
            Fact::Rewound { until } => format!("back to {}", short(&until.to_string())),
            Fact::Passed(Occasion::Boot(boot_id)) => format!("passed {boot_id}"),
            Fact::Passed(Occasion::After(successes)) => format!("passed {successes:?}"),
            Fact::Passed(Occasion::Backfill(_) | Occasion::Task(_)) => {
                unreachable!("its run says so")
            }
            Fact::Backfill(number, fact) => {
                let what = match fact {
                    BackfillFact::Created(_) => "created".to_owned(),
                    BackfillFact::Restored(_) => "restored".to_owned(),
                    BackfillFact::Paused(true) => "paused".to_owned(),
                    BackfillFact::Paused(false) => "unpaused".to_owned(),
                    BackfillFact::Passed { until, dates } => {
                        format!("passed {dates} until {}", &until.to_string()[5..])
                    }
                    BackfillFact::Cancelled => "cancelled".to_owned(),
                    BackfillFact::Completed => "completed".to_owned(),
                };
                format!("backfill {} {what}", number.0)
            }
            Fact::Run(number, fact) => {
                if let RunFact::Created(facts) = fact {
                    let run_id = short(facts.run_id.trim_start_matches("scheduled__"));
                    let run_id = run_id.replace("backfill__2026-", "fill-");
                    self.runs.insert(*number, run_id);
                }
                let run_id = &self.runs[number];
                match fact {
                    RunFact::Created(facts) if facts.run_type == RunType::Scheduled => {
                        format!("due {}", short(&facts.run_id["scheduled__".len()..]))
                    }
                    RunFact::Created(facts) if facts.run_type == RunType::Backfill => {
                        format!("due {run_id}")
                    }
                    RunFact::Created(_) => return,
                    RunFact::Restored(_) => format!("{run_id} recalled"),
                    RunFact::Started => format!("{run_id} running"),
                    RunFact::Stopped(_) => format!("{run_id} stopped"),
                    RunFact::Ended { success: true } => format!("{run_id} success"),
                    RunFact::Ended { success: false } => format!("{run_id} failed"),
                    RunFact::Cleared(tasks) => format!("clear {}", tasks.join(" ")),
                    RunFact::Noted(note) => format!("{run_id} noted {note}").trim_end().to_owned(),
                    RunFact::Deleted => format!("{run_id} deleted"),
                    RunFact::Task(task_id, TaskFact::Marked(mark)) => {
                        format!("{task_id} marked {}", TaskState::from(*mark).name())
                    }
                    RunFact::Task(task_id, TaskFact::Ending(mark)) => {
                        format!("{task_id} ending {}", TaskState::from(*mark).name())
                    }
                    RunFact::Task(task_id, TaskFact::Noted(note)) => {
                        format!("{task_id} noted {note}").trim_end().to_owned()
                    }
                    RunFact::Task(task_id, TaskFact::Started { try_number }) => {
                        format!("{task_id} {try_number} running")
                    }
                    RunFact::Task(
                        task_id,
                        TaskFact::Ended {
                            try_number,
                            state,
                            attempt,
                            ..
                        },
                    ) => {
                        let state = TaskState::from(*state).name();
                        match &attempt.reason {
                            Some(why) => format!("{task_id} {try_number} {state}: {why}"),
                            None => format!("{task_id} {try_number} {state}"),
                        }
                    }
                    RunFact::Task(task_id, TaskFact::Settled(state)) => {
                        format!("{task_id} {}", TaskState::from(*state).name())
                    }
                }
            }
        };
        writeln!(self.told, "{now_s} {line}").unwrap();
    }

    pub fn tells(&self, expected: &str) {
        let expected: String = expected
            .lines()
            .fold(String::new(), |text, line| text + line.trim() + "\n");
        assert!(
            self.told == expected,
            "told:\n{}\nexpected:\n{expected}",
            self.told
        );
    }

    /// What was told so far does not matter.
    pub fn forget_told(mut self) -> Self {
        self.told.clear();
        self
    }
}

/// A date of the year that tales begin in goes without it.
fn short(date: &str) -> &str {
    date.strip_prefix("2026-").unwrap_or(date)
}
