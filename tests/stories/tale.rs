//! One DAG, or several, scripted processes, a virtual clock in seconds, and what happened as lines of text.

mod asks;
mod clock;
mod history;
mod looks;
mod telling;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::dag::{DEFAULT_POOL, Functions, Known, Pools, load};
use mini_dag::scheduler::{
    Action, Answer, Attempt, AttemptId, ClockReport, Event, Exit, Limits, Monotonic, Now, Record,
    Refusal, RunNumber, Scheduler, Signal, Spawn,
};
use mini_dag::timetable::{Timestamp, Zone};

/// When tales begin: 2026-11-22T08:00:00+00:00, a Sunday.
const BEGIN_S: i64 = 1_795_334_400;

/// How the processes of a task behave.
#[derive(Clone, Copy)]
struct Script {
    takes_s: u64,
    fails: u32,
    /// The first so many processes exit with 1, whatever their try.
    not_yet: u32,
    exit_code: i32,
    /// Its last line.
    prints: &'static str,
    hangs: bool,
    is_deaf: bool,
    is_undead: bool,
}

pub struct Tale {
    dag: Arc<mini_dag::Dag>,
    pools: Pools,
    others: Vec<Arc<mini_dag::Dag>>,
    /// The DAG that people ask for.
    asked: String,
    boots: u32,
    scripts: BTreeMap<String, Script>,
    scheduler: Option<Scheduler>,
    /// What is known of the clock; nothing, and nobody doubts it.
    report: Option<ClockReport>,
    now_s: u64,
    /// By how much the wall clock is ahead of where it would be had nobody set it.
    ahead_ms: i64,
    /// When each process ends, and how.
    processes: BTreeMap<(u64, AttemptId), i32>,
    /// What the latest attempt at each task was handed.
    handed: BTreeMap<String, String>,
    follows: BTreeMap<String, Option<i64>>,
    /// How many processes of each task began.
    spawned: BTreeMap<String, u32>,
    ticks: u32,
    runs: BTreeMap<RunNumber, String>,
    refused: Option<Refusal>,
    records: Vec<Record>,
    told: String,
}

impl Tale {
    pub fn new(text: &str) -> Self {
        Self {
            dag: Arc::new(parse(text)),
            pools: Pools::new(9),
            others: Vec::new(),
            asked: "d".to_owned(),
            boots: 1,
            scripts: BTreeMap::new(),
            scheduler: None,
            report: None,
            now_s: 0,
            ahead_ms: 0,
            processes: BTreeMap::new(),
            handed: BTreeMap::new(),
            follows: BTreeMap::new(),
            spawned: BTreeMap::new(),
            ticks: 0,
            runs: BTreeMap::new(),
            refused: None,
            records: Vec::new(),
            told: String::new(),
        }
    }

    /// A new version of the DAG is there, and that is the first thing to happen at this second.
    pub fn reload_at(mut self, at_s: u64, text: &str) -> Self {
        self.now_s = at_s;
        self.dag = Arc::new(parse(text));
        self.step(Event::DagLoaded(self.dag.clone()));
        self
    }

    /// Another DAG is there, too, from now on.
    pub fn beside(mut self, text: &str) -> Self {
        let dag = Arc::new(parse(text));
        self.others.retain(|other| other.dag_id != dag.dag_id);
        self.others.push(dag.clone());
        if self.scheduler.is_some() {
            self.claim(&dag);
            self.step(Event::DagLoaded(dag));
        }
        self
    }

    /// The file of a DAG is gone.
    pub fn remove(mut self, dag_id: &str) -> Self {
        self.others.retain(|other| *other.dag_id != *dag_id);
        self.step(Event::DagRemoved(dag_id.into()));
        self
    }

    /// What people ask for is asked of this DAG.
    pub fn of(mut self, dag_id: &str) -> Self {
        dag_id.clone_into(&mut self.asked);
        self
    }

    pub fn slots(mut self, slots: u32) -> Self {
        self.pools = self.pools.with(DEFAULT_POOL, slots);
        self
    }

    pub fn pool(mut self, pool: &str, slots: u32) -> Self {
        self.pools = self.pools.with(pool, slots);
        self
    }

