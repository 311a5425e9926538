//! A DAG as a graph that a terminal can show: task ids, and lines of box-drawing characters between them.
//!
//! ```text
//!            ┌→ b ─┐
//! a ─────────┤     ├→ d
//!            └→ c ─┘
//! ```
//!
//! The places are those of every other picture ([`layout`]): a column a rank. Between two columns each task that
//! does not go straight on has a line down, and a line across that meets the line down of another stands back: `─│─`.
//! What is too wide, too high or too tangled for that is not drawn; whoever asks has a list instead.

use std::collections::{BTreeMap, BTreeSet};

use crate::dag::{Dag, LANE, Layout, Point, layout};

/// More rows are no picture any more.
const ROWS_MAX: usize = 200;

/// Directions in which a cell has a line.
const NORTH: u8 = 1;
const EAST: u8 = 2;
const SOUTH: u8 = 4;
const WEST: u8 = 8;
/// By the sum of the directions.
const LINES: [char; 16] = [
    ' ', '╵', '╶', '└', '╷', '│', '┌', '├', '╴', '┘', '─', '┴', '┐', '┤', '┬', '┼',
];

/// The lines of the picture, each at most `columns` wide; `paint` is an id as it is written. `None` if it does not
/// fit.
pub(super) fn graph(
    dag: &Dag,
    columns: usize,
    paint: &dyn Fn(&str) -> String,
) -> Option<Vec<String>> {
    let drawn = layout(dag);
    let rank = |point: usize| drawn.points[point].rank;
    if drawn
        .links
        .iter()
        .any(|&(from, to)| rank(to) != rank(from) + 1)
    {
        return None;
    }
    let mut rows = rows(&drawn, false);
    let height = rows.iter().max().map_or(0, |row| row + 1);
    let mut widths = vec![0; drawn.ranks];
    for (task, point) in dag.tasks().iter().zip(&drawn.points) {
        widths[point.rank] = widths[point.rank].max(task.task_id.len());
    }
    let narrowest = widths.iter().sum::<usize>() + Gap::default().width() * (drawn.ranks - 1);
    if height > ROWS_MAX || narrowest > columns {
        return None;
    }
    let mut gaps = self::gaps(&drawn, &rows);
    if gaps.is_none() {
        rows = self::rows(&drawn, true);
        gaps = self::gaps(&drawn, &rows);
    }
    let gaps = gaps?;
    let height = rows.iter().max().map_or(0, |row| row + 1);
    let mut lefts = vec![0];
    for (width, gap) in widths.iter().zip(&gaps) {
        lefts.push(lefts[lefts.len() - 1] + width + gap.width());
    }
    let width = lefts[drawn.ranks - 1] + widths[drawn.ranks - 1];
    if width > columns {
        return None;
    }
    let mut canvas = Canvas {
        cells: vec![vec![Vec::new(); width]; height],
        arrows: BTreeSet::new(),
    };
    let tasks = dag.tasks();
    for &(from, to) in &drawn.links {
        let rank = drawn.points[from].rank;
        let gap_left = lefts[rank] + widths[rank];
        let begin = match tasks.get(from) {
            Some(task) => lefts[rank] + task.task_id.len() + 1,
            None => lefts[rank],
        };
        let line = gaps[rank].line_of.get(&from);
        let turn = line.map_or(gap_left + 2, |line| gap_left + 2 + 2 * line);
        canvas.across(from, rows[from], begin, turn);
        canvas.add(from, rows[from], begin, WEST);
        canvas.down(from, turn, rows[from], rows[to]);
        let end = lefts[rank + 1];
        if to < tasks.len() {
            canvas.across(from, rows[to], turn, end - 2);
            canvas.arrows.insert((rows[to], end - 2));
        } else {
            canvas.across(from, rows[to], turn, end);
        }
    }
    let mut ids: BTreeMap<(usize, usize), &str> = BTreeMap::new();
    for (at, task) in tasks.iter().enumerate() {
        ids.insert((rows[at], lefts[drawn.points[at].rank]), &task.task_id);
    }
    Some(canvas.lines(&ids, paint))
}

/// The row of each point: half a lane each, without those that nobody has.
fn rows(drawn: &Layout, are_staggered: bool) -> Vec<usize> {
    let row = |point: &Point| {
        let is_lower = are_staggered && point.rank % 2 == 1;
        (2 * point.y / LANE, is_lower)
    };
    let all: BTreeSet<_> = drawn.points.iter().map(row).collect();
    let numbered: BTreeMap<_, usize> = all.into_iter().zip(0..).collect();
    drawn
        .points
        .iter()
        .map(|point| numbered[&row(point)])
        .collect()
}

/// What lies between a rank and the next.
#[derive(Default)]
struct Gap {
    /// Which of the lines down is that of a point of the rank, if it needs one.
    line_of: BTreeMap<usize, usize>,
}

impl Gap {
    /// ` ─┬─┬→ `, or ` ──→ ` without a line down.
    fn width(&self) -> usize {
        let lines = self.line_of.values().max().map_or(0, |most| most + 1);
        3 + 2 * lines.max(1)
    }
}

