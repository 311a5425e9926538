//! DAGs that come and go while their past is in the journal.

use std::sync::Arc;

use mini_dag::dag::Dag;
use mini_dag::journal::{Journal, Options, apply_replayed, read_state};
use mini_dag::scheduler::{RunState, State};

use crate::story::{dags, fold, now, records};
use crate::{journal_of, options, read};

/// A DAG whose file does not load at a start is not forgotten, through rotations and restarts.
#[test]
fn what_is_known_of_a_dag_that_is_away_is_kept() {
    let records = records(13, 200);
    let whole = fold(&records);
    let disk = journal_of(&records);
    let without_fan = || dags().into_iter().filter(|dag| &*dag.dag_id == "chain");
    let boot = |n: u32| Options {
        boot_id: format!("{n}"),
        ..options()
    };
    for n in 0..3 {
        let disk = Arc::new(disk.clone());
        let (_, found) = Journal::open(disk, boot(n), without_fan(), now(0)).unwrap();
        assert!(found.state.dag("fan").is_none());
        assert_eq!(found.report.refused, []);
        assert_eq!(found.state.next_run(), whole.next_run());
    }
    assert!(read(&disk).state == whole);
    // Or it comes back while the daemon runs.
    let (mut journal, found) =
        Journal::open(Arc::new(disk.clone()), boot(9), without_fan(), now(0)).unwrap();
    let mut state = found.state;
    for dag in dags() {
        state.insert_dag(dag);
    }
    for record in journal.claim("fan") {
        apply_replayed(&mut state, &record).unwrap();
    }
    assert!(state == whole);
    assert!(journal.claim("fan").is_empty());
}

/// A DAG that got a task while the daemon was down would otherwise wake its old runs up.
#[test]
fn a_run_that_has_ended_stays_over_when_its_dag_gets_a_task() {
    let disk = journal_of(&records(14, 300));
    let more = Dag::new("chain");
    for task in ["fetch", "clean", "push", "new"] {
        more.bash(task, "true");
    }
    let live = |state: &State| {
        let live = state.runs().filter(|(_, run)| !run.state.is_finished());
        live.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let chain = Arc::new(more.finish().unwrap());
    let fan = dags().remove(1);
    let found = read_state(&disk, [chain, fan]).unwrap();
    let before = read(&disk).state;
    assert_eq!(live(&found.state), live(&before));
    let finished = |state: &State| {
        state
            .runs()
            .filter(|(_, run)| run.state == RunState::Success)
            .count()
    };
    assert!(finished(&before) > 0);
    assert_eq!(finished(&found.state), finished(&before));
    assert!(!found.report.held);
}
