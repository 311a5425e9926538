//! How far down each point stands: beside what it is linked to, as far as the order of its rank and the
//! distances that it keeps allow.
//!
//! One rank at a time, the sum of squared distances from where its points would like to be is made as
//! small as it can be (isotonic regression by pooling adjacent violators, O(points of the rank)).

use super::LANE;
use super::net::Net;

/// From left to right and back.
const ROUNDS: usize = 4;
/// How much more a long line wants to be straight than a task wants to stand in the middle.
const STRAIGHT: i64 = 8;

/// In the end all heights are multiples of this: what is nearly straight is drawn straight.
const GRAIN: i64 = LANE as i64 / 4;

/// The `y` of each point.
pub(super) fn placed(net: &Net, layers: &[Vec<usize>]) -> Vec<u32> {
    let mut ys = vec![0; net.rank_of.len()];
    for layer in layers {
        let last = distances(net, layer).last().copied().unwrap_or(0);
        for (point, distance) in layer.iter().zip(distances(net, layer)) {
            ys[*point] = distance - last / 2;
        }
    }
    for _ in 0..ROUNDS {
        for layer in layers {
            settle(net, layer, &mut ys, &[&net.before], 1);
        }
        for layer in layers.iter().rev() {
            settle(net, layer, &mut ys, &[&net.after], 1);
        }
    }
    for layer in layers {
        settle(net, layer, &mut ys, &[&net.before, &net.after], GRAIN);
    }
    let top = ys.iter().copied().min().unwrap_or(0);
    let down = |y: i64| u32::try_from(y - top).unwrap_or(u32::MAX);
    ys.into_iter().map(down).collect()
}

/// How far each point of a rank is from the first, at least.
fn distances(net: &Net, layer: &[usize]) -> Vec<i64> {
    let lane = i64::from(LANE);
    let mut at = 0;
    let mut distances = Vec::with_capacity(layer.len());
    for (place, point) in layer.iter().enumerate() {
        if place > 0 {
            let are_tasks = layer[place - 1] < net.tasks && *point < net.tasks;
            at += if are_tasks { lane } else { lane / 2 };
        }
        distances.push(at);
    }
    distances
}

/// Points that touch: their weights, and what they would like, summed.
struct Block {
    wish: i64,
    weight: i64,
    points: usize,
}

impl Block {
    fn mean(&self) -> i64 {
        self.wish.div_euclid(self.weight)
    }
}

/// Distances are multiples of `grain`, and so are heights then.
fn settle(net: &Net, layer: &[usize], ys: &mut [i64], linked: &[&[Vec<usize>]], grain: i64) {
    let distances = distances(net, layer);
    let mut blocks: Vec<Block> = Vec::with_capacity(layer.len());
    for (point, distance) in layer.iter().zip(&distances) {
        let (wish, weight) = wish(net, *point, ys, linked);
        let mut block = Block {
            wish: (wish - distance) * weight,
            weight,
            points: 1,
        };
        while let Some(above) = blocks.pop_if(|above| above.mean() > block.mean()) {
            block.wish += above.wish;
            block.weight += above.weight;
            block.points += above.points;
        }
        blocks.push(block);
    }
    let means = blocks
        .iter()
        .flat_map(|block| std::iter::repeat_n(block.mean(), block.points));
    for ((point, distance), mean) in layer.iter().zip(&distances).zip(means) {
        ys[*point] = (mean + grain / 2).div_euclid(grain) * grain + distance;
    }
}

/// Where a point would like to be, and how much.
fn wish(net: &Net, point: usize, ys: &[i64], linked: &[&[Vec<usize>]]) -> (i64, i64) {
    let (mut sum, mut weights) = (0, 0);
    for other in linked.iter().flat_map(|linked| &linked[point]) {
        let are_bends = point >= net.tasks && *other >= net.tasks;
        let weight = if are_bends { STRAIGHT } else { 1 };
        sum += ys[*other] * weight;
        weights += weight;
    }
    if weights == 0 {
        return (ys[point], 1);
    }
    (sum.div_euclid(weights), weights)
}
