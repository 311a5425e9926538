//! Ranks, and the bends of dependencies that pass over some.

use super::BENDS_MAX;
use crate::dag::Dag;

/// Tasks, bends, and the links between them.
pub(super) struct Net {
    /// How many of the points are tasks; they come first.
    pub(super) tasks: usize,
    /// The column of each point.
    pub(super) rank_of: Vec<usize>,
    /// All links.
    pub(super) links: Vec<(usize, usize)>,
    /// The points of the rank before that lead to each point.
    pub(super) before: Vec<Vec<usize>>,
    /// The points of the rank after that each point leads to.
    pub(super) after: Vec<Vec<usize>>,
}

impl Net {
    pub(super) fn new(dag: &Dag) -> Self {
        let rank_of = ranks(dag);
        let tasks = rank_of.len();
        let mut net = Self {
            tasks,
            before: vec![Vec::new(); tasks],
            after: vec![Vec::new(); tasks],
            links: Vec::new(),
            rank_of,
        };
        for index in dag.topological_order() {
            let from = index.get();
            let downstream = dag.task(index).downstream.iter();
            let mut targets: Vec<_> = downstream.map(|task| task.get()).collect();
            targets.sort_by_key(|to| (net.rank_of[*to], *to));
            net.lead(from, &targets);
        }
        net
    }

    /// Links a task to others, which come by rank, over one stem of bends.
    fn lead(&mut self, from: usize, targets: &[usize]) {
        let first = self.rank_of[from];
        let last = targets.last().map_or(first, |to| self.rank_of[*to]);
        let bends = last.saturating_sub(first + 1);
        let is_bent = self.rank_of.len() + bends <= self.tasks + BENDS_MAX;
        let mut stem = from;
        for &to in targets {
            while is_bent && self.rank_of[stem] + 1 < self.rank_of[to] {
                let bend = self.rank_of.len();
                self.rank_of.push(self.rank_of[stem] + 1);
                self.before.push(Vec::new());
                self.after.push(Vec::new());
                self.link(stem, bend);
                stem = bend;
            }
            self.link(stem, to);
        }
    }

    fn link(&mut self, from: usize, to: usize) {
        self.links.push((from, to));
        if self.rank_of[from] + 1 == self.rank_of[to] {
            self.after[from].push(to);
            self.before[to].push(from);
        }
    }
}

/// One more than the highest rank that a task waits for; but a task that leads to more than it waits for
/// stands as near to that as it can.
fn ranks(dag: &Dag) -> Vec<usize> {
    let order = dag.topological_order();
    let mut ranks = vec![0; order.len()];
    for index in &order {
        let upstream = dag.task(*index).upstream.iter();
        ranks[index.get()] = upstream.map(|up| ranks[up.get()] + 1).max().unwrap_or(0);
    }
    for index in order.iter().rev() {
        let task = dag.task(*index);
        let nearest = task.downstream.iter().map(|down| ranks[down.get()]).min();
        if let Some(nearest) = nearest
            && task.downstream.len() > task.upstream.len()
        {
            ranks[index.get()] = nearest - 1;
        }
    }
    ranks
}
