//! Stories: what the scheduler does, told with a virtual clock, one line an action.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backfills;
mod choices;
mod clock;
mod corrected;
mod hooks;
mod occasions;
mod past;
mod pokes;
mod pools;
mod recalled;
#[path = "../simulation/rules.rs"]
mod rules;
mod schedules;
mod tale;
mod trigger_rules;
mod triggers;
mod trust;

use tale::Tale;

const CHAIN: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "fetch", "bash": "true", "retries": 2, "retry_delay": "60s"},
    {"task_id": "clean", "bash": "true"},
    {"task_id": "push", "bash": "true", "timeout": "30s"}
], "order": ["fetch >> clean >> push"]}"#;

const FAN: &str = r#"{"dag_id": "d", "max_active_runs": 2, "tasks": [
    {"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true", "priority": 5},
    {"task_id": "c", "bash": "true"}, {"task_id": "join", "empty": true, "trigger_rule": "all_done"}
], "order": ["[a, b, c] >> join"]}"#;

#[test]
fn tasks_run_in_their_order() {
    Tale::new(CHAIN).trigger("r").until(100).tells(
        "0 r running
         0 fetch 1 running
         10 fetch 1 success
         10 clean 1 running
         20 clean 1 success
         20 push 1 running
         30 push 1 success
         30 r success",
    );
}

#[test]
fn a_failed_attempt_is_repeated_after_its_delay_and_not_at_the_next_tick() {
    Tale::new(CHAIN)
        .fails("fetch", 2)
        .trigger("r")
        .until(300)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 up_for_retry
         70 fetch 2 running
         80 fetch 2 up_for_retry
         140 fetch 3 running
         150 fetch 3 success
         150 clean 1 running
         160 clean 1 success
         160 push 1 running
         170 push 1 success
         170 r success",
        );
}

#[test]
fn what_follows_a_failure_is_not_run() {
    Tale::new(CHAIN)
        .fails("fetch", 9)
        .trigger("r")
        .until(300)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 up_for_retry
         70 fetch 2 running
         80 fetch 2 up_for_retry
         140 fetch 3 running
         150 fetch 3 failed
         150 clean upstream_failed
         150 push upstream_failed
         150 r failed",
        );
}

#[test]
fn an_exponential_delay_doubles_up_to_its_maximum() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "t", "bash": "false", "retries": 4,
        "retry_delay": "10s", "retry_exponential_backoff": true, "max_retry_delay": "25s"}]}"#;
    Tale::new(dag)
        .fails("t", 9)
        .takes("t", 1)
        .trigger("r")
        .until(300)
        .tells(
            "0 r running
         0 t 1 running
         1 t 1 up_for_retry
         11 t 2 running
         12 t 2 up_for_retry
         32 t 3 running
         33 t 3 up_for_retry
         58 t 4 running
         59 t 4 up_for_retry
         84 t 5 running
         85 t 5 failed
         85 r failed",
        );
}

#[test]
fn a_task_that_takes_too_long_gets_term_then_kill_and_has_failed() {
    Tale::new(CHAIN)
        .hangs("push")
        .deaf("push")
        .trigger("r")
        .until(200)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 success
         10 clean 1 running
         20 clean 1 success
         20 push 1 running
         50 push 1 SIGTERM
         60 push 1 SIGKILL
         60 push 1 failed
         60 r failed",
        );
}

#[test]
fn a_process_that_cannot_be_killed_gives_its_slot_back() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "stuck", "bash": "true", "timeout": "5s"}, {"task_id": "next", "bash": "true"}]}"#;
    Tale::new(dag)
        .slots(1)
        .hangs("stuck")
        .deaf("stuck")
        .undead("stuck")
        .trigger("r")
        .until(200)
        .tells(
            "0 r running
         0 stuck 1 running
         5 stuck 1 SIGTERM
         15 stuck 1 SIGKILL
         75 stuck 1 failed
         75 next 1 running
         85 next 1 success
         85 r failed",
        );
}

