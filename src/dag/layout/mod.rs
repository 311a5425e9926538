//! Where tasks stand when a DAG is drawn: in ranks from left to right, each after what it waits for.
//!
//! The layered method of Sugiyama, Tagawa and Toda (1981): give every task a rank, send long
//! dependencies through bends in the ranks between, order every rank so that few lines cross, and move
//! tasks within that order beside what they are linked to. Every picture of a DAG is made of this: the
//! page's, `mini-dag show --format svg`, and the terminal's.
//!
//! A reader may rely on: a link leads to a higher rank, to the next one unless it is among those that
//! [`BENDS_MAX`] left without bends; two tasks of a rank are a lane apart at least, a bend half a lane from
//! everything; the same DAG is drawn the same. O((tasks + dependencies + bends) · log) a pass, few passes.

mod lanes;
mod net;
mod order;

use super::Dag;
use net::Net;

/// The height of a task's lane, in the unit of [`Point::y`].
pub const LANE: u32 = 1_000;
/// The most bends of one picture. What is left is drawn without: long dependencies of a huge DAG.
pub const BENDS_MAX: usize = 40_000;

/// A place in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The column, from 0.
    pub rank: usize,
    /// Down from the topmost, in thousandths of a lane.
    pub y: u32,
}

/// A picture of a DAG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the tasks are, in the order of [`Dag::tasks`]; then the bends.
    pub points: Vec<Point>,
    /// Pairs of points, from left to right: a dependency is a way from a task to a task over bends. Those
    /// of one task share their bends, as branches share a stem.
    pub links: Vec<(usize, usize)>,
    /// How many columns there are.
    pub ranks: usize,
    /// The lowest point's `y`.
    pub height: u32,
}

