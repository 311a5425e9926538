//! `mini-dag schema`: the JSON Schema of DAG files, or of the config file, for editors.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Failure, terminal};
use crate::dag::schema;

pub(super) fn command() -> Command {
    Command::new("schema")
        .about("Print the JSON Schema of DAG files, for editors")
        .after_help(
            "An editor that knows JSON Schema completes keys, shows what they mean and underlines mistakes:\n\n  \
             mini-dag schema > dags/.schema.json\n\n\
             and `\"$schema\": \".schema.json\"` as the first key of a DAG file. It is a draft 2020-12 schema; \
             `mini-dag validate` finds what a schema cannot say.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .action(ArgAction::SetTrue)
                .help("That of the daemon's config file instead"),
        )
}

pub(super) fn schema(matches: &ArgMatches) -> Result<(), Failure> {
    let schema = if matches.get_flag("config") {
        schema::config()
    } else {
        schema::dag()
    };
    terminal::print(&format!("{schema}\n"))
}
