//! The command line: one file per command, one definition of them all.
//!
//! Exit codes: 0 done, 1 the answer is no (invalid, failed, not found), 2 wrong usage.

mod backfill;
mod cancel;
mod clear;
mod client;
mod daemon;
mod dry_run;
mod journal;
mod list;
mod logs;
#[cfg(feature = "manual")]
mod manual;
mod next;
mod offline;
mod owner;
mod params;
mod pause;
mod progress;
mod reload;
mod run;
mod runs;
#[cfg(feature = "manual")]
mod schema;
mod show;
mod status;
mod terminal;
mod trigger;
#[cfg(feature = "tcp")]
mod user;
mod validate;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::Program;
use crate::daemon::catalog::{Catalog, Library};
use crate::daemon::config::{Config, Origin};
use crate::daemon::zones::Zones;
use crate::daemon::{layout, takeover};
use crate::dag::diagnostic::printable;
use crate::dag::{Dag, Diagnostic, suggest};
use crate::exec::worker;
use crate::timetable::Lines;

/// Why a command did not do what it was asked.
enum Failure {
    /// Something is wrong with what was given; exit code 1.
    Diagnostics(Vec<Diagnostic>),
    /// The command line itself is wrong; exit code 2.
    Usage(Box<Diagnostic>),
    /// Said already; exit code 1.
    Silent,
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnostics(vec![diagnostic])
    }
}

/// What every command works on.
struct Context {
    /// Its pools and its zone are those of the config file.
    library: Library,
    /// The config file that there is, if that loads; else its errors.
    config: Result<Config, Vec<Diagnostic>>,
    compiled_in: Vec<Arc<Dag>>,
    example: Option<(String, String)>,
}

/// The whole program: reads the command line and does what it says.
pub(crate) fn main(program: Program) -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == worker::SUBCOMMAND)
    {
        return work(program);
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == takeover::PROBE)
    {
        return match terminal::print(&format!("{}\n", takeover::tells())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            if let Some(why) = left_out(std::env::args_os().nth(1)) {
                terminal::complain(&[why]);
                return ExitCode::from(2);
            }
            // Help goes to stdout with 0, a mistake to stderr with 2; a closed pipe is nobody's fault.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = Context::new(program).and_then(|context| match matches.subcommand() {
        Some(("daemon", matches)) => daemon::daemon(context, matches),
        Some(("run", matches)) => run::run(&context, matches),
        Some(("validate", matches)) => validate::validate(&context, matches),
        Some(("list", matches)) => list::list(&context, matches),
        Some(("show", matches)) => show::show(&context, matches),
        Some(("next", matches)) => next::next(&context, matches),
        Some(("journal", matches)) => journal::journal(&context, matches),
        Some(("status", matches)) => status::status(&context, matches),
        Some(("trigger", matches)) => trigger::trigger(&context, matches),
        Some(("backfill", matches)) => backfill::backfill(&context, matches),
        Some(("runs", matches)) => runs::runs(&context, matches),
        Some(("logs", matches)) => logs::logs(&context, matches),
        Some(("clear", matches)) => clear::clear(&context, matches),
        Some(("cancel", matches)) => cancel::cancel(&context, matches),
        Some(("pause", matches)) => pause::pause(&context, matches, true),
        Some(("unpause", matches)) => pause::pause(&context, matches, false),
        Some(("reload", matches)) => reload::reload(&context, matches),
        #[cfg(feature = "manual")]
        Some(("schema", matches)) => schema::schema(matches),
        #[cfg(feature = "manual")]
        Some(("completions", matches)) => manual::completions(matches),
        #[cfg(feature = "manual")]
        Some(("man", matches)) => manual::man(matches),
        #[cfg(feature = "tcp")]
        Some(("user", matches)) => user::user(&context, matches),
        _ => unreachable!("clap knows no other command"),
    });
    let (diagnostics, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Silent) => return ExitCode::from(1),
        Err(Failure::Diagnostics(diagnostics)) => (diagnostics, 1),
        Err(Failure::Usage(diagnostic)) => (vec![*diagnostic], 2),
    };
    terminal::complain(&diagnostics);
    ExitCode::from(code)
}

/// Commands that this program was built without, and the features that bring them.
const LEFT_OUT: &[(&str, &str)] = &[
    #[cfg(not(feature = "manual"))]
    ("schema", "manual"),
    #[cfg(not(feature = "manual"))]
    ("completions", "manual"),
    #[cfg(not(feature = "manual"))]
    ("man", "manual"),
    #[cfg(not(feature = "tcp"))]
    ("user", "tcp"),
];

