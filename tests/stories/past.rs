//! `depends_on_past` and `wait_for_downstream`: a run that goes on from what the one before has done.

use super::tale::Tale;

const PAST: &str = r#"{"dag_id": "d", "max_active_runs": 2, "tasks": [
    {"task_id": "append", "bash": "true", "depends_on_past": true},
    {"task_id": "report", "bash": "true", "after": ["append"]}]}"#;

const ONE_AT_A_TIME: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "append", "bash": "true", "depends_on_past": true}, {"task_id": "other", "bash": "true"}]}"#;

const DOWNSTREAM: &str = r#"{"dag_id": "d", "max_active_runs": 2, "tasks": [
    {"task_id": "append", "bash": "true", "wait_for_downstream": true},
    {"task_id": "report", "bash": "true", "after": ["append"]}]}"#;

#[test]
fn the_first_run_passes_and_the_next_waits_for_the_task_of_the_one_before() {
    let tale = Tale::new(PAST)
        .trigger("r1")
        .until(3)
        .trigger("r2")
        .until(5);
    assert_eq!(
        tale.waits("r2", "append"),
        "success of `append` in the run before, `r1`"
    );
    tale.until(100).tells(
        "0 r1 running
         0 append 1 running
         3 r2 running
         10 append 1 success
         10 report 1 running
         10 append 1 running
         20 report 1 success
         20 r1 success
         20 append 1 success
         20 report 1 running
         30 report 1 success
         30 r2 success",
    );
}

#[test]
fn with_wait_for_downstream_it_waits_for_what_follows_too() {
    let tale = Tale::new(DOWNSTREAM)
        .trigger("r1")
        .until(3)
        .trigger("r2")
        .until(15);
    assert_eq!(
        tale.waits("r2", "append"),
        "success of `report` in the run before, `r1`"
    );
    tale.until(21).tells(
        "0 r1 running
         0 append 1 running
         3 r2 running
         10 append 1 success
         10 report 1 running
         20 report 1 success
         20 r1 success
         20 append 1 running",
    );
}

#[test]
fn a_skip_lets_the_next_run_pass() {
    let tale = Tale::new(PAST).exits("append", 99).trigger("r1").until(3);
    tale.trigger("r2").until(21).tells(
        "0 r1 running
         0 append 1 running
         3 r2 running
         10 append 1 skipped
         10 report skipped
         10 r1 success
         10 append 1 running
         20 append 1 skipped
         20 report skipped
         20 r2 success",
    );
}

/// The run that waits takes the only place; without another the one that it waits for could never start.
#[test]
fn clearing_the_failure_of_the_past_lets_the_run_that_waits_go_on() {
    let tale = Tale::new(ONE_AT_A_TIME)
        .not_yet("append", 1)
        .trigger("r1")
        .trigger("r2")
        .until(50);
    assert_eq!(
        tale.waits("r2", "append"),
        "success of `append` in the run before, `r1`"
    );
    tale.clear("r1", "append", false, false).until(100).tells(
        "0 r1 running
         0 append 1 running
         0 other 1 running
         10 append 1 failed
         10 other 1 success
         10 r1 failed
         10 r2 running
         10 other 1 running
         20 other 1 success
         50 clear append
         50 r1 running
         50 append 2 running
         60 append 2 success
         60 r1 success
         60 append 1 running
         70 append 1 success
         70 r2 success",
    );
}

#[test]
fn a_clear_of_the_past_opens_the_question_again() {
    let tale = Tale::new(PAST)
        .slots(1)
        .trigger("r1")
        .until(3)
        .trigger("r2");
    // `append` of the second run waits for the slot that `report` of the first one has.
    let tale = tale.until(15).clear("r1", "append", false, false);
    assert_eq!(
        tale.waits("r2", "append"),
        "success of `append` in the run before, `r1`"
    );
}

#[test]
fn what_a_run_waits_for_survives_a_restart() {
    let tale = Tale::new(ONE_AT_A_TIME)
        .not_yet("append", 1)
        .trigger("r1")
        .until(20);
    let tale = tale.trigger("r2").until(40).crash_until(60).until(80);
    assert_eq!(
        tale.waits("r2", "append"),
        "success of `append` in the run before, `r1`"
    );
}

/// The latest run of all is asked by the next one, so it is not forgotten, whatever ends after it.
#[test]
fn the_run_that_is_asked_for_is_not_forgotten() {
    let mut tale = Tale::new(ONE_AT_A_TIME).trigger("r0").until(20);
    for n in 1..20 {
        tale = tale.trigger(&format!("r{n}")).until(20 + n * 20);
    }
    tale.holds("r19", true).holds("r1", false);
}

/// A run that came later, for an earlier date, is the one before it: it begins although there is no room, or neither would end.
#[test]
fn a_retry_that_waits_for_a_run_that_came_between_has_it_begin() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "append", "bash": "true", "depends_on_past": true, "retries": 1, "retry_delay": "30s"}]}"#;
    let tale = Tale::new(dag).not_yet("append", 1).trigger("r1").until(5);
    tale.trigger_for("r0", 60).until(200).tells(
        "0 r1 running
         0 append 1 running
         10 append 1 up_for_retry
         40 r0 running
         40 append 1 running
         50 append 1 success
         50 r0 success
         50 append 2 running
         60 append 2 success
         60 r1 success",
    );
}

/// A snapshot tells of the run before with the tasks of the present version.
#[test]
fn what_a_version_has_added_has_no_past() {
    let version =
        |tasks: &str| format!(r#"{{"defaults": {{"depends_on_past": true}}, "tasks": [{tasks}]}}"#);
    let one = r#"{"task_id": "one", "bash": "true"}"#;
    let two = format!(r#"{one}, {{"task_id": "two", "bash": "true"}}"#);
    let tale = Tale::new(&version(one)).trigger("a").until(20);
    assert_eq!(tale.state_of("a"), "success");
    let tale = tale.reload_at(30, &version(&two));
    let tale = tale.begin_with_a_snapshot().trigger("b").until(60);
    assert_eq!(tale.state_of("b"), "success");
}

/// What a run looks back at is what the version says that it began with.
#[test]
fn a_run_that_looks_back_is_not_left_alone_by_a_version_that_does_not() {
    let tale = Tale::new(ONE_AT_A_TIME).not_yet("append", 1);
    let tale = tale.trigger("r1").trigger("r2").until(50);
    let plain = ONE_AT_A_TIME.replace(", \"depends_on_past\": true", "");
    let tale = tale.reload_at(50, &plain);
    let tale = tale.clear("r1", "append", false, false).until(100);
    assert_eq!(
        (tale.state_of("r1"), tale.state_of("r2")),
        ("success", "success")
    );
}
