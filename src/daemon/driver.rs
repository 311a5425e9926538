//! The loop's body: tells the scheduler what happened, and does what it says.
//!
//! What can wake the program is one enum, [`Notice`]; everything that happens comes through one
//! channel, in order. Records are written down before anything that follows from them is done, and if
//! they cannot be written, nothing that follows from them is begun.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, unbounded};
use smol::{LocalExecutor, Timer, future};

use super::aside::aside;
use super::clock::{self, Rang, WallTimer};
use super::config::Config;
use super::hooks::{HookEnd, Hooks};
use super::launch::Launcher;
use super::retention::Found;
use super::takeover::Left;
use crate::dag::{self, Operator, Task};
use crate::exec::{self, Handed, LastLine, Process, Running, TaskLog};
use crate::journal::{Directory, SyncDone, dates};
use crate::scheduler::{
    Action, Answer, Attempt, AttemptId, BackfillNumber, Event, Exit, Fact, Look, Monotonic, Now,
    PastDate, Record, Refusal, RunFact, Scheduler, Signal, Spawn, State, TaskFact,
};
use crate::timetable::{Timestamp, Zone};

/// The longest piece of a task's last line that is shown while it runs.
const GLIMPSE_BYTES_MAX: usize = 256;

/// Until a journal that could not be read is read again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What can wake the loop.
#[derive(Debug)]
pub enum Notice {
    /// A deadline has passed, or something may be due that was not before.
    Due,
    /// An attempt ended.
    Exited(AttemptId, Box<Attempt>),
    /// An attempt printed; this is its last line so far.
    Printed(AttemptId, String),
    /// A hook ended.
    HookEnded(HookEnd),
    /// Hooks have had time enough to end by themselves.
    HooksLate,
    /// Which dates of a backfill have runs.
    Found(BackfillNumber, Vec<PastDate>),
    /// What logs are to go, or that they have gone.
    Swept(Found),
    /// What was written has been synced to the disk, or not.
    Synced(SyncDone),
    /// Somebody wants this program to end: SIGINT or SIGTERM.
    Stop,
    /// Somebody wants the config and all DAG files to be read again: SIGHUP.
    Reload,
    /// This program, which has said that it can, is to take this one's place.
    Replace(PathBuf),
    /// A file in a DAG directory has changed.
    FilesChanged,
    /// The wall clock was set.
    ClockSet,
    /// systemd-timesyncd says that the wall clock is right.
    ClockSynchronised,
}

/// The place where everything that wakes the loop arrives.
#[derive(Debug)]
pub struct Notices {
    receiver: Receiver<Notice>,
    wall: WallTimer,
}

impl Notices {
    /// Whether everything that has happened was noticed.
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Waits until something happens, or until `deadline`, or until the wall clock shows `fire`.
    pub async fn next(&self, deadline: Option<Monotonic>, fire: Option<Timestamp>) -> Notice {
        let due = async {
            match deadline {
                Some(at) => Timer::after(at.since(clock::now().monotonic)).await,
                None => future::pending().await,
            };
            Notice::Due
        };
        let notice = async {
            let notice = self.receiver.recv().await;
            notice.expect("the driver holds a sender")
        };
        let fire = async {
            match self.wall.wait(fire).await {
                Rang::Due => Notice::Due,
                Rang::ClockSet => Notice::ClockSet,
            }
        };
        future::or(notice, future::or(due, fire)).await
    }
}

/// Where records are written down.
pub trait Recorder {
    /// Writes records down, in order; `scheduler` is as it is after them. `false`: they are not written, and
    /// nothing may begin that follows from them.
    fn record(&mut self, records: Vec<Record>, now: Now, scheduler: &Scheduler) -> bool;
}

/// For a run that nobody will resume.
impl Recorder for VecDeque<Record> {
    fn record(&mut self, records: Vec<Record>, _: Now, _: &Scheduler) -> bool {
        self.extend(records);
        true
    }
}