/// Why there is no command of this name, if another build of this program has it.
fn left_out(name: Option<OsString>) -> Option<Diagnostic> {
    let name = name?;
    let (name, feature) = LEFT_OUT.iter().find(|(known, _)| name == *known)?;
    let why =
        format!("this mini-dag was built without the feature `{feature}`, which brings `{name}`");
    Some(Diagnostic::new(why))
}

/// One task of a DAG, in a process of its own; see [`worker`].
fn work(program: Program) -> ExitCode {
    let code = worker::main(|call| {
        let dags = program.dags.into_iter().filter_map(|dag| dag.finish().ok());
        let mut dags_of = dags.filter(|dag| *dag.dag_id == *call.context.dag_id);
        let own = dags_of.find_map(|dag| dag.functions.get(&call.function).cloned());
        own.or_else(|| program.functions.get(&call.function).cloned())
    });
    ExitCode::from(code)
}

impl Context {
    fn new(program: Program) -> Result<Self, Failure> {
        let mut compiled_in = Vec::new();
        for dag in program.dags {
            compiled_in.push(Arc::new(dag.finish().map_err(Failure::Diagnostics)?));
        }
        let mut library = Library {
            functions: program.functions,
            zones: Zones::of_host(),
            timezone: None,
            pools: None,
            lines: Lines::default(),
        };
        let config = Origin::default().read(&library);
        if let Ok(config) = &config {
            library.pools = Some(config.pools());
            library.timezone.clone_from(&config.timezone);
        }
        Ok(Self {
            library,
            config,
            compiled_in,
            example: program.example,
        })
    }

    /// All DAGs of the directories that `--dags` names, or of the usual one if it exists.
    fn catalog(&self, matches: &ArgMatches) -> Catalog {
        let paths = dag_paths(matches);
        let compiled_in = self.library.zoned(&self.compiled_in);
        Catalog::load(&self.library, &compiled_in, &paths, None)
    }

    /// The DAG that a command line names: a file, or the id of a DAG in the catalog.
    fn find(&self, name: &str, matches: &ArgMatches) -> Result<Arc<Dag>, Failure> {
        let is_file = Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "json");
        if name.contains('/') || is_file {
            let dag = self
                .library
                .read(name.as_ref())
                .map_err(Failure::Diagnostics)?;
            return Ok(Arc::new(dag));
        }
        let catalog = self.catalog(matches);
        if let Some(dag) = catalog.dags.get(name) {
            return Ok(dag.clone());
        }
        let ids = catalog.dags.keys().map(|id| &**id);
        let help = suggest::help(name, ids)
            .unwrap_or_else(|| "`mini-dag list` shows the DAGs there are".to_owned());
        let message = format!("there is no DAG `{}`", printable(name));
        let mut errors = catalog.errors;
        errors.push(Diagnostic::new(message).help(help));
        Err(Failure::Diagnostics(errors))
    }
}

impl Context {
    /// The state directory of the daemon that is meant: what `--state` names, else what its config file
    /// says, which may be that of the system's service, else the usual one.
    fn state(&self, named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
        if named.is_some() {
            return state_directory(named);
        }
        let config = Origin::asked().read(&self.library);
        let config = config.map_err(|mut errors| {
            if let Some(error) = errors.last_mut() {
                let note = "it may say where the state directory is; `--state` does without it";
                error.notes.push(note.to_owned());
            }
            Failure::Diagnostics(errors)
        })?;
        state_directory(config.state.as_ref())
    }
}

/// What `--dags` names, or the usual directory if it exists.
fn dag_paths(matches: &ArgMatches) -> Vec<PathBuf> {
    let named = matches.get_many("dags");
    let mut paths: Vec<PathBuf> = named
        .map(|paths| paths.cloned().collect())
        .unwrap_or_default();
    if paths.is_empty() {
        paths.push(layout::default_dags());
        paths.retain(|path| path.exists());
    }
    paths
}

/// Where journal and logs are: what `--state` names, or the usual directory.
fn state_directory(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    named
        .cloned()
        .or_else(layout::default_state)
        .ok_or_else(|| {
            let help = "name one with --state, or set HOME".to_owned();
            Diagnostic::new("there is no state directory")
                .help(help)
                .into()
        })
}

