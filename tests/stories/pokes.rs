//! Pokes: what waits for something outside, and what that costs.

use super::tale::Tale;

const POKE: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "file", "bash": "test -e /tmp/x", "poke": {"every": "30s", "timeout": "5m"}, "retries": 2, "retry_delay": "7s"},
    {"task_id": "use", "bash": "true", "after": ["file"]}]}"#;

const SOFT: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "file", "bash": "test -e /tmp/x", "poke": {"every": "30s", "timeout": "1m", "soft_fail": true}, "retries": 2},
    {"task_id": "use", "bash": "true", "after": ["file"]}]}"#;

#[test]
fn a_task_is_poked_until_it_succeeds_and_only_the_first_poke_is_on_record() {
    Tale::new(POKE)
        .takes("file", 1)
        .not_yet("file", 4)
        .trigger("r")
        .until(300)
        .tells(
            "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         125 file 1 success
         125 use 1 running
         135 use 1 success
         135 r success",
        );
}

#[test]
fn between_two_pokes_it_holds_no_slot_and_wakes_nobody() {
    let dag = r#"{"dag_id": "d", "max_active_tasks": 1, "tasks": [
        {"task_id": "file", "bash": "test -e /tmp/x", "poke": {"every": "1m"}, "pool": "disk", "priority": 1},
        {"task_id": "other", "bash": "true", "pool": "disk"}]}"#;
    let tale = Tale::new(dag)
        .pool("disk", 1)
        .takes("file", 1)
        .not_yet("file", 9);
    let tale = tale.trigger("r").until(5);
    tale.tells(
        "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         1 other 1 running",
    );
    assert_eq!(tale.waits("r", "file"), "the next poke, one every 1m");
    let tale = tale.until(15);
    assert_eq!(
        tale.next_deadline_s(),
        Some(61),
        "nothing before the next poke"
    );
}

#[test]
fn pokes_that_fall_together_wake_once() {
    let dag = r#"{"dag_id": "d", "defaults": {"poke": {"every": "30s"}}, "tasks": [
        {"task_id": "a", "bash": "false"}, {"task_id": "b", "bash": "false"}, {"task_id": "c", "bash": "false"}]}"#;
    let tale = ["a", "b", "c"]
        .into_iter()
        .fold(Tale::new(dag), |tale, task| {
            tale.takes(task, 1).not_yet(task, 99)
        });
    let tale = tale.trigger("r").until(29);
    let before = tale.ticks();
    assert_eq!(
        tale.until(31).ticks(),
        before + 1,
        "one wake-up for three pokes"
    );
}

#[test]
fn the_timeout_of_the_whole_is_a_failure_without_retries() {
    Tale::new(POKE)
        .takes("file", 1)
        .not_yet("file", 99)
        .trigger("r")
        .until(400)
        .tells(
            "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         300 file failed
         300 use upstream_failed
         300 r failed",
        );
}

#[test]
fn with_soft_fail_the_timeout_is_a_skip() {
    Tale::new(SOFT)
        .takes("file", 1)
        .not_yet("file", 99)
        .trigger("r")
        .until(400)
        .tells(
            "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         60 file skipped
         60 use skipped
         60 r success",
        );
}

#[test]
fn a_poke_that_runs_when_the_timeout_comes_is_stopped_and_that_is_the_end() {
    Tale::new(POKE)
        .takes("file", 140)
        .not_yet("file", 99)
        .trigger("r")
        .until(400)
        .tells(
            "0 r running
         0 file 1 running
         140 file 1 up_for_reschedule
         300 file 1 SIGTERM
         300 file 1 failed
         300 use upstream_failed
         300 r failed",
        );
}

#[test]
fn exit_code_99_skips_a_poke_as_any_task() {
    Tale::new(POKE)
        .exits("file", 99)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 file 1 running
         10 file 1 skipped
         10 use skipped
         10 r success",
        );
}

/// As in Airflow: whoever does not answer in time has failed, and is tried again; the timeout of the whole goes on.
#[test]
fn a_poke_that_does_not_end_by_itself_has_failed_and_uses_a_retry() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "file", "bash": "x", "poke": {"every": "30s", "timeout": "40s"},
        "timeout": "5s", "retries": 9, "retry_delay": "20s"}]}"#;
    Tale::new(dag).hangs("file").trigger("r").until(100).tells(
        "0 r running
         0 file 1 running
         5 file 1 SIGTERM
         5 file 1 up_for_retry
         25 file 2 running
         30 file 2 SIGTERM
         30 file 2 up_for_retry
         40 file failed
         40 r failed",
    );
}

#[test]
fn a_restart_after_a_retry_does_not_begin_the_timeout_anew() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "file", "bash": "x", "poke": {"every": "30s", "timeout": "40s"},
        "timeout": "5s", "retries": 9, "retry_delay": "20s"}]}"#;
    let tale = Tale::new(dag).hangs("file").trigger("r").until(31);
    let tale = tale.forget_told().crash_until(35).until(100);
    tale.tells("40 file failed\n40 r failed");
}

/// It was taken for one that had been poked for too long, and was not tried again.
#[test]
fn what_began_as_no_poke_has_not_been_poked_for_too_long() {
    let version = |poke: &str| {
        let task = r#"{"task_id": "file", "bash": "x", "timeout": "1m", "retries": 2, "retry_delay": "7s""#;
        format!(r#"{{"dag_id": "d", "tasks": [{task}{poke}}}]}}"#)
    };
    let tale = Tale::new(&version("")).hangs("file").trigger("r").until(20);
    let tale = tale.reload_at(
        30,
        &version(r#", "poke": {"every": "30s", "timeout": "5m"}"#),
    );
    let tale = tale.forget_told().begin_with_a_snapshot().until(70);
    tale.tells(
        "60 file 1 SIGTERM
         60 file 1 up_for_retry
         67 file 2 running",
    );
}

#[test]
fn a_restart_forgets_neither_when_it_was_poked_first_nor_its_rhythm() {
    Tale::new(POKE)
        .takes("file", 1)
        .not_yet("file", 99)
        .trigger("r")
        .until(40)
        .crash_until(100)
        .until(119)
        .spawns("file", 2)
        .until(120)
        .spawns("file", 3)
        .until(400)
        .tells(
            "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         300 file failed
         300 use upstream_failed
         300 r failed",
        );
}

#[test]
fn a_cancel_while_it_is_poked_stops_that_poke() {
    let tale = Tale::new(POKE).takes("file", 10).not_yet("file", 99);
    let tale = tale.trigger("r").until(45);
    tale.cancel("r").until(100).tells(
        "0 r running
         0 file 1 running
         10 file 1 up_for_reschedule
         45 file 1 running
         45 r stopped
         45 file 1 SIGTERM
         45 file 1 failed
         45 r failed",
    );
}

#[test]
fn a_clear_between_two_pokes_begins_anew() {
    Tale::new(POKE)
        .takes("file", 1)
        .not_yet("file", 2)
        .trigger("r")
        .until(20)
        .clear("r", "file", false, false)
        .until(100)
        .tells(
            "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         20 clear file
         20 file 2 running
         21 file 2 up_for_reschedule
         52 file 2 success
         52 use 1 running
         62 use 1 success
         62 r success",
        );
}
