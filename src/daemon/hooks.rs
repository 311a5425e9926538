//! Hooks as processes: a few at a time, apart from the slots of tasks.
//!
//! A call is made once. It waits for its turn in memory, and is lost with this process: no hook is called twice
//! for one end, and one that a crash has cut off is not called again. What a hook does or fails to do is
//! reported, and changes nothing of what it is about.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use smol::channel::Sender;
use smol::{LocalExecutor, Timer, future};

use super::driver::Notice;
use super::launch::Launcher;
use crate::dag::{HookFacts, HookKind, Task};
use crate::exec::{self, Exit, Process, Running, Signal};
use crate::scheduler::{self, Attempt, HookCall, HookLevel, HookOccasion, StopCause, StopReason};
use crate::timetable::duration_text;

/// Hooks that run at once.
const RUNNING_MAX: usize = 4;
/// Calls that wait for their turn; those beyond are dropped, and reported.
const WAITING_MAX: usize = 1_000;
/// Of the tasks of a failed run, a hook is told the names of so many.
const FAILED_NAMED_MAX: usize = 20;
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How a hook ended.
#[derive(Debug)]
pub struct HookEnd {
    number: u64,
    title: String,
    /// Why it has failed, if it has.
    failure: Option<String>,
}

/// The hooks that run and that wait.
#[derive(Debug, Default)]
pub struct Hooks {
    waiting: VecDeque<HookCall>,
    running: BTreeMap<u64, Rc<Process>>,
    called: u64,
    failures: u64,
    last_failure: Option<String>,
}

impl Hooks {
    /// Whether none runs and none waits.
    pub fn are_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// How many run and wait, if any.
    pub fn busy(&self) -> Option<String> {
        let (running, waiting) = (self.running.len(), self.waiting.len());
        match (running, waiting) {
            (0, 0) => None,
            (_, 0) => Some(format!("hooks still run: {running}")),
            _ => Some(format!("hooks still run: {running}, and {waiting} wait")),
        }
    }

    /// How many have failed since this program began, and what became of the last of them.
    pub fn failures(&self) -> Option<(u64, &str)> {
        Some((self.failures, self.last_failure.as_deref()?))
    }

    /// Puts a call in line.
    pub fn call(&mut self, call: HookCall) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(call);
        } else {
            self.failed(&title(&call), "too many hooks wait: it is not called");
        }
    }

    /// Starts what may start.
    pub fn start(
        &mut self,
        launcher: &Launcher,
        executor: &LocalExecutor<'static>,
        sender: &Sender<Notice>,
    ) {
        while self.running.len() < RUNNING_MAX
            && let Some(call) = self.waiting.pop_front()
        {
            let launch = launcher.hook(&call);
            let started = launch.and_then(|it| exec::spawn(&it).map_err(|it| it.to_string()));
            let running = match started {
                Ok(running) => running,
                Err(why) => {
                    self.failed(&title(&call), &format!("cannot be started: {why}"));
                    continue;
                }
            };
            self.called += 1;
            let number = self.called;
            self.running.insert(number, running.process());
            let sender = sender.clone();
            let follow = async move {
                let failure = follow(running, call.hook.timeout).await;
                let title = title(&call);
                // If the loop has ended, nobody wants to know.
                let _ = sender.try_send(Notice::HookEnded(HookEnd {
                    number,
                    title,
                    failure,
                }));
            };
            executor.spawn(follow).detach();
        }
    }

    /// One has ended.
    pub fn ended(&mut self, end: &HookEnd) {
        self.running.remove(&end.number);
        match &end.failure {
            Some(why) => self.failed(&end.title, why),
            None => log::info!("{} done", end.title),
        }
    }

    /// Kills those that run, and calls none of those that wait.
    pub fn kill_all(&mut self) {
        for call in std::mem::take(&mut self.waiting) {
            self.failed(&title(&call), "is not called: mini-dag ends");
        }
        for process in self.running.values() {
            process.signal(Signal::Kill);
        }
    }

    fn failed(&mut self, title: &str, why: &str) {
        self.failures += 1;
        let failure = format!("{title}: {why}");
        log::warn!("{failure}");
        self.last_failure = Some(failure);
    }
}

