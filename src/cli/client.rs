//! The daemon's API, asked over its control socket: one connection, one question, one answer. A command
//! that only reads asks the journal if no daemon runs.
//!
//! The daemon answers with `Content-Length` and closes the connection, so reading is reading to the end;
//! what is not exactly such an answer is an error.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;

use super::offline::Offline;
use super::{Context, Failure};
use crate::daemon::layout;
use crate::dag::diagnostic::printable;
use crate::dag::{Diagnostic, Value, suggest};

/// The daemon gives up after 30 s.
const PATIENCE: Duration = Duration::from_secs(35);
/// Nothing that the daemon answers is longer.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Entries of a collection that are asked for at once: the API's limit.
const PAGE: usize = 100;

/// With the id of a DAG behind it: what `mini-dag status` shows of it.
pub(super) const STATUS_OF_DAG: &str = "/mini-dag/v1/status?dag_id=";

/// Somebody to ask.
pub(super) struct Client<'c> {
    state: PathBuf,
    socket: PathBuf,
    offline: Option<Offline<'c>>,
}

impl<'c> Client<'c> {
    /// The daemon of the state directory that the command line, or the config file, names.
    pub(super) fn new(context: &Context, matches: &ArgMatches) -> Result<Self, Failure> {
        let state = context.state(matches.get_one("state"))?;
        Ok(Self {
            socket: layout::control_socket(&state),
            state,
            offline: None,
        })
    }

