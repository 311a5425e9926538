//! `mini-dag status`: the daemon, every DAG, one DAG, or one run. Fits 80 columns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::client::{self, Client, STATUS_OF_DAG, encode, number, run_path, runs_path, text};
use super::progress::clip;
use super::runs::{self, moment, took};
use super::terminal::{self, Screen};
use super::trigger::with;
use super::{Context, Failure, json_arg, offline_dags_arg, run_arg, state_arg};
use crate::dag::Value;
use crate::dag::diagnostic::printable;
use crate::timetable::{Timestamp, Zone, duration_text};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const COLUMNS: usize = 80;
/// Runs of one DAG that are listed: the daemon has so many in memory, and looks again and again.
const RUNS_LISTED: usize = 7;
/// Of so many tasks that have failed it is told why: each is a look into the journal.
const WHY_TOLD: usize = 8;
/// Named pools that are listed.
const POOLS_SHOWN: usize = 8;

pub(super) fn command() -> Command {
    Command::new("status")
        .about("Show how the daemon, a DAG or a run is doing")
        .after_help(
            "The latest runs of a DAG, the oldest first, are letters: S success, F failed, R running, Q queued.",
        )
        .arg(Arg::new("dag").value_name("DAG").help("Only this DAG"))
        .arg(run_arg().help("Only this run of it; `latest` is the latest"))
        .arg(
            Arg::new("watch")
                .long("watch")
                .action(ArgAction::SetTrue)
                .help("Show it again and again; of a run, until it is over"),
        )
        .arg(state_arg())
        .arg(offline_dags_arg())
        .arg(json_arg())
}

/// What is asked for, and whether it will not change any more.
struct View {
    text: String,
    is_final: bool,
}

pub(super) fn status(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let state = context.state(matches.get_one("state"))?;
    let client = Client::reading(state, context, matches);
    let zone = context.library.zones.local();
    let mut screen = Screen::new(false);
    let mut shown = String::new();
    loop {
        let view = look(&client, matches, &screen, &zone)?;
        if !matches.get_flag("watch") {
            return terminal::print(&view.text);
        }
        if screen.is_live {
            screen.erase();
            let rows = terminal::size().1.saturating_sub(1);
            let lines: Vec<_> = view.text.lines().take(rows).collect();
            screen.draw(&(lines.join("\n") + "\n"), lines.len());
        } else if view.text != shown && !terminal::print_on(&view.text)? {
            return Ok(());
        }
        if view.is_final {
            return Ok(());
        }
        shown = view.text;
        client::wait(LOOK_EVERY);
    }
}

fn look(
    client: &Client<'_>,
    matches: &ArgMatches,
    screen: &Screen,
    zone: &Zone,
) -> Result<View, Failure> {
    let as_json = matches.get_flag("json");
    let dag_id = matches.get_one::<String>("dag");
    if let (Some(dag_id), Some(_)) = (dag_id, matches.get_one::<String>("run")) {
        let path = run_path(dag_id, &client.run_id(dag_id, matches)?);
        let run = client.get(&path)?;
        let tasks = client.all(&format!("{path}/taskInstances?"), "task_instances")?;
        let left = client.all(
            &format!("{path}/taskInstances/~/xcomEntries?"),
            "xcom_entries",
        )?;
        let is_final = matches!(&*text(&run, "state"), "success" | "failed");
        let text = if as_json {
            let run = with(run, "task_instances", tasks);
            format!("{}\n", with(run, "xcom_entries", left))
        } else {
            let looks_again = matches.get_flag("watch") && !is_final;
            let why = if looks_again {
                BTreeMap::new()
            } else {
                whys(client, &path, &tasks)
            };
            run_text(&run, &tasks, &why, screen, zone) + &xcoms_text(&left)
        };
        return Ok(View { text, is_final });
    }
    let answer = match dag_id {
        Some(dag_id) => client.get(&format!("{STATUS_OF_DAG}{}", encode(dag_id)))?,
        None => client.get("/mini-dag/v1/status")?,
    };
    let text = match dag_id {
        _ if as_json => format!("{answer}\n"),
        None => daemon_text(&answer, screen, zone),
        Some(dag_id) => {
            let path = format!("{}?order_by=-id&limit={RUNS_LISTED}", runs_path(dag_id));
            let runs = client.get(&path)?;
            let runs = runs
                .get("dag_runs")
                .and_then(Value::as_array)
                .unwrap_or(&[]);
            let dags = dags_text(&answer, screen);
            format!("{dags}\n{}", runs::table(runs, zone))
        }
    };
    let is_final = false;
    Ok(View { text, is_final })
}