/// The answer to a command, under the command's number.
pub type Reply = (u64, Result<Answer, Refusal>);

/// A scheduler with hands.
pub struct Driver {
    scheduler: Scheduler,
    executor: Rc<LocalExecutor<'static>>,
    launcher: Launcher,
    processes: BTreeMap<AttemptId, (Monotonic, Rc<Process>)>,
    hooks: Hooks,
    sender: Sender<Notice>,
}

impl Driver {
    /// Gives `scheduler` hands; what wakes it arrives at the second.
    pub fn new(
        scheduler: Scheduler,
        launcher: Launcher,
        executor: Rc<LocalExecutor<'static>>,
    ) -> io::Result<(Self, Notices)> {
        let (sender, receiver) = unbounded();
        let driver = Self {
            scheduler,
            executor,
            launcher,
            processes: BTreeMap::new(),
            hooks: Hooks::default(),
            sender,
        };
        let wall = WallTimer::new()?;
        Ok((driver, Notices { receiver, wall }))
    }

    /// Who decides.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Where notices can be sent from other tasks of the same loop.
    pub fn sender(&self) -> Sender<Notice> {
        self.sender.clone()
    }

    /// What the scheduler is told of a notice, if it concerns it.
    pub fn event(&mut self, notice: Notice) -> Option<Event> {
        match notice {
            Notice::Due | Notice::ClockSet | Notice::ClockSynchronised => Some(Event::Tick),
            Notice::Exited(id, attempt) => {
                self.processes.remove(&id);
                Some(Event::Exited(id, *attempt))
            }
            Notice::HookEnded(end) => {
                self.hooks.ended(&end);
                self.start_hooks();
                None
            }
            Notice::HooksLate => {
                self.hooks.kill_all();
                None
            }
            Notice::Found(number, dates) => Some(Event::Found(number, dates)),
            Notice::Printed(..)
            | Notice::Synced(_)
            | Notice::Swept(_)
            | Notice::Stop
            | Notice::Reload
            | Notice::Replace(_)
            | Notice::FilesChanged => None,
        }
    }

    /// Tells the scheduler, has its records written down, and does what it says.
    pub fn step(&mut self, event: Event, recorder: &mut dyn Recorder) -> Vec<Reply> {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        let mut replies = Vec::new();
        while let Some(event) = events.pop_front() {
            let now = clock::now();
            self.scheduler.step(now, event, &mut actions);
            let mut records = Vec::new();
            let mut rest = Vec::new();
            for action in actions.drain(..) {
                match action {
                    Action::Record(record) => records.push(record),
                    Action::Reply(number, answer) => replies.push((number, answer)),
                    Action::Spawn(_) | Action::Signal(..) | Action::Look(_) => rest.push(action),
                    // What a hook is about has happened, whether it could be written down or not.
                    Action::Hook(call) => self.hooks.call(call),
                }
            }
            for record in &records {
                self.explain(record);
            }
            let is_written = records.is_empty() || recorder.record(records, now, &self.scheduler);
            if !is_written {
                // Told before what follows from it: else what is not begun now is begun again, and again.
                events.push_back(Event::Recording(false));
            }
            for action in rest {
                match action {
                    Action::Signal(id, signal) => self.signal(id, signal),
                    Action::Spawn(spawn) if is_written => {
                        if let Err(why) = self.spawn(&spawn) {
                            let exit = Exit::NotStarted(why);
                            let attempt = Attempt::unseen(exit, Duration::ZERO);
                            events.push_back(Event::Exited(spawn.attempt, attempt));
                        }
                    }
                    Action::Spawn(spawn) => events.push_back(Event::Lost(spawn.attempt)),
                    Action::Look(look) => self.look(look),
                    Action::Record(_) | Action::Reply(..) | Action::Hook(_) => {}
                }
            }
        }
        self.start_hooks();
        replies
    }

