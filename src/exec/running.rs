//! A process that was started: following it to its end, and signalling it on the way.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Pid;
use smol::stream::StreamExt;
use smol::{Async, Timer, future};

use super::cgroup::Cgroup;
use super::output::{LastLine, Output, Pumped};
use super::proc::{self, Stat};
use super::spawn::{Limits, whole_seconds};
use super::sys::{self, Reaped, Usage};
use super::tree::Tree;
use crate::timetable::duration_text;

/// Once the main process has ended: how long the pipe may be silent before nobody is believed to write.
const DRAIN_IDLE: Duration = Duration::from_millis(200);
/// … and how long it may be written to in all.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How often what a running task has orphaned and has ended is reaped.
const REAP_EVERY: Duration = Duration::from_secs(30);

/// How an attempt ended, and what it took.
#[derive(Debug)]
pub struct Ending {
    /// The main process's end.
    pub exit: Exit,
    /// CPU time in the program, of the main process and all that it waited for or left behind.
    pub cpu_user: Duration,
    /// CPU time in the kernel, likewise.
    pub cpu_system: Duration,
    /// The most memory that one of these processes had at a time; at least what this program itself had at
    /// most, because `posix_spawn` lends its memory to the child and the kernel counts that.
    pub memory_peak_bytes: u64,
    /// Printed in all.
    pub output_bytes: u64,
    /// Printed, but not in the log.
    pub output_dropped_bytes: u64,
    /// The last line printed, whether it is in the log or not.
    pub last_line: LastLine,
    /// Processes that the main process left behind and that were killed.
    pub leftovers_killed: u32,
    /// Processes that it left behind and that could not be killed.
    pub leftovers_alive: u32,
    /// Why the log is not complete, if it is not for its limit.
    pub log_error: Option<io::Error>,
    /// The limit that ended it, if one did.
    pub over: Option<Over>,
}

/// A limit that ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It took more than so many bytes of memory.
    Memory(u64),
    /// It took more than so much CPU time.
    CpuTime(Duration),
}

/// `killed: out of memory, limit 32 MiB`, `cpu time over 10s`.
impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match *self {
            Self::CpuTime(limit) => write!(f, "cpu time over {}", duration_text(limit)),
            Self::Memory(bytes) => {
                let whole = UNITS.iter().find(|(unit, _)| bytes % unit == 0);
                let (unit, name) = whole.copied().unwrap_or((1, "bytes"));
                write!(f, "killed: out of memory, limit {} {name}", bytes / unit)
            }
        }
    }
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It ended itself with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Its number.
        number: i32,
        /// The kernel wrote a core file.
        has_core: bool,
    },
    /// It has ended, but something else in this program took the report.
    Unknown,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(number)) => Self::Signal {
                number,
                has_core: status.core_dumped(),
            },
            (None, None) => Self::Unknown,
        }
    }
}

/// `exit code 3`, `signal 9 (SIGKILL)`, `signal 11 (SIGSEGV), core dumped`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, has_core } => {
                write!(f, "signal {number}")?;
                if let Some((_, name)) = SIGNALS.iter().find(|(it, _)| it == number) {
                    write!(f, " ({name})")?;
                }
                f.write_str(if *has_core { ", core dumped" } else { "" })
            }
            Self::Unknown => f.write_str("unknown end"),
        }
    }
}

/// Those that end a process without anybody having planned it.
const SIGNALS: [(i32, &str); 16] = [
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGSYS, "SIGSYS"),
];

/// What a tree of processes can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End, please: SIGTERM, and SIGCONT for what is stopped.
    Term,
    /// SIGKILL.
    Kill,
}

/// A started process, for as long as somebody may want to signal it.
pub struct Process {
    pub(super) pid: Pid,
    pidfd: Async<OwnedFd>,
    /// What it prints, and where that goes.
    pub(super) pipe: Async<OwnedFd>,
    pub(super) output: RefCell<Output>,
    pub(super) tree: RefCell<Tree>,
    is_reaped: Cell<bool>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Process {
    /// The main process's number, which is also that of its group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// When it started, in clock ticks since boot: together with the pid and the boot this names it for ever.
    /// `None` once it has been reaped.
    pub fn start_time(&self) -> Option<u64> {
        let stat = (!self.is_reaped.get()).then(|| Stat::read(self.pid))?;
        stat.map(|stat| stat.start_time)
    }

    /// Signals the process and everything that it has started, whatever group or session that is in.
    /// After the end has been reported this does nothing.
    pub fn signal(&self, signal: Signal) {
        if self.is_reaped.get() {
            return;
        }
        let mut tree = self.tree.borrow_mut();
        match signal {
            Signal::Term => tree.terminate(),
            Signal::Kill => tree.kill(),
        }
    }
}

/// A started process, and its output.
pub struct Running {
    process: Rc<Process>,
    limits: Limits,
}

enum Woken {
    Exited,
    Printed,
    TimeToReap,
}

impl Running {
    pub(super) fn new(
        pid: Pid,
        pidfd: Async<OwnedFd>,
        tree: Tree,
        limits: Limits,
        pipe: Async<OwnedFd>,
        output: Output,
    ) -> Self {
        let process = Rc::new(Process {
            pid,
            pidfd,
            pipe,
            output: RefCell::new(output),
            tree: RefCell::new(tree),
            is_reaped: Cell::new(false),
        });
        Self { process, limits }
    }