#[test]
fn higher_priority_goes_first_and_no_more_run_than_there_are_slots() {
    Tale::new(FAN).slots(2).trigger("r").until(100).tells(
        "0 r running
         0 b 1 running
         0 a 1 running
         10 a 1 success
         10 c 1 running
         10 b 1 success
         20 c 1 success
         20 join success
         20 r success",
    );
}

#[test]
fn a_join_that_takes_any_end_makes_the_run_a_success() {
    Tale::new(FAN)
        .slots(9)
        .fails("b", 9)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 b 1 running
         0 a 1 running
         0 c 1 running
         10 a 1 success
         10 b 1 failed
         10 c 1 success
         10 join success
         10 r success",
        );
}

#[test]
fn runs_beyond_max_active_runs_wait_for_their_turn() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "t", "bash": "true"}]}"#;
    Tale::new(dag)
        .slots(9)
        .trigger("r1")
        .trigger("r2")
        .until(100)
        .tells(
            "0 r1 running
         0 t 1 running
         10 t 1 success
         10 r1 success
         10 r2 running
         10 t 1 running
         20 t 1 success
         20 r2 success",
        );
}

#[test]
fn max_active_tasks_bounds_a_dag_over_all_its_runs() {
    let dag = r#"{"dag_id": "d", "max_active_runs": 2, "max_active_tasks": 1,
        "tasks": [{"task_id": "t", "bash": "true"}]}"#;
    Tale::new(dag)
        .slots(9)
        .trigger("r1")
        .trigger("r2")
        .until(100)
        .tells(
            "0 r1 running
         0 t 1 running
         0 r2 running
         10 t 1 success
         10 r1 success
         10 t 1 running
         20 t 1 success
         20 r2 success",
        );
}

#[test]
fn exit_code_99_skips_what_follows() {
    Tale::new(CHAIN)
        .exits("clean", 99)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 fetch 1 running
         10 fetch 1 success
         10 clean 1 running
         20 clean 1 skipped
         20 push skipped
         20 r success",
        );
}

#[test]
fn a_cancelled_run_stops_what_runs_and_skips_the_rest() {
    Tale::new(CHAIN)
        .trigger("r")
        .until(5)
        .cancel("r")
        .until(100)
        .tells(
            "0 r running
         0 fetch 1 running
         5 r stopped
         5 fetch 1 SIGTERM
         5 fetch 1 failed
         5 r failed",
        );
}

#[test]
fn a_cancelled_run_that_waited_never_starts() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "t", "bash": "true"}]}"#;
    Tale::new(dag)
        .trigger("r1")
        .trigger("r2")
        .until(5)
        .cancel("r2")
        .until(100)
        .tells(
            "0 r1 running
         0 t 1 running
         5 r2 stopped
         5 r2 failed
         10 t 1 success
         10 r1 success",
        );
}

#[test]
fn clearing_runs_a_task_and_what_follows_again_with_fresh_retries() {
    let tale = Tale::new(CHAIN).fails("clean", 1).trigger("r").until(100);
    tale.clear("r", "clean", true, false).until(200).tells(
        "0 r running
         0 fetch 1 running
         10 fetch 1 success
         10 clean 1 running
         20 clean 1 failed
         20 push upstream_failed
         20 r failed
         100 clear clean push
         100 r running
         100 clean 2 running
         110 clean 2 success
         110 push 1 running
         120 push 1 success
         120 r success",
    );
}

#[test]
fn clearing_only_what_failed_leaves_the_rest() {
    let tale = Tale::new(FAN)
        .slots(9)
        .fails("c", 1)
        .trigger("r")
        .until(100);
    tale.clear("r", "", false, true).until(200).tells(
        "0 r running
         0 b 1 running
         0 a 1 running
         0 c 1 running
         10 a 1 success
         10 b 1 success
         10 c 1 failed
         10 join success
         10 r success
         100 clear c
         100 r running
         100 c 2 running
         110 c 2 success
         110 r success",
    );
}

