//! A world that can be told what happens: a virtual clock, random DAGs, processes that end, fail,
//! hang, ignore signals or are told twice, and people who trigger, cancel, clear and pause at any
//! moment. Everything follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::dag::{Dag, trigger_rule};
use mini_dag::scheduler::{
    Action, Answer, Attempt, AttemptId, Command, Event, Exit, Limits, Monotonic, Now, Record,
    Refusal, RunType, Scheduler, Selection, Signal, State, Trigger,
};
use mini_dag::timetable::Timestamp;

use crate::model::Model;
use crate::rng::Rng;

const GRACE: Duration = Duration::from_secs(5);
/// People leave after this; then everything has to come to an end.
const BUSY_MS: u64 = 600_000;

/// What may happen in this world: each seed draws a subset, so that rare mixtures are met too.
#[expect(clippy::struct_excessive_bools, reason = "each may be, or not")]
struct Weather {
    failures: bool,
    skips: bool,
    hangs: bool,
    deaf: bool,
    undead: bool,
    unstartable: bool,
    told_twice: bool,
    cancels: bool,
    clears: bool,
    pauses: bool,
}

struct Process {
    ends_at: Option<u64>,
    exit: Exit,
    is_deaf: bool,
    is_undead: bool,
}

pub struct World {
    rng: Rng,
    weather: Weather,
    now_ms: u64,
    scheduler: Scheduler,
    parallelism: u32,
    dags: Vec<Arc<Dag>>,
    processes: BTreeMap<AttemptId, Process>,
    ended: Vec<(AttemptId, Attempt)>,
    model: Model,
    pub log: Vec<Record>,
    pub steps: u64,
    commands: u64,
    answered: BTreeSet<u64>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut draw = || rng.one_in(2);
        let weather = Weather {
            failures: draw(),
            skips: draw(),
            hangs: draw(),
            deaf: draw(),
            undead: draw(),
            unstartable: draw(),
            told_twice: draw(),
            cancels: draw(),
            clears: draw(),
            pauses: draw(),
        };
        let parallelism = u32::try_from(1 + rng.below(4)).unwrap();
        let scheduler = Scheduler::new(Limits {
            parallelism,
            kill_grace: GRACE,
        });
        let dags = (0..=rng.below(3))
            .map(|n| Arc::new(random_dag(&mut rng, n)))
            .collect();
        let mut world = Self {
            rng,
            weather,
            now_ms: 0,
            scheduler,
            parallelism,
            dags,
            processes: BTreeMap::new(),
            ended: Vec::new(),
            model: Model::default(),
            log: Vec::new(),
            steps: 0,
            commands: 0,
            answered: BTreeSet::new(),
        };
        for dag in world.dags.clone() {
            world.model.insert(&dag);
            world.step(Event::DagLoaded(dag));
        }
        world
    }

    /// Lives through the whole story and checks that it ends well.
    pub fn run(&mut self) {
        let mut next_command = 0;
        loop {
            let command = (next_command < BUSY_MS).then_some(next_command);
            let process = self
                .processes
                .values()
                .filter_map(|process| process.ends_at)
                .min();
            let deadline = self.scheduler.next_deadline().map(|at| at.0);
            let Some(next) = [command, process, deadline].into_iter().flatten().min() else {
                break;
            };
            assert!(
                next >= self.now_ms || command == Some(next),
                "I9: a deadline was not served"
            );
            self.now_ms = self.now_ms.max(next);
            assert!(self.now_ms < 1_000 * BUSY_MS, "I9: this never ends");
            if command == Some(next) {
                self.command();
                next_command += 1 + self.rng.below(40_000);
                if next_command >= BUSY_MS {
                    self.unpause_all();
                }
            } else if process == Some(next) {
                self.end_a_process(next);
            } else {
                self.step(Event::Tick);
            }
        }
        self.model.check_all_runs_ended();
        assert_eq!(self.scheduler.live_attempts().len(), 0);
        assert_eq!(
            self.answered.len() as u64,
            self.commands,
            "a command was not answered"
        );
        self.check_replay();
    }

    pub fn tasks_run(&self) -> u64 {
        self.model.tasks_run
    }

    fn now(&self) -> Now {
        let wall = Timestamp::from_millis(1_795_334_400_000 + i64::try_from(self.now_ms).unwrap());
        Now {
            wall,
            monotonic: Monotonic(self.now_ms),
        }
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.scheduler.step(self.now(), event, &mut actions);
        self.steps += 1;
        for action in &actions {
            if let Action::Record(record) = action {
                self.model.record(record);
                self.log.push(record.clone());
            }
        }
        for action in actions {
            match action {
                Action::Record(_) => {}
                Action::Spawn(spawn) => self.spawn(spawn.attempt),
                Action::Signal(id, signal) => self.signal(id, signal),
                Action::Reply(number, answer) => self.reply(number, &answer),
            }
        }
        self.model.check_bounds(self.parallelism);
        let deadline = self.scheduler.next_deadline();
        assert!(
            deadline.is_none_or(|at| at.0 > self.now_ms),
            "I9: a deadline was left unserved"
        );
        while let Some((id, attempt)) = self.ended.pop() {
            self.step(Event::Exited(id, attempt));
        }
    }

    fn spawn(&mut self, id: AttemptId) {
        if self.weather.unstartable && self.rng.one_in(12) {
            self.ended
                .push((id, attempt(Exit::NotStarted("no such program".into()))));
            return;
        }
        self.model.spawned(id);
        let exit = match self.rng.below(8) {
            0 | 1 if self.weather.failures => Exit::Code(1),
            2 if self.weather.failures => Exit::Signal(11),
            3 if self.weather.skips => Exit::Code(99),
            _ => Exit::Code(0),
        };
        let hangs = self.weather.hangs && self.rng.one_in(10);
        let takes_ms = 1 + self.rng.below(30_000);
        let process = Process {
            ends_at: (!hangs).then_some(self.now_ms + takes_ms),
            exit,
            is_deaf: self.weather.deaf && self.rng.one_in(3),
            is_undead: self.weather.undead && self.rng.one_in(10),
        };
        self.processes.insert(id, process);
    }

    fn signal(&mut self, id: AttemptId, signal: Signal) {
        let soon = self.now_ms + self.rng.below(3_000);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        match signal {
            Signal::Term if process.is_deaf => {}
            Signal::Kill if process.is_undead => {
                // It goes in the end, long after everybody has given up on it.
                process.ends_at = Some(self.now_ms + 300_000);
                self.model.gone(id);
            }
            Signal::Term => {
                process.ends_at = Some(process.ends_at.unwrap_or(u64::MAX).min(soon));
                process.exit = Exit::Signal(15);
            }
            Signal::Kill => {
                process.ends_at = Some(self.now_ms);
                process.exit = Exit::Signal(9);
            }
        }
    }

    fn end_a_process(&mut self, now_ms: u64) {
        let due = self
            .processes
            .iter()
            .find(|(_, process)| process.ends_at == Some(now_ms));
        let id = *due.expect("one is due").0;
        let process = self.processes.remove(&id).unwrap();
        self.model.gone(id);
        let attempt = attempt(process.exit);
        self.step(Event::Exited(id, attempt.clone()));
        if self.weather.told_twice && self.rng.one_in(5) {
            self.step(Event::Exited(id, attempt));
        }
    }

    fn command(&mut self) {
        let dag_id = self.rng.pick(&self.dags).dag_id.to_string();
        let runs = self.model.run_ids();
        let (run_dag, run_id) = if runs.is_empty() {
            (dag_id.clone(), "none".into())
        } else {
            self.rng.pick(&runs).clone()
        };
        let command = match self.rng.below(8) {
            0 if self.weather.cancels => Command::Cancel {
                dag_id: run_dag,
                run_id,
            },
            1 | 2 if self.weather.clears => {
                let dag = self
                    .dags
                    .iter()
                    .find(|dag| *dag.dag_id == *run_dag)
                    .unwrap();
                let tasks = if self.rng.one_in(3) {
                    Vec::new()
                } else {
                    vec![self.rng.pick(dag.tasks()).task_id.to_string()]
                };
                let selection = Selection {
                    tasks,
                    downstream: self.rng.one_in(2),
                    only_failed: self.rng.one_in(3),
                };
                Command::Clear {
                    dag_id: run_dag,
                    run_id,
                    selection,
                }
            }
            3 if self.weather.pauses => Command::Pause {
                dag_id,
                is_paused: self.rng.one_in(2),
            },
            _ => {
                let run_id = self
                    .rng
                    .one_in(2)
                    .then(|| format!("run{}", self.rng.below(20)));
                Command::Trigger(Trigger {
                    dag_id,
                    run_id,
                    run_type: RunType::Manual,
                    logical_date: None,
                    data_interval: None,
                    params: BTreeMap::new(),
                })
            }
        };
        self.ask(command);
    }

    fn unpause_all(&mut self) {
        for dag in self.dags.clone() {
            self.ask(Command::Pause {
                dag_id: dag.dag_id.to_string(),
                is_paused: false,
            });
        }
    }

    fn ask(&mut self, command: Command) {
        self.commands += 1;
        self.step(Event::Command(self.commands, command));
    }

    fn reply(&mut self, number: u64, answer: &Result<Answer, Refusal>) {
        assert!(
            self.answered.insert(number),
            "command {number} was answered twice: {answer:?}"
        );
    }

    /// I6: the records alone make the same state, and applying them changes nothing else.
    fn check_replay(&self) {
        let mut state = State::default();
        for dag in &self.dags {
            state.insert_dag(dag.clone());
        }
        for record in &self.log {
            state.apply(record).unwrap();
        }
        assert!(
            state == *self.scheduler.state(),
            "I6: the replayed state differs"
        );
        let mut restored = State::default();
        for dag in &self.dags {
            restored.insert_dag(dag.clone());
        }
        for record in state.snapshot(Timestamp::default()) {
            restored.apply(&record).unwrap();
        }
        assert!(restored == state, "I6: the restored state differs");
    }

    /// The story as a text: what is compared when a seed is run twice, and shown when it fails.
    pub fn story(&self) -> String {
        self.log.iter().fold(String::new(), |mut text, record| {
            let _ = writeln!(text, "{record:?}");
            text
        })
    }
}

