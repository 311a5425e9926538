//! `mini-dag logs`: what the tasks of a run printed, and what they print, as it comes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::client::{self, Client, encode, number, run_path, text};
use super::{
    Context, Failure, dag_id_arg, json_arg, offline_dags_arg, run_arg, state_arg, terminal,
};
use crate::dag::diagnostic::printable;
use crate::dag::{Diagnostic, Value};

/// Between two looks at a log that grows.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) fn command() -> Command {
    Command::new("logs")
        .about("Show what the tasks of a run printed")
        .long_about(
            "Shows what the latest attempt of each task of a run printed, or of one task. Of more than one \
             task, each line begins with its task.",
        )
        .arg(dag_id_arg())
        .arg(run_arg().help("The id of a run [default: the latest]"))
        .arg(Arg::new("task").value_name("TASK").help("Only this task"))
        .arg(
            Arg::new("try")
                .long("try")
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..))
                .requires("task")
                .help("This attempt, from 1 [default: the latest]"),
        )
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .action(ArgAction::SetTrue)
                .help("Go on with what is printed, and with further attempts, until the run is over"),
        )
        .arg(state_arg())
        .arg(offline_dags_arg())
        .arg(json_arg().help("Print a JSON object a line, with the field names of the HTTP API"))
}

/// How far the log of an attempt is read: where to go on, or nothing more to come.
type Read = BTreeMap<(String, u64), Option<String>>;

/// Whose logs are shown, and how.
struct Logs<'a> {
    client: Client<'a>,
    run_path: String,
    task: Option<&'a String>,
    number: Option<u64>,
    follow: bool,
    as_json: bool,
}

pub(super) fn logs(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let state = context.state(matches.get_one("state"))?;
    let client = Client::reading(state, context, matches);
    let dag_id = super::dag_id(matches);
    let run_id = client.run_id(dag_id, matches)?;
    let logs = Logs {
        run_path: run_path(dag_id, &run_id),
        client,
        task: matches.get_one("task"),
        number: matches.get_one("try").copied(),
        follow: matches.get_flag("follow"),
        as_json: matches.get_flag("json"),
    };
    let mut read = Read::new();
    loop {
        let run = logs.client.get(&logs.run_path)?;
        let tasks = logs.tasks()?;
        // What is asked before it is read: if it is over then, everything of it has been printed.
        let is_over = is_over(&run) || logs.task.is_some() && tasks.iter().all(is_over);
        let width = tasks.iter().map(|task| text(task, "task_id").len()).max();
        for task in &tasks {
            if !logs.show(task, width.unwrap_or(0), &mut read)? {
                return Ok(());
            }
        }
        if is_over || !logs.follow {
            return match logs.task.filter(|_| read.is_empty()) {
                Some(task_id) => Err(not_begun(task_id)),
                None => Ok(()),
            };
        }
        client::wait(LOOK_EVERY);
    }
}

fn not_begun(task_id: &str) -> Failure {
    let message = format!("task `{}` has no attempt in this run", printable(task_id));
    Diagnostic::new(message).into()
}

fn is_over(value: &Value) -> bool {
    let state = text(value, "state");
    matches!(
        &*state,
        "success" | "failed" | "skipped" | "upstream_failed"
    )
}

impl Logs<'_> {
    /// The task instances to show, in the order in which they began.
    fn tasks(&self) -> Result<Vec<Value>, Failure> {
        let path = format!("{}/taskInstances", self.run_path);
        if let Some(task_id) = self.task {
            return Ok(vec![
                self.client.get(&format!("{path}/{}", encode(task_id)))?,
            ]);
        }
        let mut tasks = self.client.all(&format!("{path}?"), "task_instances")?;
        tasks.sort_by_key(|task| text(task, "start_date"));
        Ok(tasks)
    }

    /// Shows what is new of a task instance; false if nobody reads it any more.
    fn show(&self, task: &Value, width: usize, read: &mut Read) -> Result<bool, Failure> {
        let task_id = text(task, "task_id");
        let latest = self.number.unwrap_or_else(|| number(task, "try_number"));
        let mine = (task_id.clone(), 0)..=(task_id.clone(), u64::MAX);
        let first = read
            .range(mine)
            .next()
            .map_or(latest, |((_, number), _)| *number);
        for number in first.max(1)..=latest {
            let place = read.entry((task_id.clone(), number));
            let token = place.or_insert_with(|| Some(String::new()));
            while let Some(from) = token {
                let path = format!(
                    "{}/taskInstances/{}/logs/{number}?token={}",
                    self.run_path,
                    encode(&task_id),
                    encode(from)
                );
                let piece = self.client.get(&path)?;
                let lines = piece
                    .get("content")
                    .and_then(Value::as_array)
                    .unwrap_or(&[]);
                let next = piece.get("continuation_token").and_then(Value::as_str);
                *token = next.map(str::to_owned);
                if !terminal::print_on(&self.text(lines, &task_id, number, width))? {
                    return Ok(false);
                }
                if lines.is_empty() {
                    break;
                }
            }
        }
        Ok(true)
    }

    fn text(&self, lines: &[Value], task_id: &str, number: u64, width: usize) -> String {
        let mut out = String::new();
        for line in lines {
            let event = line.get("event").and_then(Value::as_str).unwrap_or("");
            let _ = if self.as_json {
                let mut members = line.as_object().cloned().unwrap_or_default();
                members.insert("task_id".to_owned(), Value::String(task_id.to_owned()));
                members.insert("try_number".to_owned(), Value::Number(number.to_string()));
                writeln!(out, "{}", Value::Object(members))
            } else if self.task.is_some() {
                writeln!(out, "{}", harmless(event))
            } else {
                writeln!(out, "{task_id:width$} | {}", harmless(event))
            };
        }
        out
    }
}

/// A line safe for a terminal; its tabs stay.
fn harmless(line: &str) -> String {
    let parts: Vec<_> = line.split('\t').map(printable).collect();
    parts.join("\t")
}
