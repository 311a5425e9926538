//! What is on record: the program ends and begins anew, and what it has forgotten is wanted back.

use std::collections::BTreeMap;
use std::sync::Arc;

use mini_dag::journal::apply_replayed;
use mini_dag::scheduler::{
    Event, Fact, Look, PastDate, Record, RunFact, RunState, RunType, Scheduler, State,
};
use mini_dag::timetable::Timestamp;

use super::Tale;

impl Tale {
    /// The program ends without a word, and is back later: what ran is lost, what was recorded is not.
    pub fn crash_until(mut self, back_s: u64) -> Self {
        self.processes.clear();
        self.now_s = back_s;
        let state = self.replayed();
        let live = self.scheduler().state();
        let is_there = |dag_id: &str| state.dag(dag_id).is_some();
        let are_all_there = live.dags().all(|known| is_there(&known.dag.dag_id));
        assert!(
            !are_all_there || state == *live,
            "the records do not make the state"
        );
        assert!(
            !are_all_there || self.restored(&state) == state,
            "a snapshot does not make the state"
        );
        let scheduler = Scheduler::resume(self.limits(), state, self.now());
        let lost: Vec<_> = scheduler.live_attempts().collect();
        self.scheduler = Some(scheduler);
        if let Some(report) = self.report {
            self.step(Event::Clock(report));
        }
        self.step(Event::Booted(self.boot_id()));
        for id in lost {
            self.step(Event::Lost(id));
        }
        for dag in self.dags() {
            self.step(Event::DagLoaded(dag));
        }
        self
    }

    /// The power fails, and the host boots again later.
    pub fn reboot_until(mut self, back_s: u64) -> Self {
        self.boots += 1;
        self.crash_until(back_s)
    }

    /// The power goes: only the first records are on the disk.
    pub fn lose_all_but(mut self, kept: usize) -> Self {
        self.records.truncate(kept);
        let state = self.replayed();
        self.scheduler = Some(Scheduler::resume(self.limits(), state, self.now()));
        self
    }

    /// What the records say of the DAGs that are there.
    pub(super) fn replayed(&self) -> State {
        let mut state = State::default();
        for dag in self.dags() {
            state.insert_dag(dag);
        }
        for record in &self.records {
            if state.dag(&record.dag_id).is_some() {
                state.apply(record).unwrap();
            } else if let Fact::Run(number, _) = record.fact {
                state.skip_runs(number.0);
            }
        }
        state
    }

    /// The program begins anew, and all that it finds is a snapshot.
    pub fn begin_with_a_snapshot(mut self) -> Self {
        let live = self.scheduler().state().clone();
        let state = self.restored(&live);
        self.scheduler = Some(Scheduler::resume(self.limits(), state, self.now()));
        self
    }

    /// What a snapshot of a state makes.
    fn restored(&self, state: &State) -> State {
        let mut restored = State::default();
        for dag in self.dags() {
            restored.insert_dag(dag);
        }
        for record in state.snapshot(self.now().wall) {
            restored.apply(&record).unwrap();
        }
        restored.skip_runs(state.next_run().0 - 1);
        restored
    }

    /// Takes over what is on record of a DAG that was not there when the program began.
    pub(super) fn claim(&mut self, dag: &Arc<mini_dag::Dag>) {
        let now = self.now();
        let scheduler = self.scheduler.as_mut().unwrap();
        if scheduler.state().dag(&dag.dag_id).is_some() {
            return;
        }
        let mut past = State::default();
        past.insert_dag(dag.clone());
        let of_it = |record: &&Record| record.dag_id == dag.dag_id;
        for record in self.records.iter().filter(of_it) {
            past.apply(record).unwrap();
        }
        scheduler.recall(now, |state| {
            state.insert_dag(dag.clone());
            for record in past.snapshot(now.wall) {
                apply_replayed(state, &record).unwrap();
            }
        });
    }

    /// A run of the past is wanted back, as its records tell it, but in this state, and of this DAG.
    pub fn recall(mut self, run_id: &str, state: RunState, dag_id: &str) -> Self {
        let number = *self.runs.iter().find(|(_, id)| *id == run_id).unwrap().0;
        let mut past = State::default();
        past.insert_dag(self.dag.clone());
        let of_run = |fact: &Fact| matches!(fact, Fact::Run(of, _) if *of == number);
        for record in self.records.iter().filter(|record| of_run(&record.fact)) {
            past.apply(record).unwrap();
        }
        let mut image = Box::new(past.run(number).unwrap().image());
        image.state = state;
        self.step(Event::Recalled(dag_id.into(), number, image));
        self
    }

    /// What history knows, told a second time.
    pub(super) fn past_dates(&self, look: &Look) -> Vec<PastDate> {
        let mut runs = BTreeMap::new();
        for record in &self.records {
            let Fact::Run(number, fact) = &record.fact else {
                continue;
            };
            let state = match fact {
                RunFact::Created(facts) => {
                    if (look.from..=look.to).contains(&facts.logical_date) {
                        let is_backfill = facts.run_type == RunType::Backfill;
                        let run = (facts.logical_date, RunState::Queued, is_backfill);
                        runs.insert(*number, run);
                    }
                    continue;
                }
                RunFact::Started => RunState::Running,
                RunFact::Ended { success: true } => RunState::Success,
                RunFact::Ended { success: false } => RunState::Failed,
                RunFact::Deleted => {
                    runs.remove(number);
                    continue;
                }
                RunFact::Cleared(_)
                | RunFact::Restored(_)
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
            let backfills = dates.get(&logical_date).map_or(0, |date| date.backfills);
            let date = PastDate {
                logical_date,
                state,
                backfills: backfills + u32::from(is_backfill),
            };
            dates.insert(logical_date, date);
        }
        dates.into_values().collect()
    }
}
