//! This program as the worker for one `http` or `call` task.
//!
//! The daemon starts `/proc/self/exe`, which is the very program that is running even after an upgrade on disk,
//! with the work as one JSON document on standard input. So a crash, a leak, TLS state or a name lookup that
//! hangs ends with the task, and the task has a timeout, a log and an exit code like any other.
//!
//! Exit codes: 0 done, [`SKIP_EXIT_CODE`] skip, 1 failed, with the reason as the last lines of the log.

mod call;
#[cfg(feature = "http")]
mod http;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::Stdin;
use crate::dag::{CallFn, Context, Value};
use crate::timetable::Timestamp;

/// The first argument that makes the program a worker.
pub const SUBCOMMAND: &str = "__worker";
/// What a worker whose function answered [`Outcome::Skip`](crate::dag::Outcome::Skip) exits with.
pub const SKIP_EXIT_CODE: i32 = 99;

#[cfg(not(feature = "http"))]
const WITHOUT_HTTP: &str =
    "this mini-dag was built without `http`; a `bash` task can ask with curl instead";

/// What a worker is to do.
#[derive(Clone, Debug)]
pub enum Work {
    /// One HTTP exchange.
    Http(HttpRequest),
    /// One compiled-in function.
    Call(Call),
}

/// An `http` task, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Absolute, `http` or `https`.
    pub url: String,
    /// `GET` and so on.
    pub method: String,
    /// In the order given.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
    /// Where the answer's body goes, relative to the working directory; to standard output unless set.
    pub save_to: Option<String>,
    /// Status codes that are a success; empty means 200 to 299.
    pub expect_status: Vec<u16>,
    /// For the whole exchange, with name lookup and redirects.
    pub timeout: Duration,
    /// A longer answer is a failure.
    pub bytes_max: u64,
}

/// What an HTTP request sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// Text, as it is.
    Text(String),
    /// JSON, with its `Content-Type` unless the headers have one.
    Json(Value),
}

/// A `call` task, rendered.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name that the function is listed under.
    pub function: String,
    /// What it is told.
    pub context: Context,
    /// Whether it may choose a branch.
    pub is_branch: bool,
}

/// The program and the arguments of a worker. `title` shows in `ps` and means nothing.
pub fn argv(title: &str) -> Vec<OsString> {
    ["/proc/self/exe", SUBCOMMAND, title]
        .map(OsString::from)
        .into()
}

/// Does the work that standard input describes, and returns the exit code. `lookup` finds a compiled-in
/// function. Call it first thing in `main`: nothing else may have read from standard input.
pub fn main(lookup: impl FnOnce(&Call) -> Option<CallFn>) -> u8 {
    let mut log = io::stderr();
    let done = read_work().and_then(|work| match work {
        #[cfg(feature = "http")]
        Work::Http(request) => http::run(&request, &mut io::stdout().lock(), &mut log).map(|()| 0),
        #[cfg(not(feature = "http"))]
        Work::Http(_) => Err(WITHOUT_HTTP.to_owned()),
        Work::Call(call) => {
            let function = lookup(&call).ok_or_else(|| {
                format!(
                    "this program has no compiled-in function `{}`",
                    call.function
                )
            })?;
            call::run(
                &function,
                &call.context,
                call.is_branch,
                &mut io::stdout(),
                &mut log,
            )
        }
    });
    done.unwrap_or_else(|reason| {
        // Nobody is left to be told if the log cannot be written.
        let _ = writeln!(log, "error: {reason}");
        1
    })
}

fn read_work() -> Result<Work, String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read the work from standard input: {error}"))?;
    Work::parse(&text)
        .map_err(|reason| format!("standard input does not describe any work: {reason}"))
}

impl Work {
    /// What the worker reads.
    pub fn to_stdin(&self) -> Stdin {
        let (kind, members) = match self {
            Self::Http(request) => ("http", request.to_value()),
            Self::Call(call) => ("call", call.to_value()),
        };
        Stdin::Bytes(Value::from([(kind, members)]).to_string().into_bytes())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let work = Value::parse(text).map_err(|error| error.message)?;
        match (work.get("http"), work.get("call")) {
            (Some(members), None) => HttpRequest::from_value(members).map(Self::Http),
            (None, Some(members)) => Call::from_value(members).map(Self::Call),
            (Some(_), Some(_)) | (None, None) => Err("neither `http` nor `call`".to_owned()),
        }
    }
}

