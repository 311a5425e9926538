//! mini-dag: Airflow's model at cron's weight, for Raspberry Pi class hosts.
//!
//! # A tour for newcomers
//!
//! One rule makes the rest simple: **the scheduler is a pure function**. It is told what happened and
//! when, and says what to do:
//!
//! ```text
//! dags/*.json ─┐                     ┌────────── records ──────────▶ journal
//! dags/*.rs  ──┴─▶ catalog ──▶ scheduler (pure) ── actions ──▶ driver (single-threaded loop)
//!                                    ▲                                │  timers · processes · signals
//!                                    └──────────── events ────────────┘
//! ```
//!
//! Read in this order; each room knows only those before it:
//!
//! - [`timetable`]: when a DAG is due. Moments, cron lines, zones. Pure.
//! - [`dag`]: what a DAG is, from Rust or from JSON; every error found before anything runs. Pure.
//! - [`scheduler`]: what happens next. Its heart is [`scheduler::Scheduler::step`]; every fact that
//!   changes state is a [`scheduler::Record`], and [`scheduler::State::apply`] is the only thing that
//!   changes it. So recovery is replay, and a test is a story with a virtual clock. Pure.
//! - [`exec`]: doing it. Processes, their output, their end; the worker for `http` and `call` tasks.
//! - [`journal`]: what happened, on disk; recovery, history, and what the disk may do to them.
//! - [`daemon`]: the loop that joins them, clocks, files, signals.
//! - [`ui`]: the files of the web page.
//! - [`api`]: what DAGs and runs look like to other programs, and who answers them.
//! - `cli`: one file per command.
//!
//! What is deliberately absent: threads that share state, a database, a plug-in system, tasks that run
//! in this process, and any clock, file or log in the pure rooms (`tests/tidy.rs` keeps that).
//!
//! # The crate as a library
//!
//! A program with its own DAGs is three lines and gets the whole command line:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     let hello = mini_dag::Dag::new("hello");
//!     hello.bash("greet", "echo hello") >> hello.bash("ask", "uptime");
//!     mini_dag::Program::new().dag(hello).main()
//! }
//! ```

pub mod api;
mod cli;
pub mod daemon;
pub mod dag;
pub mod exec;
pub mod journal;
pub mod scheduler;
pub mod timetable;
pub mod ui;

use std::process::ExitCode;

pub use dag::function::Result;
pub use dag::{Context, Dag, DagBuilder, Functions, HookBuilder, Outcome, Value, json};

/// A program: the DAGs and functions that are compiled in, and the whole command line around them.
#[derive(Default)]
pub struct Program {
    dags: Vec<DagBuilder>,
    functions: Functions,
    example: Option<(String, String)>,
}

impl Program {
    /// Without any DAG of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a compiled-in DAG. A DAG file of the same id takes its place.
    pub fn dag(mut self, dag: DagBuilder) -> Self {
        self.dags.push(dag);
        self
    }

    /// The functions that DAG files may `call`.
    pub fn functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }

    /// The DAG that `run` runs when none is named: the name and the text of a DAG file.
    pub fn example(mut self, name: &str, text: &str) -> Self {
        self.example = Some((name.to_owned(), text.to_owned()));
        self
    }

    /// Reads the command line, does what it says, and returns how that went.
    pub fn main(self) -> ExitCode {
        cli::main(self)
    }
}

/// README's Rust compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
