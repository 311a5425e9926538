//! How a run goes: on a terminal a line a task that is drawn again and again, elsewhere a line a change.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::terminal::{Screen, size};
use crate::dag::diagnostic::printable;
use crate::dag::{Dag, TaskIndex};
use crate::scheduler::{
    Attempt, Ended, Exit, Fact, Monotonic, Record, Run, RunFact, StopCause, TaskFact, TaskState,
};
use crate::timetable::{Timestamp, Zone, duration_text};

/// Between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// While nothing but time changes.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// The end of a failed task's log that is shown.
const TAIL_LINES: usize = 5;
const TAIL_BYTES: u64 = 4096;

struct Line {
    state: &'static str,
    started: Option<Monotonic>,
    took: Option<Duration>,
    text: String,
}

pub(super) struct Progress {
    dag: Arc<Dag>,
    run_id: String,
    logs: PathBuf,
    zone: Zone,
    lines: Vec<Line>,
    screen: Screen,
    is_dirty: bool,
    began: Monotonic,
    drawn: Monotonic,
}

impl Progress {
    pub(super) fn new(
        dag: &Arc<Dag>,
        run_id: &str,
        logs: PathBuf,
        zone: Zone,
        to_stderr: bool,
    ) -> Self {
        let line = || Line {
            state: "",
            started: None,
            took: None,
            text: String::new(),
        };
        Self {
            lines: dag.tasks().iter().map(|_| line()).collect(),
            dag: dag.clone(),
            run_id: run_id.to_owned(),
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

    pub(super) fn begin(&mut self, now: Monotonic) {
        self.began = now;
    }

    /// Takes note of a fact.
    pub(super) fn record(&mut self, record: &Record, now: Monotonic) {
        let Fact::Run(_, fact) = &record.fact else {
            return;
        };
        let (task_id, state, text) = match fact {
            RunFact::Created(_) => {
                let title = format!("{}  {}", self.dag.dag_id, self.run_id);
                let title = self.screen.coloured("1", &title);
                return self.screen.write(&format!("{title}\n"));
            }
            RunFact::Task(task_id, TaskFact::Started { try_number: 1 }) => {
                (task_id, "running", String::new())
            }
            RunFact::Task(task_id, TaskFact::Started { try_number }) => {
                (task_id, "running", format!("try {try_number}"))
            }
            RunFact::Task(task_id, TaskFact::Ended { state, attempt, .. }) => {
                let mut why = why(attempt);
                if let Ended::UpForRetry(delay) = state {
                    let _ = write!(why, "; again in {}", duration_text(*delay));
                }
                (task_id, TaskState::from(*state).name(), why)
            }
            RunFact::Task(task_id, TaskFact::Settled(state)) => {
                (task_id, TaskState::from(*state).name(), String::new())
            }
            RunFact::Stopped(_) => {
                for line in &mut self.lines {
                    if matches!(line.state, "" | "up_for_retry") {
                        line.state = "skipped";
                    }
                }
                return;
            }
            RunFact::Restored(_)
            | RunFact::Started
            | RunFact::Ended { .. }
            | RunFact::Cleared(_) => return,
        };
        let Some(index) = self.dag.find(task_id) else {
            return;
        };
        let line = &mut self.lines[index.get()];
        line.state = state;
        if state == "running" {
            line.started = Some(now);
            line.took = None;
            line.text.clone_from(&text);
        } else {
            line.took = line.started.map(|start| now.since(start));
            if !text.is_empty() {
                line.text.clone_from(&text);
            }
        }
        self.is_dirty = true;
        if !self.screen.is_live {
            let line = &self.lines[index.get()];
            let took = line.took.map(tenths).unwrap_or_default();
            let clock = self.clock(record.at);
            let state = self.state_text(state, 0);
            let text = format!("{clock}  {task_id}  {state}  {took}  {}", line.text);
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
        let ids = self
            .dag
            .tasks()
            .iter()
            .map(|task| task.task_id.chars().count());
        let id_width = ids.max().unwrap_or(0).min(32);
        let mut text = String::new();
        let mut shown = 0;
        for (task, line) in self.dag.tasks().iter().zip(&self.lines) {
            if !is_shown(line) || shown + 3 > rows {
                continue;
            }
            shown += 1;
            let took = line.took.or_else(|| {
                (line.state == "running").then(|| now.since(line.started.unwrap_or(now)))
            });
            let took = took.map(tenths).unwrap_or_default();
            let task_id = clip(&task.task_id, id_width);
            let room = columns.saturating_sub(2 + id_width + 2 + 15 + 2 + 8 + 2 + 1);
            let state = self.state_text(line.state, 15);
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

    /// The last picture and the summary.
    pub(super) fn end(&mut self, run: &Run, now: Monotonic) {
        if self.screen.is_live {
            self.screen.erase();
            self.draw_lines(now);
        }
        let mut text = String::new();
        for index in run
            .dag
            .indices()
            .filter(|index| run.task(*index).state == TaskState::Failed)
        {
            let _ = write!(text, "{}", self.tail(run, index));
        }
        let states = [
            TaskState::Success,
            TaskState::Failed,
            TaskState::UpstreamFailed,
            TaskState::Skipped,
        ];
        let counts = states.iter().filter_map(|state| {
            let count = run
                .tasks()
                .iter()
                .filter(|task| task.state == *state)
                .count();
            (count > 0).then(|| format!("{count} {}", state.name()))
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        let took = tenths(now.since(self.began));
        let state = self.state_text(run.state.name(), 0);
        let _ = writeln!(text, "{state} in {took}: {counts}");
        let _ = writeln!(text, "logs: {}", self.logs.display());
        self.screen.write(&text);
    }

    /// The end of the log of a task that failed.
    fn tail(&self, run: &Run, index: TaskIndex) -> String {
        let (task_id, try_number) = (&run.dag.task(index).task_id, run.task(index).try_number);
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

    /// A state in its colour, padded to `width`.
    fn state_text(&self, state: &str, width: usize) -> String {
        let colour = match state {
            "success" => "32",
            "failed" | "upstream_failed" => "31",
            "running" => "36",
            "up_for_retry" => "33",
            _ => "2",
        };
        self.screen.coloured(colour, &format!("{state:width$}"))
    }
}

/// How an attempt ended, if there is anything to say about it.
fn why(attempt: &Attempt) -> String {
    let stopped = match attempt.stopped {
        Some(StopCause::TimedOut) => "timed out",
        Some(StopCause::RunStopped) => "stopped",
        Some(StopCause::Cleared) => "cleared",
        Some(StopCause::Shutdown) => "interrupted",
        None => "",
    };
    let exit = match &attempt.exit {
        Exit::Code(0) => String::new(),
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(number) => exec_signal(*number),
        Exit::NotStarted(why) => printable(why),
        Exit::Unknown => "could not be killed".to_owned(),
    };
    [stopped, &exit]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn exec_signal(number: i32) -> String {
    crate::exec::Exit::Signal {
        number,
        has_core: false,
    }
    .to_string()
}

/// `0.4s`, `12.0s`, `1m05s`.
fn tenths(duration: Duration) -> String {
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
fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}