/// Follows a hook to its end, which comes with its timeout at the latest. Returns why it has failed.
async fn follow(running: Running, timeout: Duration) -> Option<String> {
    let process = running.process();
    let mut end = pin!(running.wait(|_| ()));
    let late = |after| async move {
        Timer::after(after).await;
        None
    };
    let mut is_late = false;
    let mut ended = future::or(async { Some(end.as_mut().await) }, late(timeout)).await;
    if ended.is_none() {
        is_late = true;
        process.signal(Signal::Term);
        ended = future::or(async { Some(end.as_mut().await) }, late(GRACE)).await;
    }
    let ending = if let Some(ending) = ended {
        ending
    } else {
        process.signal(Signal::Kill);
        end.await
    };
    match ending.exit {
        _ if is_late => Some(format!("timed out after {}", duration_text(timeout))),
        Exit::Code(0) => None,
        exit @ (Exit::Code(_) | Exit::Signal { .. } | Exit::Unknown) => Some(exit.to_string()),
    }
}

/// What a hook is told of the end that it is about; `log` is where the output of that is.
pub(super) fn told(call: &HookCall, log: &Path) -> HookFacts {
    let state = match call.kind {
        HookKind::Success => "success",
        HookKind::Failure => "failed",
        HookKind::Retry => "up_for_retry",
    };
    let seconds = |time: Duration| format!("{}.{:03}", time.as_secs(), time.subsec_millis());
    let (mut exit_code, mut failed_tasks, mut retry_in) = Default::default();
    let (of, reason, duration) = match &call.occasion {
        HookOccasion::Task {
            task,
            attempt,
            retry_in: delay,
            ..
        } => {
            let task = call.dag.task(*task);
            retry_in = delay.map_or_else(String::new, seconds);
            let attempt = attempt.as_deref();
            if let Some(scheduler::Exit::Code(code)) = attempt.map(|attempt| &attempt.exit)
                && task.operator.trigger().is_none()
            {
                exit_code = code.to_string();
            }
            let duration = attempt.map_or(Duration::ZERO, |attempt| attempt.duration);
            let reason = attempt.map_or_else(String::new, |attempt| why(task, attempt));
            ("task", reason, duration)
        }
        HookOccasion::Run {
            stopped,
            duration,
            failed,
        } => {
            let named = failed.iter().take(FAILED_NAMED_MAX);
            let named: Vec<&str> = named.map(|it| &*call.dag.task(*it).task_id).collect();
            failed_tasks = named.join(" ");
            let reason = match (stopped, failed.len()) {
                (Some(StopReason::Cancelled), _) => "cancelled".to_owned(),
                (Some(StopReason::TimedOut), _) => "timed out".to_owned(),
                (None, 0) => String::new(),
                (None, count) if count > named.len() => format!("{count} tasks failed"),
                (None, _) => format!("failed: {}", named.join(", ")),
            };
            ("run", reason, *duration)
        }
    };
    let log = log.display().to_string();
    [
        call.kind.name().to_owned(),
        of.to_owned(),
        state.to_owned(),
        reason,
        exit_code,
        seconds(duration),
        log,
        failed_tasks,
        retry_in,
    ]
}

/// How an attempt of a task ended, if there is anything to say about it.
pub fn why(task: &Task, attempt: &Attempt) -> String {
    let stopped = match attempt.stopped {
        Some(StopCause::TimedOut) => "timed out",
        Some(StopCause::RunStopped) => "stopped",
        Some(StopCause::Cleared) => "cleared",
        Some(StopCause::Marked) => "marked",
        Some(StopCause::Shutdown) => "interrupted",
        None => "",
    };
    let exit = match &attempt.exit {
        scheduler::Exit::Code(0) => String::new(),
        scheduler::Exit::Code(_) if task.operator.trigger().is_some() => String::new(),
        scheduler::Exit::Code(code) => Exit::Code(*code).to_string(),
        scheduler::Exit::Signal(number) => {
            let (number, has_core) = (*number, false);
            Exit::Signal { number, has_core }.to_string()
        }
        scheduler::Exit::NotStarted(why) => why.clone(),
        scheduler::Exit::Unknown => "could not be killed".to_owned(),
    };
    let reason = attempt.reason.as_deref().unwrap_or_default();
    let said = [stopped, &exit, reason]
        .into_iter()
        .filter(|part| !part.is_empty());
    said.collect::<Vec<_>>().join(", ")
}

/// `weather/manual__…/fetch on_failure`, as log lines name it.
fn title(call: &HookCall) -> String {
    let mut title = format!("{}/{}", call.dag.dag_id, call.facts.run_id);
    if let HookOccasion::Task { task, .. } = &call.occasion {
        title += "/";
        title += &call.dag.task(*task).task_id;
    }
    let of = match call.level {
        HookLevel::Task | HookLevel::Dag => "",
        HookLevel::All => " of all DAGs",
    };
    format!("{title} {}{of}", call.kind.name())
}
