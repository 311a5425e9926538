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

const PARENT: &str = r#"{"dag_id": "p", "tasks": [{"task_id": "go", "trigger": {"dag_id": "d"}}]}"#;
const CHILD: &str = "manual__2026-11-22T08:00:00+00:00__1.go.1";

/// A run that was triggered by another DAG is history a hundred seconds later.
fn many_after_a_child() -> Tale {
    let mut tale = Tale::new(ONE).beside(PARENT).of("p").trigger("r").of("d");
    for number in 0..=RUNS_KEPT_MAX {
        let end_s = u64::try_from(number + 2).unwrap() * 10;
        tale = tale.trigger(&format!("r{number}")).until(end_s);
    }
    tale.holds(CHILD, false)
}

/// Without the file of the DAG that has triggered it, a run is kept that was history with it.
#[test]
fn what_was_brought_back_is_so_too_after_a_restart_without_the_dag_that_triggered_it() {
    let tale = many_after_a_child();
    let tale = tale.recall(CHILD, RunState::Success, "d").remove("p");
    tale.crash_until(200).until(201).holds(CHILD, true);
}

#[test]
fn what_is_kept_for_a_dag_that_is_not_there_and_cleared_goes_on_when_that_is_back() {
    let tale = many_after_a_child().remove("p").crash_until(200);
    let tale = tale.holds(CHILD, true).forget_told();
    let tale = tale.clear(CHILD, "t", false, false).beside(PARENT);
    tale.crash_until(205).until(300).tells(&format!(
        "200 {CHILD} recalled
         200 clear t
         200 {CHILD} running
         200 t 2 running
         205 t 2 none
         205 t 3 running
         215 t 3 success
         215 {CHILD} success",
    ));
}
