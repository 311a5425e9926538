//! Backfills, told a second time: which dates are theirs, that none is run twice or although it has a run, how many of
//! their runs are active, and that they come to an end.

use std::collections::BTreeMap;

use mini_dag::scheduler::{
    BackfillChange, BackfillFact, BackfillFacts, BackfillNumber, Command, Event, Fact, NewBackfill,
    Occasion, PastDate, Record, Reprocess, RunFact, RunState, RunType, Scheduler,
};
use mini_dag::timetable::Timestamp;

use crate::model::Model;
use crate::rhythm::Rhythm;
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;

/// A backfill that is not over.
pub struct Fill {
    dag_id: String,
    facts: BackfillFacts,
    is_paused: bool,
    /// The logical date that was run last, and its fire.
    last: Option<(i64, i64)>,
}

impl World {
    /// A command about a backfill of a DAG.
    pub fn backfill(&mut self, dag_id: String) -> Command {
        let numbers: Vec<_> = self.model.fills.keys().copied().collect();
        if self.rng.one_in(3) && !numbers.is_empty() {
            let change = *self.rng.pick(&[
                BackfillChange::Pause,
                BackfillChange::Unpause,
                BackfillChange::Unpause,
                BackfillChange::Cancel,
            ]);
            return Command::ChangeBackfill(*self.rng.pick(&numbers), change);
        }
        let to = self.wall_ms() - i64::from(self.rng.small(20)) * HOUR_MS / 10;
        let from = to - i64::from(self.rng.small(12)) * HOUR_MS / 6;
        Command::Backfill(NewBackfill {
            dag_id,
            facts: BackfillFacts {
                from: Timestamp::from_millis(from),
                to: Timestamp::from_millis(to),
                reprocess: *self.rng.pick(&[
                    Reprocess::None,
                    Reprocess::None,
                    Reprocess::Failed,
                    Reprocess::Completed,
                ]),
                newest_first: self.rng.one_in(3),
                max_active_runs: 1 + self.rng.small(2),
                params: BTreeMap::new(),
            },
        })
    }

    pub fn unpause_backfills(&mut self) {
        let numbers: Vec<_> = self.model.fills.keys().copied().collect();
        for number in numbers {
            self.ask(Command::ChangeBackfill(number, BackfillChange::Unpause));
        }
        // One of a DAG that does not come back never ends.
        for (number, fill) in &self.model.fills {
            if self.removed.contains(&fill.dag_id) {
                let cancel = Command::ChangeBackfill(*number, BackfillChange::Cancel);
                return self.ask_and_go_on(cancel);
            }
        }
    }

    fn ask_and_go_on(&mut self, command: Command) {
        self.ask(command);
        self.unpause_backfills();
    }

    /// History has been read.
    pub fn look_back(&mut self, due_ms: u64) {
        let at = self.looks.iter().position(|(at, _)| *at == due_ms);
        let (_, look) = self.looks.remove(at.expect("one is due"));
        let mut runs = BTreeMap::new();
        for record in self.log.iter().filter(|r| r.dag_id == look.dag_id) {
            let Fact::Run(number, fact) = &record.fact else {
                continue;
            };
            let state = match fact {
                RunFact::Created(facts) => {
                    let is_backfill = facts.run_type == RunType::Backfill;
                    let run = (facts.logical_date, RunState::Queued, is_backfill);
                    runs.insert(*number, run);
                    continue;
                }
                RunFact::Started => RunState::Running,
                RunFact::Ended { success: true } => RunState::Success,
                RunFact::Ended { success: false } => RunState::Failed,
                RunFact::Cleared(_) => RunState::Queued,
                RunFact::Deleted => {
                    runs.remove(number);
                    continue;
                }
                RunFact::Restored(_)
                | RunFact::Stopped(_)
                | RunFact::Noted(_)
                | RunFact::Task(..) => continue,
            };
            if let Some(run) = runs.get_mut(number) {
                run.1 = state;
            }
        }
        let mut dates: BTreeMap<Timestamp, PastDate> = BTreeMap::new();
        for (logical_date, state, is_backfill) in runs.into_values() {
            if (look.from..=look.to).contains(&logical_date) {
                let before = dates.get(&logical_date).map_or(0, |date| date.backfills);
                let backfills = before + u32::from(is_backfill);
                let date = PastDate {
                    logical_date,
                    state,
                    backfills,
                };
                dates.insert(logical_date, date);
            }
        }
        let dates = dates.into_values().collect();
        self.step(Event::Found(look.backfill, dates));
    }
}

