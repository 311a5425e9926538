//! `mini-dag backfill`: has the daemon run a DAG for the dates of a span that it was not run for.
//!
//! The backfill is the daemon's: whoever looks on may go away, and it goes on.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use async_signal::{Signal, Signals};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use smol::stream::StreamExt;

use super::client::{Client, dag_path, encode, number, text};
use super::terminal::{self, Screen};
use super::trigger::declared;
use super::{Context, Failure, dag_id_arg, json_arg, params, state_arg};
use crate::dag::diagnostic::{Source, Span, printable};
use crate::dag::{Diagnostic, Moment, Value};
use crate::timetable::{Timestamp, Zone};

/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Columns of the bar.
const BAR: usize = 24;
/// Dates of a dry run that are printed.
const DATES_SHOWN: usize = 20;

const BACKFILLS: &str = "/api/v2/backfills";

pub(super) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new("backfill")
        .about("Run a DAG for the dates of a span that it was not run for")
        .long_about(
            "Has the daemon create a run for each date of a DAG's schedule, from one date to another, that has none. \
             Asked for again, it creates only what is missing. Its runs start while the DAG is paused, and apart \
             from its max_active_runs.\n\n\
             It shows how it goes until it is over. Ctrl-C only stops looking: the backfill goes on, also when the \
             daemon is started anew. Without --from and --to it looks at the one that is going on.",
        )
        .after_help(
            "Examples:\n  mini-dag backfill sensor_log --from 2026-11-01 --to 2026-11-21 --dry-run\n  \
             mini-dag backfill sensor_log --from 2026-11-01 --to 2026-11-21 --reprocess failed --parallel 2\n  \
             mini-dag backfill sensor_log --cancel\n\n\
             Exit code 1 if one of its runs has failed, or if it was cancelled.",
        )
        .arg(dag_id_arg())
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("DATE")
                .requires("to")
                .help("The first logical date; without an offset it is in the DAG's zone, a day is its first moment"),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("DATE")
                .requires("from")
                .help("The last logical date, inclusive"),
        )
        .arg(
            Arg::new("reprocess")
                .long("reprocess")
                .value_name("WHICH")
                .value_parser(["failed", "all"])
                .requires("from")
                .help("Also run the dates again whose latest run has failed, or all"),
        )
        .arg(
            Arg::new("parallel")
                .long("parallel")
                .value_name("N")
                .default_value("1")
                .value_parser(value_parser!(u32).range(1..=1_000))
                .help("Runs of it that may be active at once"),
        )
        .arg(flag("newest-first", "Begin with the latest date").requires("from"))
        .arg(params::param_arg().requires("from"))
        .arg(flag("dry-run", "Only show which dates would be run").requires("from"))
        .arg(flag("detach", "Do not wait for its end"))
        .arg(flag("pause", "Pause the one that is going on").conflicts_with("from"))
        .arg(flag("unpause", "Let it go on").conflicts_with_all(["from", "pause"]))
        .arg(
            flag("cancel", "End it: what waits is stopped, what runs goes on")
                .conflicts_with_all(["from", "pause", "unpause"]),
        )
        .arg(state_arg())
        .arg(json_arg())
}

pub(super) fn backfill(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let client = Client::new(context, matches)?;
    let dag_id = super::dag_id(matches);
    let (as_json, detach) = (matches.get_flag("json"), matches.get_flag("detach"));
    let changes = [
        ("pause", "paused"),
        ("unpause", "unpaused"),
        ("cancel", "cancelled"),
    ];
    let mut changes = changes.into_iter();
    if let Some((change, changed)) = changes.find(|(change, _)| matches.get_flag(change)) {
        let id = going_on(&client, dag_id)?;
        let answer = client.send("PUT", &format!("{BACKFILLS}/{id}/{change}"), &Value::Null)?;
        return say(&answer, as_json, changed);
    }
    if matches.get_one::<String>("from").is_none() {
        let id = going_on(&client, dag_id)?;
        return follow(&client, id, None, as_json);
    }
    let details = client.get(&format!("{}/details", dag_path(dag_id)))?;
    let asked = asked(context, matches, &details)?;
    let dates = client.send("POST", &format!("{BACKFILLS}/dry_run"), &asked)?;
    let total = number(&dates, "total_entries");
    if matches.get_flag("dry-run") {
        return if as_json {
            terminal::print(&format!("{dates}\n"))
        } else {
            terminal::print(&dates_text(&dates, total))
        };
    }
    if total == 0 && !as_json {
        return terminal::print("nothing is missing\n");
    }
    let backfill = client.send("POST", BACKFILLS, &asked)?;
    let id = number(&backfill, "id");
    if detach {
        return say(&backfill, as_json, "created");
    }
    follow(&client, id, Some(total), as_json)
}

