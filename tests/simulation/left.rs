//! What a task leaves to those after it, told a second time: what it has printed, and which of them go on.

use std::sync::Arc;

use mini_dag::dag::TaskIndex;
use mini_dag::scheduler::{Attempt, Choice, Ended, Exit, StopCause};

use crate::runs::Run;

impl Run {
    /// Whether a choice that stands leaves a task out.
    pub fn is_left_out(&self, index: TaskIndex) -> bool {
        let is_after = |first: TaskIndex| self.comes_after(index, first);
        self.dag.indices().any(|other| {
            let is_direct = self.dag.task(index).upstream.contains(&other);
            match &self.tasks[other.get()].choice {
                None => false,
                Some(Choice::Nothing) => other != index && is_after(other),
                Some(Choice::Follow(followed)) => {
                    let mut followed = followed.iter().filter_map(|id| self.dag.find(id));
                    is_direct && !followed.any(is_after)
                }
            }
        })
    }

    /// Whether a task is another, or comes after it.
    fn comes_after(&self, index: TaskIndex, first: TaskIndex) -> bool {
        let mut upstream = self.dag.task(index).upstream.iter();
        index == first || upstream.any(|upstream| self.comes_after(*upstream, first))
    }

    /// What an attempt at a task is handed.
    pub fn xcoms_of(&self, index: TaskIndex) -> Vec<(String, String)> {
        let task = self.dag.task(index);
        assert!(
            task.upstream
                .iter()
                .all(|upstream| task.xcoms.contains(upstream))
        );
        let left = |other: &TaskIndex| {
            let xcom = self.tasks[other.get()].xcom.clone()?;
            Some((self.dag.task(*other).task_id.to_string(), xcom))
        };
        task.xcoms.iter().filter_map(left).collect()
    }

    /// What became of an attempt follows from how it exited and what it has printed.
    pub fn check_left(
        &self,
        index: TaskIndex,
        (state, attempt): (Ended, &Attempt),
        choice: Option<&Choice>,
        printed: &str,
    ) {
        if attempt.stopped == Some(StopCause::Marked) {
            return assert!(attempt.xcom.is_none() && choice.is_none());
        }
        let task = self.dag.task(index);
        let named: Vec<_> = printed.split(',').filter(|id| !id.is_empty()).collect();
        let follows = |id: &str| {
            self.dag
                .find(id)
                .is_some_and(|id| task.downstream.contains(&id))
        };
        let is_good = !task.branch || named.iter().all(|id| follows(id));
        let is_success = state == Ended::Success;
        let xcom = attempt
            .xcom
            .as_deref()
            .map(mini_dag::Value::to_text)
            .unwrap_or_default();
        match attempt.exit {
            Exit::Code(0) if attempt.stopped.is_none() => {
                assert_eq!(is_success, is_good, "`{printed}` of `{}`", task.task_id);
                assert_eq!(attempt.reason.is_none(), is_good);
                assert_eq!(xcom, if is_good { printed } else { "" });
            }
            Exit::Code(99) if attempt.stopped.is_none() => {
                let expected = (task.short_circuit, !task.short_circuit, "");
                assert_eq!((is_success, state == Ended::Skipped, &*xcom), expected);
            }
            Exit::Code(_) | Exit::Signal(_) | Exit::NotStarted(_) | Exit::Unknown => {
                assert_eq!((is_success, &*xcom), (false, ""));
            }
        }
        let expected = match (is_success, attempt.exit == Exit::Code(0)) {
            (true, true) if task.branch => {
                Some(Choice::Follow(named.into_iter().map(Arc::from).collect()))
            }
            (true, false) => Some(Choice::Nothing),
            (_, _) => None,
        };
        assert_eq!(choice, expected.as_ref(), "`{}`", task.task_id);
    }
}
