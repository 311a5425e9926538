//! Hooks: when they are called, and by whom.

use mini_dag::scheduler::Mark;

use crate::tale::Tale;

const HOOKED: &str = r#"{"dag_id": "d",
    "on_success": {"bash": "true"}, "on_failure": {"bash": "true"}, "on_retry": {"bash": "true"},
    "defaults": {"on_failure": {"argv": ["true"]}, "retry_delay": "60s"},
    "tasks": [
        {"task_id": "fetch", "bash": "true", "retries": 1, "on_retry": {"bash": "true"}, "on_success": {"bash": "true"}},
        {"task_id": "push", "bash": "true", "after": ["fetch"]},
        {"task_id": "end", "empty": true, "after": ["push"], "on_success": {"bash": "true"}}]}"#;

const ALL: &str = r#"{"dag_id": "all", "on_failure": {"bash": "true"}, "on_retry": {"bash": "true"},
    "tasks": [{"task_id": "t", "empty": true}]}"#;

#[test]
fn each_end_calls_the_hooks_that_are_written_for_it_the_near_ones_first() {
    Tale::new(HOOKED)
        .hooks_of_all(ALL)
        .fails("fetch", 1)
        .trigger("r")
        .until(200)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 up_for_retry
         10 on_retry Task: fetch
         10 on_retry Dag: fetch
         10 on_retry All: fetch
         70 fetch 2 running
         80 fetch 2 success
         80 push 1 running
         80 on_success Task: fetch
         90 push 1 success
         90 end success
         90 r success
         90 on_success Task: end
         90 on_success Dag: r 90s []",
        );
}

#[test]
fn a_failure_calls_the_hook_of_defaults_then_the_dags_and_those_of_all() {
    Tale::new(HOOKED)
        .hooks_of_all(ALL)
        .fails("push", 9)
        .trigger("r")
        .until(200)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 success
         10 push 1 running
         10 on_success Task: fetch
         20 push 1 failed
         20 end upstream_failed
         20 r failed
         20 on_failure Task: push
         20 on_failure Dag: r 20s [push]
         20 on_failure All: r 20s [push]",
        );
}

/// A crash interrupts; nothing has ended, and nobody is told. What comes after the crash is told once.
#[test]
fn replay_calls_nothing_again() {
    Tale::new(HOOKED)
        .trigger("r")
        .until(15)
        .crash_until(15)
        .until(100)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 success
         10 push 1 running
         10 on_success Task: fetch
         15 push 1 none
         15 push 2 running
         25 push 2 success
         25 end success
         25 r success
         25 on_success Task: end
         25 on_success Dag: r 25s []",
        );
}

#[test]
fn a_skipped_task_and_what_follows_from_it_call_nothing() {
    Tale::new(HOOKED)
        .exits("fetch", 99)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 skipped
         10 push skipped
         10 end skipped
         10 r success
         10 on_success Dag: r 10s []",
        );
}

/// Whoever marks a task knows: as in Airflow, that calls no hook of it. The run that ends because of the mark has
/// ended, and that is told; and nothing of it is told again by the next daemon.
#[test]
fn a_mark_calls_no_hook_of_its_task_but_those_of_the_run_that_ends_with_it() {
    let tale = Tale::new(HOOKED)
        .hooks_of_all(ALL)
        .fails("push", 9)
        .trigger("r")
        .until(30)
        .forget_told()
        .mark("r", &["push"], Mark::Success);
    let expected = "30 push marked success
         30 clear end
         30 r running
         30 end success
         30 r success
         30 on_success Task: end
         30 on_success Dag: r 0s []";
    tale.tells(expected);
    let tale = tale.crash_until(40).until(100);
    tale.tells(expected);
    let failed = tale.forget_told().mark("r", &["fetch"], Mark::Failed);
    failed.tells(
        "100 fetch marked failed
         100 r success
         100 on_success Dag: r 70s [fetch]",
    );
}
