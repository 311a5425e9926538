//! Runs that wait for those that they have triggered: who waits for whom, by whatever way, and that nobody waits in vain.

use std::collections::BTreeSet;

use mini_dag::dag::{TaskIndex, TriggerDag};
use mini_dag::scheduler::{RunNumber, Scheduler};

use crate::children::{Child, Next, trigger};
use crate::model::Model;
use crate::rules::State;

impl Model {
    /// The tasks of a run that wait for one that they have triggered.
    pub fn waiting(&self, number: RunNumber) -> impl Iterator<Item = (TaskIndex, &TriggerDag)> {
        let run = &self.runs[&number];
        let is_open = !run.is_stopped && run.state == "running";
        let triggers = run
            .dag
            .indices()
            .filter_map(|index| Some((index, trigger(&run.dag, index)?)));
        triggers.filter(move |(index, _)| is_open && run.tasks[index.get()].state == State::Waiting)
    }

    fn child_of(&self, number: RunNumber, index: TaskIndex) -> Option<&Child> {
        let run = &self.runs[&number];
        let task_id = run.dag.task(index).task_id.to_string();
        let try_number = run.tasks[index.get()].try_number;
        self.children.by_attempt.get(&(number, task_id, try_number))
    }

    /// Whether a new run of a DAG would wait, directly or not, for a run.
    pub fn would_wait_for_itself(&self, number: RunNumber, dag_id: &str) -> bool {
        let Some(due) = self.dues.get(dag_id) else {
            return false;
        };
        let dag = &due.version.dag;
        let of_it = |number: &&RunNumber| *self.runs[*number].dag.dag_id == *dag_id;
        let of_it = self.live.iter().filter(of_it);
        let in_the_way = of_it.filter(|other| self.reaches(vec![**other], number));
        let most = if dag.looks_back {
            1
        } else {
            dag.max_active_runs
        };
        in_the_way.count() >= most as usize
    }

    /// Whether one of these runs is another, or waits for it, by whatever way: for its end, for its slot, or because its
    /// tasks look back.
    pub fn reaches(&self, from: Vec<RunNumber>, number: RunNumber) -> bool {
        let mut reached: BTreeSet<RunNumber> = BTreeSet::new();
        let mut fresh = from;
        while let Some(next) = fresh.pop() {
            let Some(run) = self.runs.get(&next).filter(|_| reached.insert(next)) else {
                continue;
            };
            let waiting = self.waiting(next);
            let children = waiting.filter_map(|(index, _)| self.child_of(next, index));
            fresh.extend(children.map(|child| child.number));
            if run.dag.looks_back {
                fresh.extend(self.previous(next));
            }
            let is_rival = |other: &&RunNumber| {
                let other = &self.runs[*other];
                other.dag.dag_id == run.dag.dag_id && other.is_backfill == run.is_backfill
            };
            if run.state == "queued" {
                fresh.extend(self.live.iter().filter(is_rival));
            }
        }
        reached.contains(&number)
    }

    /// A turn has ended: nobody waits for what is over, and nothing that could be triggered was not.
    pub fn check_nobody_waits_in_vain(&mut self, scheduler: &Scheduler) {
        assert!(matches!(self.children.next, Next::Anything), "half done");
        let mut seen = BTreeSet::new();
        for number in &self.live {
            for (index, trigger) in self.waiting(*number) {
                // One whose DAG is not there may come back.
                if scheduler.state().dag(&trigger.dag_id).is_none() {
                    seen.insert("wait: for a DAG that is not there");
                    continue;
                }
                let run = &self.runs[number];
                let task = run.dag.task(index);
                let what = format!("`{}` of {number:?}", task.task_id);
                let child = self.child_of(*number, index);
                let of_child = child.and_then(|child| self.runs.get(&child.number));
                let child = of_child.unwrap_or_else(|| panic!("{what} waits for nothing"));
                assert!(trigger.wait, "{what} waits for nothing");
                assert!(
                    matches!(child.state, "queued" | "running"),
                    "I9: {what} has not heard that its run is {}",
                    child.state
                );
                let since = run.tasks[index.get()].waits_since_ms;
                let waited = u128::from(self.now_ms - since.expect("since when"));
                let timeout = task.timeout.map(|timeout| timeout.as_millis());
                let is_late = timeout.is_some_and(|timeout| waited > timeout);
                assert!(!is_late, "I9: {what} waits for too long");
                let is_paused = self.dues[&*trigger.dag_id].is_paused;
                seen.insert(match child.state {
                    "queued" if is_paused => "wait: for a DAG that is paused",
                    "queued" => "wait: for a turn",
                    _ => "wait: goes on",
                });
            }
            self.check_all_is_triggered(*number);
        }
        for what in seen {
            self.tally.count(what);
        }
    }

    fn check_all_is_triggered(&self, number: RunNumber) {
        let run = &self.runs[&number];
        let is_paused = self.dues[&*run.dag.dag_id].is_paused && !run.is_backfill;
        if !self.is_recording || is_paused {
            return;
        }
        let triggers = |index: &TaskIndex| trigger(&run.dag, *index).is_some();
        for index in run.dag.indices().filter(triggers) {
            let is_left = run.tasks[index.get()].state == State::None
                && run.is_to_run(index)
                && !self.waits_for_past(number, index);
            let task_id = &run.dag.task(index).task_id;
            assert!(!is_left, "I9: `{task_id}` of {number:?} triggers nothing");
        }
    }

    /// A run that waits for one of a DAG that does not come back: somebody has to do something.
    pub fn waits_for_the_absent(&self, number: RunNumber) -> bool {
        self.waiting(number)
            .any(|(_, trigger)| !self.dues.contains_key(&*trigger.dag_id))
    }
}