fn daemon_text(answer: &Value, screen: &Screen, zone: &Zone) -> String {
    let part = |name| answer.get(name).unwrap_or(&Value::Null);
    let (daemon, clock, pool, disk) = (part("daemon"), part("clock"), part("pool"), part("disk"));
    let up = Duration::from_secs(number(daemon, "uptime_s"));
    let head = if *daemon == Value::Null {
        "no daemon runs".to_owned()
    } else {
        let (version, pid) = (text(daemon, "version"), number(daemon, "pid"));
        format!(
            "mini-dag {version}, process {pid}, up {}",
            duration_text(up)
        )
    };
    let mut now = format!("{} {}", moment(clock, "now", zone), zone.name());
    match &*text(clock, "status") {
        "unsynchronised" => now.push_str(", not synchronised"),
        "implausible" => now.push_str(", which cannot be right"),
        _ => {}
    }
    let disk = match disk {
        Value::Object(_) => {
            let (free, size) = (number(disk, "free_bytes"), number(disk, "size_bytes"));
            format!("{} of {} free", bytes_text(free), bytes_text(size))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            "unknown".to_owned()
        }
    };
    let (running, slots) = (number(pool, "running"), number(pool, "slots"));
    let rows = [
        ("clock", now),
        ("pool", format!("{running} of {slots} slots in use")),
        ("disk", disk),
        ("state", text(answer, "state_directory")),
    ];
    let mut out = format!("{}\n", screen.coloured("1", &clip(&head, COLUMNS)));
    for (name, value) in rows {
        let _ = writeln!(out, "  {name:5}  {}", clip(&value, COLUMNS - 9));
    }
    out.push_str(&pools_text(answer));
    if has(answer, "trouble") {
        let trouble = format!("nothing new is started: {}", text(answer, "trouble"));
        let lines = wrapped(&trouble, COLUMNS);
        let _ = write!(out, "\n{lines}");
    }
    let warnings = answer.get("warnings").and_then(Value::as_array);
    for warning in warnings.unwrap_or(&[]).iter().filter_map(Value::as_str) {
        let lines = wrapped(
            &format!("warning: {}", crate::dag::diagnostic::printable(warning)),
            COLUMNS,
        );
        let _ = write!(out, "\n{lines}");
    }
    if clock.get("is_held").and_then(Value::as_bool) == Some(true) {
        let _ = write!(out, "\n{}", wrapped(&text(clock, "reason"), COLUMNS));
    }
    out.push('\n');
    out.push_str(&dags_text(answer, screen));
    let errors = answer
        .get("errors")
        .and_then(Value::as_array)
        .unwrap_or(&[]);
    for error in errors.iter().filter_map(Value::as_str) {
        let _ = write!(out, "\n{}", terminal::lines(error));
    }
    out
}