#[test]
fn clearing_a_running_task_stops_it_and_runs_it_again_without_using_up_a_retry() {
    Tale::new(CHAIN)
        .trigger("r")
        .until(5)
        .clear("r", "fetch", false, false)
        .until(100)
        .tells(
            "0 r running
         0 fetch 1 running
         5 clear fetch
         5 fetch 1 SIGTERM
         5 fetch 1 none
         5 fetch 2 running
         15 fetch 2 success
         15 clean 1 running
         25 clean 1 success
         25 push 1 running
         35 push 1 success
         35 r success",
        );
}

/// It had failed by its timeout when the daemon was back, and was not run again.
#[test]
fn a_clear_of_a_running_task_outlives_the_daemon() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "t", "bash": "true", "timeout": "30s"}]}"#;
    Tale::new(dag)
        .hangs("t")
        .deaf("t")
        .trigger("r")
        .until(5)
        .clear("r", "t", false, false)
        .crash_until(60)
        .tells(
            "0 r running
         0 t 1 running
         5 clear t
         5 t 1 SIGTERM
         60 t 1 SIGTERM
         60 t 1 none
         60 t 2 running",
        );
}

#[test]
fn a_task_that_waits_for_a_slot_waits_for_its_cleared_upstream_again() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "a", "bash": "true", "weight_rule": "absolute"},
        {"task_id": "b", "bash": "true", "priority": 3}, {"task_id": "c", "bash": "true", "priority": 5}],
        "order": ["a >> [b, c]"]}"#;
    let tale = Tale::new(dag).slots(1).trigger("r").until(15);
    tale.clear("r", "a", false, false).until(100).tells(
        "0 r running
         0 a 1 running
         10 a 1 success
         10 c 1 running
         15 clear a
         20 c 1 success
         20 a 2 running
         30 a 2 success
         30 b 1 running
         40 b 1 success
         40 r success",
    );
}

#[test]
fn nothing_of_a_paused_dag_starts_and_what_runs_goes_on() {
    let tale = Tale::new(CHAIN)
        .trigger("r")
        .until(5)
        .pause(true)
        .trigger("r2")
        .until(50);
    tale.pause(false).until(60).tells(
        "0 r running
         0 fetch 1 running
         5 paused
         10 fetch 1 success
         50 unpaused
         50 clean 1 running
         60 clean 1 success
         60 push 1 running",
    );
}

#[test]
fn a_run_that_takes_too_long_fails() {
    let dag = r#"{"dag_id": "d", "run_timeout": "15s", "tasks": [
        {"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true"}], "order": ["a >> b"]}"#;
    Tale::new(dag).trigger("r").until(100).tells(
        "0 r running
         0 a 1 running
         10 a 1 success
         10 b 1 running
         15 r stopped
         15 b 1 SIGTERM
         15 b 1 failed
         15 r failed",
    );
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let tale = Tale::new(CHAIN).trigger("r").until(0);
    tale.refuses_trigger("r", "there is a run `r` already")
        .refuses_trigger("../etc", "is not a run id")
        .refuses_trigger(".r", "is not a run id")
        .refuses_trigger("-r", "is not a run id")
        .refuses_trigger("", "is not a run id")
        .refuses_cancel("nope", "there is no run `nope`")
        .refuses_clear("r", "nope", "there is no task `nope`")
        .until(30)
        .refuses_cancel("r", "run `r` is over")
        .tells(
            "0 r running
             0 fetch 1 running
             10 fetch 1 success
             10 clean 1 running
             20 clean 1 success
             20 push 1 running
             30 push 1 success
             30 r success",
        );
}

#[test]
fn triggers_beyond_the_bound_are_refused() {
    let mut tale = Tale::new(CHAIN).pause(true);
    for n in 0..mini_dag::scheduler::RUNS_QUEUED_MAX {
        tale = tale.trigger(&format!("r{n}"));
    }
    tale.refuses_trigger("one_more", "has 1000 runs waiting already");
}

#[test]
fn a_shutdown_interrupts_what_runs_and_starts_nothing_more() {
    Tale::new(CHAIN)
        .trigger("r")
        .until(5)
        .shutdown()
        .until(100)
        .tells(
            "0 r running
         0 fetch 1 running
         5 fetch 1 SIGTERM
         5 fetch 1 none",
        );
}
