//! How a run goes: on a terminal a line a task that is drawn again and again, elsewhere a line a change.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::terminal::{Screen, size};
use crate::daemon::hooks::why;
use crate::dag::diagnostic::printable;
use crate::dag::{Dag, TaskIndex};
use crate::scheduler::{Ended, Fact, Monotonic, Record, RunFact, TaskFact, TaskState};
use crate::timetable::{Timestamp, Zone, duration_text};

/// Between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// While nothing but time changes.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// The end of a failed task's log that is shown.
const TAIL_LINES: usize = 5;
const TAIL_BYTES: u64 = 4096;

struct Line {
    task_id: String,
    state: &'static str,
    try_number: u32,
    started: Option<Monotonic>,
    took: Option<Duration>,
    text: String,
}

/// What has become of a task instance.
pub(super) struct Change {
    /// As in the API; empty before it begins.
    pub(super) state: &'static str,
    pub(super) try_number: u32,
    /// How long it took, if it has ended.
    pub(super) took: Option<Duration>,
    /// What else there is to say; empty leaves what was said before.
    pub(super) text: String,
    pub(super) at: Timestamp,
}

pub(super) struct Progress {
    title: String,
    logs: PathBuf,
    zone: Zone,
    lines: Vec<Line>,
    screen: Screen,
    is_dirty: bool,
    began: Monotonic,
    drawn: Monotonic,
}

impl Progress {
    /// Of a run with these tasks, whose logs are below `logs`.
    pub(super) fn new(
        (dag_id, run_id): (&str, &str),
        task_ids: impl Iterator<Item = String>,
        logs: PathBuf,
        zone: Zone,
        to_stderr: bool,
    ) -> Self {
        let line = |task_id| Line {
            task_id,
            state: "",
            try_number: 0,
            started: None,
            took: None,
            text: String::new(),
        };
        Self {
            title: format!("{dag_id}  {run_id}"),
            lines: task_ids.map(line).collect(),
            logs,
            zone,
            screen: Screen::new(to_stderr),
            is_dirty: true,
            began: Monotonic(0),
            drawn: Monotonic(0),
        }
    }

    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Says which run it is.
    pub(super) fn begin(&mut self, now: Monotonic) {
        self.began = now;
        let title = self.screen.coloured("1", &self.title);
        self.screen.write(&format!("{title}\n"));
    }

    /// Takes note of a fact about a run of a DAG.
    pub(super) fn record(&mut self, record: &Record, dag: &Dag, now: Monotonic) {
        let Fact::Run(_, fact) = &record.fact else {
            return;
        };
        let (task_id, fact) = match fact {
            RunFact::Task(task_id, fact) => (task_id, fact),
            RunFact::Stopped(_) => {
                for line in &mut self.lines {
                    if matches!(line.state, "" | "up_for_retry") {
                        line.state = "skipped";
                    }
                }
                return;
            }
            RunFact::Created(_)
            | RunFact::Restored(_)
            | RunFact::Started
            | RunFact::Ended { .. }
            | RunFact::Cleared(_)
            | RunFact::Noted(_)
            | RunFact::Deleted => return,
        };
        let mut lines = self.lines.iter();
        let Some(at) = lines.position(|line| *line.task_id == **task_id) else {
            return;
        };
        let (state, try_number, took, text) = match fact {
            TaskFact::Ending(_) | TaskFact::Noted(_) => return,
            TaskFact::Marked(mark) => (TaskState::from(*mark).name(), 0, None, String::new()),
            TaskFact::Started { try_number } => ("running", *try_number, None, String::new()),
            TaskFact::Ended {
                try_number,
                state,
                attempt,
                ..
            } => {
                let task = dag.find(task_id).map(|index| dag.task(index));
                let why = task.map(|task| why(task, attempt));
                let mut why = printable(&why.unwrap_or_default());
                if let Ended::UpForRetry(delay) = state {
                    let _ = write!(why, "; again in {}", duration_text(*delay));
                }
                let name = TaskState::from(*state).name();
                (name, *try_number, Some(attempt.duration), why)
            }
            TaskFact::Settled(state) => (TaskState::from(*state).name(), 0, None, String::new()),
        };
        let change = Change {
            state,
            try_number,
            took,
            text,
            at: record.at,
        };
        self.change(at, change, now);
    }

    /// Takes note of what became of the task at a place in the list.
    pub(super) fn change(&mut self, at: usize, change: Change, now: Monotonic) {
        let line = &mut self.lines[at];
        line.state = change.state;
        line.try_number = change.try_number;
        line.took = change.took;
        if change.state == "running" {
            line.started = Some(now);
            line.text = match change.try_number {
                1 => String::new(),
                number => format!("try {number}"),
            };
        } else if !change.text.is_empty() {
            line.text = change.text;
        }
        self.is_dirty = true;
        if !self.screen.is_live {
            let line = &self.lines[at];
            let took = line.took.map(tenths).unwrap_or_default();
            let clock = self.clock(change.at);
            let state = self.screen.state(line.state, 0);
            let text = format!("{clock}  {}  {state}  {took}  {}", line.task_id, line.text);
            self.screen.write(&format!("{}\n", text.trim_end()));
        }
    }

