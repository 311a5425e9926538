//! The `mini-dag` program: the library with the DAGs of `dags/`.

use std::process::ExitCode;

use mini_dag::Program;

fn main() -> ExitCode {
    Program::new().main()
}
