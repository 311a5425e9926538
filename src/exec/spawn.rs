//! Starting a process, or saying why it cannot be started.
//!
//! std's `Command` uses `posix_spawn`, which does not copy the memory map of this program, as long as nothing is
//! asked of it that needs code of ours in the child. That is why there is no `pre_exec` here, why the program
//! is searched for here and not by std, and why limits and the OOM score are set from outside, once there is a
//! process: on a busy host it may have children by then, and they are limited with it.

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{
    Access, AtFlags, CWD, MemfdFlags, SealFlags, accessat, fcntl_add_seals, fstat, memfd_create,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, pidfd_open, prlimit, setpriority_pgrp,
};
use smol::Async;

use super::cgroup::{Cgroup, Cgroups};
use super::log::TaskLog;
use super::mask::{Masker, Secrets};
use super::output::{LastLine, Output};
use super::proc;
use super::running::Running;
use super::tree::Tree;

/// The variable that tells the kernel's environment of a process which attempt it belongs to.
pub(super) const MARK: &str = "MINI_DAG_MARK";
/// Added to our own OOM score: enough that the kernel takes a task first, whatever the sizes are.
const OOM_SCORE_RAISE: i32 = 500;

/// One process to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program and its arguments, at least one. A program without a slash is searched for in the `PATH`
    /// of `env`; one with a slash is relative to `cwd`.
    pub argv: Vec<OsString>,
    /// The whole environment but `MINI_DAG_MARK`, which is added.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory; this program's unless set.
    pub cwd: Option<PathBuf>,
    /// What the process reads.
    pub stdin: Stdin,
    /// Where its output goes.
    pub log: PathBuf,
    /// How much of its output is kept.
    pub output_bytes_max: u64,
    /// What else it may use.
    pub limits: Limits,
    /// Where its cgroup is made, if this program may make any.
    pub cgroups: Option<Cgroups>,
    /// What does not get into its log.
    pub secrets: Secrets,
}

/// What a process may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its niceness, -20 to 19; 0 leaves it as that of this program.
    pub nice: i32,
    /// CPU time of each of its processes, in whole seconds, rounded up: SIGXCPU at the limit, SIGKILL
    /// [`CPU_GRACE_S`] seconds later.
    pub cpu_time: Option<Duration>,
    /// Memory of all its processes together, in their cgroup; not enforced without one.
    pub memory_bytes: Option<u64>,
}

/// From SIGXCPU to SIGKILL, in seconds of CPU time: to clean up, not to go on.
pub const CPU_GRACE_S: u64 = 1;

/// What a process reads from its standard input.
#[derive(Clone, Debug)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// These bytes, from memory that nobody can change any more.
    Bytes(Vec<u8>),
}

/// Why a process was not started.
#[derive(Debug)]
pub enum LaunchError {
    /// No directory of its `PATH` has a program of this name.
    NotInPath {
        /// As it was asked for.
        program: OsString,
        /// Where it was searched for.
        path: OsString,
    },
    /// There is no such file.
    NoSuchFile(PathBuf),
    /// The file is there, and may not be executed.
    NotExecutable(PathBuf),
    /// The file is executable, and is neither a program of this machine nor a script with a `#!` line.
    NotAProgram(PathBuf),
    /// The script's `#!` line (or the program's header) asks for an interpreter that is not there.
    NoInterpreter {
        /// The script.
        program: PathBuf,
        /// From its `#!` line; empty if it is not a script.
        interpreter: OsString,
    },
    /// The working directory cannot be entered.
    Cwd {
        /// The directory.
        cwd: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The kernel refuses arguments and environment of this size.
    TooLong {
        /// All of it.
        bytes: usize,
        /// Its longest piece; one piece may have 128 KiB.
        longest_bytes: usize,
    },
    /// An argument, a variable or the directory has a NUL byte in it, which no program can be given.
    NulByte,
    /// The system has no process, memory or descriptor to spare. Trying again later may work.
    Exhausted {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// Anything else.
    Other {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

impl std::error::Error for LaunchError {}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInPath { program, path } => write!(
                f,
                "`{}` was not found in PATH={}",
                program.display(),
                path.display()
            ),
            Self::NoSuchFile(program) => write!(f, "`{}` does not exist", program.display()),
            Self::NotExecutable(program) => write!(f, "`{}` is not executable", program.display()),
            Self::NotAProgram(program) => write!(
                f,
                "`{}` is neither a program for this machine nor a script with a #! line",
                program.display()
            ),
            Self::NoInterpreter {
                program,
                interpreter,
            } if interpreter.is_empty() => {
                write!(
                    f,
                    "the loader that `{}` needs does not exist",
                    program.display()
                )
            }
            Self::NoInterpreter {
                program,
                interpreter,
            } => write!(
                f,
                "the interpreter of `{}` does not exist: `{}`",
                program.display(),
                interpreter.display()
            ),
            Self::Cwd { cwd, error } => {
                write!(
                    f,
                    "cannot enter working directory `{}`: {error}",
                    cwd.display()
                )
            }
            Self::TooLong {
                bytes,
                longest_bytes,
            } => write!(
                f,
                "argument list too long: {bytes} bytes of arguments and environment, {longest_bytes} in one piece"
            ),
            Self::NulByte => f.write_str("an argument or a variable contains a NUL byte"),
            Self::Exhausted { what, error } | Self::Other { what, error } => {
                write!(f, "cannot {what}: {error}")
            }
        }
    }
}

/// Starts the process. It is in a process group of its own, reads `stdin`, prints into one pipe, and has no
/// other descriptor, provided that [`prepare`](super::prepare) was called.
///
/// Call it from the thread that runs the loop.
pub fn spawn(launch: &Launch) -> Result<Running, LaunchError> {
    let (name, arguments) = launch
        .argv
        .split_first()
        .ok_or_else(|| LaunchError::NoSuchFile(PathBuf::new()))?;
    let program = find(name, launch)?;
    let (reader, writer) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed("create a pipe", error.into()))?;
    let pipe_inode = fstat(&reader)
        .map_err(|error| failed("create a pipe", error.into()))?
        .st_ino;
    let pipe = Async::new(reader).map_err(|error| failed("watch a pipe", error))?;
    let mark = new_mark();

