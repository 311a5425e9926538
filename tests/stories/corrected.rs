//! What people set right: marks, notes, deletions.

use mini_dag::scheduler::Mark;

use super::CHAIN;
use super::tale::Tale;

/// The second of three fails, and the third is not run.
fn failed() -> Tale {
    let tale = Tale::new(CHAIN).fails("clean", 1).trigger("r").until(30);
    tale.forget_told()
}

#[test]
fn a_task_marked_as_a_success_lets_what_comes_after_run() {
    failed()
        .mark("r", &["clean"], Mark::Success)
        .crash_until(31)
        .until(100)
        .tells(
            "30 clean marked success
         30 clear push
         30 r running
         30 push 1 running
         31 push 1 none
         31 push 2 running
         41 push 2 success
         41 r success",
        );
}

#[test]
fn a_run_whose_failed_tasks_are_marked_is_over_at_once_and_a_success() {
    let all = "30 clean marked success
         30 push marked success
         30 r success";
    failed().mark("r", &[], Mark::Success).until(100).tells(all);
    failed()
        .pause(true)
        .forget_told()
        .mark("r", &[], Mark::Success)
        .until(100)
        .tells(all);
}

#[test]
fn a_success_marked_as_failed_fails_its_run() {
    let tale = Tale::new(CHAIN).trigger("r").until(100).forget_told();
    tale.mark("r", &["push"], Mark::Failed).until(200).tells(
        "100 push marked failed
         100 r failed",
    );
}

#[test]
fn a_task_that_has_not_begun_is_marked_and_never_runs() {
    let tale = Tale::new(CHAIN).trigger("r").until(5);
    tale.mark("r", &["clean"], Mark::Skipped).until(100).tells(
        "0 r running
         0 fetch 1 running
         5 clean marked skipped
         5 push skipped
         10 fetch 1 success
         10 r success",
    );
}

#[test]
fn a_task_that_waits_for_a_slot_does_not_get_it_once_it_is_marked() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true"}]}"#;
    let tale = Tale::new(dag).slots(1).trigger("r").until(5);
    tale.mark("r", &["b"], Mark::Success).until(100).tells(
        "0 r running
         0 a 1 running
         5 b marked success
         10 a 1 success
         10 r success",
    );
}

#[test]
fn a_task_that_waits_for_its_next_attempt_has_none_once_it_is_marked() {
    let tale = Tale::new(CHAIN).fails("fetch", 1).trigger("r").until(15);
    tale.forget_told()
        .mark("r", &["fetch"], Mark::Failed)
        .until(200)
        .tells(
            "15 fetch marked failed
         15 clean upstream_failed
         15 push upstream_failed
         15 r failed",
        );
}

/// It was refused: one had to cancel the run.
#[test]
fn a_task_that_runs_is_marked_once_it_has_been_stopped() {
    let tale = Tale::new(CHAIN).trigger("r").until(5).forget_told();
    tale.mark("r", &["fetch"], Mark::Success).until(100).tells(
        "5 fetch ending success
         5 fetch 1 SIGTERM
         5 fetch 1 success
         5 clean 1 running
         15 clean 1 success
         15 push 1 running
         25 push 1 success
         25 r success",
    );
}

#[test]
fn what_was_said_of_a_running_task_outlives_the_program() {
    let tale = Tale::new(CHAIN).trigger("r").until(5).forget_told();
    tale.mark("r", &["fetch"], Mark::Failed)
        .crash_until(6)
        .until(100)
        .tells(
            "5 fetch ending failed
         5 fetch 1 SIGTERM
         6 fetch 1 SIGTERM
         6 fetch 1 failed
         6 clean upstream_failed
         6 push upstream_failed
         6 r failed",
        );
}

