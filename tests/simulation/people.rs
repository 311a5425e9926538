//! People: they trigger, cancel, clear and pause at any moment.

use std::collections::BTreeMap;

use mini_dag::scheduler::{Command, Event, Mark, RunType, Selection, Trigger};

use mini_dag::timetable::Timestamp;

use crate::world::World;

impl World {
    pub fn command(&mut self) {
        if self.weather.clears && self.rng.one_in(8) && self.ledger.is_healthy() {
            return self.ask_for_the_past();
        }
        let dag_id = self.rng.pick(&self.versions).dag.dag_id.to_string();
        let runs = self.model.run_ids();
        // Rather a late one: the others are history.
        let late = runs
            .len()
            .saturating_sub(1 + self.rng.below(runs.len() + 3));
        let run = (!runs.is_empty()).then(|| self.rng.pick(&runs[late..]).clone());
        let command = match (self.rng.below(12), run) {
            (0, Some((dag_id, run_id, _))) if self.weather.cancels => {
                Command::Cancel { dag_id, run_id }
            }
            (1..=3, Some((dag_id, run_id, dag))) if self.weather.clears => {
                let tasks = if self.rng.one_in(3) {
                    Vec::new()
                } else {
                    vec![self.rng.pick(dag.tasks()).task_id.to_string()]
                };
                let selection = Selection {
                    tasks,
                    upstream: false,
                    downstream: self.rng.one_in(2),
                    only_failed: self.rng.one_in(3),
                    only_running: false,
                };
                Command::Clear {
                    dag_id,
                    run_id,
                    selection,
                }
            }
            (9, Some((dag_id, run_id, dag))) if self.weather.clears => {
                let tasks = if self.rng.one_in(4) {
                    Vec::new()
                } else {
                    vec![self.rng.pick(dag.tasks()).task_id.to_string()]
                };
                let marks = [Mark::Success, Mark::Failed, Mark::Skipped];
                Command::Mark {
                    dag_id,
                    run_id,
                    tasks,
                    mark: *self.rng.pick(&marks),
                }
            }
            (10, Some((dag_id, run_id, dag))) if self.weather.clears => {
                if self.rng.one_in(2) {
                    Command::Delete { dag_id, run_id }
                } else {
                    let note = "seen".to_owned();
                    let task = self.rng.pick(dag.tasks()).task_id.to_string();
                    let task_id = self.rng.one_in(2).then_some(task);
                    Command::Note {
                        dag_id,
                        run_id,
                        task_id,
                        note,
                    }
                }
            }
            (4, _) if self.weather.pauses => Command::Pause {
                dag_id,
                is_paused: self.rng.one_in(2),
            },
            (5 | 6, _) if self.weather.backfills => self.backfill(dag_id),
            _ => {
                let is_named = self.rng.one_in(2);
                let run_id = is_named.then(|| format!("run{}", self.rng.below(20)));
                let long_ago = 1 + i64::from(self.rng.small(7_200_000));
                let date = Timestamp::from_millis(self.wall_ms() - long_ago);
                let logical_date = self.rng.one_in(4).then_some(date);
                Command::Trigger(Trigger {
                    dag_id,
                    run_id,
                    run_type: RunType::Manual,
                    logical_date,
                    data_interval: None,
                    params: BTreeMap::new(),
                })
            }
        };
        self.ask(command);
    }

    pub fn unpause_all(&mut self) {
        for version in self.versions.clone() {
            let dag_id = version.dag.dag_id.to_string();
            let is_paused = false;
            self.ask(Command::Pause { dag_id, is_paused });
        }
        self.unpause_backfills();
    }

    pub fn ask(&mut self, command: Command) {
        if !self.ledger.is_healthy() {
            return;
        }
        self.commands += 1;
        self.unanswered.insert(self.commands);
        self.step(Event::Command(self.commands, command));
    }
}
