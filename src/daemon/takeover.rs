//! Another program in this one's place: the same process, the same tasks, the new version.
//!
//! ```text
//! old   ask the new program whether it can         `mini-dag __takeover`, a process of its own
//!       wait until no task is being ended and all is on the disk
//!       write down what only it knows              a file in memory; what else there is, the journal says
//!       exec
//! new   read the journal, go on with the tasks     one that it cannot go on with is interrupted, and runs again
//! ```
//!
//! The lock on the state directory and the pipes that tasks print to stay open, so no other daemon can come between,
//! and no task notices. If `exec` fails, the old program goes on.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use smol::{Timer, future};

use crate::dag::Value;
use crate::exec::{self, Handed, Held, Kept, Launch, Limits, Secrets, Signal, Stdin};
use crate::journal;
use crate::scheduler::{Monotonic, RunNumber};

/// The first word of the command line with which a program says whether it can take over.
pub const PROBE: &str = "__takeover";
/// Names the descriptor of what the program before this one has left.
const VARIABLE: &str = "MINI_DAG_TAKEOVER";
/// Of what is handed over. A program takes over from one of the same version only.
const VERSION: u64 = 1;
/// How long a program may take to say whether it can.
const PROBE_PATIENCE: Duration = Duration::from_secs(20);

/// What a program says to [`PROBE`].
pub fn tells() -> String {
    format!("takeover={VERSION} journal={}", journal::VERSION)
}

/// What one program leaves to the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Takeover {
    /// The descriptor that holds the lock.
    pub lock: RawFd,
    /// The attempts whose processes live.
    pub attempts: Vec<Left>,
}

/// An attempt, and its process.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The number of its run.
    pub run: u64,
    /// Its task.
    pub task_id: String,
    /// From 1.
    pub try_number: u32,
    /// When it began, on the clock that nobody sets.
    pub started: Monotonic,
    /// Its process.
    pub process: Handed,
}

impl Left {
    /// The run.
    pub fn run(&self) -> RunNumber {
        RunNumber(self.run)
    }
}

/// The program that a new daemon would be: what is now where this one was.
pub fn program() -> io::Result<PathBuf> {
    let program = env::current_exe()?.into_os_string().into_vec();
    // The kernel says so of a file that another one has replaced.
    let program = program.strip_suffix(b" (deleted)").unwrap_or(&program);
    Ok(PathBuf::from(OsString::from_vec(program.to_owned())))
}

/// Asks the program whether it can take over. The error says why not.
pub async fn probe() -> Result<PathBuf, String> {
    let program =
        program().map_err(|error| format!("cannot tell which program this is: {error}"))?;
    let name = program.display().to_string();
    let launch = Launch {
        argv: vec![program.clone().into(), PROBE.into()],
        env: Vec::new(),
        cwd: None,
        stdin: Stdin::Null,
        log: PathBuf::from("/dev/null"),
        output_bytes_max: u64::MAX,
        limits: Limits::default(),
        cgroups: None,
        secrets: Secrets::default(),
    };
    let running = exec::spawn(&launch).map_err(|error| error.to_string())?;
    let process = running.process();
    let late = async {
        Timer::after(PROBE_PATIENCE).await;
        process.signal(Signal::Kill);
        future::pending().await
    };
    let ending = future::or(running.wait(|_| {}), late).await;
    let said = String::from_utf8_lossy(&ending.last_line.bytes).into_owned();
    if ending.exit == exec::Exit::Code(0) && said == tells() {
        return Ok(program);
    }
    let why = match ending.exit {
        exec::Exit::Code(0) => format!(
            "it says `{}`, and this one `{}`",
            said.escape_debug(),
            tells()
        ),
        exec::Exit::Code(_) | exec::Exit::Signal { .. } | exec::Exit::Unknown => {
            ending.exit.to_string()
        }
    };
    Err(format!(
        "`{name}` cannot take over: {why}; restart the daemon instead"
    ))
}

impl Takeover {
    /// What the program before this one has left, if it was one of ours.
    pub fn of_env() -> Option<Self> {
        let descriptor: RawFd = env::var(VARIABLE).ok()?.parse().ok()?;
        let read = || -> io::Result<String> {
            let mut text = String::new();
            File::from(exec::inherit(descriptor)?).read_to_string(&mut text)?;
            Ok(text)
        };
        // A variable that somebody has inherited from somewhere leads to no such text.
        let text = read().ok()?;
        let value = Value::parse(&text).ok()?;
        let is_ours = number(&value, "version")? == VERSION
            && number(&value, "pid")? == u64::from(std::process::id());
        let attempts = value.get("attempts")?.as_array()?;
        is_ours.then_some(Self {
            lock: number(&value, "lock")?.try_into().ok()?,
            attempts: attempts.iter().filter_map(left).collect(),
        })
    }