/// Draws a DAG.
pub fn layout(dag: &Dag) -> Layout {
    let net = Net::new(dag);
    let layers = order::ordered(&net);
    let ys = lanes::placed(&net, &layers);
    let points = net.rank_of.iter().zip(&ys);
    Layout {
        points: points.map(|(&rank, &y)| Point { rank, y }).collect(),
        height: ys.iter().copied().max().unwrap_or(0),
        ranks: layers.len(),
        links: net.links,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::dag::{Functions, Known, load};

    fn dag(tasks: usize, order: &str) -> Dag {
        let tasks: Vec<_> = (0..tasks)
            .map(|at| format!(r#"{{"task_id": "t{at}", "empty": true}}"#))
            .collect();
        let json = format!(r#"{{"tasks": [{}], "order": [{order}]}}"#, tasks.join(","));
        let known = Known {
            functions: &Functions::default(),
            pools: None,
            zone: &|_| None,
            zone_names: &Vec::new,
            lines: &crate::timetable::Lines::default(),
        };
        load("d.json", &json, &known).unwrap()
    }

    /// A DAG of `tasks` tasks and about `edges` dependencies, drawn by a seed.
    fn random(tasks: usize, edges: usize, mut seed: u64) -> Dag {
        let mut draw = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut order = Vec::new();
        for _ in 0..edges {
            let (a, b) = (draw(tasks), draw(tasks));
            if a != b {
                order.push(format!(r#""t{} >> t{}""#, a.min(b), a.max(b)));
            }
        }
        dag(tasks, &order.join(","))
    }

    fn edges(dag: &Dag) -> BTreeSet<(usize, usize)> {
        let all = dag.indices().flat_map(|from| {
            let next = dag.task(from).downstream.iter();
            next.map(move |to| (from.get(), to.get()))
        });
        all.collect()
    }

    /// Every promise of the header.
    fn check(dag: &Dag) -> Layout {
        let drawn = layout(dag);
        let tasks = dag.tasks().len();
        assert_eq!(drawn, layout(dag), "the same DAG is drawn the same");
        assert!(drawn.points.len() <= tasks + BENDS_MAX);
        let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &(from, to) in &drawn.links {
            let (left, right) = (drawn.points[from].rank, drawn.points[to].rank);
            assert!(left < right, "a link goes back");
            let is_full = drawn.points.len() + drawn.ranks > tasks + BENDS_MAX;
            assert!(left + 1 == right || is_full, "a link without bends");
            next.entry(from).or_default().push(to);
        }
        let mut found = BTreeSet::new();
        for task in 0..tasks {
            let mut ways = next.get(&task).cloned().unwrap_or_default();
            while let Some(at) = ways.pop() {
                if at < tasks {
                    assert!(found.insert((task, at)), "a dependency is drawn twice");
                } else {
                    ways.extend(next.get(&at).into_iter().flatten());
                }
            }
        }
        assert_eq!(found, edges(dag), "the links are the dependencies");
        let mut columns: BTreeMap<usize, Vec<(u32, bool)>> = BTreeMap::new();
        for (at, point) in drawn.points.iter().enumerate() {
            let column = columns.entry(point.rank).or_default();
            column.push((point.y, at < tasks));
        }
        assert_eq!(columns.len(), drawn.ranks, "no rank is empty");
        for column in columns.values_mut() {
            column.sort_unstable();
            for pair in column.windows(2) {
                let are_tasks = pair[0].1 && pair[1].1;
                let apart = if are_tasks { LANE } else { LANE / 2 };
                assert!(pair[1].0 - pair[0].0 >= apart, "too near: {pair:?}");
            }
        }
        drawn
    }

    fn places(dag: &Dag) -> Vec<(usize, u32)> {
        let drawn = check(dag);
        let tasks = drawn.points.iter().take(dag.tasks().len());
        tasks.map(|point| (point.rank, point.y)).collect()
    }

    #[test]
    fn a_chain_is_straight() {
        let chain = dag(3, r#""t0 >> t1 >> t2""#);
        assert_eq!(places(&chain), [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn a_task_stands_in_the_middle_of_what_waits_for_it() {
        let diamond = dag(4, r#""t0 >> [t1, t2] >> t3""#);
        assert_eq!(places(&diamond), [(0, 500), (1, 0), (1, 1_000), (2, 500)]);
    }

    #[test]
    fn lines_do_not_cross_where_they_need_not() {
        let crossed = dag(4, r#""t0 >> t3", "t1 >> t2""#);
        let ys: Vec<_> = places(&crossed).into_iter().map(|(_, y)| y).collect();
        assert_eq!((ys[0], ys[1]), (ys[3], ys[2]));
    }

    #[test]
    fn a_long_dependency_goes_round_what_is_between() {
        let shortcut = dag(3, r#""t0 >> t1 >> t2", "t0 >> t2""#);
        let drawn = check(&shortcut);
        assert_eq!(drawn.points.len(), 4);
        assert!(drawn.points[3].y.abs_diff(drawn.points[1].y) >= LANE / 2);
    }

    #[test]
    fn a_source_stands_beside_what_needs_it() {
        let late = dag(4, r#""t0 >> t1 >> t2", "t3 >> t2""#);
        assert_eq!(places(&late)[3].0, 1);
    }

    #[test]
    fn every_dag_keeps_the_promises() {
        for seed in 0..300 {
            let tasks = 1 + usize::try_from(seed).unwrap() % 40;
            check(&random(tasks, tasks * 3 / 2, seed));
        }
    }

    #[test]
    fn the_largest_dags_keep_them_too() {
        check(&random(10_000, 30_000, 7));
        let chain: Vec<_> = (0..10_000).map(|at| format!("t{at}")).collect();
        check(&dag(10_000, &format!("\"{}\"", chain.join(" >> "))));
        let mut long = vec![format!("\"{}\"", chain.join(" >> "))];
        long.extend((0..5_000).map(|at| format!("\"t{at} >> t{}\"", 9_999 - at)));
        check(&dag(10_000, &long.join(",")));
        check(&dag(10_000, ""));
    }
}