/// A point that has to have a line down.
struct Bundle {
    point: usize,
    row: usize,
    targets: BTreeSet<usize>,
    from: usize,
    until: usize,
}

/// Gives every point that does not only go straight on its line down. `None` if two would have to stand left of
/// each other; where no task stands in a row with one of the next rank, that is never so.
fn gaps(drawn: &Layout, rows: &[usize]) -> Option<Vec<Gap>> {
    let mut targets: Vec<BTreeMap<usize, BTreeSet<usize>>> = vec![BTreeMap::new(); drawn.ranks];
    for &(from, to) in &drawn.links {
        let rank = drawn.points[from].rank;
        targets[rank].entry(from).or_default().insert(rows[to]);
    }
    let gaps = targets.into_iter().map(|targets| gap(targets, rows));
    gaps.collect()
}

fn gap(targets: BTreeMap<usize, BTreeSet<usize>>, rows: &[usize]) -> Option<Gap> {
    let bundles = targets.into_iter().map(|(point, targets)| {
        let row = rows[point];
        let ends = || targets.iter().copied().chain([row]);
        Bundle {
            point,
            row,
            from: ends().min().unwrap_or(row),
            until: ends().max().unwrap_or(row),
            targets,
        }
    });
    let mut bundles: Vec<Bundle> = bundles
        .filter(|bundle| bundle.from < bundle.until)
        .collect();
    bundles.sort_by_key(|bundle| (std::cmp::Reverse(bundle.targets.len()), bundle.row));
    let mut gap = Gap::default();
    let mut placed: Vec<(usize, Bundle)> = Vec::new();
    while !bundles.is_empty() {
        // One that ends in the row where another begins stands to the right of it.
        let waits = |bundle: &Bundle| {
            let mut others = bundles.iter().filter(|other| other.point != bundle.point);
            others.any(|other| bundle.targets.contains(&other.row))
        };
        let next = bundles.iter().position(|bundle| !waits(bundle))?;
        let bundle = bundles.remove(next);
        let after = placed
            .iter()
            .filter(|(_, other)| bundle.targets.contains(&other.row))
            .map(|(line, _)| line + 1)
            .max()
            .unwrap_or(0);
        let is_free = |line: &usize| {
            placed
                .iter()
                .filter(|(other, _)| other == line)
                .all(|(_, other)| {
                    let apart = other.until < bundle.from || bundle.until < other.from;
                    apart || other.targets == bundle.targets
                })
        };
        let line = (after..=after + placed.len()).find(is_free)?;
        gap.line_of.insert(bundle.point, line);
        placed.push((line, bundle));
    }
    Some(gap)
}

/// Lines, cell by cell: of whom, and in which directions.
struct Canvas {
    cells: Vec<Vec<Vec<(usize, u8)>>>,
    arrows: BTreeSet<(usize, usize)>,
}

impl Canvas {
    fn add(&mut self, of: usize, row: usize, column: usize, directions: u8) {
        let Some(cell) = self.cells[row].get_mut(column) else {
            return;
        };
        match cell.iter_mut().find(|(other, _)| *other == of) {
            Some((_, known)) => *known |= directions,
            None => cell.push((of, directions)),
        }
    }

    /// From the cell at `from` to that at `until`, both included.
    fn across(&mut self, of: usize, row: usize, from: usize, until: usize) {
        for column in from..until {
            self.add(of, row, column, EAST);
            self.add(of, row, column + 1, WEST);
        }
    }

    fn down(&mut self, of: usize, column: usize, from: usize, until: usize) {
        for row in from.min(until)..from.max(until) {
            self.add(of, row, column, SOUTH);
            self.add(of, row + 1, column, NORTH);
        }
    }

    fn lines(
        &self,
        ids: &BTreeMap<(usize, usize), &str>,
        paint: &dyn Fn(&str) -> String,
    ) -> Vec<String> {
        let line = |(row, cells): (usize, &Vec<Vec<(usize, u8)>>)| {
            let mut text = String::new();
            let mut column = 0;
            while column < cells.len() {
                if let Some(id) = ids.get(&(row, column)) {
                    text.push_str(&paint(id));
                    column += id.len();
                    continue;
                }
                text.push(if self.arrows.contains(&(row, column)) {
                    '→'
                } else {
                    sign(&cells[column])
                });
                column += 1;
            }
            text.trim_end().to_owned()
        };
        self.cells.iter().enumerate().map(line).collect()
    }
}

/// Where a line across meets a line down of somebody else, it stands back.
fn sign(cell: &[(usize, u8)]) -> char {
    let all = cell.iter().fold(0, |all, (_, directions)| all | directions);
    let is_across = |(_, directions): &(usize, u8)| *directions == EAST | WEST;
    let is_down = |(_, directions): &(usize, u8)| *directions == NORTH | SOUTH;
    if cell.iter().any(is_across) && cell.iter().all(|it| is_across(it) || is_down(it)) {
        return LINES[usize::from(if cell.iter().any(is_down) {
            NORTH | SOUTH
        } else {
            all
        })];
    }
    LINES[usize::from(all)]
}
