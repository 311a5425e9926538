//! What is written to whom: colour only for a terminal, and a reader that went away is no error.

use std::io::{self, IsTerminal, Write};

use crate::dag::diagnostic::{printable, render};
use crate::dag::{Diagnostic, Value};

use super::Failure;

/// Whether `stream` shows colours: it is a terminal, and `NO_COLOR` is not set.
pub(super) fn has_colour(stream: &impl IsTerminal) -> bool {
    let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !wants_none && !is_dumb
}

/// The answer of a command, all at once.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_on(text).map(|_| ())
}

/// A piece of an answer that goes on; false if nobody reads it any more.
pub(super) fn print_on(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Diagnostic::new(format!("cannot write to stdout: {error}")).into()),
    }
}

/// What went wrong, to stderr.
pub(super) fn complain(diagnostics: &[Diagnostic]) {
    let text = render(diagnostics, has_colour(&io::stderr()));
    // There is nobody left to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What is good to know beside an answer, to stderr.
pub(super) fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What the daemon said is wrong: texts that are rendered already.
pub(super) fn complain_as_said(errors: &[Value]) {
    let texts: Vec<_> = errors.iter().filter_map(Value::as_str).map(lines).collect();
    let _ = io::stderr().lock().write_all(texts.join("\n").as_bytes());
}

/// A text of many lines, each safe for a terminal.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

/// Where progress goes: lines that follow each other, or, on a terminal, a picture that is drawn again.
pub(super) struct Screen {
    to_stderr: bool,
    has_colour: bool,
    /// It is a terminal that can move its cursor.
    pub(super) is_live: bool,
    rows_drawn: usize,
}

impl Screen {
    pub(super) fn new(to_stderr: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let (is_terminal, has_colour) = if to_stderr {
            (io::stderr().is_terminal(), has_colour(&io::stderr()))
        } else {
            (io::stdout().is_terminal(), has_colour(&io::stdout()))
        };
        Self {
            to_stderr,
            has_colour,
            is_live: is_terminal && !is_dumb,
            rows_drawn: 0,
        }
    }

    /// A reader that went away does not stop the run.
    pub(super) fn write(&self, text: &str) {
        let _ = if self.to_stderr {
            io::stderr().lock().write_all(text.as_bytes())
        } else {
            let mut stdout = io::stdout().lock();
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush())
        };
    }

    /// A picture of so many rows, each narrower than the terminal.
    pub(super) fn draw(&mut self, text: &str, rows: usize) {
        self.write(text);
        self.rows_drawn = rows;
    }

    pub(super) fn erase(&mut self) {
        if self.rows_drawn > 0 {
            self.write(&format!("\x1b[{}A\x1b[J", self.rows_drawn));
            self.rows_drawn = 0;
        }
    }

    /// The state of a run or a task instance in its colour, padded to `width`.
    pub(super) fn state(&self, state: &str, width: usize) -> String {
        self.coloured(colour(state), &format!("{state:width$}"))
    }

    /// A text in the colour of a state.
    pub(super) fn in_colour_of(&self, state: &str, text: &str) -> String {
        self.coloured(colour(state), text)
    }

    pub(super) fn coloured(&self, colour: &str, text: &str) -> String {
        if self.has_colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn colour(state: &str) -> &'static str {
    match state {
        "success" => "32",
        "failed" | "upstream_failed" => "31",
        "running" => "36",
        "up_for_retry" => "33",
        _ => "2",
    }
}

/// Columns and rows of the terminal; 80 and 24 where it does not say.
pub(super) fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stderr())
        .or_else(|_| rustix::termios::tcgetwinsize(io::stdout()));
    let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let or = |said: u16, usual| if said > 0 { said.into() } else { usual };
    (or(columns, 80), or(rows, 24))
}
