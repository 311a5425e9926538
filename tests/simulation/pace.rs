//! How often a DAG may be started, told a second time: by counting starts in every stretch of time.
//!
//! I10: in none are there more than 1 + elapsed time / interval + allowance, by the monotonic clock.

use mini_dag::dag::Catchup;

use crate::rhythm::{Plan, Rhythm};

const DAY_MS: i64 = 86_400_000;

/// A start, with the least and the most distance of the fires around it; in milliseconds.
#[derive(Clone)]
struct Start {
    at: u64,
    least: u64,
    most: u64,
}

/// What a DAG has started since it was loaded.
#[derive(Clone, Default)]
pub struct Starts(Vec<Start>);

impl Starts {
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// A run has been created for a fire.
    pub fn count(&mut self, plan: &Plan, first_seen: i64, fire: i64, now_ms: u64) {
        let (Some(allowance), Some(start)) =
            (allowance(plan), around(plan, first_seen, fire, now_ms))
        else {
            return;
        };
        self.0.push(start);
        for (at, first) in self.0.iter().enumerate() {
            let starts = (self.0.len() - at) as u64;
            let least = self.0[at..].iter().map(|start| start.least).min().unwrap();
            let in_time = (now_ms - first.at) * 65 / 64 / least;
            assert!(
                starts <= 2 + allowance + in_time,
                "I10: {starts} starts since {}",
                first.at
            );
        }
    }

    /// Whether one more might be too many.
    pub fn is_full(&self, plan: &Plan, first_seen: i64, fire: i64, now_ms: u64) -> bool {
        let (Some(allowance), Some(next)) =
            (allowance(plan), around(plan, first_seen, fire, now_ms))
        else {
            return false;
        };
        self.0.iter().enumerate().any(|(at, first)| {
            let starts = (self.0.len() - at) as u64;
            let most = self.0[at..].iter().map(|start| start.most).max().unwrap();
            // A few milliseconds are nothing.
            let elapsed_ms = (now_ms - first.at).saturating_sub(5);
            let in_time = elapsed_ms * 65 / 64 / most.max(next.most);
            starts + 1 > 1 + allowance + in_time
        })
    }
}

fn allowance(plan: &Plan) -> Option<u64> {
    match plan.catchup {
        Catchup::Latest | Catchup::None => Some(2),
        Catchup::AtMost(count) => Some(u64::from(count) + 1),
        Catchup::All => None,
    }
}

fn around(plan: &Plan, first_seen: i64, fire: i64, at_ms: u64) -> Option<Start> {
    if matches!(plan.rhythm, Rhythm::Never | Rhythm::Once) {
        return None;
    }
    if plan.rhythm == Rhythm::Continuous {
        let (at, least, most) = (at_ms, 1_000, 1_000);
        return Some(Start { at, least, most });
    }
    let mut near = vec![fire];
    for _ in 0..4 {
        near.insert(0, plan.previous(near[0]));
    }
    let after = plan.fires(first_seen, fire, fire + 3 * DAY_MS);
    near.extend(after.take(4));
    let gaps = near
        .windows(2)
        .map(|pair| u64::try_from(pair[1] - pair[0]).unwrap());
    Some(Start {
        at: at_ms,
        least: gaps.clone().min()?,
        most: gaps.max()?,
    })
}