fn command() -> Command {
    let command = Command::new("mini-dag")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Airflow's model at cron's weight: runs graphs of tasks on small hosts")
        .after_help(
            "Start here:\n  mini-dag run                    the built-in example, now and here\n  \
             mini-dag validate dags/         what is wrong with my DAG files?\n\n\
             Exit codes: 0 done, 1 the answer is no (invalid, failed, not found), 2 wrong usage.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(daemon::command())
        .subcommand(run_command())
        .subcommand(
            Command::new("validate")
                .about("Say everything that is wrong with DAG files")
                .long_about(
                    "Reads DAG files, and all `*.json` files of directories, and says everything that is \
                     wrong with them. Runs nothing. Exit code 1 if anything is wrong.",
                )
                .arg(
                    Arg::new("path")
                        .value_name("PATH")
                        .required(true)
                        .num_args(1..)
                        .value_parser(value_parser!(PathBuf))
                        .help("A DAG file, or a directory of them"),
                )
                .arg(json_arg()),
        )
        .subcommand(
            Command::new("list")
                .about("List the DAGs there are, and the files that do not load")
                .arg(dags_arg())
                .arg(json_arg()),
        )
        .subcommand(show::command())
        .subcommand(next::command())
        .subcommand(journal::command())
        .subcommand(status::command())
        .subcommand(trigger::command())
        .subcommand(backfill::command())
        .subcommand(runs::command())
        .subcommand(logs::command())
        .subcommand(clear::command())
        .subcommand(cancel::command())
        .subcommand(pause::pause_command())
        .subcommand(pause::unpause_command())
        .subcommand(reload::command());
    #[cfg(feature = "manual")]
    let command = command
        .subcommand(schema::command())
        .subcommand(manual::completions_command())
        .subcommand(manual::man_command());
    #[cfg(feature = "tcp")]
    let command = command.subcommand(user::command());
    command
}

fn run_command() -> Command {
    Command::new("run")
        .about("Run a DAG once, now, in the foreground")
        .long_about(
            "Runs a DAG once, now, in the foreground, without a daemon and apart from its history. Shows how \
             it goes, says where the logs are, and exits with 0 if the run succeeded and 1 if it failed.\n\n\
             Without a DAG it runs the built-in example, which needs no network and no privileges.",
        )
        .after_help(
            "Examples:\n  mini-dag run dags/sensor_log.json\n  \
             mini-dag run download_rocket_launches --param dir=/tmp/rockets\n\n\
             Ctrl-C cancels the run: its tasks get SIGTERM, and SIGKILL 10 seconds later. A second Ctrl-C \
             kills them at once.",
        )
        .arg(dag_arg())
        .arg(params::param_arg())
        .arg(params::logical_date_arg())
        .arg(
            Arg::new("task")
                .long("task")
                .value_name("TASK")
                .action(ArgAction::Append)
                .help("Only this task, whatever it waits for; may be repeated"),
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("TASK")
                .action(ArgAction::Append)
                .help("Only this task and everything after it"),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .conflicts_with("json")
                .help("Show what would run, with all templates filled in, and run nothing"),
        )
        .arg(
            Arg::new("parallelism")
                .long("parallelism")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..=10_000))
                .help("Tasks that may run at once [default: the number of CPUs]"),
        )
        .arg(own_state_arg())
        .arg(dags_arg())
        .arg(json_arg())
}

fn dag_arg() -> Arg {
    Arg::new("dag")
        .value_name("DAG|FILE")
        .help("The id of a DAG, or the path of a DAG file")
}

/// A DAG that the daemon knows.
fn dag_id_arg() -> Arg {
    Arg::new("dag")
        .value_name("DAG")
        .required(true)
        .help("The id of a DAG")
}

fn dag_id(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("dag").map_or("", String::as_str)
}

fn run_arg() -> Arg {
    Arg::new("run")
        .value_name("RUN")
        .help("The id of a run, or `latest`")
}

fn dags_arg() -> Arg {
    Arg::new("dags")
        .long("dags")
        .value_name("DIR")
        .action(ArgAction::Append)
        .value_parser(value_parser!(PathBuf))
        .help("Where DAG files are [default: $MINI_DAG_DAGS, else ./dags]")
}

fn own_state_arg() -> Arg {
    Arg::new("state")
        .long("state")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .help("Where journal and logs are [default: the config file's, else $MINI_DAG_STATE or ~/.local/state/mini-dag]")
}

/// Of the daemon that is asked.
fn state_arg() -> Arg {
    own_state_arg().help("Where the daemon's journal and logs are [default: the config file's, else $MINI_DAG_STATE, else ~/.local/state/mini-dag if a daemon has run there, else those of the system's service]")
}

/// For commands that ask the daemon, which knows its own.
fn offline_dags_arg() -> Arg {
    dags_arg().help("Where DAG files are, if no daemon runs [default: what the config file says, else $MINI_DAG_DAGS or ./dags]")
}

fn json_arg() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print JSON, with the field names of the HTTP API")
}