/// The named pools, those with something to tell first.
fn pools_text(answer: &Value) -> String {
    let pools = answer.get("pools").and_then(Value::as_array).unwrap_or(&[]);
    let mut pools: Vec<_> = pools.iter().collect();
    pools.sort_by_key(|pool| number(pool, "running") + number(pool, "waiting") == 0);
    let mut out = String::new();
    for pool in pools.iter().take(POOLS_SHOWN) {
        let (name, slots) = (clip(&text(pool, "name"), 28), number(pool, "slots"));
        let (running, waiting) = (number(pool, "running"), number(pool, "waiting"));
        let mut line = format!("{name}: {running} of {slots} slots in use");
        if waiting > 0 {
            let _ = write!(line, ", {waiting} waited for");
        }
        let _ = writeln!(out, "  pool   {}", clip(&line, COLUMNS - 9));
    }
    if pools.len() > POOLS_SHOWN {
        let more = pools.len() - POOLS_SHOWN;
        let _ = writeln!(out, "  pool   and {more} more");
    }
    out
}

/// A text in lines of so many columns, broken between words; a longer word is a line of its own.
fn wrapped(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > columns {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
    out
}

fn dags_text(answer: &Value, screen: &Screen) -> String {
    let dags = answer.get("dags").and_then(Value::as_array).unwrap_or(&[]);
    if dags.is_empty() {
        return "no DAGs\n".to_owned();
    }
    let now = date(answer.get("clock").unwrap_or(&Value::Null), "now");
    let ids: Vec<_> = dags
        .iter()
        .map(|dag| clip(&text(dag, "dag_id"), 28))
        .collect();
    let width = ids
        .iter()
        .map(|id| id.chars().count())
        .max()
        .unwrap_or(0)
        .max(3);
    // After the id: 8 letters, the last run, the schedule, and 2 blanks between.
    let room = COLUMNS - width - 8 - 22 - 6;
    let mut out = format!(
        "{:width$}  {:8}  {:22}  {}\n",
        "DAG", "RUNS", "LATEST", "NEXT"
    );
    for (dag, id) in dags.iter().zip(&ids) {
        let runs = dag
            .get("last_runs")
            .and_then(Value::as_array)
            .unwrap_or(&[]);
        let letters: String = runs.iter().rev().map(|run| letter(run, screen)).collect();
        let blanks = " ".repeat(8_usize.saturating_sub(runs.len()));
        let latest = runs
            .first()
            .map_or(String::new(), |run| latest_text(run, now));
        let next = clip(&next_text(dag, now), room);
        let line = format!("{id:width$}  {blanks}{letters}  {latest:22}  {next}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn letter(run: &Value, screen: &Screen) -> String {
    let state = text(run, "state");
    let letter = state.chars().next().unwrap_or('?').to_ascii_uppercase();
    screen.in_colour_of(&state, &letter.to_string())
}

/// `success 3m ago`, `running for 12s`.
fn latest_text(run: &Value, now: Timestamp) -> String {
    let state = text(run, "state");
    let text = match (&*state, has(run, "start_date"), has(run, "end_date")) {
        ("running", true, _) => format!("running for {}", since(date(run, "start_date"), now)),
        (_, _, true) => format!("{state} {} ago", since(date(run, "end_date"), now)),
        _ => state,
    };
    clip(&text, 22)
}

fn next_text(dag: &Value, now: Timestamp) -> String {
    let is = |key| dag.get(key).and_then(Value::as_bool) == Some(true);
    if is("is_paused") {
        return "paused".to_owned();
    }
    let schedule = match dag.get("timetable_summary").and_then(Value::as_str) {
        Some(schedule) => printable(schedule),
        None => "by hand".to_owned(),
    };
    if has(dag, "next_dagrun_run_after") {
        let next = date(dag, "next_dagrun_run_after");
        return format!("in {} ({schedule})", since(now, next));
    }
    if has(dag, "waits_for") {
        return format!("waits for {}", text(dag, "waits_for"));
    }
    schedule
}

/// Why the latest attempts of tasks have failed, by the tasks' ids.
fn whys(client: &Client<'_>, run: &str, tasks: &[Value]) -> BTreeMap<String, String> {
    let has_failed = |task: &&Value| matches!(&*text(task, "state"), "failed" | "up_for_retry");
    let failed = tasks.iter().filter(has_failed).take(WHY_TOLD);
    let why = |task: &Value| {
        let (task_id, tries) = (text(task, "task_id"), number(task, "try_number"));
        let path = format!("{run}/taskInstances/{}/tries/{tries}", encode(&task_id));
        // One that somebody has marked as failed has had no such attempt.
        let attempt = client.get(&path).ok()?;
        has(&attempt, "why").then(|| (task_id, text(&attempt, "why")))
    };
    failed.filter_map(why).collect()
}

fn run_text(
    run: &Value,
    tasks: &[Value],
    why: &BTreeMap<String, String>,
    screen: &Screen,
    zone: &Zone,
) -> String {
    let title = format!("{}  {}", text(run, "dag_id"), text(run, "dag_run_id"));
    let mut out = format!("{}\n", screen.coloured("1", &title));
    let state = screen.state(&text(run, "state"), 0);
    let started = moment(run, "start_date", zone);
    let line = format!("{state}  {started}  {}", took(run));
    let _ = writeln!(out, "{}\n", line.trim_end());
    let ids = tasks
        .iter()
        .map(|task| text(task, "task_id").chars().count());
    let width = ids.max().unwrap_or(0).clamp(4, 25);
    let _ = writeln!(
        out,
        "{:width$}  {:17}  TRY  {:19}      TOOK",
        "TASK", "STATE", "STARTED"
    );
    for task in tasks {
        let task_id = clip(&text(task, "task_id"), width);
        let state = screen.state(&text(task, "state"), 17);
        let tries = number(task, "try_number");
        let started = moment(task, "start_date", zone);
        let line = format!(
            "{task_id:width$}  {state}  {tries:>3}  {started:19}  {:>8}",
            took(task)
        );
        let _ = writeln!(out, "{}", line.trim_end());
        if let Some(why) = why.get(&text(task, "task_id")) {
            let _ = writeln!(out, "{}", clip(&format!("  why: {why}"), COLUMNS));
        }
        if has(task, "waits_for") {
            let waits = format!("  waits: {}", text(task, "waits_for"));
            let _ = writeln!(out, "{}", clip(&waits, COLUMNS));
        }
    }
    out
}

/// What tasks have left for others, the beginning of each.
fn xcoms_text(left: &[Value]) -> String {
    let ids = left
        .iter()
        .map(|entry| text(entry, "task_id").chars().count());
    let width = ids.max().unwrap_or(0).clamp(4, 28);
    let mut out = String::new();
    for entry in left {
        if out.is_empty() {
            let _ = write!(out, "\n{:width$}  XCOM\n", "TASK");
        }
        let task_id = clip(&text(entry, "task_id"), width);
        let xcom = clip(&text(entry, "value_preview"), COLUMNS - width - 2);
        let _ = writeln!(out, "{task_id:width$}  {xcom}");
    }
    out
}

fn has(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|value| *value != Value::Null)
}

fn date(value: &Value, key: &str) -> Timestamp {
    let date = value.get(key).and_then(Value::as_str);
    date.and_then(|date| Timestamp::parse(date).ok())
        .unwrap_or_default()
}

/// From a moment to a later one: `12s`, `3m`, `5h`, `2d`.
fn since(from: Timestamp, until: Timestamp) -> String {
    let seconds = until.since(from).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `812 B`, `73.2 GB`.
fn bytes_text(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < units.len() {
        tenths /= 1_000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_decimal_units() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (73_198_485_504, "73.1 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(bytes_text(bytes), text);
        }
    }

    #[test]
    fn how_long_ago_is_told_in_one_unit() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7_199, "1h"),
            (172_800, "2d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(
                since(Timestamp::from_secs(0), Timestamp::from_secs(seconds)),
                text
            );
        }
    }
}