    /// Becomes `program`, which finds this with [`Takeover::of_env`]. Returns only if that fails.
    pub fn exec(&self, program: &Path) -> io::Error {
        let descriptor = match self.written() {
            Ok(descriptor) => descriptor,
            Err(error) => return error,
        };
        Command::new(program)
            .args(env::args_os().skip(1))
            .env(VARIABLE, descriptor.as_raw_fd().to_string())
            .exec()
    }

    /// In memory that the next program inherits.
    fn written(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("mini-dag-takeover", MemfdFlags::empty())?);
        file.write_all(self.to_value().to_string().as_bytes())?;
        file.rewind()?;
        Ok(file.into())
    }

    fn to_value(&self) -> Value {
        let attempts = self.attempts.iter().map(|left| {
            let (process, kept, held) = (&left.process, &left.process.kept, &left.process.held);
            let found = held
                .found
                .iter()
                .flat_map(|found| [found.start as u64, found.end as u64]);
            let secrets = process.secrets.all().map(|secret| Value::from(hex(secret)));
            Value::from([
                ("run", Value::from(left.run)),
                ("task", left.task_id.as_str().into()),
                ("try", u64::from(left.try_number).into()),
                ("started", left.started.0.into()),
                ("pid", process.pid.into()),
                ("start_time", process.start_time.into()),
                ("pipe", process.pipe.into()),
                ("mark", process.mark.as_str().into()),
                ("kept", kept.kept.into()),
                ("dropped", kept.dropped.into()),
                ("ends_line", kept.ends_line.into()),
                ("output_bytes", process.output_bytes.into()),
                ("last_line", hex(&process.last_line).into()),
                ("is_cut", process.is_cut.into()),
                ("is_ended", process.is_ended.into()),
                ("secrets", Value::Array(secrets.collect())),
                ("held", hex(&held.bytes).into()),
                ("found", Value::Array(found.map(Value::from).collect())),
                ("is_begun", held.is_begun.into()),
            ])
        });
        Value::from([
            ("version", Value::from(VERSION)),
            ("pid", u64::from(std::process::id()).into()),
            ("lock", self.lock.into()),
            ("attempts", Value::Array(attempts.collect())),
        ])
    }
}

fn left(value: &Value) -> Option<Left> {
    let flag = |key| value.get(key)?.as_bool();
    let text = |key| value.get(key)?.as_str();
    let found: Option<Vec<usize>> = value
        .get("found")?
        .as_array()?
        .iter()
        .map(|at| at.as_i64()?.try_into().ok())
        .collect();
    let mut secrets = Secrets::default();
    for secret in value.get("secrets")?.as_array()? {
        secrets.add(&unhex(secret.as_str()?)?);
    }
    Some(Left {
        run: number(value, "run")?,
        task_id: text("task")?.to_owned(),
        try_number: number(value, "try")?.try_into().ok()?,
        started: Monotonic(number(value, "started")?),
        process: Handed {
            pid: number(value, "pid")?.try_into().ok()?,
            start_time: number(value, "start_time")?,
            pipe: number(value, "pipe")?.try_into().ok()?,
            mark: text("mark")?.to_owned(),
            kept: Kept {
                kept: number(value, "kept")?,
                dropped: number(value, "dropped")?,
                ends_line: flag("ends_line")?,
            },
            output_bytes: number(value, "output_bytes")?,
            last_line: unhex(text("last_line")?)?,
            is_cut: flag("is_cut")?,
            is_ended: flag("is_ended")?,
            secrets,
            held: Held {
                bytes: unhex(text("held")?)?,
                found: found?
                    .chunks_exact(2)
                    .map(|ends| ends[0]..ends[1])
                    .collect(),
                is_begun: flag("is_begun")?,
            },
        },
    })
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_i64()?.try_into().ok()
}

/// Bytes of any kind, as text.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut secrets = Secrets::default();
        secrets.add(b"hunter2!\n\xff\x00 and more");
        let process = Handed {
            pid: 17,
            start_time: u64::from(u32::MAX) * 3,
            pipe: 9,
            mark: "f00-1".to_owned(),
            kept: Kept {
                kept: 3,
                dropped: 4,
                ends_line: true,
            },
            output_bytes: 7,
            last_line: vec![0, 0xff, b'\n', b'"'],
            is_cut: true,
            is_ended: false,
            secrets,
            held: Held {
                bytes: b"hunt".to_vec(),
                found: vec![0..2, 3..9],
                is_begun: true,
            },
        };
        let left = Left {
            run: 1 << 40,
            task_id: "a.b".to_owned(),
            try_number: 3,
            started: Monotonic(123),
            process,
        };
        let takeover = Takeover {
            lock: 5,
            attempts: vec![left],
        };
        let text = takeover.to_value().to_string();
        let value = Value::parse(&text).unwrap();
        let attempts = value.get("attempts").unwrap().as_array().unwrap();
        assert_eq!(
            super::left(&attempts[0]).as_ref(),
            takeover.attempts.first()
        );
        assert_eq!(number(&value, "lock"), Some(5));
    }

    #[test]
    fn a_broken_hex_is_none() {
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0g"), None);
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
    }
}
