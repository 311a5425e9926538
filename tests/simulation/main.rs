//! Deterministic simulation: thousands of random worlds, each from one seed, each checked against a
//! second telling of the rules (`model.rs`) at every step.
//!
//! `SEEDS=10000 cargo test --release --test simulation` runs more of them; a seed that fails is
//! printed with its story and runs alone with `SEED=17 cargo test --test simulation`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says how far it came"
)]

mod model;
mod rng;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use world::World;

/// Invariants, by the names they have in the reliability notes of this project's design:
/// I3 order, I4 bounds, I6 replay, I7 one process and no try too many, I8 final is final, I9 liveness.
fn live(seed: u64) -> (u64, u64) {
    let mut world = World::new(seed);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = result {
        let story = world.story();
        let tail = story.lines().rev().take(40).collect::<Vec<_>>();
        for line in tail.iter().rev() {
            eprintln!("{line}");
        }
        eprintln!(
            "seed {seed} failed after {} steps; SEED={seed} runs it alone",
            world.steps
        );
        std::panic::resume_unwind(panic);
    }
    (world.steps, world.tasks_run())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

#[test]
fn every_world_keeps_the_rules() {
    if let Some(seed) = number("SEED") {
        live(seed);
        return;
    }
    let seeds = number("SEEDS").unwrap_or(300);
    let (mut steps, mut tasks) = (0, 0);
    for seed in 0..seeds {
        let (more_steps, more_tasks) = live(seed);
        steps += more_steps;
        tasks += more_tasks;
    }
    println!("{seeds} seeds, {steps} steps, {tasks} attempts");
    assert!(tasks > seeds, "the worlds are too quiet to show anything");
}

/// I14: nothing but the seed decides.
#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 0..20 {
        let story = || {
            let mut world = World::new(seed);
            world.run();
            world.story()
        };
        assert_eq!(story(), story(), "seed {seed}");
    }
}
