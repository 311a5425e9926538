//! The daemon's own log, on stderr: `2026-11-22T06:00:00.123Z INFO dag=weather loaded`.
//!
//! Under systemd's journal a line has a priority instead of a time. A reader of stderr that is stuck
//! never blocks the daemon: lines that it would have to wait for are dropped, and counted.

use std::env;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use log::Level;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;

use super::clock;
use crate::dag::Diagnostic;
use crate::dag::diagnostic::printable;
use crate::scheduler::Monotonic;

/// What happens again and again is not said again before this.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// What a pipe takes at once or not at all.
const LINE_BYTES_MAX: usize = 4096;

/// Begins to log, at `info` unless `RUST_LOG` says otherwise.
pub fn begin() {
    let to_journal = is_journal();
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(log::LevelFilter::Info)
        .parse_default_env();
    builder.format(move |line, record| {
        let text = record.args().to_string().replace(['\n', '\r'], " ");
        if to_journal {
            let priority = match record.level() {
                Level::Error => 3,
                Level::Warn => 4,
                Level::Info => 6,
                Level::Debug | Level::Trace => 7,
            };
            writeln!(line, "<{priority}>{text}")
        } else {
            let at = clock::now().wall.to_string().replace("+00:00", "Z");
            writeln!(line, "{at} {:5} {text}", record.level())
        }
    });
    builder.target(env_logger::Target::Pipe(Box::new(Stderr { lost: 0 })));
    // A program that uses the library may log in its own way already.
    let _ = builder.try_init();
}

/// `dags/weather.json:6:65: what is wrong; a fact; help: what to do`.
pub fn in_a_line(error: &Diagnostic) -> String {
    let place = error.place.as_ref();
    let place = place.map(|at| format!("{}:{}:{}: ", at.file, at.line, at.column));
    let mut line = format!("{}{}", place.unwrap_or_default(), error.message);
    for note in &error.notes {
        line.push_str("; ");
        line.push_str(note);
    }
    if let Some(help) = &error.help {
        line.push_str("; help: ");
        line.push_str(help);
    }
    printable(&line)
}

/// Whether stderr is the stream that systemd says goes to its journal.
fn is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = fstat(io::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Writes whole lines, and only such as can be written at once.
struct Stderr {
    lost: u64,
}

impl Stderr {
    fn can_write() -> bool {
        let stderr = io::stderr();
        let mut ready = [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut ready, Some(&at_once)).is_ok_and(|count| count > 0)
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if Self::can_write() {
            let mut all = Vec::new();
            if self.lost > 0 {
                writeln!(all, "({} lines could not be written)", self.lost)?;
                self.lost = 0;
            }
            all.extend_from_slice(line);
            // In one piece: after a first one, the pipe may be full.
            if all.len() > LINE_BYTES_MAX {
                all.truncate(LINE_BYTES_MAX - 1);
                all.push(b'\n');
            }
            io::stderr().lock().write_all(&all)?;
        } else {
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Something that may happen again and again: it is said once a minute at most, and how often it was.
#[derive(Debug, Default)]
pub struct Repeated {
    said_at: Option<Monotonic>,
    unsaid: u32,
}

impl Repeated {
    /// It has happened. Returns what to add if it is to be said now: nothing, or how often it was not.
    pub fn say(&mut self, now: Monotonic) -> Option<String> {
        let is_early = |at: Monotonic| now < at.after(SAY_AGAIN);
        if self.said_at.is_some_and(is_early) {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        self.said_at = Some(now);
        Some(match std::mem::take(&mut self.unsaid) {
            0 => String::new(),
            times => format!(" (and {times} times since that was said last)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// supercronic#86: 40 GB of one warning.
    #[test]
    fn what_happens_again_and_again_is_said_once_a_minute() {
        let mut repeated = Repeated::default();
        let mut said = Vec::new();
        for second in 0..150 {
            said.extend(repeated.say(Monotonic(second * 1_000)));
        }
        let times = " (and 59 times since that was said last)";
        assert_eq!(said, ["", times, times]);
    }
}
