//! Runs that only the journal has any more, and that somebody wants to clear.

use mini_dag::scheduler::{RUNS_KEPT_MAX, RunState};

use super::tale::Tale;

const ONE: &str = r#"{"dag_id": "d", "tasks": [{"task_id": "t", "bash": "true"}]}"#;

/// Ten seconds a run, until the first is no longer in memory.
fn many() -> Tale {
    let mut tale = Tale::new(ONE);
    for number in 0..=RUNS_KEPT_MAX {
        let end_s = u64::try_from(number + 1).unwrap() * 10;
        tale = tale.trigger(&format!("r{number}")).until(end_s);
    }
    tale.holds("r0", false).holds("r1", true)
}

#[test]
fn a_run_that_is_only_history_is_brought_back_and_cleared() {
    many()
        .refuses_clear("r0", "t", "there is no run `r0`")
        .forget_told()
        .recall("r0", RunState::Success, "d")
        .holds("r0", true)
        .holds("r1", false)
        .clear("r0", "t", false, false)
        .crash_until(100)
        .until(200)
        .tells(
            "90 r0 recalled
         90 clear t
         90 r0 running
         90 t 2 running
         100 t 2 none
         100 t 3 running
         110 t 3 success
         110 r0 success",
        );
}

#[test]
fn what_is_there_or_cannot_be_is_not_brought_back() {
    many()
        .forget_told()
        .recall("r5", RunState::Success, "d")
        .recall("r0", RunState::Success, "other")
        .recall("r0", RunState::Running, "d")
        .holds("r0", false)
        .tells("");
}

#[test]
fn a_run_whose_name_another_has_now_is_not_brought_back() {
    many()
        .trigger("r0")
        .until(200)
        .forget_told()
        .recall("r0", RunState::Success, "d")
        .tells("");
}

/// Without the file of the DAG that has triggered it, a run is kept that was history with it.
#[test]
fn what_was_brought_back_is_so_too_after_a_restart_without_the_dag_that_triggered_it() {
    let parent = r#"{"dag_id": "p", "tasks": [{"task_id": "go", "trigger": {"dag_id": "d"}}]}"#;
    let child = "manual__2026-11-22T08:00:00+00:00__1.go.1";
    let mut tale = Tale::new(ONE).beside(parent).of("p").trigger("r").of("d");
    for number in 0..=RUNS_KEPT_MAX {
        let end_s = u64::try_from(number + 2).unwrap() * 10;
        tale = tale.trigger(&format!("r{number}")).until(end_s);
    }
    let tale = tale.holds(child, false);
    let tale = tale.recall(child, RunState::Success, "d").remove("p");
    tale.crash_until(200).until(201).holds(child, true);
}
