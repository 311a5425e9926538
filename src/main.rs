//! The `mini-dag` program: the library with the DAGs of `dags/`.

#[cfg(feature = "samples")]
#[path = "../dags/mod.rs"]
mod dags;

use std::process::ExitCode;

use mini_dag::Program;

fn main() -> ExitCode {
    // What `mini-dag run` runs when it is told nothing: it needs no network, no root and no other file.
    let example = include_str!("../dags/sensor_log.json");
    let program = Program::new().example("sensor_log.json", example);
    #[cfg(feature = "samples")]
    let program = dags::dags()
        .into_iter()
        .fold(program.functions(dags::functions()), Program::dag);
    program.main()
}