    /// What an attempt's exit does not say, its log does: that is where people look.
    fn explain(&self, record: &Record) {
        let Fact::Run(
            number,
            RunFact::Task(
                task_id,
                TaskFact::Ended {
                    try_number,
                    attempt,
                    ..
                },
            ),
        ) = &record.fact
        else {
            return;
        };
        let run = self.scheduler.state().run(*number);
        if let (Some(reason), Some(run)) = (&attempt.reason, run) {
            let log =
                self.launcher
                    .log_of(&run.dag.dag_id, &run.facts.run_id, task_id, *try_number);
            let mut log = TaskLog::new(&log, u64::MAX);
            log.write(format!("mini-dag: {reason}\n").as_bytes());
            // As with what the task printed: a disk that fails does not fail the task.
            let _ = log.finish();
        }
    }

    fn start_hooks(&mut self) {
        self.hooks
            .start(&self.launcher, &self.executor, &self.sender);
    }

    /// The hooks that run and that wait.
    pub fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// From now on these are the hooks of all DAGs.
    pub fn set_hooks_of_all(&mut self, hooks: dag::Hooks) {
        self.scheduler.set_hooks_of_all(hooks);
    }

    /// Hooks have so long to end by themselves; then they are killed.
    pub fn hurry_hooks(&self, grace: Duration) {
        let sender = self.sender();
        let late = async move {
            Timer::after(grace).await;
            // The loop has ended.
            let _ = sender.try_send(Notice::HooksLate);
        };
        self.executor.spawn(late).detach();
    }

    /// Lets `change` apply records of the past to the state.
    pub fn recall(&mut self, now: Now, change: impl FnOnce(&mut State)) {
        self.scheduler.recall(now, change);
    }

    /// What processes are started with from now on.
    pub fn equip(&mut self, local: Zone, config: &Config) {
        self.launcher.equip(local, config);
    }

    /// What processes are started with.
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Kills every process tree at once.
    pub fn kill_all(&mut self) {
        for (_, process) in self.processes.values() {
            process.signal(exec::Signal::Kill);
        }
        self.hooks.kill_all();
    }

    fn signal(&self, id: AttemptId, signal: Signal) {
        if let Some((_, process)) = self.processes.get(&id) {
            process.signal(match signal {
                Signal::Term => exec::Signal::Term,
                Signal::Kill => exec::Signal::Kill,
            });
        }
    }

    /// Has the journal read aside: it may be long, and an SD card takes its time. If it cannot be read now, it
    /// may be later.
    fn look(&self, look: Look) {
        let journal = self.launcher.root().join("journal");
        let sender = self.sender();
        let look = async move {
            loop {
                let (journal, asked) = (journal.clone(), look.clone());
                let read = move || {
                    let disk = Directory::new(&journal);
                    dates(&disk, &asked.dag_id, asked.from, asked.to)
                };
                match aside(read).await {
                    Ok(dates) => {
                        // If the loop has ended, nobody wants to know.
                        let _ = sender.try_send(Notice::Found(look.backfill, dates));
                        return;
                    }
                    Err(error) => {
                        let dag_id = &look.dag_id;
                        log::error!(
                            "dag={dag_id} backfill waits: the journal cannot be read: {error}"
                        );
                    }
                }
                Timer::after(LOOK_AGAIN).await;
            }
        };
        self.executor.spawn(look).detach();
    }

    fn spawn(&mut self, spawn: &Spawn) -> Result<(), String> {
        let id = spawn.attempt;
        let launch = self.launcher.launch(spawn);
        let spawned = launch.and_then(|launch| exec::spawn(&launch).map_err(|it| it.to_string()));
        let running = spawned.inspect_err(|why| {
            // Whoever looks for the task's output finds the reason there, too.
            let mut log = TaskLog::new(&self.launcher.log(spawn), u64::MAX);
            log.write(format!("cannot be started: {why}\n").as_bytes());
            log.finish();
        })?;
        self.follow(id, spawn.dag.task(id.task), clock::now().monotonic, running);
        Ok(())
    }