#[test]
fn the_latest_word_on_a_running_task_counts() {
    let tale = Tale::new(CHAIN).trigger("r").until(5).forget_told();
    tale.mark("r", &["fetch"], Mark::Failed)
        .mark("r", &["fetch"], Mark::Skipped)
        .refuses_mark(
            "r",
            "fetch",
            Mark::Skipped,
            "Task id fetch is already in skipped state",
        )
        .clear("r", "fetch", false, false)
        .until(100)
        .tells(
            "5 fetch ending failed
         5 fetch 1 SIGTERM
         5 fetch ending skipped
         5 clear fetch
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

/// The end of its patience is `skipped`, and a poke that is stopped says "not yet".
#[test]
fn a_poke_that_is_marked_is_what_was_said() {
    let sensor = r#"{"dag_id": "d", "tasks": [{"task_id": "file", "bash": "false", "poke": {"every": "30s", "soft_fail": true}}]}"#;
    let tale = Tale::new(sensor).not_yet("file", 9).trigger("r").until(5);
    let tale = tale.mark("r", &["file"], Mark::Failed).until(500);
    tale.tells(
        "0 r running
         0 file 1 running
         5 file ending failed
         5 file 1 SIGTERM
         5 file 1 failed
         5 r failed",
    );
    let tale = Tale::new(sensor)
        .takes("file", 1)
        .not_yet("file", 9)
        .trigger("r")
        .until(5);
    let tale = tale.mark("r", &["file"], Mark::Failed).until(500);
    tale.tells(
        "0 r running
         0 file 1 running
         1 file 1 up_for_reschedule
         5 file marked failed
         5 r failed",
    );
}

/// Nobody is told that a task has ended well which somebody has marked, also if the daemon comes back after its timeout.
#[test]
fn a_mark_wins_over_a_timeout_that_comes_while_the_daemon_is_away() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "file", "bash": "true", "on_success": {"bash": "true"},
        "poke": {"every": "10s", "timeout": "30s"}}]}"#;
    let tale = Tale::new(dag).hangs("file").deaf("file").trigger("r");
    let tale = tale.until(5).mark("r", &["file"], Mark::Success);
    tale.crash_until(100).until(200).tells(
        "0 r running
         0 file 1 running
         5 file ending success
         5 file 1 SIGTERM
         100 file 1 SIGTERM
         100 file 1 success
         100 r success",
    );
}

#[test]
fn what_is_so_already_is_not_marked() {
    Tale::new(CHAIN)
        .trigger("r")
        .until(5)
        .refuses_mark("r", "nope", Mark::Success, "there is no task `nope`")
        .refuses_mark("s", "fetch", Mark::Success, "there is no run `s`")
        .until(15)
        .refuses_mark(
            "r",
            "fetch",
            Mark::Success,
            "Task id fetch is already in success state",
        );
}

#[test]
fn a_note_stays_with_its_task() {
    let tale = failed()
        .note_task("r", "clean", "the sensor was wet")
        .note_task("r", "push", "later");
    let tale = tale.crash_until(40).until(50);
    assert_eq!(tale.noted_task("r", "clean"), "the sensor was wet");
    assert_eq!(tale.noted_task("r", "push"), "later");
    let tale = tale
        .note_task("r", "clean", "")
        .note_task("r", "clean", "")
        .until(60);
    assert_eq!(tale.noted_task("r", "clean"), "");
    tale.tells("30 clean noted the sensor was wet\n30 push noted later\n50 clean noted");
}

#[test]
fn a_note_stays_with_a_task_that_has_not_begun() {
    let tale = Tale::new(CHAIN).trigger("r").until(5);
    let tale = tale.note_task("r", "push", "wait for me").crash_until(6);
    assert_eq!(tale.noted_task("r", "push"), "wait for me");
}

#[test]
fn a_note_stays_with_its_run() {
    let tale = failed()
        .note("r", "the sensor was wet")
        .crash_until(40)
        .until(50);
    assert_eq!(tale.noted("r"), "the sensor was wet");
    let tale = tale.note("r", "").note("r", "").until(60);
    assert_eq!(tale.noted("r"), "");
    tale.tells("30 r noted the sensor was wet\n50 r noted");
}

#[test]
fn a_run_that_is_over_is_deleted_and_its_name_is_free() {
    Tale::new(CHAIN)
        .trigger("r")
        .until(5)
        .refuses_delete("r", "run `r` is not over; cancel it first")
        .until(100)
        .forget_told()
        .delete("r")
        .holds("r", false)
        .crash_until(200)
        .holds("r", false)
        .refuses_delete("r", "there is no run `r`")
        .trigger("r")
        .until(300)
        .tells(
            "100 r deleted
         200 r running
         200 fetch 1 running
         210 fetch 1 success
         210 clean 1 running
         220 clean 1 success
         220 push 1 running
         230 push 1 success
         230 r success",
        );
}
