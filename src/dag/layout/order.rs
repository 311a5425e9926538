//! The order of the points of each rank: swept to and fro, each point to the mean place of what it is
//! linked to (barycentres); the order with the fewest crossings counts.

use super::net::Net;

/// Sweeps over a picture of ordinary size. A huge one gets fewer, see [`WORK_MAX`].
const SWEEPS: usize = 16;
/// Points and links that are looked at in all, about.
const WORK_MAX: usize = 1_000_000;

/// The points of each rank, from the top down.
pub(super) fn ordered(net: &Net) -> Vec<Vec<usize>> {
    let mut layers = walked(net);
    let mut places = vec![0; net.rank_of.len()];
    for layer in &layers {
        number(layer, &mut places);
    }
    let mut best = layers.clone();
    let mut fewest = crossings(net, &layers, &places);
    let sweeps = (WORK_MAX / (net.rank_of.len() + net.links.len())).clamp(2, SWEEPS);
    for sweep in 0..sweeps {
        if fewest == 0 {
            break;
        }
        if sweep % 2 == 0 {
            for layer in &mut layers {
                sort(layer, &net.before, &mut places);
            }
        } else {
            for layer in layers.iter_mut().rev() {
                sort(layer, &net.after, &mut places);
            }
        }
        let crossed = crossings(net, &layers, &places);
        if crossed < fewest {
            fewest = crossed;
            best.clone_from(&layers);
        }
    }
    best
}

/// The ranks in the order in which a walk downstream, depth first, finds their points.
fn walked(net: &Net) -> Vec<Vec<usize>> {
    let ranks = net.rank_of.iter().max().map_or(0, |last| last + 1);
    let mut layers = vec![Vec::new(); ranks];
    let mut is_seen = vec![false; net.rank_of.len()];
    for root in (0..net.rank_of.len()).filter(|point| net.before[*point].is_empty()) {
        let mut waiting = vec![root];
        while let Some(point) = waiting.pop() {
            if !std::mem::replace(&mut is_seen[point], true) {
                layers[net.rank_of[point]].push(point);
                waiting.extend(net.after[point].iter().rev());
            }
        }
    }
    layers
}

fn number(layer: &[usize], places: &mut [usize]) {
    for (place, point) in layer.iter().enumerate() {
        places[*point] = place;
    }
}

/// Points without a link that way keep their place; equal ones keep their order.
fn sort(layer: &mut [usize], linked: &[Vec<usize>], places: &mut [usize]) {
    layer.sort_by_cached_key(|point| {
        let linked = &linked[*point];
        let wide = |place: usize| u64::try_from(place).unwrap_or(u64::MAX) << 16;
        let sum: u64 = linked.iter().map(|other| wide(places[*other])).sum();
        let mean = sum.checked_div(u64::try_from(linked.len()).unwrap_or(0));
        (mean.unwrap_or(wide(places[*point])), places[*point])
    });
    number(layer, places);
}

/// How many pairs of links between neighbouring ranks cross: inversions, counted with a Fenwick tree.
fn crossings(net: &Net, layers: &[Vec<usize>], places: &[usize]) -> u64 {
    let mut crossed = 0;
    for pair in layers.windows(2) {
        let mut tree = vec![0_u64; pair[1].len() + 1];
        let mut links = 0;
        for point in &pair[0] {
            let mut ends: Vec<_> = net.after[*point].iter().map(|to| places[*to]).collect();
            ends.sort_unstable();
            for &end in &ends {
                let mut at = end + 1;
                let mut not_below = 0;
                while at > 0 {
                    not_below += tree[at];
                    at &= at - 1;
                }
                crossed += links - not_below;
            }
            for &end in &ends {
                let mut at = end + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
            links += u64::try_from(ends.len()).unwrap_or(u64::MAX);
        }
    }
    crossed
}
