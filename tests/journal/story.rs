//! Records as the scheduler makes them: random DAGs, runs, attempts, retries, clears, pauses.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mini_dag::dag::{Dag, Value};
use mini_dag::scheduler::{
    Action, Attempt, AttemptId, Command, Event, Exit, Limits, Monotonic, Now, Record, RunType,
    Scheduler, Selection, State, Trigger,
};
use mini_dag::timetable::Timestamp;

use crate::rng::Rng;

pub fn now(ms: u64) -> Now {
    Now {
        wall: Timestamp::from_millis(1_795_334_400_000 + i64::try_from(ms).unwrap()),
        monotonic: Monotonic(ms),
    }
}

/// The same every time: a DAG equals itself, not one that was built alike.
pub fn dags() -> Vec<Arc<Dag>> {
    static DAGS: OnceLock<Vec<Arc<Dag>>> = OnceLock::new();
    DAGS.get_or_init(build_dags).clone()
}

fn build_dags() -> Vec<Arc<Dag>> {
    let chain = Dag::new("chain");
    let fetch = chain.bash("fetch", "true").retries(2);
    let _ = fetch >> chain.bash("clean", "true") >> chain.bash("push", "true");
    let fan = Dag::new("fan").max_active_runs(3);
    let root = fan.bash("root", "true");
    for n in 0..4 {
        let leaf = fan.bash(&format!("leaf{n}"), "true").retries(1);
        let _ = root >> leaf;
    }
    [chain, fan]
        .into_iter()
        .map(|dag| Arc::new(dag.finish().unwrap()))
        .collect()
}

pub fn empty_state() -> State {
    let mut state = State::default();
    for dag in dags() {
        state.insert_dag(dag);
    }
    state
}

/// The state that records make.
pub fn fold<'r>(records: impl IntoIterator<Item = &'r Record>) -> State {
    let mut state = empty_state();
    for record in records {
        state.apply(record).unwrap();
    }
    state
}

/// A life whose records come in turns, as the daemon's loop makes them.
pub struct Story {
    rng: Rng,
    scheduler: Scheduler,
    live: Vec<AttemptId>,
    now_ms: u64,
    commands: u64,
    runs: Vec<(String, String)>,
    /// What came of loading the DAGs.
    first: Vec<Record>,
}

impl Story {
    pub fn new(seed: u64) -> Self {
        Self::going_on(seed, 0)
    }

    fn going_on(seed: u64, now_ms: u64) -> Self {
        let mut scheduler = Scheduler::new(Limits {
            pools: mini_dag::dag::Pools::new(3),
            kill_grace: Duration::from_secs(5),
        });
        let mut actions = Vec::new();
        for dag in dags() {
            scheduler.step(now(now_ms), Event::DagLoaded(dag), &mut actions);
        }
        let first = actions.into_iter().filter_map(|action| match action {
            Action::Record(record) => Some(record),
            Action::Spawn(_)
            | Action::Signal(..)
            | Action::Hook(_)
            | Action::Look(_)
            | Action::Reply(..) => None,
        });
        Self {
            rng: Rng::new(seed),
            scheduler,
            live: Vec::new(),
            now_ms,
            commands: 0,
            runs: Vec::new(),
            first: first.collect(),
        }
    }

    /// What has happened in one turn.
    pub fn turn(&mut self) -> Vec<Record> {
        if !self.first.is_empty() {
            return std::mem::take(&mut self.first);
        }
        self.now_ms += 1 + self.rng.next() % 2_000;
        let event = self.event();
        let mut actions = Vec::new();
        self.scheduler.step(now(self.now_ms), event, &mut actions);
        let mut records = Vec::new();
        for action in actions {
            match action {
                Action::Record(record) => records.push(record),
                Action::Spawn(spawn) => self.live.push(spawn.attempt),
                Action::Signal(..) | Action::Hook(_) | Action::Look(_) | Action::Reply(..) => {}
            }
        }
        for record in &records {
            if let mini_dag::scheduler::Fact::Run(_, mini_dag::scheduler::RunFact::Created(facts)) =
                &record.fact
            {
                self.runs
                    .push((record.dag_id.to_string(), facts.run_id.to_string()));
            }
        }
        records
    }

    fn event(&mut self) -> Event {
        if !self.live.is_empty() && self.rng.below(10) < 7 {
            let place = self.rng.below(self.live.len());
            let id = self.live.swap_remove(place);
            let exit = match self.rng.below(8) {
                0 => Exit::Code(1),
                1 => Exit::Signal(9),
                2 => Exit::NotStarted("no such \"file\"\n".to_owned()),
                3 => Exit::Code(99),
                _ => Exit::Code(0),
            };
            return Event::Exited(id, attempt(exit, &mut self.rng));
        }
        let dag_id = ["chain", "fan"][self.rng.below(2)].to_owned();
        self.commands += 1;
        let command = match self.rng.below(12) {
            0 => Command::Pause {
                dag_id,
                is_paused: true,
            },
            1..=3 => Command::Pause {
                dag_id,
                is_paused: false,
            },
            4 | 5 if !self.runs.is_empty() => {
                let (dag_id, run_id) = self.runs[self.rng.below(self.runs.len())].clone();
                if self.rng.one_in(3) {
                    Command::Cancel { dag_id, run_id }
                } else {
                    Command::Clear {
                        dag_id,
                        run_id,
                        selection: Selection::default(),
                    }
                }
            }
            6 => return Event::Tick,
            _ => {
                let mut params = BTreeMap::new();
                if self.rng.one_in(3) {
                    params.insert("name \"x\"\u{7f}".to_owned(), Value::from(vec![1, 2]));
                    params.insert("seq".to_owned(), Value::from([("a", Value::Null)]));
                }
                Command::Trigger(Trigger {
                    dag_id,
                    run_id: None,
                    run_type: RunType::Manual,
                    logical_date: None,
                    data_interval: None,
                    params,
                })
            }
        };
        Event::Command(self.commands, command)
    }
}

pub fn attempt(exit: Exit, rng: &mut Rng) -> Attempt {
    Attempt {
        exit,
        stopped: None,
        duration: Duration::from_millis(rng.next() % 100_000),
        cpu: Duration::from_millis(rng.next() % 1_000),
        memory_peak_bytes: (rng.next() % 10_000) * 1024,
        output_bytes: rng.next() % 3,
        output_dropped_bytes: 0,
        xcom: rng
            .one_in(3)
            .then(|| Arc::new(Value::from("two \"words\"\u{7f}"))),
        reason: rng
            .one_in(4)
            .then(|| "its last line is too long".to_owned()),
    }
}

/// `count` records of one life, and a little more.
pub fn records(seed: u64, count: usize) -> Vec<Record> {
    let mut story = Story::new(seed);
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(story.turn());
    }
    records.truncate(count);
    records
}
