//! What a task's `priority` comes to when tasks wait for a slot: its weight.
//!
//! Each task counts once, however many ways lead to it. That asks for all pairs of tasks, so it is done for
//! [`BLOCK`] tasks at a time: one word of bits for each task says which of them lie after it (or before it). So
//! a DAG costs O(tasks × (tasks + dependencies) / 64) time and 8 bytes a task; 10,000 tasks with 100,000
//! dependencies cost that once, and one without priorities takes nothing.

use super::{Task, TaskIndex};

const BLOCK: usize = 64;

/// Whose priorities make a task's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightRule {
    /// Its own, and of every task that comes after it.
    #[default]
    Downstream,
    /// Its own, and of every task that comes before it.
    Upstream,
    /// Its own.
    Absolute,
}

/// The words of the rules, as they are written.
pub(super) const WORDS: &[&str] = &["downstream", "upstream", "absolute"];

impl WeightRule {
    /// The rule that a word names.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let all = [Self::Downstream, Self::Upstream, Self::Absolute];
        all.into_iter().find(|rule| rule.name() == word)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Upstream => "upstream",
            Self::Absolute => "absolute",
        }
    }
}

/// Fills in every task's weight. `order`: all tasks, each after its upstreams.
pub(super) fn weigh(tasks: &mut [Task], order: &[TaskIndex]) {
    for task in tasks.iter_mut() {
        task.weight = task.priority.into();
    }
    if tasks.iter().all(|task| task.priority == 0) {
        return;
    }
    let backwards: Vec<_> = order.iter().rev().copied().collect();
    add_all(tasks, WeightRule::Downstream, &backwards);
    add_all(tasks, WeightRule::Upstream, order);
}

/// Adds to the weight of each task with this rule what lies in that direction. `order` begins at the far end.
fn add_all(tasks: &mut [Task], rule: WeightRule, order: &[TaskIndex]) {
    if tasks.iter().all(|task| task.weight_rule != rule) {
        return;
    }
    let counted: Vec<usize> = (0..tasks.len())
        .filter(|at| tasks[*at].priority != 0)
        .collect();
    let mut reached = vec![0_u64; tasks.len()];
    for block in counted.chunks(BLOCK) {
        reached.fill(0);
        for (bit, at) in block.iter().enumerate() {
            reached[*at] = 1 << bit;
        }
        for index in order {
            let task = &tasks[index.get()];
            let next = match rule {
                WeightRule::Downstream => &task.downstream,
                WeightRule::Upstream => &task.upstream,
                WeightRule::Absolute => return,
            };
            let further = next.iter().map(|next| reached[next.get()]);
            let mut others = further.fold(0, |bits, more| bits | more);
            reached[index.get()] |= others;
            if task.weight_rule != rule {
                continue;
            }
            let mut sum = 0;
            while others != 0 {
                let bit = others.trailing_zeros() as usize;
                sum += i64::from(tasks[block[bit]].priority);
                others &= others - 1;
            }
            tasks[index.get()].weight += sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dag, DagBuilder};
    use super::*;

    fn weights(dag: DagBuilder) -> Vec<i64> {
        let dag = dag.finish().expect("a DAG");
        dag.tasks().iter().map(|task| task.weight).collect()
    }

    /// A diamond with a tail: `d` counts once for `a`, although two ways lead to it.
    fn diamond(rule: WeightRule) -> DagBuilder {
        let dag = Dag::new("diamond");
        {
            let tasks = ["a", "b", "c", "d", "e"].map(|id| dag.empty(id).weight_rule(rule));
            for (task, priority) in tasks.into_iter().zip([1, 10, 100, 1_000, -3]) {
                task.priority(priority);
            }
            _ = tasks[0] >> [tasks[1], tasks[2]] >> tasks[3] >> tasks[4];
        }
        dag
    }

    #[test]
    fn each_rule_counts_each_task_once() {
        let downstream = [1_108, 1_007, 1_097, 997, -3];
        assert_eq!(weights(diamond(WeightRule::Downstream)), downstream);
        let upstream = [1, 11, 101, 1_111, 1_108];
        assert_eq!(weights(diamond(WeightRule::Upstream)), upstream);
        let absolute = [1, 10, 100, 1_000, -3];
        assert_eq!(weights(diamond(WeightRule::Absolute)), absolute);
    }

    /// The same, the slow way.
    #[test]
    fn a_wide_dag_of_many_blocks_weighs_what_its_closure_says() {
        let dag = Dag::new("wide");
        let tasks: Vec<_> = (0..300).map(|n| dag.empty(&format!("t{n}"))).collect();
        for (n, task) in tasks.iter().enumerate() {
            let rules = [
                WeightRule::Downstream,
                WeightRule::Upstream,
                WeightRule::Absolute,
            ];
            task.priority(i32::try_from(n).unwrap_or(0) * 7 % 31 - 11)
                .weight_rule(rules[n % 3]);
            for step in [1, 13, 57]
                .into_iter()
                .filter(|step| *step <= n && n % 5 != 0)
            {
                task.after(tasks[n - step]);
            }
        }
        let dag = dag.finish().expect("a DAG");
        for (at, task) in dag.tasks().iter().enumerate() {
            let mut seen = vec![false; dag.tasks().len()];
            let mut way = vec![at];
            while let Some(next) = way.pop() {
                if !std::mem::replace(&mut seen[next], true) {
                    let further = match task.weight_rule {
                        WeightRule::Downstream => &dag.tasks()[next].downstream[..],
                        WeightRule::Upstream => &dag.tasks()[next].upstream[..],
                        WeightRule::Absolute => &[],
                    };
                    way.extend(further.iter().map(|index| index.get()));
                }
            }
            let all = dag.tasks().iter().zip(seen).filter(|(_, seen)| *seen);
            let expected: i64 = all.map(|(task, _)| i64::from(task.priority)).sum();
            assert_eq!(task.weight, expected, "{}", task.task_id);
        }
    }
}
