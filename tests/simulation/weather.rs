//! What may happen in a world: each seed draws a subset, so that rare mixtures are met too.

use crate::rng::Rng;

#[expect(clippy::struct_excessive_bools, reason = "each may be, or not")]
pub struct Weather {
    pub failures: bool,
    pub skips: bool,
    /// Tasks print something, and some choose what goes on after them.
    pub choices: bool,
    pub hangs: bool,
    pub deaf: bool,
    pub undead: bool,
    pub unstartable: bool,
    pub told_twice: bool,
    pub cancels: bool,
    pub clears: bool,
    pub pauses: bool,
    pub schedules: bool,
    /// The clocks of its DAGs change about when it begins.
    pub zones: bool,
    /// Tasks name pools, and the config changes.
    pub pools: bool,
    pub backfills: bool,
    /// Tasks trigger runs of other DAGs.
    pub triggers: bool,
    /// In circles, too; then each DAG has one such task.
    pub circles: bool,
    pub reloads: bool,
    pub removals: bool,
    pub crashes: bool,
    /// The machine sleeps now and then, and everything is late.
    pub nights: bool,
    /// The clock is set, forgets, and is doubted.
    pub clocks: bool,
    /// Records go to a real journal on a simulated disk, which is slower; else to a list.
    pub journal: bool,
    /// That disk fails now and then.
    pub faults: bool,
}

impl Weather {
    pub fn draw(rng: &mut Rng) -> Self {
        let mut draw = || rng.one_in(2);
        Self {
            failures: draw(),
            skips: draw(),
            choices: draw(),
            hangs: draw(),
            deaf: draw(),
            undead: draw(),
            unstartable: draw(),
            told_twice: draw(),
            cancels: draw(),
            clears: draw(),
            pauses: draw(),
            schedules: draw() || draw(),
            zones: draw(),
            pools: draw(),
            backfills: draw(),
            triggers: draw(),
            circles: draw(),
            reloads: draw(),
            removals: draw(),
            crashes: draw(),
            nights: draw(),
            clocks: draw(),
            journal: draw() && draw(),
            faults: draw(),
        }
    }
}
