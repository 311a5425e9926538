//! What people ask for, and what they are told.

use std::collections::BTreeMap;

use mini_dag::scheduler::{
    BackfillChange, BackfillFacts, BackfillNumber, Command, Event, Mark, NewBackfill, RunType,
    Selection, Trigger,
};
use mini_dag::timetable::Timestamp;

use super::Tale;

impl Tale {
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

    pub fn delete(mut self, run_id: &str) -> Self {
        self.ask(delete(run_id));
        self.expect_done()
    }

    pub fn refuses_delete(mut self, run_id: &str, why: &str) -> Self {
        self.ask(delete(run_id));
        self.expect_refused(why)
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

    pub(super) fn ask(&mut self, command: Command) {
        self.scheduler();
        self.step(Event::Command(1, command));
    }

    pub(super) fn expect_done(self) -> Self {
        assert_eq!(self.refused, None);
        self
    }

    pub(super) fn expect_refused(mut self, why: &str) -> Self {
        let refusal = self.refused.take().expect("it was done").to_string();
        assert!(refusal.contains(why), "{refusal}");
        self
    }
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
        only_running: false,
    };
    Command::Clear {
        dag_id: dag_id.into(),
        run_id: run_id.into(),
        selection,
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