    /// The handle with which to signal it while [`Running::wait`] runs.
    pub fn process(&self) -> Rc<Process> {
        Rc::clone(&self.process)
    }

    /// Follows the process to its end. `on_output` is called at most once a turn, after something was printed;
    /// what comes with the end is in the [`Ending`].
    ///
    /// To be run to its end: if it is dropped, the process gets SIGPIPE when it prints, and is never reaped.
    pub async fn wait(self, mut on_output: impl FnMut(&LastLine)) -> Ending {
        let process = self.process();
        let mut is_open = true;
        {
            let mut exited = pin!(process.pidfd.readable());
            let mut time_to_reap = Timer::interval(REAP_EVERY);
            loop {
                let exit = async {
                    let _ = exited.as_mut().await;
                    Woken::Exited
                };
                let print = async {
                    if is_open && process.pipe.readable().await.is_ok() {
                        Woken::Printed
                    } else {
                        future::pending().await
                    }
                };
                let reap = async {
                    time_to_reap.next().await;
                    Woken::TimeToReap
                };
                match future::or(exit, future::or(print, reap)).await {
                    Woken::Exited => break,
                    Woken::Printed => {
                        let mut output = process.output.borrow_mut();
                        let before = output.bytes;
                        is_open = output.pump(process.pipe.get_ref()) != Pumped::Closed;
                        if output.bytes > before {
                            on_output(&output.last_line);
                        }
                    }
                    Woken::TimeToReap => proc::reap_orphans(),
                }
            }
        }
        if is_open {
            is_open = process.drain().await;
        }
        // What signals have learnt of the tree still holds.
        let mut tree = process.tree.borrow().clone();
        let leftovers = tree.settle().await;
        if is_open {
            // Whoever wrote is dead; a pipe holds no more than a turn takes.
            process.pump();
        }
        process.output.borrow_mut().finish();
        let (exit, usage) = process.reap().await;
        let cpu = usage.cpu_user
            + usage.cpu_system
            + leftovers.usage.cpu_user
            + leftovers.usage.cpu_system;
        let over = over(&self.limits, &tree, exit, cpu);
        if let Some(cgroup) = tree.cgroup() {
            cgroup.remove();
        }
        let mut output = process.output.borrow_mut();
        let (output_dropped_bytes, log_error) = output.log.finish();
        Ending {
            exit,
            cpu_user: usage.cpu_user + leftovers.usage.cpu_user,
            cpu_system: usage.cpu_system + leftovers.usage.cpu_system,
            memory_peak_bytes: usage
                .memory_peak_bytes
                .max(leftovers.usage.memory_peak_bytes),
            output_bytes: output.bytes,
            output_dropped_bytes,
            last_line: std::mem::take(&mut output.last_line),
            leftovers_killed: leftovers.killed,
            leftovers_alive: leftovers.alive,
            log_error,
            over,
        }
    }
}

/// The limit that ended a process. A shell tells of a child's signal by an exit code of 128 and more.
fn over(limits: &Limits, tree: &Tree, exit: Exit, cpu: Duration) -> Option<Over> {
    if let Some(bytes) = limits.memory_bytes
        && tree.cgroup().is_some_and(Cgroup::is_out_of_memory)
    {
        return Some(Over::Memory(bytes));
    }
    let limit = limits.cpu_time?;
    let is_over = match exit {
        Exit::Code(code) => code == 128 + libc::SIGXCPU,
        Exit::Signal { number, .. } => {
            let took_it = cpu.as_secs() >= whole_seconds(limit);
            number == libc::SIGXCPU || number == libc::SIGKILL && took_it
        }
        Exit::Unknown => false,
    };
    is_over.then_some(Over::CpuTime(limit))
}

impl Process {
    fn pump(&self) -> Pumped {
        self.output.borrow_mut().pump(self.pipe.get_ref())
    }

    /// Takes what is still in the pipe, and waits a moment for what a child may still print. Returns whether
    /// somebody still holds the other end.
    async fn drain(&self) -> bool {
        let mut limit = Timer::after(DRAIN_MAX);
        loop {
            let limit = async {
                (&mut limit).await;
                false
            };
            let goes_on = match self.pump() {
                Pumped::Closed => return false,
                Pumped::More => {
                    future::or(limit, async {
                        future::yield_now().await;
                        true
                    })
                    .await
                }
                Pumped::Empty => {
                    let print = async { self.pipe.readable().await.is_ok() };
                    let idle = async {
                        Timer::after(DRAIN_IDLE).await;
                        false
                    };
                    future::or(limit, future::or(print, idle)).await
                }
            };
            if !goes_on {
                return true;
            }
        }
    }

    /// The main process has ended, so this takes no time; were the kernel of another opinion, it is asked again.
    async fn reap(&self) -> (Exit, Usage) {
        loop {
            {
                let mut tasks = proc::tasks();
                let ended = match sys::reap(self.pid) {
                    Ok(Some(Reaped { status, usage })) => Some((Exit::from(status), usage)),
                    Ok(None) => None,
                    Err(_) => Some((Exit::Unknown, Usage::default())),
                };
                if let Some(ended) = ended {
                    tasks.retain(|task| *task != self.pid);
                    self.is_reaped.set(true);
                    return ended;
                }
            }
            Timer::after(Duration::from_millis(10)).await;
        }
    }
}
