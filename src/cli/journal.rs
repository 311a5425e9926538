//! `mini-dag journal`: looking after what happened, on disk, while no daemon writes it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use clap::{ArgMatches, Command};

use super::{Context, Failure, dags_arg, json_arg, owner, state_arg, terminal};
use crate::daemon::clock;
use crate::dag::Diagnostic;
use crate::journal::{
    Directory, OpenError, Options, Report, Verified, cat, compact, repair, verify,
};

pub(super) fn command() -> Command {
    Command::new("journal")
        .about("Look after the files that say what happened")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("cat")
                .about("Print every line that verifies, oldest first")
                .arg(state_arg()),
        )
        .subcommand(
            Command::new("verify")
                .about("Check every line; exit code 1 if any is lost")
                .arg(state_arg())
                .arg(json_arg()),
        )
        .subcommand(
            Command::new("repair")
                .about("Give up damaged lines, and let the DAGs that they hold go on")
                .long_about(
                    "Drops exactly the lines that are damaged, says in their place that they are lost, and \
                     keeps a copy of each damaged file as `*.broken`. Stop the daemon first.",
                )
                .arg(state_arg())
                .arg(dags_arg()),
        )
        .subcommand(
            Command::new("compact")
                .about("Begin a new file with all that has to be known. Stop the daemon first")
                .arg(state_arg())
                .arg(dags_arg()),
        )
}

pub(super) fn journal(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        unreachable!("clap requires a subcommand");
    };
    let state = context.state(matches.get_one("state"))?;
    owner::become_it(&state)?;
    let path = state.join("journal");
    if !path.is_dir() {
        let message = format!("there is no journal at `{}`", path.display());
        return Err(Diagnostic::new(message).into());
    }
    let disk = Arc::new(Directory::new(&path));
    let fail = |error: OpenError| Failure::from(Diagnostic::new(error.to_string()));
    match name {
        "cat" => {
            let mut stdout = io::BufWriter::new(io::stdout().lock());
            let mut result = Ok(());
            let report = cat(&*disk, &mut |line| {
                if result.is_ok() {
                    result = writeln!(stdout, "{line}");
                }
            });
            // A reader that went away has seen enough.
            let _ = result.and_then(|()| stdout.flush());
            sound(&report.map_err(fail)?)
        }
        "verify" => {
            let verified = verify(&*disk).map_err(fail)?;
            let text = if matches.get_flag("json") {
                as_json(&verified)
            } else {
                in_words(&verified)
            };
            terminal::print(&text)?;
            if verified.is_sound() {
                Ok(())
            } else {
                Err(Failure::Silent)
            }
        }
        "repair" | "compact" => {
            let dags = context.catalog(matches).dags.into_values();
            let _lock = super::daemon::lock(&state, "stop it first")?;
            let options = Options {
                boot_id: clock::boot_id(),
                ..Options::default()
            };
            if name == "compact" {
                compact(disk, options, dags, clock::now()).map_err(fail)?;
                return Ok(());
            }
            let report = repair(disk, options, dags, clock::now()).map_err(fail)?;
            terminal::print(&damage(&report))?;
            terminal::print(&format!("places repaired: {}\n", report.damage_count))
        }
        _ => unreachable!("clap knows no other command"),
    }
}

fn sound(report: &Report) -> Result<(), Failure> {
    if report.damage_count == 0 {
        return Ok(());
    }
    let message = format!("the journal is damaged; places: {}", report.damage_count);
    let help = "`mini-dag journal verify` says where";
    Err(Diagnostic::new(message).help(help.to_owned()).into())
}

fn damage(report: &Report) -> String {
    let mut text = String::new();
    for damage in &report.damage {
        let (segment, byte, bytes) = (damage.segment, damage.byte, damage.bytes);
        let (lines, what) = (damage.lines, &damage.what);
        let _ = writeln!(
            text,
            "damage: {segment:010}.jsonl, byte {byte}: {bytes} bytes, lines lost: {lines}; {what}"
        );
    }
    text
}

fn in_words(verified: &Verified) -> String {
    let mut text = String::new();
    for segment in &verified.segments {
        let snapshot = if segment.has_snapshot {
            "  snapshot"
        } else {
            ""
        };
        let (number, lines, bytes) = (segment.number, segment.lines, segment.bytes);
        let _ = writeln!(
            text,
            "{number:010}.jsonl  {lines:>7} lines  {bytes:>9} bytes{snapshot}"
        );
    }
    let report = &verified.report;
    text += &damage(report);
    for tail in &report.torn {
        let (segment, byte, bytes) = (tail.segment, tail.byte, tail.bytes);
        let _ = writeln!(
            text,
            "torn tail: {segment:010}.jsonl, byte {byte}: {bytes} bytes; they were never promised"
        );
    }
    let verdict = match (report.damage_count, report.held) {
        (0, false) => "sound",
        (0, true) => "DAGs are held; `mini-dag journal repair` lets them go on",
        (..) => "damaged; `mini-dag journal repair` gives up what is lost",
    };
    let _ = writeln!(text, "{} lines: {verdict}", report.lines);
    text
}

fn as_json(verified: &Verified) -> String {
    let report = &verified.report;
    let torn: u64 = report.torn.iter().map(|tail| tail.bytes).sum();
    format!(
        "{{\"segments\":{},\"lines\":{},\"damage\":{},\"torn_bytes\":{torn},\"held\":{}}}\n",
        verified.segments.len(),
        report.lines,
        report.damage_count,
        report.held
    )
}