impl HttpRequest {
    fn to_value(&self) -> Value {
        let headers = self.headers.iter();
        let statuses = self.expect_status.iter();
        Value::from([
            ("url", Value::from(self.url.as_str())),
            ("method", self.method.as_str().into()),
            (
                "headers",
                headers
                    .map(|(name, value)| vec![name.as_str(), value])
                    .collect::<Vec<_>>()
                    .into(),
            ),
            (
                match self.body {
                    Body::None => "no_body",
                    Body::Text(_) => "body",
                    Body::Json(_) => "json",
                },
                match &self.body {
                    Body::None => Value::Null,
                    Body::Text(text) => text.as_str().into(),
                    Body::Json(value) => value.clone(),
                },
            ),
            (
                "save_to",
                self.save_to.as_deref().map_or(Value::Null, Value::from),
            ),
            (
                "expect_status",
                statuses
                    .map(|status| i32::from(*status))
                    .collect::<Vec<_>>()
                    .into(),
            ),
            ("timeout_ms", millis(self.timeout)),
            ("bytes_max", self.bytes_max.into()),
        ])
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let headers = list(value, "headers")?
            .iter()
            .map(|pair| match pair.as_array() {
                Some([Value::String(name), Value::String(value)]) => {
                    Ok((name.clone(), value.clone()))
                }
                Some(_) | None => Err(wrong("headers")),
            });
        let statuses = list(value, "expect_status")?.iter();
        let statuses = statuses.map(|status| number(status).ok_or_else(|| wrong("expect_status")));
        Ok(Self {
            url: text(value, "url")?,
            method: text(value, "method")?,
            headers: headers.collect::<Result<_, _>>()?,
            body: match (value.get("body"), value.get("json")) {
                (Some(body), _) => {
                    Body::Text(body.as_str().ok_or_else(|| wrong("body"))?.to_owned())
                }
                (None, Some(json)) => Body::Json(json.clone()),
                (None, None) => Body::None,
            },
            save_to: value
                .get("save_to")
                .and_then(Value::as_str)
                .map(str::to_owned),
            expect_status: statuses.collect::<Result<_, _>>()?,
            timeout: Duration::from_millis(whole(value, "timeout_ms")?),
            bytes_max: whole(value, "bytes_max")?,
        })
    }
}

impl Call {
    fn to_value(&self) -> Value {
        let context = &self.context;
        let moment = |moment: Timestamp| Value::from(moment.millis());
        Value::from([
            ("function", Value::from(self.function.as_str())),
            ("dag_id", context.dag_id.as_str().into()),
            ("run_id", context.run_id.as_str().into()),
            ("task_id", context.task_id.as_str().into()),
            ("try_number", u64::from(context.try_number).into()),
            ("logical_date_ms", moment(context.logical_date)),
            (
                "data_interval_ms",
                context.data_interval.map_or(Value::Null, |(start, end)| {
                    vec![moment(start), moment(end)].into()
                }),
            ),
            ("params", Value::Object(context.params.clone())),
            ("args", Value::Object(context.args.clone())),
            ("xcoms", Value::Object(context.xcoms.clone())),
            (
                "prev_data_interval_end_success_ms",
                context
                    .prev_data_interval_end_success
                    .map_or(Value::Null, moment),
            ),
            ("timeout_ms", context.timeout.map_or(Value::Null, millis)),
            (
                "deadline_ms",
                context.deadline_ms.map_or(Value::Null, Value::from),
            ),
            ("is_branch", self.is_branch.into()),
        ])
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let moment = |value: &Value| number(value).map(Timestamp::from_millis);
        let interval = match value.get("data_interval_ms").and_then(Value::as_array) {
            Some([start, end]) => moment(start).zip(moment(end)),
            Some(_) | None => None,
        };
        Ok(Self {
            function: text(value, "function")?,
            context: Context {
                dag_id: text(value, "dag_id")?,
                run_id: text(value, "run_id")?,
                task_id: text(value, "task_id")?,
                try_number: whole(value, "try_number")?,
                logical_date: Timestamp::from_millis(whole(value, "logical_date_ms")?),
                data_interval: interval,
                params: object(value, "params")?,
                args: object(value, "args")?,
                xcoms: object(value, "xcoms")?,
                prev_data_interval_end_success: value
                    .get("prev_data_interval_end_success_ms")
                    .and_then(moment),
                timeout: value
                    .get("timeout_ms")
                    .and_then(number)
                    .map(Duration::from_millis),
                deadline_ms: value.get("deadline_ms").and_then(number),
            },
            is_branch: value.get("is_branch").and_then(Value::as_bool) == Some(true),
        })
    }
}

fn millis(duration: Duration) -> Value {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .into()
}

fn wrong(key: &str) -> String {
    format!("`{key}` is missing or of the wrong type")
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    let text = value.get(key).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| wrong(key))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    value
        .get(key)
        .and_then(Value::as_array)
        .ok_or_else(|| wrong(key))
}

fn object(value: &Value, key: &str) -> Result<BTreeMap<String, Value>, String> {
    let members = value.get(key).and_then(Value::as_object);
    members.cloned().ok_or_else(|| wrong(key))
}

fn whole<T: std::str::FromStr>(value: &Value, key: &str) -> Result<T, String> {
    value.get(key).and_then(number).ok_or_else(|| wrong(key))
}

/// A whole number that fits.
fn number<T: std::str::FromStr>(value: &Value) -> Option<T> {
    if let Value::Number(text) = value {
        text.parse().ok()
    } else {
        None
    }
}