    /// Another config is read.
    pub fn pools_become(mut self, pools: Pools) -> Self {
        self.pools = pools;
        let limits = self.limits();
        self.step(Event::Limits(limits));
        self
    }

    /// Attempts take 10 seconds unless told otherwise.
    pub fn takes(self, task: &str, takes_s: u64) -> Self {
        self.script(task, |script| script.takes_s = takes_s)
    }

    /// The first attempts fail.
    pub fn fails(self, task: &str, attempts: u32) -> Self {
        self.script(task, |script| script.fails = attempts)
    }

    pub fn not_yet(self, task: &str, processes: u32) -> Self {
        self.script(task, |script| script.not_yet = processes)
    }

    pub fn exits(self, task: &str, exit_code: i32) -> Self {
        self.script(task, |script| script.exit_code = exit_code)
    }

    pub fn prints(self, task: &str, line: &'static str) -> Self {
        self.script(task, |script| script.prints = line)
    }

    pub fn hangs(self, task: &str) -> Self {
        self.script(task, |script| script.hangs = true)
    }

    /// It ignores SIGTERM.
    pub fn deaf(self, task: &str) -> Self {
        self.script(task, |script| script.is_deaf = true)
    }

    /// It cannot be killed.
    pub fn undead(self, task: &str) -> Self {
        self.script(task, |script| script.is_undead = true)
    }

    /// The DAG is there from now on, if nothing has been asked of it before.
    pub fn load(mut self) -> Self {
        self.scheduler();
        self
    }

    pub fn shutdown(mut self) -> Self {
        self.step(Event::Shutdown);
        self
    }

    pub fn records_can_be_written(mut self, can_be: bool) -> Self {
        self.step(Event::Recording(can_be));
        self
    }

    /// Lets time pass.
    pub fn until(mut self, end_s: u64) -> Self {
        while self.scheduler.is_some() {
            let deadline = self
                .scheduler()
                .next_deadline()
                .map(|at| at.0.div_ceil(1000));
            let fire = self.scheduler().next_fire();
            let fire = fire.map(|at| self.reaches(at));
            let process = self.processes.keys().next().map(|(at, _)| *at);
            let Some(next) = [deadline, fire, process].into_iter().flatten().min() else {
                break;
            };
            if next > end_s {
                break;
            }
            self.now_s = self.now_s.max(next);
            if process.is_some_and(|at| at <= next) {
                let ((_, id), code) = self.processes.pop_first().unwrap();
                let (_, script) = self.script_of(id);
                self.step(Event::Exited(id, attempt(code, script.prints)));
            } else {
                self.ticks += 1;
                self.step(Event::Tick);
            }
        }
        self.now_s = end_s;
        self
    }

    fn script(mut self, task: &str, change: impl FnOnce(&mut Script)) -> Self {
        change(self.scripts.entry(task.to_owned()).or_insert(ORDINARY));
        self
    }

    fn scheduler(&mut self) -> &mut Scheduler {
        if self.scheduler.is_none() {
            self.scheduler = Some(Scheduler::new(self.limits()));
            if let Some(report) = self.report {
                self.step(Event::Clock(report));
            }
            self.step(Event::DagLoaded(self.dag.clone()));
            self.step(Event::Booted(self.boot_id()));
            for dag in self.dags() {
                self.step(Event::DagLoaded(dag));
            }
        }
        self.scheduler.as_mut().unwrap()
    }

    fn dags(&self) -> Vec<Arc<mini_dag::Dag>> {
        let others = self.others.iter().cloned();
        [self.dag.clone()].into_iter().chain(others).collect()
    }

    fn boot_id(&self) -> Arc<str> {
        format!("boot-{}", self.boots).into()
    }

    fn limits(&self) -> Limits {
        Limits {
            pools: self.pools.clone(),
            kill_grace: Duration::from_secs(10),
        }
    }

    /// The first second at which the clock shows this moment or a later one.
    fn reaches(&self, moment: Timestamp) -> u64 {
        let ms = moment.millis() - BEGIN_S * 1_000 - self.ahead_ms;
        u64::try_from((ms + 999).div_euclid(1_000)).unwrap_or(0)
    }