    /// The daemon of a state directory or, if none runs there, its journal: for commands that only read.
    pub(super) fn reading(state: PathBuf, context: &'c Context, matches: &ArgMatches) -> Self {
        Self {
            socket: layout::control_socket(&state),
            state,
            offline: Some(Offline::new(context, matches)),
        }
    }

    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, "")
    }

    pub(super) fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(method, path, &body.to_string())
    }

    /// Every entry of a collection, page by page. `path` has a query already, if only an empty one.
    pub(super) fn all(&self, path: &str, name: &str) -> Result<Vec<Value>, Failure> {
        let mut entries = Vec::new();
        loop {
            let offset = entries.len();
            let page = self.get(&format!("{path}&limit={PAGE}&offset={offset}"))?;
            let page = page.get(name).and_then(Value::as_array).unwrap_or(&[]);
            entries.extend_from_slice(page);
            if page.len() < PAGE {
                return Ok(entries);
            }
        }
    }

    /// The id of the run that the command line names: `latest`, and no name, is the latest.
    pub(super) fn run_id(&self, dag_id: &str, matches: &ArgMatches) -> Result<String, Failure> {
        let named = matches.get_one::<String>("run");
        if let Some(run_id) = named.filter(|run_id| *run_id != "latest") {
            return Ok(run_id.clone());
        }
        let path = format!("{}?order_by=-id&limit=1", runs_path(dag_id));
        let answer = self.get(&path)?;
        let latest = answer
            .get("dag_runs")
            .and_then(|runs| runs.as_array()?.first());
        let Some(run_id) = latest.and_then(|run| run.get("dag_run_id")?.as_str()) else {
            let help = format!("start one: `mini-dag trigger {dag_id}`");
            let message = format!("DAG `{}` has no run yet", printable(dag_id));
            return Err(Diagnostic::new(message).help(help).into());
        };
        Ok(run_id.to_owned())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value, Failure> {
        let broken = |why: &str| {
            let message = format!("the daemon at `{}` {why}", self.socket.display());
            Failure::from(Diagnostic::new(message))
        };
        let (status, answer) = match UnixStream::connect(&self.socket) {
            Ok(stream) => {
                if let Some(offline) = &self.offline {
                    offline.forget();
                }
                let answer = exchange(stream, method, path, body)
                    .map_err(|error| broken(&format!("did not answer: {error}")))?;
                let (status, text) = parse(&answer).ok_or_else(|| broken("gave no answer"))?;
                let answer = Value::parse(text)
                    .map_err(|error| broken(&format!("does not speak JSON: {error}")))?;
                (status, answer)
            }
            Err(error) => self.answer_offline(&error, method, path)?,
        };
        if status < 400 {
            return Ok(answer);
        }
        let said = match (answer.get("detail"), answer.get("error")) {
            (Some(Value::String(detail)), _) | (_, Some(Value::String(detail))) => detail.clone(),
            (Some(Value::Array(errors)), _) => invalid(errors),
            (Some(detail @ Value::Object(_)), _) => text(detail, "message"),
            _ => format!("it answers with status {status}"),
        };
        Err(Diagnostic::new(said)
            .help(self.suggest(status, path))
            .into())
    }

    /// Which DAG was meant, if there is none of this name.
    fn suggest(&self, status: u16, path: &str) -> Option<String> {
        let rest = path
            .strip_prefix("/api/v2/dags/")
            .or_else(|| path.strip_prefix(STATUS_OF_DAG))
            .filter(|_| status == 404)?;
        let dag_id = rest.split(['/', '?']).next()?;
        let dags = self.all("/api/v2/dags?", "dags").ok()?;
        let ids: Vec<_> = dags
            .iter()
            .filter_map(|dag| dag.get("dag_id")?.as_str())
            .collect();
        if ids.contains(&dag_id) {
            return None;
        }
        let help = suggest::help(dag_id, ids.iter().copied());
        let is_offline = self.offline.as_ref().is_some_and(Offline::is_asked);
        let otherwise = if is_offline {
            "only the daemon knows where its DAG files are: name the directory with --dags"
        } else {
            "`mini-dag status` shows the DAGs there are"
        };
        help.or_else(|| Some(otherwise.to_owned()))
    }

    /// What the journal answers, if no daemon runs and it is only asked.
    fn answer_offline(
        &self,
        error: &io::Error,
        method: &str,
        path: &str,
    ) -> Result<(u16, Value), Failure> {
        let offline = self.offline.as_ref().filter(|_| method == "GET");
        let answer = match offline.filter(|_| self.is_alone(error)) {
            Some(offline) => offline.answer(&self.state, path)?,
            None => None,
        };
        let (status, text) = answer.ok_or_else(|| self.nobody(error))?;
        let answer = Value::parse(&text)
            .map_err(|error| Diagnostic::new(format!("the answer is not JSON: {error}")))?;
        Ok((status, answer))
    }

    /// Whether the error of a connection says that no daemon runs.
    fn is_alone(&self, error: &io::Error) -> bool {
        match std::fs::symlink_metadata(&self.socket) {
            Ok(metadata) => {
                metadata.file_type().is_socket() && error.kind() == io::ErrorKind::ConnectionRefused
            }
            Err(_) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn nobody(&self, error: &io::Error) -> Failure {
        let (state, socket) = (self.state.display(), self.socket.display());
        let is_file = std::fs::symlink_metadata(&self.socket)
            .is_ok_and(|metadata| !metadata.file_type().is_socket());
        let diagnostic = if is_file {
            Diagnostic::new(format!("`{socket}` is not the daemon's socket"))
                .help("remove it, and restart the daemon".to_owned())
        } else if self.is_alone(error) {
            let is_of_system = self.state.starts_with("/var/lib");
            let start = if is_of_system {
                "systemctl start mini-dag"
            } else {
                "mini-dag daemon"
            };
            let help = format!("start it: `{start}`, or name another one's `--state`");
            Diagnostic::new(format!("no daemon runs on `{state}`")).help(help)
        } else {
            Diagnostic::new(format!("cannot reach the daemon at `{socket}`: {error}"))
        };
        diagnostic.into()
    }
}

/// What is wrong with what was sent, from FastAPI's list.
fn invalid(errors: &[Value]) -> String {
    let error = |error: &Value| {
        let place = error
            .get("loc")
            .and_then(|loc| loc.as_array()?.last()?.as_str());
        let msg = error
            .get("msg")
            .and_then(Value::as_str)
            .unwrap_or("is invalid");
        format!("{}: {msg}", place.unwrap_or("request"))
    };
    errors.iter().map(error).collect::<Vec<_>>().join("; ")
}

fn exchange(mut stream: UnixStream, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: mini-dag\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    // Most answers come in one piece.
    let mut answer = Vec::with_capacity(16 << 10);
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The status and the body of a whole answer.
fn parse(answer: &[u8]) -> Option<(u16, &str)> {
    let (head, body) = std::str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    })?;
    (length.parse() == Ok(body.len())).then_some((status.parse().ok()?, body))
}

/// An id as a part of a path, or a value of a query.
pub(super) fn encode(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

pub(super) fn dag_path(dag_id: &str) -> String {
    format!("/api/v2/dags/{}", encode(dag_id))
}

pub(super) fn runs_path(dag_id: &str) -> String {
    format!("{}/dagRuns", dag_path(dag_id))
}

pub(super) fn run_path(dag_id: &str, run_id: &str) -> String {
    format!("{}/{}", runs_path(dag_id), encode(run_id))
}

/// The text under a key, safe for a terminal; empty if there is none.
pub(super) fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .map(printable)
        .unwrap_or_default()
}

/// The number under a key; 0 if there is none.
pub(super) fn number(value: &Value, key: &str) -> u64 {
    let number = value.get(key).and_then(Value::as_i64);
    number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or(0)
}

/// Waits, between two questions.
pub(super) fn wait(duration: Duration) {
    smol::block_on(smol::Timer::after(duration));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_one() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-type: x\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(whole.as_bytes()), Some((200, "{}")));
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..cut]), None, "{cut}");
        }
        let others = [
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\n\r\n{}",
            "HTTP/1.1 2\r\ncontent-length: 2\r\n\r\n{}",
            "SSH-2.0\r\ncontent-length: 2\r\n\r\n{}",
        ];
        for other in others {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        assert_eq!(encode("a-b_c.~"), "a-b_c.~");
        assert_eq!(encode("m__06:00+00"), "m__06%3A00%2B00");
        assert_eq!(encode("../a?b#c 가"), "..%2Fa%3Fb%23c%20%EA%B0%80");
    }
}
