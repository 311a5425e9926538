//! The `mini-dag` program.

#[path = "../dags/mod.rs"]
mod dags;

fn main() {
    _ = (dags::dags(), dags::functions(), dags::DEFAULT_NAME, dags::DEFAULT_TEXT);
}
