//! A DAG as a picture: one SVG that needs nothing else and that every program which shows SVG can show.
//!
//! Whatever stands in a DAG is text there, never markup.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::dag::{Dag, LANE, Layout, Task, layout};

/// Sizes in pixels.
const BOX_HEIGHT: usize = 40;
const LANE_HEIGHT: usize = 56;
const GAP: usize = 56;
const MARGIN: usize = 16;
/// Of a monospaced letter of 12 px, and a little more.
const LETTER: usize = 8;
/// Letters of an id that are shown.
const LETTERS_MAX: usize = 40;

const STYLE: &str = "text{font:12px ui-monospace,monospace;fill:#1f2328}.k{font-size:10px;fill:#59636e}\
.e{fill:none;stroke:#8c959f;stroke-width:1.3}.t{fill:#fff;stroke:#8c959f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.k{fill:#9198a1}.t{fill:#161b22}}";

/// Draws a DAG; with the states of a run's task instances, if there are any, by task id.
pub(super) fn svg(dag: &Dag, states: &BTreeMap<String, String>) -> String {
    let drawn = layout(dag);
    let columns = columns(dag, &drawn);
    let width = columns.last().map_or(0, |(left, width)| left + width) + MARGIN;
    let height = down(drawn.height) + BOX_HEIGHT / 2 + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0 8 4 0 8z\" fill=\"#8c959f\"/></marker></defs>\n",
        escaped(&dag.dag_id)
    );
    for &(from, to) in &drawn.links {
        link(&mut svg, &drawn, &columns, from, to, dag.tasks().len());
    }
    for (task, point) in dag.tasks().iter().zip(&drawn.points) {
        let (left, width) = columns[point.rank];
        let top = down(point.y) - BOX_HEIGHT / 2;
        let state = states.get(&*task.task_id).map(String::as_str);
        draw(&mut svg, task, state, (left, top, width));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where each rank begins, and how wide it is.
fn columns(dag: &Dag, drawn: &Layout) -> Vec<(usize, usize)> {
    let mut widths = vec![0; drawn.ranks];
    for (task, point) in dag.tasks().iter().zip(&drawn.points) {
        let letters = task.task_id.len().clamp(10, LETTERS_MAX);
        widths[point.rank] = widths[point.rank].max(letters * LETTER + 40);
    }
    let mut left = MARGIN;
    let column = |width: usize| {
        let column = (left, width);
        left += width + GAP;
        column
    };
    widths.into_iter().map(column).collect()
}

/// The middle of a point.
fn down(y: u32) -> usize {
    let y = usize::try_from(y).unwrap_or(0) * LANE_HEIGHT;
    y / usize::try_from(LANE).unwrap_or(1) + MARGIN + BOX_HEIGHT / 2
}

/// A curve; through a bend it goes on to the right side of its column.
fn link(
    svg: &mut String,
    drawn: &Layout,
    columns: &[(usize, usize)],
    from: usize,
    to: usize,
    tasks: usize,
) {
    let (start, end) = (drawn.points[from], drawn.points[to]);
    let (left, width) = columns[start.rank];
    let (right, beyond) = columns[end.rank];
    let (x1, y1, x2, y2) = (left + width, down(start.y), right, down(end.y));
    let middle = x2 - GAP / 2;
    let _ = write!(
        svg,
        "<path class=\"e\" d=\"M{x1} {y1}H{}C{middle} {y1} {middle} {y2} {x2} {y2}",
        x2 - GAP
    );
    let _ = if to < tasks {
        svg.write_str("\" marker-end=\"url(#a)\"/>\n")
    } else {
        writeln!(svg, "H{}\"/>", x2 + beyond)
    };
}

fn draw(svg: &mut String, task: &Task, state: Option<&str>, at: (usize, usize, usize)) {
    let (left, top, width) = at;
    let id = &*task.task_id;
    let shown = match id.char_indices().nth(LETTERS_MAX) {
        Some(_) => format!("{}…", id.chars().take(LETTERS_MAX - 1).collect::<String>()),
        None => id.to_owned(),
    };
    let kind = state.unwrap_or(task.operator.name());
    let (id, shown, kind) = (escaped(id), escaped(&shown), escaped(kind));
    let _ = write!(
        svg,
        "<g><title>{id}: {kind}</title><rect class=\"t\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"6\""
    );
    let mut text = left + 12;
    match state.map(look) {
        Some((colour, sign)) => {
            text = left + 34;
            let middle = top + BOX_HEIGHT / 2;
            let _ = write!(
                svg,
                " style=\"stroke:{colour};stroke-width:2\"/><circle cx=\"{}\" cy=\"{middle}\" r=\"9\" fill=\"{colour}\"/>\
                 <path transform=\"translate({} {})\" d=\"{sign}\" fill=\"none\" stroke=\"#fff\" stroke-width=\"1.8\"/>",
                left + 18,
                left + 12,
                middle - 6
            );
        }
        None => svg.push_str("/>"),
    }
    let _ = writeln!(
        svg,
        "<text x=\"{text}\" y=\"{}\">{shown}</text><text class=\"k\" x=\"{text}\" y=\"{}\">{kind}</text></g>",
        top + 18,
        top + 31
    );
}

/// Airflow's colour for a state, and a sign of 12 × 12 for those who do not see it.
fn look(state: &str) -> (&'static str, &'static str) {
    match state {
        "success" => ("#1a7f37", "M2.5 6.5 5 9 9.5 3.5"),
        "failed" => ("#cf222e", "M3 3 9 9M9 3 3 9"),
        "running" => ("#4d9e0b", "M4 2.5 9 6 4 9.5z"),
        "queued" => ("#6e7781", "M2 6h2M5 6h2M8 6h2"),
        "scheduled" => ("#98763a", "M6 2.5V6l2.5 2"),
        "up_for_retry" => ("#b7860b", "M9 4A4 4 0 1 0 10 7M9.5 1.5V4.5H6.5"),
        "up_for_reschedule" => ("#0b8a8f", "M3 2.5H9L3 9.5H9z"),
        "upstream_failed" => ("#d9640f", "M6 10V2.5M3 5.5 6 2.5 9 5.5"),
        "skipped" => ("#c7358f", "M2.5 3 6 6 2.5 9M6.5 3 10 6 6.5 9"),
        _ => ("#8c959f", "M3 6h6"),
    }
}

/// Text for XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escaped("<a b=\"c\">&\u{1b}가"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}가"
        );
    }

    #[test]
    fn a_run_gives_each_task_its_state() {
        let dag = Dag::new("d");
        let _ = dag.bash("a", "true") >> dag.bash("b", "true");
        let dag = dag.finish().unwrap();
        let plain = svg(&dag, &BTreeMap::new());
        assert!(plain.contains("a: BashOperator") && !plain.contains("circle"));
        let states = [("a", "success"), ("b", "<state>")];
        let states = states.map(|(id, state)| (id.to_owned(), state.to_owned()));
        let drawn = svg(&dag, &BTreeMap::from(states));
        assert!(drawn.contains("<title>a: success</title>"), "{drawn}");
        assert!(drawn.contains(look("success").0));
        assert!(drawn.contains("&lt;state&gt;") && !drawn.contains("<state>"));
    }
}