    let mut command = Command::new(&program);
    command
        .arg0(name)
        .args(arguments)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .env(MARK, &mark)
        .process_group(0)
        .stdin(match &launch.stdin {
            Stdin::Null => Stdio::null(),
            Stdin::Bytes(bytes) => {
                Stdio::from(sealed(bytes).map_err(|error| failed("pass standard input", error))?)
            }
        })
        .stderr(
            writer
                .try_clone()
                .map_err(|error| failed("create a pipe", error))?,
        )
        .stdout(writer);
    if let Some(cwd) = &launch.cwd {
        command.current_dir(cwd);
    }

    let cgroup = make_cgroup(launch, &mark)?;
    let mut tasks = proc::tasks();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that starts processes"
    )]
    let child = command
        .spawn()
        .map_err(|error| diagnose(launch, &program, error))
        .inspect_err(|_| cgroup.iter().for_each(Cgroup::remove))?;
    // Our copies of the pipe's writing end must go, or its end would never be seen.
    drop(command);
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(Async::<OwnedFd>::new_nonblocking);
    let pidfd = match pidfd {
        Ok(pidfd) => pidfd,
        Err(error) => {
            // It is our child and not reaped, so the number is still its own.
            let _ = kill_process(pid, Signal::KILL);
            let _ = { child }.wait();
            return Err(failed("watch the process", error));
        }
    };
    tasks.push(pid);
    drop(tasks);
    if let Some(cgroup) = &cgroup {
        proc::each_in_family(pid, |pid| cgroup.add(pid));
    }
    raise_oom_score(pid);
    let mut log = TaskLog::new(&launch.log, launch.output_bytes_max);
    for refused in limit(pid, &launch.limits) {
        log.write(refused.as_bytes());
    }

    let output = Output {
        log,
        masker: Masker::new(&launch.secrets),
        last_line: LastLine::default(),
        bytes: 0,
    };
    let tree = Tree::new(pid, format!("{MARK}={mark}"), pipe_inode, cgroup);
    Ok(Running::new(pid, pidfd, tree, launch.limits, pipe, output))
}

/// A cgroup that is wanted only to find processes may be missing; one that bounds memory may not.
fn make_cgroup(launch: &Launch, mark: &str) -> Result<Option<Cgroup>, LaunchError> {
    let Some(cgroups) = &launch.cgroups else {
        return Ok(None);
    };
    match cgroups.create(mark, launch.limits.memory_bytes) {
        Ok(cgroup) => Ok(Some(cgroup)),
        Err(error) if launch.limits.memory_bytes.is_some() => {
            Err(failed("make a cgroup that limits memory", error))
        }
        Err(_) => Ok(None),
    }
}

/// Returns lines that say what the kernel has refused; that is no reason not to run.
fn limit(pid: Pid, limits: &Limits) -> Vec<String> {
    let mut refused = Vec::new();
    // The whole group: what the process has started in its first moments, too.
    if limits.nice != 0
        && let Err(error) = setpriority_pgrp(Some(pid), limits.nice)
    {
        refused.push(format!(
            "mini-dag: cannot set nice {}: {error}\n",
            limits.nice
        ));
    }
    if let Some(seconds) = limits.cpu_time.map(whole_seconds) {
        let limit = Rlimit {
            current: Some(seconds),
            maximum: Some(seconds.saturating_add(CPU_GRACE_S)),
        };
        proc::each_in_family(pid, |pid| {
            // Fails only for one that has ended.
            let _ = prlimit(Some(pid), Resource::Cpu, limit);
        });
    }
    refused
}

/// The kernel counts CPU time in whole seconds.
pub(super) fn whole_seconds(limit: Duration) -> u64 {
    limit.as_secs() + u64::from(limit.subsec_nanos() > 0)
}

