//! The `mini-dag` program: the library with the DAGs of `dags/`.

#[path = "../dags/mod.rs"]
mod dags;

use std::process::ExitCode;

use mini_dag::Program;

fn main() -> ExitCode {
    let program = Program::new()
        .functions(dags::functions())
        .example(dags::DEFAULT_NAME, dags::DEFAULT_TEXT);
    let program = dags::dags().into_iter().fold(program, Program::dag);
    program.main()
}
