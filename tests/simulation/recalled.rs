//! Runs that only history has any more: somebody wants one back, as its records tell it, and does something with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::journal::apply_replayed;
use mini_dag::scheduler::{
    Command, Event, Fact, Mark, RunFact, RunImage, RunNumber, RunType, Selection, TaskImage,
};

use crate::model::Model;
use crate::rules::State;
use crate::runs::{Run, Task};
use crate::world::World;

impl World {
    /// As the API does: it looks a run up in history if the scheduler does not know it, and then asks what it was asked.
    pub fn ask_for_the_past(&mut self) {
        let state = self.scheduler.state();
        let is_past = |number: &RunNumber, dag_id: &str| {
            state.run(*number).is_none() && state.dag(dag_id).is_some()
        };
        let created = self.log.iter().filter_map(|record| match &record.fact {
            Fact::Run(number, RunFact::Created(facts)) if is_past(number, &record.dag_id) => {
                Some((record.dag_id.clone(), *number, facts.run_id.to_string()))
            }
            Fact::Run(..)
            | Fact::Seen { .. }
            | Fact::Paused(_)
            | Fact::Skipped { .. }
            | Fact::Rewound { .. }
            | Fact::Passed(_)
            | Fact::Backfill(..)
            | Fact::Restored { .. } => None,
        });
        let past: Vec<_> = created.collect();
        if past.is_empty() {
            return;
        }
        let (dag_id, number, run_id) = self.rng.pick(&past).clone();
        let dag = state.dag(&dag_id).expect("it is known").dag.clone();
        if let Some(image) = self.image(number, dag) {
            self.step(Event::Recalled(dag_id.clone(), number, Box::new(image)));
        }
        if self.is_down() {
            return;
        }
        let dag_id = dag_id.to_string();
        let command = match self.rng.below(6) {
            0 => Command::Delete { dag_id, run_id },
            1 => Command::Note {
                dag_id,
                run_id,
                task_id: None,
                note: "was".to_owned(),
            },
            2 => Command::Mark {
                dag_id,
                run_id,
                tasks: Vec::new(),
                mark: Mark::Skipped,
            },
            _ => Command::Clear {
                dag_id,
                run_id,
                selection: Selection::default(),
            },
        };
        self.ask(command);
    }

    fn image(&self, number: RunNumber, dag: Arc<Dag>) -> Option<RunImage> {
        let mut state = mini_dag::scheduler::State::default();
        state.insert_dag(dag);
        let of_it = |fact: &Fact| matches!(fact, Fact::Run(of, _) if *of == number);
        for record in self.log.iter().filter(|record| of_it(&record.fact)) {
            // What another version of the DAG did may not fit.
            let _ = apply_replayed(&mut state, record);
        }
        state.run(number).map(mini_dag::scheduler::Run::image)
    }
}

impl Model {
    /// A run is there again, with the tasks of the present version, and nothing else is. One that may be kept only because a
    /// DAG is not there is so once more.
    pub fn recalled(&mut self, number: RunNumber, image: &RunImage, dag_id: &str) {
        self.tally.count("recalled");
        let is_new = !self.held.contains(&number);
        assert!(is_new || self.has_orphans(dag_id), "{number:?} was there");
        let dag = self.dues[dag_id].version.dag.clone();
        let images: BTreeMap<&str, &TaskImage> = image
            .tasks
            .iter()
            .map(|task| (&*task.task_id, task))
            .collect();
        // What another version of the DAG did need not fit.
        let known = self.runs.get(&number);
        let known = known.filter(|run| Arc::ptr_eq(&run.dag, &dag)).into_iter();
        for (definition, task) in known.flat_map(|run| dag.tasks().iter().zip(&run.tasks)) {
            let task_id = &*definition.task_id;
            let told = images.get(task_id).map_or((State::None, 0), |told| {
                (told.state.into(), told.try_number)
            });
            // What a version has added may be as new, or passed over.
            let is_new = told.1 == 0 && task.try_number == 0;
            let known = (task.state, task.try_number);
            assert!(is_new || told == known, "`{task_id}` of {number:?}");
        }
        let tasks = dag.tasks().iter().map(|definition| {
            let Some(image) = images.get(&*definition.task_id) else {
                return Task::new(definition.retries);
            };
            Task {
                state: image.state.into(),
                try_number: image.try_number,
                tries_left: (image.max_tries + 1).saturating_sub(image.try_number),
                xcom: image.xcom.as_deref().map(mini_dag::Value::to_text),
                choice: image.choice.clone(),
                ..Task::new(0)
            }
        });
        let facts = &image.facts;
        let run = Run {
            name: facts.run_id.to_string(),
            state: image.state.name(),
            is_stopped: false,
            logical_date: facts.logical_date,
            is_backfill: facts.run_type == RunType::Backfill,
            is_by_hand: facts.run_type == RunType::Manual,
            previous: None,
            depth: facts.parent().map_or(0, |parent| parent.depth),
            given: facts.params.clone(),
            tasks: tasks.collect(),
            dag,
        };
        assert!(matches!(run.state, "success" | "failed"), "{number:?}");
        self.runs.insert(number, run);
        self.held.insert(number);
    }
}