fn failed(what: &'static str, error: io::Error) -> LaunchError {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOSPC) => {
            LaunchError::Exhausted { what, error }
        }
        Some(_) | None => LaunchError::Other { what, error },
    }
}

/// As `execvp` does it, but with the task's `PATH` and before there is a child.
fn find(name: &OsStr, launch: &Launch) -> Result<PathBuf, LaunchError> {
    if name.is_empty() {
        return Err(LaunchError::NoSuchFile(PathBuf::new()));
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let path = launch.env.iter().rev().find(|(key, _)| key == "PATH");
    let path = path.map_or(OsStr::new("/usr/bin:/bin"), |(_, path)| path);
    let mut not_executable = None;
    for directory in std::env::split_paths(path) {
        // A relative entry means the task's directory; it keeps a slash, so that nobody searches again.
        let candidate = if directory.as_os_str().is_empty() {
            Path::new(".").join(name)
        } else {
            directory.join(name)
        };
        let seen = in_cwd(launch, &candidate);
        if !seen.is_file() {
            continue;
        }
        if accessat(CWD, &seen, Access::EXEC_OK, AtFlags::EACCESS).is_ok() {
            return Ok(candidate);
        }
        not_executable.get_or_insert(candidate);
    }
    Err(match not_executable {
        Some(candidate) => LaunchError::NotExecutable(candidate),
        None => LaunchError::NotInPath {
            program: name.to_owned(),
            path: path.to_owned(),
        },
    })
}

fn in_cwd(launch: &Launch, path: &Path) -> PathBuf {
    match &launch.cwd {
        Some(cwd) => cwd.join(path),
        None => path.to_owned(),
    }
}

/// The kernel has one number for many reasons; which one it was is looked up afterwards.
fn diagnose(launch: &Launch, program: &Path, error: io::Error) -> LaunchError {
    if error.kind() == io::ErrorKind::InvalidInput {
        return LaunchError::NulByte;
    }
    if matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::EACCES | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG)
    ) && let Some(cwd) = &launch.cwd
        && let Err(error) = enter(cwd)
    {
        return LaunchError::Cwd {
            cwd: cwd.clone(),
            error,
        };
    }
    let file = in_cwd(launch, program);
    match error.raw_os_error() {
        Some(libc::E2BIG) => {
            let pieces = || {
                let variables = launch
                    .env
                    .iter()
                    .map(|(name, value)| name.len() + value.len() + 2);
                launch
                    .argv
                    .iter()
                    .map(|argument| argument.len() + 1)
                    .chain(variables)
            };
            LaunchError::TooLong {
                bytes: pieces().sum(),
                longest_bytes: pieces().max().unwrap_or(0),
            }
        }
        Some(libc::ENOENT | libc::ENOTDIR) if fs::metadata(&file).is_err() => {
            LaunchError::NoSuchFile(program.to_owned())
        }
        Some(libc::ENOENT) => LaunchError::NoInterpreter {
            program: program.to_owned(),
            interpreter: interpreter(&file),
        },
        Some(libc::EACCES) => LaunchError::NotExecutable(program.to_owned()),
        Some(libc::ENOEXEC) => LaunchError::NotAProgram(program.to_owned()),
        Some(_) | None => failed("start the process", error),
    }
}

fn enter(directory: &Path) -> io::Result<()> {
    if !fs::metadata(directory)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(accessat(CWD, directory, Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// What the `#!` line of a script asks for.
fn interpreter(script: &Path) -> OsString {
    let mut start = Vec::new();
    if let Ok(file) = File::open(script) {
        // The kernel reads no further either.
        let _ = io::Read::read_to_end(&mut io::Read::take(file, 256), &mut start);
    }
    let Some(line) = start.strip_prefix(b"#!") else {
        return OsString::new();
    };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(is_blank).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    // "/bin/bash\r": the file has the line ends of another system, and the name shows it.
    OsString::from(String::from_utf8_lossy(name).escape_debug().to_string())
}

/// Memory with these bytes, to be read from its start, that neither side can change.
fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = memfd_create("mini-dag", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(memory);
    file.write_all(bytes)?;
    file.rewind()?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

/// Unlike that of any other attempt, of this or another daemon.
fn new_mark() -> String {
    static DAEMON: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(1);
    // The standard library seeds its hash maps from the kernel's random numbers.
    let daemon = DAEMON.get_or_init(|| RandomState::new().build_hasher().finish());
    format!("{daemon:016x}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// When memory runs out, the task must go and not the daemon. A kernel that refuses is no reason not to run.
fn raise_oom_score(pid: Pid) {
    static SCORE: OnceLock<String> = OnceLock::new();
    let score = SCORE.get_or_init(|| {
        let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
        let own: i32 = own.and_then(|own| own.trim().parse().ok()).unwrap_or(0);
        (own + OOM_SCORE_RAISE).min(1000).to_string()
    });
    let _ = fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_pid()), score);
}