/// The body of the request.
fn asked(context: &Context, matches: &ArgMatches, details: &Value) -> Result<Value, Failure> {
    let dag_id = super::dag_id(matches);
    let zones = &context.library.zones;
    let zone = zones
        .get(&text(details, "timezone"))
        .unwrap_or_else(|| zones.local());
    let moment = |name| moment(matches, name, &zone);
    let params = params::params(dag_id, &declared(details), matches)?;
    let reprocess = match matches.get_one::<String>("reprocess").map(String::as_str) {
        None => "none",
        Some("all") => "completed",
        Some(which) => which,
    };
    let parallel = matches
        .get_one("parallel")
        .map_or(1, |parallel: &u32| *parallel);
    let string = |text: &str| Value::String(text.to_owned());
    let members = [
        ("dag_id", string(dag_id)),
        ("from_date", string(&moment("from")?.to_string())),
        ("to_date", string(&moment("to")?.to_string())),
        (
            "run_backwards",
            Value::Bool(matches.get_flag("newest-first")),
        ),
        ("reprocess_behavior", string(reprocess)),
        ("max_active_runs", Value::Number(parallel.to_string())),
        ("dag_run_conf", Value::Object(params)),
    ];
    Ok(Value::from(members))
}

fn moment(matches: &ArgMatches, name: &str, zone: &Zone) -> Result<Timestamp, Failure> {
    let given = matches.get_one::<String>(name).map_or("", String::as_str);
    let moment = Moment::parse(given).map(|moment| moment.instant(zone));
    moment.ok_or_else(|| {
        let option = format!("--{name}");
        let help = "write 2026-11-22, 2026-11-22T06:00 or 2026-11-22T06:00:00+01:00".to_owned();
        let diagnostic = Diagnostic::new(format!("`{}` is not a date", printable(given)))
            .at(
                &Source::new(&option, given),
                Span::new(0, given.len()),
                "no calendar has it",
            )
            .help(help);
        Failure::Usage(diagnostic.into())
    })
}

/// The backfill of a DAG that is not over.
fn going_on(client: &Client<'_>, dag_id: &str) -> Result<u64, Failure> {
    client.get(&dag_path(dag_id))?;
    let backfills = client.all(
        &format!("{BACKFILLS}?dag_id={}", encode(dag_id)),
        "backfills",
    )?;
    let is_going_on = |backfill: &&Value| backfill.get("completed_at") == Some(&Value::Null);
    let backfill = backfills.iter().rev().find(is_going_on);
    backfill
        .map(|backfill| number(backfill, "id"))
        .ok_or_else(|| {
            let message = format!(
                "DAG `{}` has no backfill that is going on",
                printable(dag_id)
            );
            let help = "begin one with --from and --to".to_owned();
            Diagnostic::new(message).help(help).into()
        })
}

fn say(backfill: &Value, as_json: bool, what: &str) -> Result<(), Failure> {
    if as_json {
        return terminal::print(&format!("{backfill}\n"));
    }
    terminal::print(&format!("{} is {what}\n", name(backfill)))
}

/// `backfill 3 of sensor_log`
fn name(backfill: &Value) -> String {
    format!(
        "backfill {} of {}",
        number(backfill, "id"),
        text(backfill, "dag_id")
    )
}

fn dates_text(dates: &Value, total: u64) -> String {
    let entries = dates
        .get("backfills")
        .and_then(Value::as_array)
        .unwrap_or(&[]);
    let shown = entries.iter().take(DATES_SHOWN);
    let mut lines: Vec<_> = shown.map(|entry| text(entry, "logical_date")).collect();
    let more = total.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("… {more} more"));
    }
    lines.push(match total {
        0 => "nothing is missing".to_owned(),
        1 => "1 date would be run".to_owned(),
        total => format!("{total} dates would be run"),
    });
    lines.join("\n") + "\n"
}