impl Model {
    pub fn adopt_backfills(&mut self, scheduler: &Scheduler) {
        for (number, backfill) in scheduler.state().backfills() {
            if !backfill.is_over() && !self.fills.contains_key(&number) {
                let fill = Fill {
                    dag_id: backfill.dag_id.to_string(),
                    facts: BackfillFacts::clone(&backfill.facts),
                    is_paused: backfill.is_paused,
                    last: None,
                };
                self.fills.insert(number, fill);
            }
        }
    }

    /// How many runs of backfills of a DAG may be active.
    pub fn backfill_bound(&self, dag_id: &str, otherwise: u32) -> u32 {
        let fill = self.fills.values().find(|fill| fill.dag_id == dag_id);
        fill.map_or(otherwise, |fill| {
            if fill.is_paused {
                0
            } else {
                fill.facts.max_active_runs
            }
        })
    }

    pub fn check_backfill(&mut self, record: &Record) {
        let dag_id = record.dag_id.to_string();
        match &record.fact {
            Fact::Backfill(number, BackfillFact::Created(facts)) => {
                let is_first = self.fills.values().all(|fill| fill.dag_id != dag_id);
                assert!(is_first, "a second backfill of `{dag_id}`");
                let fill = Fill {
                    dag_id,
                    facts: BackfillFacts::clone(facts),
                    is_paused: false,
                    last: None,
                };
                self.fills.insert(*number, fill);
            }
            Fact::Backfill(number, fact) => {
                let fill = self.fills.get_mut(number).expect("it is not over");
                match fact {
                    BackfillFact::Paused(is_paused) => fill.is_paused = *is_paused,
                    BackfillFact::Passed { .. } => assert!(!fill.is_paused),
                    BackfillFact::Cancelled => {
                        self.fills.remove(number);
                    }
                    BackfillFact::Completed => {
                        assert!(!fill.is_paused);
                        self.fills.remove(number);
                        let mut live = self.live_runs(&dag_id);
                        assert!(
                            live.all(|run| !run.is_backfill),
                            "{number:?} has runs to go"
                        );
                    }
                    BackfillFact::Created(_) | BackfillFact::Restored(_) => {
                        unreachable!("not live")
                    }
                }
            }
            Fact::Run(_, RunFact::Created(facts)) if facts.run_type == RunType::Backfill => {
                let Some(Occasion::Backfill(number)) = facts.occasion else {
                    panic!("of no backfill");
                };
                let live = self.live_runs(&dag_id).filter(|run| run.is_backfill);
                let live = live.count();
                let fill = self.fills.get_mut(&number).expect("it is not over");
                assert!(
                    self.is_recording && !fill.is_paused,
                    "I11 or I16: {number:?}"
                );
                assert!(live < fill.facts.max_active_runs as usize, "I4: {number:?}");
                let (from, to) = (fill.facts.from.millis(), fill.facts.to.millis());
                let date = facts.logical_date.millis();
                assert!((from..=to).contains(&date), "{date} of {from}..={to}");
                let (_, fire) = facts.data_interval.expect("it has one");
                let fire = fire.millis();
                let follows = fill.last.is_none_or(|(last, last_fire)| {
                    if fill.facts.newest_first {
                        fire < last_fire
                    } else {
                        date > last && fire > last_fire
                    }
                });
                assert!(follows, "I1: {date} after {:?}", fill.last);
                fill.last = Some((date, fire));
                let due = &self.dues[&dag_id];
                let (plan, seen) = (&due.version.plan, due.first_seen.unwrap());
                let is_due = match (&plan.rhythm, plan.start_ms(seen)) {
                    // It may have been due before it was seen, had it been there.
                    (Rhythm::Every(period), None) => (fire - seen) % period == 0,
                    _ => plan.fires(seen, fire - 1, fire).next() == Some(fire),
                };
                assert!(is_due, "{fire} is not a date of `{dag_id}`");
            }
            Fact::Seen { .. }
            | Fact::Paused(_)
            | Fact::Skipped { .. }
            | Fact::Rewound { .. }
            | Fact::Passed(_)
            | Fact::Run(..)
            | Fact::Restored { .. } => {}
        }
    }

    /// I9.
    pub fn check_all_backfills_ended(&self) {
        let left: Vec<BackfillNumber> = self.fills.keys().copied().collect();
        assert_eq!(left, [], "I9: backfills that are not over");
    }
}
