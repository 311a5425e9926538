//! The loop's body: tells the scheduler what happened, and does what it says.
//!
//! What can wake the program is one enum, [`Notice`]; everything that happens comes through one
//! channel, in order. Records are handed on before anything that follows from them is done.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use smol::channel::{Receiver, Sender, unbounded};
use smol::{LocalExecutor, Timer, future};

use super::clock;
use super::launch::Launcher;
use crate::exec::{self, Process};
use crate::scheduler::{
    Action, Answer, Attempt, AttemptId, Event, Exit, Limits, Monotonic, Record, Refusal, Scheduler,
    Signal, Spawn,
};

/// The longest piece of a task's last line that is shown while it runs.
const GLIMPSE_BYTES_MAX: usize = 256;

/// What can wake the loop.
#[derive(Debug)]
pub enum Notice {
    /// A deadline of the scheduler's, or the one that [`Driver::wait`] was given, has passed.
    Due,
    /// An attempt ended.
    Exited(AttemptId, Box<Attempt>),
    /// An attempt printed; this is its last line so far.
    Printed(AttemptId, String),
    /// Somebody wants this program to end: SIGINT or SIGTERM.
    Stop,
}

/// What the driver hands on, in the order it happened.
#[derive(Debug)]
pub enum News {
    /// A fact.
    Record(Record),
    /// The answer to a command.
    Reply(u64, Result<Answer, Refusal>),
}

/// A scheduler with hands.
pub struct Driver {
    scheduler: Scheduler,
    executor: Rc<LocalExecutor<'static>>,
    launcher: Launcher,
    processes: BTreeMap<AttemptId, Rc<Process>>,
    notices: (Sender<Notice>, Receiver<Notice>),
    /// What has happened and has not been asked for.
    pub news: VecDeque<News>,
}

impl Driver {
    /// Knows no DAG yet, and hears the signals that ask it to stop.
    pub fn new(limits: Limits, launcher: Launcher, executor: Rc<LocalExecutor<'static>>) -> Self {
        Self {
            scheduler: Scheduler::new(limits),
            executor,
            launcher,
            processes: BTreeMap::new(),
            notices: unbounded(),
            news: VecDeque::new(),
        }
    }

    /// Who decides.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Where notices can be sent from other tasks of the same loop.
    pub fn sender(&self) -> Sender<Notice> {
        self.notices.0.clone()
    }

    /// Waits until something happens, or until `until`.
    pub async fn wait(&self, until: Option<Monotonic>) -> Notice {
        let deadline = [until, self.scheduler.next_deadline()]
            .into_iter()
            .flatten()
            .min();
        let due = async {
            match deadline {
                Some(at) => Timer::after(at.since(clock::now().monotonic)).await,
                None => future::pending().await,
            };
            Notice::Due
        };
        let notice = async {
            self.notices
                .1
                .recv()
                .await
                .expect("the driver holds a sender")
        };
        future::or(notice, due).await
    }

    /// Takes what happened to the scheduler.
    pub fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Due => self.step(Event::Tick),
            Notice::Exited(id, attempt) => {
                self.processes.remove(&id);
                self.step(Event::Exited(id, *attempt));
            }
            Notice::Printed(..) | Notice::Stop => {}
        }
    }

    /// Tells the scheduler and does what it says.
    pub fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            self.scheduler.step(clock::now(), event, &mut actions);
            let is_record = |action: &Action| matches!(action, Action::Record(_));
            let (records, rest): (Vec<_>, Vec<_>) = actions.drain(..).partition(is_record);
            for action in records.into_iter().chain(rest) {
                match action {
                    Action::Record(record) => self.news.push_back(News::Record(record)),
                    Action::Reply(number, answer) => {
                        self.news.push_back(News::Reply(number, answer));
                    }
                    Action::Signal(id, signal) => self.signal(id, signal),
                    Action::Spawn(spawn) => {
                        let id = spawn.attempt;
                        if let Err(why) = self.spawn(&spawn) {
                            events.push_back(Event::Exited(id, not_started(why)));
                        }
                    }
                }
            }
        }
    }

    /// Kills every process tree at once.
    pub fn kill_all(&self) {
        for process in self.processes.values() {
            process.signal(exec::Signal::Kill);
        }
    }

    fn signal(&self, id: AttemptId, signal: Signal) {
        if let Some(process) = self.processes.get(&id) {
            process.signal(match signal {
                Signal::Term => exec::Signal::Term,
                Signal::Kill => exec::Signal::Kill,
            });
        }
    }

    fn spawn(&mut self, spawn: &Spawn) -> Result<(), String> {
        let id = spawn.attempt;
        let launch = self.launcher.launch(spawn)?;
        let running = exec::spawn(&launch).map_err(|error| error.to_string())?;
        self.processes.insert(id, running.process());
        let sender = self.sender();
        let started = clock::now().monotonic;
        let follow = async move {
            let ending = running
                .wait(|line| {
                    let glimpse = &line.bytes[..line.bytes.len().min(GLIMPSE_BYTES_MAX)];
                    let text = String::from_utf8_lossy(glimpse).into_owned();
                    // The loop has ended: nobody wants to know.
                    let _ = sender.try_send(Notice::Printed(id, text));
                })
                .await;
            let attempt = Attempt {
                exit: match ending.exit {
                    exec::Exit::Code(code) => Exit::Code(code),
                    exec::Exit::Signal { number, .. } => Exit::Signal(number),
                    exec::Exit::Unknown => Exit::Unknown,
                },
                stopped: None,
                duration: clock::now().monotonic.since(started),
                cpu: ending.cpu_user + ending.cpu_system,
                memory_peak_bytes: ending.memory_peak_bytes,
                output_bytes: ending.output_bytes,
                output_dropped_bytes: ending.output_dropped_bytes,
            };
            let _ = sender.try_send(Notice::Exited(id, Box::new(attempt)));
        };
        self.executor.spawn(follow).detach();
        Ok(())
    }
}

fn not_started(why: String) -> Attempt {
    Attempt {
        exit: Exit::NotStarted(why),
        stopped: None,
        duration: std::time::Duration::ZERO,
        cpu: std::time::Duration::ZERO,
        memory_peak_bytes: 0,
        output_bytes: 0,
        output_dropped_bytes: 0,
    }
}