    /// Every process whose end has not been reported, for another program to go on with, and when it began.
    pub fn hand_over(&self) -> impl Iterator<Item = (AttemptId, Monotonic, Handed)> {
        let processes = self.processes.iter();
        processes.filter_map(|(id, (started, process))| Some((*id, *started, process.hand_over()?)))
    }

    /// There was no other program.
    pub fn keep_processes(&self) {
        for (_, process) in self.processes.values() {
            process.keep();
        }
    }

    /// Goes on with an attempt that the program before this one has left. `false` if that cannot be.
    pub fn adopt(&mut self, id: AttemptId, left: &Left) -> bool {
        let Some(run) = self.scheduler.state().run(id.run) else {
            return false;
        };
        let (dag, facts) = (run.dag.clone(), run.facts.clone());
        match self.launcher.adopt(&dag, &facts, id, &left.process) {
            Ok(running) => {
                self.follow(id, dag.task(id.task), left.started, running);
                true
            }
            Err(error) => {
                let task_id = &left.task_id;
                log::warn!(
                    "dag={} task={task_id} is not gone on with: {error}",
                    dag.dag_id
                );
                false
            }
        }
    }

    /// Waits for the end of an attempt, and tells of it.
    fn follow(&mut self, id: AttemptId, task: &Task, started: Monotonic, running: Running) {
        self.processes.insert(id, (started, running.process()));
        let sender = self.sender();
        let is_call = matches!(task.operator, Operator::Call { .. });
        let follow = async move {
            // If the loop has ended, nobody wants to know.
            let glimpse = |line: &LastLine| {
                let bytes = &line.bytes[..line.bytes.len().min(GLIMPSE_BYTES_MAX)];
                let text = String::from_utf8_lossy(bytes).into_owned();
                let _ = sender.try_send(Notice::Printed(id, text));
            };
            let ending = running.wait(glimpse).await;
            if ending.output_bytes > 0 {
                glimpse(&ending.last_line);
            }
            let over = ending.over.map(|over| over.to_string());
            let (xcom, reason) = match exec::xcom(&ending.last_line, is_call) {
                Ok(xcom) => (xcom.map(Arc::new), None),
                Err(reason) => (None, Some(reason)),
            };
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
                xcom,
                reason: over.or(reason),
            };
            let _ = sender.try_send(Notice::Exited(id, Box::new(attempt)));
        };
        self.executor.spawn(follow).detach();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{Command, Limits, RunType, Trigger};
    use crate::timetable::Zone;

    /// Takes nothing, and counts how often it was asked.
    struct FullDisk(u32);

    impl Recorder for FullDisk {
        fn record(&mut self, _: Vec<Record>, _: Now, _: &Scheduler) -> bool {
            self.0 += 1;
            assert!(self.0 < 100, "it is begun again and again");
            false
        }
    }

    /// It was begun again at once, and again, for ever: the scheduler was told too late.
    #[test]
    fn what_cannot_be_recorded_is_not_begun_and_not_tried_again() {
        let limits = Limits {
            pools: crate::dag::Pools::new(2),
            kill_grace: Duration::ZERO,
        };
        let launcher = Launcher::new(std::env::temp_dir(), Zone::utc()).unwrap();
        let executor = Rc::new(LocalExecutor::new());
        let (mut driver, _notices) =
            Driver::new(Scheduler::new(limits), launcher, executor).unwrap();
        let dag = crate::Dag::new("full");
        dag.bash("a", "true");
        let dag = std::sync::Arc::new(dag.finish().unwrap());
        driver.step(Event::DagLoaded(dag.clone()), &mut VecDeque::new());
        let trigger = Command::Trigger(Trigger {
            dag_id: dag.dag_id.to_string(),
            run_id: None,
            run_type: RunType::Manual,
            logical_date: None,
            data_interval: None,
            params: BTreeMap::new(),
        });
        driver.step(Event::Command(1, trigger), &mut FullDisk(0));
        assert!(driver.processes.is_empty());
        assert_eq!(driver.scheduler.live_attempts().len(), 0);
    }
}
