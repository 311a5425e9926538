//! `mini-dag runs`: the runs of a DAG, the latest first.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::client::{Client, runs_path, text};
use super::terminal::Screen;
use super::{Context, Failure, dag_id_arg, json_arg, offline_dags_arg, terminal};
use crate::dag::Value;
use crate::timetable::{Timestamp, Zone};

/// What the runs of a DAG can be; a directory of such a name is `./failed`.
const STATES: [&str; 4] = ["queued", "running", "success", "failed"];

pub(super) fn command() -> Command {
    Command::new("runs")
        .about("List the runs of a DAG, the latest first")
        .arg(dag_id_arg())
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..=100))
                .default_value("20")
                .help("At most so many, 1 to 100"),
        )
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("STATE|DIR")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help(
                    "queued, running, success or failed: only runs in this state; anything else is where \
                     journal and logs are, as in other commands",
                ),
        )
        .arg(offline_dags_arg())
        .arg(json_arg())
}

pub(super) fn runs(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let named = matches.get_many::<PathBuf>("state").into_iter().flatten();
    let (states, directories): (Vec<_>, Vec<_>) =
        named.partition(|name| STATES.iter().any(|state| name.as_os_str() == *state));
    let state = context.state(directories.last().copied())?;
    let client = Client::reading(state, context, matches);
    let limit = matches.get_one::<u64>("limit").copied().unwrap_or(20);
    let mut path = format!(
        "{}?order_by=-id&limit={limit}",
        runs_path(super::dag_id(matches))
    );
    for state in states {
        let _ = write!(path, "&state={}", state.display());
    }
    let answer = client.get(&path)?;
    if matches.get_flag("json") {
        return terminal::print(&format!("{answer}\n"));
    }
    let runs = answer
        .get("dag_runs")
        .and_then(Value::as_array)
        .unwrap_or(&[]);
    terminal::print(&table(runs, &context.library.zones.local()))
}

/// A line a run: its state, when it began, how long it took, its id.
pub(super) fn table(runs: &[Value], zone: &Zone) -> String {
    let screen = Screen::new(false);
    let mut table = String::from("STATE    STARTED              TOOK      RUN\n");
    for run in runs {
        let state = screen.state(&text(run, "state"), 7);
        let started = moment(run, "start_date", zone);
        let took = took(run);
        let run_id = text(run, "dag_run_id");
        let _ = writeln!(table, "{state}  {started:19}  {took:>8}  {run_id}");
    }
    if runs.is_empty() {
        table.clear();
        table.push_str("no runs\n");
    }
    table
}

/// A date as the clock on the wall shows it; empty if there is none.
pub(super) fn moment(value: &Value, key: &str, zone: &Zone) -> String {
    let at = value.get(key).and_then(Value::as_str);
    let Some(at) = at.and_then(|at| Timestamp::parse(at).ok()) else {
        return String::new();
    };
    let local = zone.local(at).to_string();
    let (date, clock) = (local.get(..10), local.get(11..19));
    format!("{} {}", date.unwrap_or(""), clock.unwrap_or(""))
}

/// How long a run or a task took; empty before its end.
pub(super) fn took(value: &Value) -> String {
    let seconds = value.get("duration").and_then(Value::as_f64);
    let duration = seconds.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
    duration.map(super::progress::tenths).unwrap_or_default()
}
