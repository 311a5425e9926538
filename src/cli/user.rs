//! `mini-dag user`: who may log in to the web page and the HTTP API.
//!
//! The users are in a file of the state directory; a daemon that runs sees each change at once. A password comes
//! from the terminal, unseen, or from standard input, never from the command line, which everybody can read.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use clap::{Arg, ArgMatches, Command};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::{Context, Failure, json_arg, owner, state_arg, terminal};
use crate::api::{Role, User, Users};
use crate::dag::{Diagnostic, Value};

pub(super) fn command() -> Command {
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("The name of a user")
    };
    Command::new("user")
        .about("Say who may log in to the web page and the HTTP API")
        .after_help(
            "A password is asked for on the terminal, or read from standard input:\n\n  \
             mini-dag user add anna --role Op\n  \
             mini-dag user passwd admin < password.txt\n\n\
             Roles: Viewer sees everything; Op also triggers, clears, pauses and deletes; Admin also reloads.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("add")
                .about("Add a user")
                .arg(name())
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("ROLE")
                        .value_parser(Role::ALL.map(Role::name))
                        .ignore_case(true)
                        .default_value(Role::Viewer.name())
                        .help("What they may do"),
                )
                .arg(state_arg()),
        )
        .subcommand(
            Command::new("passwd")
                .about("Give a user another password; sessions and tokens of the old one end")
                .arg(name())
                .arg(state_arg()),
        )
        .subcommand(Command::new("remove").about("Remove a user").arg(name()).arg(state_arg()))
        .subcommand(Command::new("list").about("List the users").arg(state_arg()).arg(json_arg()))
}

pub(super) fn user(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let Some((action, matches)) = matches.subcommand() else {
        unreachable!("clap asks for one")
    };
    let state = context.state(matches.get_one("state"))?;
    owner::become_it(&state)?;
    let name = || matches.get_one::<String>("name").map_or("", String::as_str);
    let done = match action {
        "add" => {
            let role = matches
                .get_one::<String>("role")
                .and_then(|role| Role::named(role));
            let role = role.unwrap_or(Role::Viewer);
            let password = password(name())?;
            super::daemon::create_state(&state)?;
            Users::change(&state, |users| users.add(name(), role, &password))
        }
        "passwd" => {
            let password = password(name())?;
            Users::change(&state, |users| users.set_password(name(), &password))
        }
        "remove" => Users::change(&state, |users| users.remove(name())),
        _ => return list(&state, matches.get_flag("json")),
    };
    done.map_err(|why| Diagnostic::new(why).into())
}

fn list(state: &Path, as_json: bool) -> Result<(), Failure> {
    let users = Users::read(state).map_err(|error| {
        let place = state.display();
        Diagnostic::new(format!("cannot read the users in `{place}`: {error}"))
    })?;
    let users = users.map(|users| users.list).unwrap_or_default();
    let text = if as_json {
        let user = |user: &User| {
            Value::from([
                ("username", Value::from(&*user.name)),
                ("role", Value::from(user.role.name())),
                ("is_generated", Value::from(user.is_generated)),
            ])
        };
        format!(
            "{}\n",
            Value::from(users.iter().map(user).collect::<Vec<_>>())
        )
    } else if users.is_empty() {
        "no users yet: `mini-dag daemon` makes an admin, `mini-dag user add` others\n".to_owned()
    } else {
        let line = |user: &User| {
            let note = if user.is_generated {
                "  (the password of the first start)"
            } else {
                ""
            };
            format!("{:<20} {}{note}\n", user.name, user.role.name())
        };
        users.iter().map(line).collect()
    };
    terminal::print(&text)
}

/// A password: typed twice, or a line of standard input.
fn password(name: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let once = ask(&format!("Password for {name}: "))?;
    if ask("Once more: ")? == once {
        return Ok(once);
    }
    Err(Diagnostic::new("these are two passwords").into())
}

fn ask(prompt: &str) -> Result<String, Failure> {
    let cannot = |error: io::Error| Diagnostic::new(format!("cannot ask for a password: {error}"));
    let stdin = io::stdin();
    terminal::note(prompt);
    let _ = io::stderr().flush();
    let shown = tcgetattr(&stdin).map_err(|error| cannot(error.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes -= LocalModes::ECHO;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|error| cannot(error.into()))?;
    let typed = line();
    let _ = tcsetattr(&stdin, OptionalActions::Now, &shown);
    terminal::note("\n");
    typed
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Diagnostic::new(format!("cannot read a password: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
