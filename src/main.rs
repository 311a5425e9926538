//! The `mini-dag` program.

fn main() {}
