//! Deterministic simulation: thousands of random worlds, each from one seed, each checked against a
//! second telling of the rules (`model.rs`, `due.rs`, `rules.rs` and those around them) at every turn.
//!
//! `SEEDS=10000 cargo test --release --test simulation` runs more of them (and `FROM=20000` others); a seed that fails is
//! printed with the end of its story (`TAIL=1000`: more of it) and runs alone with
//! `SEED=17 cargo test --test simulation`.
//!
//! Invariants, by the names they have in the reliability notes of this project's design:
//! I1 no logical date twice, I2 no fire lost, I3 order, I4 bounds, I5 crashes, I6 replay, I7 one process
//! and no try too many, I8 final is final, I9 liveness, I10 forward only, I11 nothing begins that cannot be
//! recorded, I12 memory, I13 bytes, I14 one seed is one story, I15 reloads, I16 pauses.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and says how far it came"
)]

mod adopt;
mod backfills;
mod children;
mod clock;
mod crash;
mod dags;
mod due;
mod fired;
mod hands;
mod hooks;
mod ledger;
mod left;
mod mishaps;
mod model;
mod occasions;
mod pace;
mod past;
mod people;
mod recalled;
mod replay;
mod rhythm;
mod rng;
mod room;
mod rules;
mod runs;
#[path = "../journal/sim_disk.rs"]
#[expect(dead_code, reason = "the journal's own tests use all of it")]
mod sim_disk;
mod tally;
mod turn;
mod waits;
mod weather;
mod world;
mod zones;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tally::Tally;
use world::World;

/// Seeds beyond the first hundred that have failed once, or meet what few do. Another draw anywhere makes them others.
const ALWAYS: [u64; 8] = [113, 122, 123, 291, 1192, 2580, 3389, 3846];

/// So many seeds that fail are enough.
const FAILED_MAX: usize = 10;

/// What a number of worlds came to.
#[derive(Default)]
struct Sum {
    steps: u64,
    attempts: u64,
    scheduled_runs: u64,
    crashes: u64,
    tally: Tally,
}

/// Whether a world keeps the rules.
fn live(seed: u64, sum: &mut Sum) -> bool {
    let mut world = World::new(seed);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    if result.is_err() {
        let story = world.story();
        let lines = number("TAIL").map_or(40, |lines| usize::try_from(lines).expect("TAIL"));
        let tail = story.lines().rev().take(lines).collect::<Vec<_>>();
        for line in tail.iter().rev() {
            eprintln!("{line}");
        }
        eprintln!(
            "seed {seed} failed after {} steps; SEED={seed} runs it alone",
            world.steps
        );
    }
    sum.steps += world.steps;
    sum.attempts += world.model.attempts;
    sum.scheduled_runs += world.model.scheduled_runs;
    sum.crashes += world.crashes;
    sum.tally.add(&world.model.tally);
    result.is_ok()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

#[test]
fn every_world_keeps_the_rules() {
    let mut sum = Sum::default();
    if let Some(seed) = number("SEED") {
        assert!(live(seed, &mut sum), "seed {seed} failed");
        return;
    }
    let first = number("FROM").unwrap_or(0);
    let seeds = number("SEEDS").unwrap_or(if cfg!(debug_assertions) { 100 } else { 300 });
    let mut failed = Vec::new();
    for seed in (first..first + seeds).chain(ALWAYS) {
        if !live(seed, &mut sum) {
            failed.push(seed);
        }
        assert!(failed.len() < FAILED_MAX, "seeds {failed:?} failed");
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    println!(
        "{seeds} seeds, {} steps, {} attempts, {} scheduled runs, {} crashes",
        sum.steps, sum.attempts, sum.scheduled_runs, sum.crashes
    );
    let missing = sum.tally.missing();
    println!("rarest: {:?}; never: {missing:?}", sum.tally.rarest());
    // The rarest of them is met once in a hundred worlds.
    assert!(seeds < 1_000 || missing.is_empty(), "never: {missing:?}");
    let least = [sum.attempts, sum.scheduled_runs, 2 * sum.crashes];
    assert!(
        least.iter().all(|count| *count > seeds),
        "the worlds are too quiet to show anything"
    );
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
