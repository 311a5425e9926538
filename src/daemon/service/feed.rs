//! What has changed, for those who watch: the latest changes, each with a number.
//!
//! A watcher that comes back says the last number that it has seen, and goes on from there; if what came after
//! is no longer known, it is told so and has to look at everything again. Memory is bounded, and nobody is
//! waited for.

use std::collections::VecDeque;
use std::sync::Arc;

use smol::channel::{Receiver, Sender, bounded};

use crate::scheduler::{Fact, Record, RunFact, State, TaskFact, TaskState};
use crate::timetable::Timestamp;

/// Changes that are remembered.
const CHANGES_MAX: usize = 1_000;

/// Something that looks different now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Changed,
}

/// What looks different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Which DAGs there are, or what is wrong with files, or whether anything may start.
    Daemon,
    /// A DAG: it is paused or not, or one of its runs was deleted.
    Dag(Arc<str>),
    /// A run, and its state; `None` if it is not in memory any more.
    Run(Arc<str>, Arc<str>, Option<&'static str>),
    /// A task instance of a run, its state and its attempt.
    Task(Arc<str>, Arc<str>, Arc<str>, &'static str, u32),
}

/// The latest changes, and who wants to know of the next.
#[derive(Debug, Default)]
pub struct Feed {
    changes: VecDeque<Change>,
    /// How many there have been.
    count: u64,
    watchers: Vec<Sender<()>>,
}

impl Feed {
    /// How many changes there have been: the number of the latest.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What has changed after the change of this number, with the numbers; `None` if that is no longer known.
    pub fn since(&self, number: u64) -> Option<impl Iterator<Item = (u64, &Change)>> {
        let known_from = self.count - self.changes.len() as u64;
        let skip = number
            .checked_sub(known_from)
            .filter(|_| number <= self.count)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Some((known_from + 1..).zip(&self.changes).skip(skip))
    }

    /// Somebody to be woken when something has changed. Whoever is slow is woken once for many changes.
    pub fn watch(&mut self) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        self.watchers.push(sender);
        receiver
    }

    /// Something has changed.
    pub fn tell(&mut self, at: Timestamp, what: Changed) {
        if self.changes.len() >= CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { at, what });
        self.count += 1;
        // A full channel: it has been woken, and has not looked yet.
        self.watchers.retain(|watcher| {
            let _ = watcher.try_send(());
            !watcher.is_closed()
        });
    }

    /// What these records changed; `state` is that after them.
    pub(super) fn record(&mut self, records: &[Record], state: &State) {
        for record in records {
            if let Some(what) = changed(record, state) {
                self.tell(record.at, what);
            }
        }
    }
}

fn changed(record: &Record, state: &State) -> Option<Changed> {
    let dag_id = record.dag_id.clone();
    if let Fact::Paused(_) = record.fact {
        return Some(Changed::Dag(dag_id));
    }
    let Fact::Run(number, fact) = &record.fact else {
        return None;
    };
    let run = state.run(*number);
    if *fact == RunFact::Deleted {
        // Nobody knows its name any more: the list of the DAG's runs has changed.
        return Some(Changed::Dag(dag_id));
    }
    let run_id = if let RunFact::Created(facts) = fact {
        facts.run_id.clone()
    } else {
        run?.facts.run_id.clone()
    };
    let task = |task_id: &Arc<str>, state, try_number| {
        Changed::Task(
            dag_id.clone(),
            run_id.clone(),
            task_id.clone(),
            state,
            try_number,
        )
    };
    Some(match fact {
        RunFact::Task(task_id, TaskFact::Started { try_number }) => {
            task(task_id, TaskState::Running.name(), *try_number)
        }
        RunFact::Task(
            task_id,
            TaskFact::Ended {
                try_number, state, ..
            },
        ) => task(task_id, TaskState::from(*state).name(), *try_number),
        RunFact::Task(task_id, TaskFact::Marked(mark)) => {
            task(task_id, TaskState::from(*mark).name(), 0)
        }
        RunFact::Task(task_id, TaskFact::Ending(_) | TaskFact::Noted(_)) => {
            let run = run?;
            let instance = run.task(run.dag.find(task_id)?);
            task(task_id, instance.state.name(), instance.try_number)
        }
        RunFact::Task(task_id, TaskFact::Settled(settled)) => {
            task(task_id, TaskState::from(*settled).name(), 0)
        }
        RunFact::Created(_)
        | RunFact::Restored(_)
        | RunFact::Started
        | RunFact::Stopped(_)
        | RunFact::Ended { .. }
        | RunFact::Noted(_)
        | RunFact::Deleted
        | RunFact::Cleared(_) => Changed::Run(dag_id, run_id, run.map(|run| run.state.name())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(count: usize) -> Feed {
        let mut feed = Feed::default();
        for _ in 0..count {
            feed.tell(Timestamp::default(), Changed::Daemon);
        }
        feed
    }

    fn since(feed: &Feed, number: u64) -> Option<Vec<u64>> {
        Some(feed.since(number)?.map(|(number, _)| number).collect())
    }

    #[test]
    fn a_watcher_goes_on_after_what_it_has_seen() {
        let feed = feed(5);
        assert_eq!(since(&feed, 5), Some(vec![]));
        assert_eq!(since(&feed, 3), Some(vec![4, 5]));
        assert_eq!(since(&feed, 0), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(since(&feed, 6), None, "a number of another daemon");
    }

    #[test]
    fn what_is_too_old_is_not_known_any_more() {
        let feed = feed(CHANGES_MAX + 2);
        assert_eq!(since(&feed, 1), None);
        assert_eq!(
            since(&feed, 2).map(|numbers| numbers.len()),
            Some(CHANGES_MAX)
        );
    }

    #[test]
    fn a_watcher_is_woken_once_and_forgotten_when_it_has_gone() {
        let mut feed = feed(0);
        let watcher = feed.watch();
        feed.tell(Timestamp::default(), Changed::Daemon);
        feed.tell(Timestamp::default(), Changed::Daemon);
        assert!(watcher.try_recv().is_ok());
        assert!(watcher.try_recv().is_err());
        drop(watcher);
        feed.tell(Timestamp::default(), Changed::Daemon);
        assert!(feed.watchers.is_empty());
    }
}
