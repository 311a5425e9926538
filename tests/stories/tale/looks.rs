//! What a story may look at: what is known, what waits, and what the tasks were given.

use mini_dag::dag::Value;
use mini_dag::scheduler::{Awaited, Fact, Record, RunFact, TaskFact};
use mini_dag::timetable::Timestamp;

use super::Tale;

impl Tale {
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

    pub fn holds(self, run_id: &str, is_held: bool) -> Self {
        let state = self.scheduler.as_ref().unwrap().state();
        assert_eq!(
            state.find_run(&self.asked, run_id).is_some(),
            is_held,
            "{run_id}"
        );
        self
    }

    /// What a DAG waits for that no clock decides.
    pub fn dag_waits(self, dag_id: &str, expected: &Awaited) -> Self {
        let waits = self.scheduler.as_ref().unwrap().awaited_by(dag_id);
        assert_eq!(waits.as_ref(), Some(expected));
        self
    }

    /// Runs in memory.
    pub fn runs_held(&self) -> usize {
        self.scheduler.as_ref().unwrap().state().runs().count()
    }

    /// Runs that were ever created.
    pub fn created(&self) -> usize {
        self.runs.len()
    }

    /// Every record there is.
    pub fn records(&self) -> &[Record] {
        &self.records
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
}
