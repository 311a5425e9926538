//! What is due without a moment, told a second time: once per boot, and when other DAGs have succeeded.

use std::collections::{BTreeMap, BTreeSet};

use mini_dag::dag::{Catchup, Overlap};
use mini_dag::scheduler::{Fact, Occasion, Record, RunFact, RunType};

use crate::due::Due;
use crate::model::Model;
use crate::rhythm::Rhythm;

/// What a DAG was run for, or passed over.
#[derive(Clone, Default)]
pub struct Heard {
    boot_id: Option<String>,
    successes: BTreeMap<String, u64>,
}

impl Heard {
    pub fn serve(&mut self, occasion: &Occasion) {
        match occasion {
            Occasion::Boot(boot_id) => self.boot_id = Some(boot_id.to_string()),
            Occasion::Backfill(_) | Occasion::Task(_) => {}
            Occasion::After(counts) => {
                for (dag_id, count) in counts {
                    self.successes.insert(dag_id.to_string(), *count);
                }
            }
        }
    }
}

/// How often a run of a DAG has succeeded.
pub fn successes(dag_id: &str, log: &[Record]) -> u64 {
    let of_it = log.iter().filter(|record| *record.dag_id == *dag_id);
    let is_success =
        |record: &&Record| matches!(record.fact, Fact::Run(_, RunFact::Ended { success: true }));
    of_it.filter(is_success).count() as u64
}

impl Model {
    pub fn booted(&mut self, boot_id: &str) {
        boot_id.clone_into(&mut self.boot_id);
    }

    /// What a DAG is due for, paused or not.
    fn occasion(&self, due: &Due, now: i64) -> Option<Occasion> {
        let plan = &due.version.plan;
        let start = plan.start_ms(due.first_seen?);
        if !due.is_there || start.is_some_and(|start| now < start) {
            return None;
        }
        match &plan.rhythm {
            Rhythm::Reboot => {
                let is_new = due.heard.boot_id.as_ref() != Some(&self.boot_id);
                is_new.then(|| Occasion::Boot(self.boot_id.as_str().into()))
            }
            Rhythm::After(others) => {
                let mut counts = BTreeMap::new();
                for other in others {
                    let heard = due.heard.successes.get(other)?;
                    let now = self.successes.get(other).filter(|now| *now != heard)?;
                    counts.insert(other.as_str().into(), *now);
                }
                let dag_id = &*due.version.dag.dag_id;
                (!self.waits_for_itself(dag_id)).then_some(Occasion::After(counts))
            }
            Rhythm::Never
            | Rhythm::Once
            | Rhythm::Every(_)
            | Rhythm::Cron(_)
            | Rhythm::Continuous => None,
        }
    }

    /// By whatever way.
    fn waits_for_itself(&self, dag_id: &str) -> bool {
        let awaited = |dag_id: &str| match self.dues.get(dag_id) {
            Some(due) if due.is_there => match &due.version.plan.rhythm {
                Rhythm::After(others) => others.clone(),
                Rhythm::Never
                | Rhythm::Once
                | Rhythm::Reboot
                | Rhythm::Every(_)
                | Rhythm::Cron(_)
                | Rhythm::Continuous => Vec::new(),
            },
            _ => Vec::new(),
        };
        let mut reached: BTreeSet<String> = awaited(dag_id).into_iter().collect();
        // There are no more than four, so no way is longer.
        for _ in 0..4 {
            let next: Vec<_> = reached.iter().flat_map(|other| awaited(other)).collect();
            reached.extend(next);
        }
        reached.contains(dag_id)
    }

    /// What is run or passed over was due, once.
    pub fn check_occasion(&mut self, record: &Record, now: i64, is_busy: bool) {
        let due = &self.dues[&*record.dag_id];
        let plan = &due.version.plan;
        let expected = self.occasion(due, now);
        let occasion = match &record.fact {
            Fact::Run(_, RunFact::Created(facts))
                if facts.run_type == RunType::Scheduled && facts.occasion.is_some() =>
            {
                let occasion = facts.occasion.as_ref().unwrap();
                assert_eq!(Some(occasion), expected.as_ref(), "`{}`", facts.run_id);
                let may_run = !due.is_paused && self.is_recording && !is_busy;
                assert!(may_run, "`{}` is run too early", facts.run_id);
                let is_over = plan
                    .end
                    .is_some_and(|end| end < facts.logical_date.millis());
                assert!(!is_over, "`{}` is run too late", facts.run_id);
                occasion.clone()
            }
            Fact::Passed(occasion) => {
                let is_missed = due.is_paused && plan.catchup == Catchup::None;
                let is_passed_over = !due.is_paused && is_busy && plan.overlap == Overlap::Skip;
                let may_pass = is_missed || is_passed_over;
                let is_due = may_pass && expected.as_ref() == Some(occasion);
                assert!(
                    is_due || self.begins_to_count(due, occasion),
                    "{occasion:?}"
                );
                occasion.clone()
            }
            Fact::Seen { .. }
            | Fact::Paused(_)
            | Fact::Skipped { .. }
            | Fact::Rewound { .. }
            | Fact::Run(..)
            | Fact::Backfill(..)
            | Fact::Restored { .. } => return,
        };
        self.dues
            .get_mut(&*record.dag_id)
            .unwrap()
            .heard
            .serve(&occasion);
    }

    /// Successes of DAGs that were not waited for so far count from now on.
    fn begins_to_count(&self, due: &Due, occasion: &Occasion) -> bool {
        let (Rhythm::After(others), Occasion::After(counts)) = (&due.version.plan.rhythm, occasion)
        else {
            return false;
        };
        counts.iter().all(|(other, count)| {
            let is_new = !due.heard.successes.contains_key(&**other);
            is_new && others.contains(&other.to_string()) && self.successes[&**other] == *count
        })
    }

    /// A turn has ended: whatever is due and could be run was run, and everybody is listened to.
    pub fn check_no_occasion_is_left(&self, due: &Due, now: i64, is_busy: bool, is_stopping: bool) {
        let plan = &due.version.plan;
        if let Rhythm::After(others) = &plan.rhythm
            && due.is_there
        {
            let is_heard = |other: &&String| due.heard.successes.contains_key(*other);
            // One whose records were just read back is not loaded yet.
            let is_there = |other: &&String| self.dues.get(*other).is_some_and(|due| due.is_there);
            let known = others.iter().filter(is_there);
            assert!(known.clone().all(|other| is_heard(&other)), "not heard");
        }
        let Some(occasion) = self.occasion(due, now) else {
            return;
        };
        let second = now.div_euclid(1_000) * 1_000;
        let earliest = due.mark.map_or(second, |mark| second.max(mark + 1_000));
        let may_wait = if due.is_paused {
            plan.catchup != Catchup::None
        } else {
            match plan.overlap {
                Overlap::Queue => is_busy,
                Overlap::Skip => false,
                Overlap::Cancel => is_busy && is_stopping,
            }
        };
        let is_over = plan.end.is_some_and(|end| end < earliest);
        assert!(
            may_wait || is_over || !self.is_recording || !self.may_go,
            "{occasion:?} is left to `{}`",
            due.version.dag.dag_id
        );
    }
}