    /// A task printed.
    pub(super) fn printed(&mut self, task: TaskIndex, text: &str) {
        self.lines[task.get()].text = printable(text.trim_end());
        self.is_dirty = true;
    }

    /// Somebody pressed Ctrl-C.
    pub(super) fn stopping(&mut self, is_first: bool) {
        let text = if is_first {
            "cancelling: tasks get SIGTERM, and SIGKILL in 10s; Ctrl-C again kills them now"
        } else {
            "killing what runs"
        };
        self.screen.erase();
        self.screen.write(&format!("{text}\n"));
        self.is_dirty = true;
    }

    /// When [`Progress::draw`] has something to show, at the latest.
    pub(super) fn next_draw(&self) -> Option<Monotonic> {
        let is_running = self.lines.iter().any(|line| line.state == "running");
        match (self.screen.is_live, self.is_dirty, is_running) {
            (true, true, _) => Some(self.drawn.after(DRAW_EVERY)),
            (true, false, true) => Some(self.drawn.after(TICK_EVERY)),
            (true, false, false) | (false, ..) => None,
        }
    }

    /// Draws the lines again if it is time to.
    pub(super) fn draw(&mut self, now: Monotonic) {
        if self.next_draw().is_some_and(|at| at <= now) {
            self.screen.erase();
            self.draw_lines(now);
            self.drawn = now;
            self.is_dirty = false;
        }
    }

    fn draw_lines(&mut self, now: Monotonic) {
        let (columns, rows) = size();
        // Where not all tasks fit, those that run and those that failed are worth a line.
        let fits = self.lines.len() + 3 <= rows;
        let is_shown =
            |line: &Line| fits || matches!(line.state, "running" | "failed" | "up_for_retry");
        let ids = self.lines.iter().map(|line| line.task_id.chars().count());
        let id_width = ids.max().unwrap_or(0).min(32);
        let mut text = String::new();
        let mut shown = 0;
        for line in &self.lines {
            if !is_shown(line) || shown + 3 > rows {
                continue;
            }
            shown += 1;
            let took = line.took.or_else(|| {
                (line.state == "running").then(|| now.since(line.started.unwrap_or(now)))
            });
            let took = took.map(tenths).unwrap_or_default();
            let task_id = clip(&line.task_id, id_width);
            let room = columns.saturating_sub(2 + id_width + 2 + 15 + 2 + 8 + 2 + 1);
            let state = self.screen.state(line.state, 15);
            let last = clip(&line.text, room);
            let row = format!("  {task_id:id_width$}  {state}  {took:>8}  {last}");
            let _ = writeln!(text, "{}", row.trim_end());
        }
        if !fits {
            shown += 1;
            let count = |state| self.lines.iter().filter(|line| line.state == state).count();
            let done = self.lines.len() - count("") - count("running") - count("up_for_retry");
            let _ = writeln!(text, "  {done} of {} tasks have ended", self.lines.len());
        }
        self.screen.draw(&text, shown);
    }

    /// The last picture and the summary of a run that ended in `state`.
    pub(super) fn end(&mut self, state: &str, now: Monotonic) {
        if self.screen.is_live {
            self.screen.erase();
            self.draw_lines(now);
        }
        let mut text = String::new();
        for line in self.lines.iter().filter(|line| line.state == "failed") {
            let _ = write!(text, "{}", self.tail(line));
        }
        let states = ["success", "failed", "upstream_failed", "skipped"];
        let counts = states.iter().filter_map(|state| {
            let count = self
                .lines
                .iter()
                .filter(|line| line.state == *state)
                .count();
            (count > 0).then(|| format!("{count} {state}"))
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        let took = tenths(now.since(self.began));
        let state = self.screen.state(state, 0);
        let _ = writeln!(text, "{state} in {took}: {counts}");
        let _ = writeln!(text, "logs: {}", self.logs.display());
        self.screen.write(&text);
    }

    /// The end of the log of a task that failed.
    fn tail(&self, line: &Line) -> String {
        let (task_id, try_number) = (&line.task_id, line.try_number);
        let path = self
            .logs
            .join(format!("task_id={task_id}/attempt={try_number}.log"));
        let Ok(bytes) = read_tail(&path) else {
            return String::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        let title = format!("{task_id}, try {try_number}, ends with");
        let mut text = format!("{}\n", self.screen.coloured("31", &title));
        for line in last {
            let _ = writeln!(text, "  | {}", printable(line));
        }
        text
    }

    fn clock(&self, at: Timestamp) -> String {
        let local = self.zone.local(at).to_string();
        local.get(11..19).unwrap_or(&local).to_owned()
    }
}

/// `0.4s`, `12.0s`, `1m05s`.
pub(super) fn tenths(duration: Duration) -> String {
    if duration < Duration::from_secs(60) {
        return format!("{}.{}s", duration.as_secs(), duration.subsec_millis() / 100);
    }
    duration_text(Duration::from_secs(duration.as_secs()))
}

fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// At most this many characters.
pub(super) fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}
