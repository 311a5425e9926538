//! `mini-dag reload`: has the daemon read its config and the DAG files again, or become another program.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use smol::Timer;

use super::client::{Client, number, text};
use super::{Context, Failure, json_arg, state_arg, terminal};
use crate::dag::{Diagnostic, Value};

/// How often, and how many times, the new program is looked for: a little longer than the old one takes to give up.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 1_500;

pub(super) fn command() -> Command {
    Command::new("reload")
        .about("Have the daemon read its config and the DAG files again")
        .after_help(
            "Runs that are active finish with the DAG they began with.\n\n\
             With --exec the daemon becomes the program that is now where it was started from, after an upgrade: \
             in the same process, and tasks that run go on. SIGUSR2 does the same.",
        )
        .arg(
            Arg::new("exec")
                .long("exec")
                .action(ArgAction::SetTrue)
                .help("Have the daemon become the program that was installed since, without ending its tasks"),
        )
        .arg(state_arg())
        .arg(json_arg())
}

/// Exit code 1 if a file does not load, or if the daemon is still the old program.
pub(super) fn reload(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let client = Client::new(context, matches)?;
    if matches.get_flag("exec") {
        return replace(&client, matches.get_flag("json"));
    }
    let answer = client.send("POST", "/mini-dag/v1/reload", &Value::Null)?;
    let errors = answer
        .get("errors")
        .and_then(Value::as_array)
        .unwrap_or(&[]);
    if matches.get_flag("json") {
        terminal::print(&format!("{answer}\n"))?;
    } else {
        let (dags, files) = (number(&answer, "dags"), number(&answer, "files"));
        let broken = errors.len();
        let text = format!("{dags} DAGs, {files} files, {broken} errors\n");
        terminal::print(&text)?;
        terminal::complain_as_said(errors);
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Silent)
    }
}

fn replace(client: &Client<'_>, is_json: bool) -> Result<(), Failure> {
    let started = |status: &Value| status.get("daemon")?.get("started_at").cloned();
    let before = client.get(STATUS)?;
    client.send(
        "POST",
        "/mini-dag/v1/reload",
        &Value::from([("exec", true)]),
    )?;
    let mut told = String::new();
    for _ in 0..LOOKS_MAX {
        smol::block_on(Timer::after(LOOK_AGAIN));
        // While one program ends and the other begins, nobody answers.
        let Ok(now) = client.get(STATUS) else {
            continue;
        };
        if started(&now) == started(&before) {
            let takeover = now.get("daemon").and_then(|daemon| daemon.get("takeover"));
            let Some(takeover) = takeover.filter(|takeover| **takeover != Value::Null) else {
                continue;
            };
            let reason = text(takeover, "reason");
            if takeover.get("is_waiting").and_then(Value::as_bool) != Some(true) {
                let message = format!("the daemon is still the old program: {reason}");
                return Err(Diagnostic::new(message).into());
            }
            if !reason.is_empty() && reason != told {
                terminal::note(&format!("waits: {reason}\n"));
                told = reason;
            }
            continue;
        }
        let version = now
            .get("daemon")
            .and_then(|daemon| daemon.get("version")?.as_str());
        let version = version.unwrap_or("?");
        return if is_json {
            terminal::print(&format!("{now}\n"))
        } else {
            terminal::print(&format!("the daemon is mini-dag {version} now\n"))
        };
    }
    let message = "the daemon is still the old program";
    let help = "its log says why; `mini-dag status` shows how it goes".to_owned();
    Err(Diagnostic::new(message).help(help).into())
}

const STATUS: &str = "/mini-dag/v1/status";