    fn now(&self) -> Now {
        let now_s = i64::try_from(self.now_s).unwrap();
        Now {
            wall: Timestamp::from_millis((BEGIN_S + now_s) * 1_000 + self.ahead_ms),
            monotonic: Monotonic(self.now_s * 1000),
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        let mut actions = Vec::new();
        self.scheduler().step(now, event, &mut actions);
        let is_record = |action: &Action| matches!(action, Action::Record(_));
        let (records, rest): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_record);
        for action in records.into_iter().chain(rest) {
            match action {
                Action::Record(record) => {
                    self.tell(&record);
                    self.records.push(record);
                }
                Action::Reply(_, answer) => self.refused = answer.map(|_: Answer| ()).err(),
                Action::Spawn(spawn) => self.spawn(&spawn),
                Action::Signal(id, signal) => self.signal(id, signal),
                Action::Hook(call) => self.tell_hook(&call),
                Action::Look(look) => {
                    let dates = self.past_dates(&look);
                    self.step(Event::Found(look.backfill, dates));
                }
            }
        }
    }

    /// From now on these are the hooks of all DAGs: those of the DAG in `text`.
    pub fn hooks_of_all(mut self, text: &str) -> Self {
        self.scheduler().set_hooks_of_all(parse(text).hooks);
        self
    }

    fn script_of(&self, id: AttemptId) -> (String, Script) {
        let run = self.scheduler.as_ref().unwrap().state().run(id.run);
        let task_id = run.unwrap().dag.task(id.task).task_id.to_string();
        let script = self.scripts.get(&task_id).copied().unwrap_or(ORDINARY);
        (task_id, script)
    }

    fn spawn(&mut self, spawn: &Spawn) {
        let id = spawn.attempt;
        let (task_id, script) = self.script_of(id);
        let xcoms = spawn.xcoms.iter();
        let xcoms: Vec<_> = xcoms
            .map(|(task_id, xcom)| format!("{task_id}={xcom}"))
            .collect();
        self.handed.insert(task_id.clone(), xcoms.join(" "));
        let success = spawn.previous_success.map(|at| at.secs() - BEGIN_S);
        self.follows.insert(task_id.clone(), success);
        let spawned = self.spawned.entry(task_id).or_default();
        *spawned += 1;
        let code = if id.try_number <= script.fails || *spawned <= script.not_yet {
            1
        } else {
            script.exit_code
        };
        if !script.hangs {
            self.processes
                .insert((self.now_s + script.takes_s, id), code);
        }
    }

    fn signal(&mut self, id: AttemptId, signal: Signal) {
        let (task_id, script) = self.script_of(id);
        let (name, is_heard) = match signal {
            Signal::Term => ("SIGTERM", !script.is_deaf),
            Signal::Kill => ("SIGKILL", !script.is_undead),
        };
        writeln!(
            self.told,
            "{} {task_id} {} {name}",
            self.now_s, id.try_number
        )
        .unwrap();
        if is_heard {
            self.processes.retain(|(_, other), _| *other != id);
            self.processes.insert((self.now_s, id), 143);
        }
    }
}

const ORDINARY: Script = Script {
    takes_s: 10,
    fails: 0,
    not_yet: 0,
    exit_code: 0,
    prints: "",
    hangs: false,
    is_deaf: false,
    is_undead: false,
};

fn parse(text: &str) -> mini_dag::Dag {
    let zone = |name: &str| Zone::from_posix(name).ok().or(Some(Zone::utc()));
    let (functions, names) = (Functions::new(), Vec::new);
    let known = Known {
        functions: &functions,
        pools: None,
        zone: &zone,
        zone_names: &names,
        lines: &mini_dag::timetable::Lines::default(),
    };
    load("d.json", text, &known)
        .unwrap_or_else(|errors| panic!("{}", mini_dag::dag::diagnostic::render(&errors, false)))
}

/// A task leaves what it printed last, however it ends: what is kept of it is the scheduler's business.
fn attempt(code: i32, printed: &str) -> Attempt {
    Attempt {
        xcom: (!printed.is_empty()).then(|| Arc::new(printed.into())),
        ..Attempt::unseen(Exit::Code(code), Duration::ZERO)
    }
}