/// Shows how it goes until it is over, or until Ctrl-C.
fn follow(client: &Client<'_>, id: u64, total: Option<u64>, as_json: bool) -> Result<(), Failure> {
    let cannot = |error: io::Error| Diagnostic::new(format!("cannot hear signals: {error}"));
    let mut signals = Signals::new([Signal::Int, Signal::Term]).map_err(cannot)?;
    let mut screen = Screen::new(as_json);
    let mut told = String::new();
    loop {
        let backfill = client.get(&format!("/mini-dag/v1/backfills/{id}"))?;
        let is_over = backfill.get("completed_at") != Some(&Value::Null);
        screen.erase();
        if is_over {
            return end(&backfill, as_json);
        }
        let line = progress(&backfill, total);
        if screen.is_live {
            let columns = terminal::size().0.saturating_sub(1);
            let line: String = line.chars().take(columns).collect();
            screen.draw(&format!("{line}\n"), 1);
        } else if line != told {
            screen.write(&format!("{line}\n"));
        }
        told = line;
        let stopped = smol::block_on(smol::future::or(
            async { signals.next().await.is_some() },
            async {
                smol::Timer::after(LOOK_EVERY).await;
                false
            },
        ));
        if stopped {
            let (name, dag_id) = (name(&backfill), text(&backfill, "dag_id"));
            terminal::note(&format!(
                "{name} goes on; `mini-dag backfill {dag_id}` looks at it again, with --cancel it ends\n"
            ));
            return Err(Failure::Silent);
        }
    }
}

/// `[######      ]  6 of 12, 1 running, 1 failed`
fn progress(backfill: &Value, total: Option<u64>) -> String {
    let none = Value::Null;
    let runs = backfill.get("runs").unwrap_or(&none);
    let count = |state| number(runs, state);
    let done = count("success") + count("failed");
    let mut line = match total.filter(|total| *total > 0) {
        Some(total) => {
            let filled = done.min(total) * BAR as u64 / total;
            let filled = usize::try_from(filled).unwrap_or(BAR);
            let (full, empty) = ("#".repeat(filled), " ".repeat(BAR - filled));
            format!("[{full}{empty}]  {done} of {total}")
        }
        None => format!("{}: {done} done", name(backfill)),
    };
    let states = ["queued", "running", "failed"].into_iter();
    for state in states.filter(|state| count(state) > 0) {
        let _ = write!(line, ", {} {state}", count(state));
    }
    if backfill.get("is_paused").and_then(Value::as_bool) == Some(true) {
        line.push_str(", paused");
    }
    line
}

fn end(backfill: &Value, as_json: bool) -> Result<(), Failure> {
    let none = Value::Null;
    let runs = backfill.get("runs").unwrap_or(&none);
    let is_cancelled = backfill.get("is_cancelled").and_then(Value::as_bool) == Some(true);
    let failed = number(runs, "failed");
    if as_json {
        terminal::print(&format!("{backfill}\n"))?;
    } else {
        let how = if is_cancelled {
            "cancelled"
        } else {
            "completed"
        };
        let success = number(runs, "success");
        terminal::print(&format!(
            "{} is {how}: {success} success, {failed} failed, {} had a run already\n",
            name(backfill),
            number(backfill, "passed")
        ))?;
    }
    if is_cancelled || failed > 0 {
        return Err(Failure::Silent);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_dates_are_done() {
        let backfill = |more: &str| {
            let text = format!(r#"{{"runs": {{"success": 5, "failed": 1, "running": 2}}{more}}}"#);
            Value::parse(&text).expect("JSON")
        };
        let half = format!("[{}{}]", "#".repeat(BAR / 2), " ".repeat(BAR - BAR / 2));
        assert_eq!(
            progress(&backfill(""), Some(12)),
            format!("{half}  6 of 12, 2 running, 1 failed")
        );
        let full = format!("[{}]  6 of 6, 2 running, 1 failed, paused", "#".repeat(BAR));
        assert_eq!(progress(&backfill(r#", "is_paused": true"#), Some(6)), full);
    }
}
