//! A program with a DAG and a function of its own: `main` is three lines, and the command line is mini-dag's.
//!
//! ```sh
//! cargo run --example own_dags -- run greeting --param name=Ada
//! cargo run --example own_dags -- daemon
//! ```

use std::process::ExitCode;
use std::time::Duration;

use mini_dag::{Context, Dag, DagBuilder, HookBuilder, Outcome, Program, Value};

fn main() -> ExitCode {
    Program::new().dag(greeting()).main()
}

fn greeting() -> DagBuilder {
    let dag = Dag::new("greeting")
        .description("Greets, and counts the letters of the greeting.")
        .param("name", "world")
        .on_success(HookBuilder::bash("echo \"$MINI_DAG_RUN_ID is done\""));
    let greet = dag
        .bash("greet", "echo \"Hello, $name!\"")
        .env("name", "{{ params.name }}");
    let count = dag
        .call("count", count_letters)
        .timeout(Duration::from_secs(60));
    let tell = dag.argv("tell", ["echo", "{{ xcom.count }} letters"]);
    _ = greet >> count >> tell;
    dag
}

/// Runs in a process of its own, with a timeout, a log and an exit code like any other task.
#[expect(clippy::print_stdout, reason = "a task's output is its log")]
fn count_letters(context: &Context) -> mini_dag::Result {
    // One that has more to do ends well before that, with what there was time for.
    let left = context.time_left().unwrap_or(Duration::MAX);
    println!("at most {} seconds from here", left.as_secs());
    let greeting = context.xcoms.get("greet").and_then(Value::as_str);
    let greeting = greeting.ok_or("nobody has greeted")?;
    let letters = greeting.chars().filter(|c| c.is_alphabetic()).count();
    Ok(Outcome::Value(u64::try_from(letters)?.into()))
}