fn attempt(exit: Exit) -> Attempt {
    Attempt::unseen(exit, Duration::ZERO)
}

fn random_dag(rng: &mut Rng, number: u64) -> Dag {
    let below = |rng: &mut Rng, end| u32::try_from(rng.below(end)).unwrap();
    let mut dag = Dag::new(&format!("dag{number}")).max_active_runs(1 + below(rng, 3));
    if rng.one_in(2) {
        dag = dag.max_active_tasks(1 + below(rng, 3));
    }
    if rng.one_in(3) {
        dag = dag.run_timeout(Duration::from_secs(30 + rng.below(90)));
    }
    let count = 1 + rng.below(9);
    let density = 1 + rng.below(4);
    let mut tasks = Vec::new();
    for n in 0..count {
        let id = format!("t{n}");
        let mut task = if rng.one_in(6) {
            dag.empty(&id)
        } else {
            dag.argv(&id, ["true"])
        };
        for upstream in &tasks {
            if rng.one_in(density) {
                task = task.after(*upstream);
            }
        }
        if rng.one_in(2) {
            task = task.trigger_rule(*rng.pick(&trigger_rule::ALL));
        }
        task = task
            .retries(below(rng, 3))
            .retry_delay(Duration::from_secs(rng.below(20)));
        if rng.one_in(2) {
            task = task.priority(i32::try_from(rng.below(3)).unwrap());
        }
        // Whatever may hang has a timeout, or nothing would ever end.
        tasks.push(task.timeout(Duration::from_secs(5 + rng.below(30))));
    }
    dag.finish().expect("a random DAG is a DAG")
}
