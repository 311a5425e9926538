//! One DAG, or several, scripted processes, a virtual clock in seconds, and what happened as lines of text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::dag::{DEFAULT_POOL, Functions, Known, Pools, Value, load};
use mini_dag::journal::apply_replayed;
use mini_dag::scheduler::{
    Action, Answer, Attempt, AttemptId, Awaited, BackfillChange, BackfillFact, BackfillFacts,
    BackfillNumber, ClockReport, ClockRule, Command, Event, Exit, Fact, HookCall, HookOccasion,
    Limits, Look, Mark, Monotonic, NewBackfill, Now, Occasion, PastDate, Record, Refusal, RunFact,
    RunNumber, RunState, RunType, Scheduler, Selection, Signal, Spawn, State, TaskFact, TaskState,
    Trigger,
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

    /// Takes over what is on record of a DAG that was not there when the program began.
    fn claim(&mut self, dag: &Arc<mini_dag::Dag>) {
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

    /// How many processes of a task there have been.
    pub fn spawns(self, task: &str, processes: u32) -> Self {
        assert_eq!(self.spawned.get(task), Some(&processes), "{task}");
        self
    }

    /// How often it was woken although nothing had happened.
    pub fn ticks(&self) -> u32 {
        self.ticks
    }

    pub fn next_deadline_s(&self) -> Option<u64> {
        let scheduler = self.scheduler.as_ref()?;
        scheduler.next_deadline().map(|at| at.0 / 1000)
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

    /// The data interval of a run.
    pub fn interval(&self, run_id: &str) -> String {
        let state = self.scheduler.as_ref().unwrap().state();
        let (_, run) = state.find_run(&self.asked, run_id).unwrap();
        let (start, end) = run.facts.data_interval.unwrap();
        format!("{start} {end}")
    }

    /// What a task waits for, that could start otherwise.
    pub fn waits(&self, run_id: &str, task_id: &str) -> String {
        let scheduler = self.scheduler.as_ref().unwrap();
        let (number, run) = scheduler.state().find_run(&self.asked, run_id).unwrap();
        let waits = scheduler.waits_for(number, run.dag.find(task_id).unwrap());
        waits.map_or(String::new(), |waits| waits.to_string())
    }

    /// The clock is doubted from the beginning, as far as a report like this says.
    pub fn reports(mut self, report: ClockReport) -> Self {
        self.report = Some(report);
        if self.scheduler.is_some() {
            self.step(Event::Clock(report));
        }
        self
    }

    /// The host boots with a clock that shows this.
    pub fn begins_at(mut self, moment: &str) -> Self {
        let moment = Timestamp::parse(moment).unwrap().millis();
        self.ahead_ms += moment - self.now().wall.millis();
        self
    }

    /// The power goes, and is back at once; the clock of the host has forgotten what it showed.
    pub fn dies_at(self, moment: &str) -> Self {
        let back_s = self.now_s;
        self.begins_at(moment).crash_until(back_s)
    }

    /// The host sleeps, and is told of it when it wakes.
    pub fn sleeps_until(mut self, wakes_s: u64) -> Self {
        self.now_s = wakes_s;
        self.set_clock(0)
    }

    /// Somebody, or NTP, sets the clock forward, or back.
    pub fn set_clock(mut self, by_ms: i64) -> Self {
        self.ahead_ms += by_ms;
        let nothing = ClockReport {
            rule: ClockRule::default(),
            booted: Monotonic(0),
            is_synchronised: true,
            saved: None,
            recorded: None,
        };
        let report = *self.report.get_or_insert(nothing);
        self.step(Event::Clock(report));
        self
    }

    /// The clock shows this moment, and whoever watches it is told.
    pub fn clock_shows(self, moment: &str) -> Self {
        let shown = self.now().wall.millis();
        let moment = Timestamp::parse(moment).unwrap().millis();
        self.set_clock(moment - shown)
    }

    /// What is said of the clock.
    pub fn says_of_the_clock(self, pieces: &[&str]) -> Self {
        let said = self.scheduler.as_ref().unwrap().verdict().to_string();
        for piece in pieces {
            assert!(said.contains(piece), "{said}");
        }
        self
    }

    /// What is known of the DAG by the date it was first seen at.
    pub fn first_seen(&self) -> Option<String> {
        let state = self.scheduler.as_ref().unwrap().state();
        state.dag("d").unwrap().first_seen.map(|at| at.to_string())
    }

    /// What was thought of the clock when a run was created.
    pub fn clock_of(&self, run_id: &str) -> &'static str {
        let state = self.scheduler.as_ref().unwrap().state();
        state.find_run("d", run_id).unwrap().1.facts.clock.name()
    }

    /// When the scheduler wants to be asked by the wall clock.
    pub fn next_fire(&self) -> Option<Timestamp> {
        self.scheduler.as_ref().unwrap().next_fire()
    }

    /// What the schedule has run, in order.
    pub fn due(&self) -> Vec<&str> {
        let due = self
            .told
            .lines()
            .filter_map(|line| line.split_once(" due "));
        due.map(|(_, name)| name).collect()
    }

    /// How many runs were active at once.
    pub fn most_active(&self) -> usize {
        let mut active = 0;
        let mut most = 0;
        for record in &self.records {
            if let Fact::Run(_, RunFact::Started) = record.fact {
                active += 1;
            } else if let Fact::Run(_, RunFact::Ended { .. }) = record.fact {
                active -= 1;
            }
            most = most.max(active);
        }
        most
    }

    pub fn state_of(&self, run_id: &str) -> &'static str {
        let state = self.scheduler.as_ref().unwrap().state();
        state.find_run(&self.asked, run_id).unwrap().1.state.name()
    }

    pub fn trigger(mut self, run_id: &str) -> Self {
        self.ask(trigger(&self.asked, run_id));
        self.expect_done()
    }

    /// For a date that is so many seconds ago.
    pub fn trigger_for(mut self, run_id: &str, ago_s: i64) -> Self {
        let mut command = trigger(&self.asked, run_id);
        if let Command::Trigger(trigger) = &mut command {
            let date = Timestamp::from_millis(self.now().wall.millis() - 1_000 * ago_s);
            trigger.logical_date = Some(date);
        }
        self.ask(command);
        self.expect_done()
    }

    pub fn cancel(mut self, run_id: &str) -> Self {
        self.ask(Command::Cancel {
            dag_id: self.asked.clone(),
            run_id: run_id.into(),
        });
        self.expect_done()
    }

    pub fn pause(mut self, is_paused: bool) -> Self {
        self.ask(Command::Pause {
            dag_id: self.asked.clone(),
            is_paused,
        });
        self.expect_done()
    }

    pub fn clear(mut self, run_id: &str, task: &str, downstream: bool, only_failed: bool) -> Self {
        self.ask(clear(&self.asked, run_id, task, downstream, only_failed));
        self.expect_done()
    }

    pub fn mark(mut self, run_id: &str, tasks: &[&str], mark: Mark) -> Self {
        self.ask(marked(run_id, tasks, mark));
        self.expect_done()
    }

    pub fn refuses_mark(mut self, run_id: &str, task: &str, mark: Mark, why: &str) -> Self {
        self.ask(marked(run_id, &[task], mark));
        self.expect_refused(why)
    }

    pub fn note(mut self, run_id: &str, note: &str) -> Self {
        self.ask(Command::Note {
            dag_id: "d".into(),
            run_id: run_id.into(),
            task_id: None,
            note: note.into(),
        });
        self.expect_done()
    }

    pub fn note_task(mut self, run_id: &str, task: &str, note: &str) -> Self {
        self.ask(Command::Note {
            dag_id: "d".into(),
            run_id: run_id.into(),
            task_id: Some(task.into()),
            note: note.into(),
        });
        self.expect_done()
    }

    /// What is written about a task instance.
    pub fn noted_task(&self, run_id: &str, task: &str) -> String {
        let state = self.scheduler.as_ref().unwrap().state();
        let (_, run) = state.find_run("d", run_id).unwrap();
        let instance = run.task(run.dag.find(task).unwrap());
        instance.note.as_deref().unwrap_or_default().to_owned()
    }

    /// What is written about a run.
    pub fn noted(&self, run_id: &str) -> String {
        let state = self.scheduler.as_ref().unwrap().state();
        state.find_run("d", run_id).unwrap().1.note.to_string()
    }

    pub fn delete(mut self, run_id: &str) -> Self {
        self.ask(delete(run_id));
        self.expect_done()
    }

    pub fn refuses_delete(mut self, run_id: &str, why: &str) -> Self {
        self.ask(delete(run_id));
        self.expect_refused(why)
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

    /// What the latest attempt at a task was told of the last success before it: its second.
    pub fn follows(self, task: &str, success_s: Option<i64>) -> Self {
        assert_eq!(self.follows[task], success_s, "{task}");
        self
    }

    /// The latest attempt at a task got these XComs.
    pub fn handed(self, task: &str, xcoms: &str) -> Self {
        assert_eq!(self.handed[task], xcoms, "{task}");
        self
    }

    /// What was told so far does not matter.
    pub fn forget_told(mut self) -> Self {
        self.told.clear();
        self
    }

    pub fn holds(self, run_id: &str, is_held: bool) -> Self {
        let state = self.scheduler.as_ref().unwrap().state();
        assert_eq!(
            state.find_run(&self.asked, run_id).is_some(),
            is_held,
            "{run_id}"
        );
        self
    }

    pub fn shutdown(mut self) -> Self {
        self.step(Event::Shutdown);
        self
    }

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

    /// What a DAG waits for that no clock decides.
    pub fn dag_waits(self, dag_id: &str, expected: &Awaited) -> Self {
        let waits = self.scheduler.as_ref().unwrap().awaited_by(dag_id);
        assert_eq!(waits.as_ref(), Some(expected));
        self
    }

    pub fn refuses_trigger(mut self, run_id: &str, why: &str) -> Self {
        self.ask(trigger(&self.asked, run_id));
        self.expect_refused(why)
    }

    pub fn refuses_cancel(mut self, run_id: &str, why: &str) -> Self {
        self.ask(Command::Cancel {
            dag_id: self.asked.clone(),
            run_id: run_id.into(),
        });
        self.expect_refused(why)
    }

    pub fn refuses_clear(mut self, run_id: &str, task: &str, why: &str) -> Self {
        self.ask(clear(&self.asked, run_id, task, false, false));
        self.expect_refused(why)
    }

    pub fn backfill(mut self, facts: BackfillFacts) -> Self {
        self.ask(backfill(facts));
        self.expect_done()
    }

    pub fn refuses_backfill(mut self, facts: BackfillFacts, why: &str) -> Self {
        self.ask(backfill(facts));
        self.expect_refused(why)
    }

    pub fn change_backfill(mut self, number: u64, change: BackfillChange) -> Self {
        self.ask(Command::ChangeBackfill(BackfillNumber(number), change));
        self.expect_done()
    }

    pub fn refuses_change_of_backfill(
        mut self,
        number: u64,
        change: BackfillChange,
        why: &str,
    ) -> Self {
        self.ask(Command::ChangeBackfill(BackfillNumber(number), change));
        self.expect_refused(why)
    }

    /// Runs in memory.
    pub fn runs_held(&self) -> usize {
        self.scheduler.as_ref().unwrap().state().runs().count()
    }

    /// Runs that were ever created.
    pub fn created(&self) -> usize {
        self.runs.len()
    }

    /// What history knows, told a second time.
    fn past_dates(&self, look: &Look) -> Vec<PastDate> {
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

    /// Every record there is.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The power goes: only the first records are on the disk.
    pub fn lose_all_but(mut self, kept: usize) -> Self {
        self.records.truncate(kept);
        let state = self.replayed();
        self.scheduler = Some(Scheduler::resume(self.limits(), state, self.now()));
        self
    }

    /// What the records say of the DAGs that are there.
    fn replayed(&self) -> State {
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

    /// Whether a run of the DAG is there.
    pub fn is_there(&self, run_id: &str) -> bool {
        let state = self.scheduler.as_ref().unwrap().state();
        state.find_run(&self.asked, run_id).is_some()
    }

    /// The runs that are not over.
    pub fn unfinished(&self) -> Vec<String> {
        let runs = self.scheduler.as_ref().unwrap().state().runs();
        let live = runs.filter(|(_, run)| !run.state.is_finished());
        live.map(|(_, run)| format!("{}/{}", run.dag.dag_id, run.facts.run_id))
            .collect()
    }

    /// The ids of all runs of a DAG that are held in memory.
    pub fn runs_of(&self, dag_id: &str) -> Vec<String> {
        let state = self.scheduler.as_ref().unwrap().state();
        let runs = state.dag(dag_id).unwrap().runs.keys();
        runs.map(ToString::to_string).collect()
    }

    /// What a run was given.
    pub fn params_of(&self, dag_id: &str, run_id: &str) -> String {
        let state = self.scheduler.as_ref().unwrap().state();
        let run = state.find_run(dag_id, run_id).unwrap().1;
        Value::Object(run.facts.params.clone()).to_string()
    }

    /// Why the latest attempt at a task failed.
    pub fn says_why(&self, task: &str, why: &str) {
        let told = self.records.iter().find_map(|record| {
            let Fact::Run(_, RunFact::Task(of, TaskFact::Ended { attempt, .. })) = &record.fact
            else {
                return None;
            };
            attempt.reason.clone().filter(|_| **of == *task)
        });
        let told = told.expect("a reason");
        assert!(told.contains(why), "{told}");
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

    fn script(mut self, task: &str, change: impl FnOnce(&mut Script)) -> Self {
        change(self.scripts.entry(task.to_owned()).or_insert(ORDINARY));
        self
    }

    fn expect_done(self) -> Self {
        assert_eq!(self.refused, None);
        self
    }

    fn expect_refused(mut self, why: &str) -> Self {
        let refusal = self.refused.take().expect("it was done").to_string();
        assert!(refusal.contains(why), "{refusal}");
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

    fn ask(&mut self, command: Command) {
        self.scheduler();
        self.step(Event::Command(1, command));
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

    fn tell_hook(&mut self, call: &HookCall) {
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

    /// From now on these are the hooks of all DAGs: those of the DAG in `text`.
    pub fn hooks_of_all(mut self, text: &str) -> Self {
        self.scheduler().set_hooks_of_all(parse(text).hooks);
        self
    }

    fn tell(&mut self, record: &Record) {
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

/// A date of the year that tales begin in goes without it.
fn short(date: &str) -> &str {
    date.strip_prefix("2026-").unwrap_or(date)
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
    };
    load("d.json", text, &known)
        .unwrap_or_else(|errors| panic!("{}", mini_dag::dag::diagnostic::render(&errors, false)))
}

fn trigger(dag_id: &str, run_id: &str) -> Command {
    Command::Trigger(Trigger {
        dag_id: dag_id.into(),
        run_id: Some(run_id.into()),
        run_type: RunType::Manual,
        logical_date: None,
        data_interval: None,
        params: BTreeMap::new(),
    })
}

fn backfill(facts: BackfillFacts) -> Command {
    let dag_id = "d".to_owned();
    Command::Backfill(NewBackfill { dag_id, facts })
}

fn clear(dag_id: &str, run_id: &str, task: &str, downstream: bool, only_failed: bool) -> Command {
    let tasks = if task.is_empty() {
        Vec::new()
    } else {
        vec![task.to_owned()]
    };
    let selection = Selection {
        tasks,
        upstream: false,
        downstream,
        only_failed,
    };
    Command::Clear {
        dag_id: dag_id.into(),
        run_id: run_id.into(),
        selection,
    }
}

/// A task leaves what it printed last, however it ends: what is kept of it is the scheduler's business.
fn attempt(code: i32, printed: &str) -> Attempt {
    Attempt {
        xcom: (!printed.is_empty()).then(|| Arc::new(printed.into())),
        ..Attempt::unseen(Exit::Code(code), Duration::ZERO)
    }
}

fn marked(run_id: &str, tasks: &[&str], mark: Mark) -> Command {
    Command::Mark {
        dag_id: "d".into(),
        run_id: run_id.into(),
        tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
        mark,
    }
}

fn delete(run_id: &str) -> Command {
    Command::Delete {
        dag_id: "d".into(),
        run_id: run_id.into(),
    }
}
