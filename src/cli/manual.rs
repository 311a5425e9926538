//! `mini-dag completions` and `mini-dag man`: the command line, told to shells and to `man`. Both are made from
//! the one definition that the program itself reads, so they cannot say anything else.

use std::path::PathBuf;

use clap::builder::EnumValueParser;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{Failure, terminal};
use crate::dag::Diagnostic;

pub(super) fn completions_command() -> Command {
    Command::new("completions")
        .about("Print what a shell needs to complete this command line")
        .after_help(
            "Examples:\n  mini-dag completions bash > /etc/bash_completion.d/mini-dag\n  \
             mini-dag completions zsh > ~/.zfunc/_mini-dag\n  \
             mini-dag completions fish > ~/.config/fish/completions/mini-dag.fish",
        )
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(EnumValueParser::<Shell>::new())
                .help("For which shell"),
        )
}

pub(super) fn man_command() -> Command {
    Command::new("man")
        .about("Write the manual pages, mini-dag.1 and one for each command")
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("Where to, such as /usr/local/share/man/man1"),
        )
}

pub(super) fn completions(matches: &ArgMatches) -> Result<(), Failure> {
    let mut text = Vec::new();
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        clap_complete::generate(*shell, &mut super::command(), "mini-dag", &mut text);
    }
    terminal::print(&String::from_utf8_lossy(&text))
}

pub(super) fn man(matches: &ArgMatches) -> Result<(), Failure> {
    let directory = matches.get_one::<PathBuf>("directory");
    let directory = directory.map_or_else(|| PathBuf::from("."), PathBuf::clone);
    clap_mangen::generate_to(super::command(), &directory).map_err(|error| {
        let place = directory.display();
        Diagnostic::new(format!("cannot write manual pages to `{place}`: {error}"))
            .help("the directory has to exist".to_owned())
            .into()
    })
}
