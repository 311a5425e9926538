//! Random DAGs, and new versions of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::dag::{Dag, DagBuilder, HookKind, Poke, Value, WeightRule, trigger_rule};

use crate::rhythm::Plan;
use crate::rng::Rng;
use crate::weather::Weather;
use crate::world::POOLS;
use crate::{children, hooks};

/// A DAG as it was loaded at some time.
#[derive(Clone)]
pub struct Version {
    pub dag: Arc<Dag>,
    pub plan: Plan,
    /// It takes no `n` that is not a number.
    pub is_picky: bool,
}

impl Version {
    pub fn draw(rng: &mut Rng, number: usize, plan: Plan, weather: &Weather) -> Self {
        let mut dag = plan
            .build(Dag::new(&format!("dag{number}")))
            .max_active_runs(1 + rng.small(3));
        if rng.one_in(2) {
            dag = dag.max_active_tasks(1 + rng.small(3));
        }
        if rng.one_in(3) {
            dag = dag.run_timeout(Duration::from_secs(30 + rng.up_to(90)));
        }
        if rng.one_in(12) {
            dag = dag.is_paused_upon_creation(true);
        }
        if let Some(hook) = hooks::at_dag(number, HookKind::Success) {
            dag = dag.on_success(hook);
        }
        if let Some(hook) = hooks::at_dag(number, HookKind::Failure) {
            dag = dag.on_failure(hook);
        }
        if let Some(hook) = hooks::at_dag(number, HookKind::Retry) {
            dag = dag.on_retry(hook);
        }
        let is_picky = rng.one_in(3);
        let n = if is_picky {
            let (kind, default) = (("type", "integer".into()), ("default", 7.into()));
            Value::Object(
                [kind, default]
                    .map(|(key, value)| (key.to_owned(), value))
                    .into(),
            )
        } else {
            "any".into()
        };
        dag = dag.param("n", n);
        draw_tasks(rng, &dag, number, weather);
        let dag = Arc::new(dag.finish().expect("a random DAG is a DAG"));
        Self {
            dag,
            plan,
            is_picky,
        }
    }

    /// The same, but nothing is due after this moment.
    pub fn ending_at(&self, end_ms: i64) -> Self {
        let mut plan = self.plan.clone();
        let end = plan.end.map_or(end_ms, |end| end.min(end_ms));
        plan.end = Some(end);
        plan.start = plan.start.no_later_than(end);
        let mut dag = Dag::clone(&self.dag);
        let ending = plan.build(Dag::new("d"));
        ending.empty("t");
        let ending = ending.finish().expect("a DAG");
        (dag.start_date, dag.end_date) = (ending.start_date, ending.end_date);
        Self {
            dag: Arc::new(dag),
            plan,
            is_picky: self.is_picky,
        }
    }
}

/// The number of a DAG to trigger. There is none of number 3, and some worlds have fewer.
fn draw_target(rng: &mut Rng, number: usize, weather: &Weather) -> usize {
    if weather.circles {
        rng.below(3)
    } else {
        // Never back, or one run might come to thousands.
        number + 1 + rng.below(3_usize.saturating_sub(number + 1))
    }
}

fn draw_tasks(rng: &mut Rng, dag: &DagBuilder, number: usize, weather: &Weather) {
    let count = 1 + rng.below(9);
    let density = 1 + rng.below(4);
    let looks_back = rng.one_in(3);
    let mut tasks = Vec::new();
    // For each, those that it comes after.
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    let mut empty = BTreeSet::new();
    let mut triggers = if weather.circles { 1 } else { 2 };
    for n in 0..count {
        let id = format!("t{n}");
        let upstream: Vec<_> = (0..n).filter(|_| rng.one_in(density)).collect();
        let direct = upstream.iter().copied();
        let all: BTreeSet<_> = direct
            .chain(upstream.iter().flat_map(|u| before[*u].clone()))
            .collect();
        let has_xcom = |other: &&usize| !empty.contains(*other);
        let named: Vec<_> = all
            .iter()
            .filter(has_xcom)
            .filter(|_| rng.one_in(4))
            .collect();
        let words: Vec<_> = named
            .iter()
            .map(|other| format!("{{{{ xcom.t{other} }}}}"))
            .collect();
        before.push(all);
        let is_trigger = weather.triggers && triggers > 0 && rng.one_in(4);
        let target = draw_target(rng, number, weather);
        let is_trigger = is_trigger && (target < 3 || rng.one_in(5));
        let mut task = if is_trigger {
            triggers -= 1;
            let task = dag.trigger(&id, &format!("dag{target}"));
            let task = children::give(task, number, n);
            if rng.one_in(4) { task } else { task.wait() }
        } else if rng.one_in(6) {
            empty.insert(n);
            dag.empty(&id)
        } else {
            let task = dag.argv(&id, ["echo", &words.concat()]);
            match rng.below(8) {
                0 | 1 => task.branch(),
                2 => task.short_circuit(),
                _ => task,
            }
        };
        if let Some(hook) = hooks::at_task(number, n, HookKind::Success) {
            task = task.on_success(hook);
        }
        if let Some(hook) = hooks::at_task(number, n, HookKind::Failure) {
            task = task.on_failure(hook);
        }
        if let Some(hook) = hooks::at_task(number, n, HookKind::Retry) {
            task = task.on_retry(hook);
        }
        for upstream in upstream {
            task = task.after(tasks[upstream]);
        }
        if rng.one_in(2) {
            task = task.trigger_rule(*rng.pick(&trigger_rule::ALL));
        }
        // In a circle, the attempts of each would be multiplied by those of the next.
        let attempts = if is_trigger && weather.circles { 1 } else { 3 };
        task = task
            .retries(rng.small(attempts))
            .retry_delay(Duration::from_secs(rng.up_to(20)));
        if rng.one_in(2) {
            let rules = [
                WeightRule::Downstream,
                WeightRule::Upstream,
                WeightRule::Absolute,
            ];
            let priority = i32::try_from(rng.small(4)).unwrap() - 1;
            task = task.priority(priority).weight_rule(*rng.pick(&rules));
        }
        if rng.one_in(3) {
            task = task.pool(POOLS[rng.below(2)]).pool_slots(1 + rng.small(3));
        } else if rng.one_in(6) {
            task = task.pool_slots(2);
        }
        if looks_back && rng.one_in(3) {
            task = if rng.one_in(3) {
                task.wait_for_downstream()
            } else {
                task.depends_on_past()
            };
        }
        if rng.one_in(4) && !is_trigger {
            task = task.poke(Poke {
                every: Duration::from_millis(1 + rng.up_to(40_000)),
                timeout: Duration::from_secs(1 + rng.up_to(300)),
                soft_fail: rng.one_in(3),
            });
        }
        if is_trigger {
            if rng.one_in(4) {
                task = task.timeout(Duration::from_secs(1 + rng.up_to(200)));
            }
            tasks.push(task);
            continue;
        }
        // Whatever may hang has a timeout, or nothing would ever end.
        tasks.push(task.timeout(Duration::from_secs(5 + rng.up_to(30))));
    }
}
