//! Tasks that trigger runs of other DAGs, and wait for them or do not.

use mini_dag::scheduler::Mark;

use super::tale::Tale;

const WAITS: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "go", "trigger": {"dag_id": "child", "wait": true}, "retries": 1, "retry_delay": "60s"},
    {"task_id": "use", "bash": "true", "after": ["go"]}]}"#;

const GOES_ON: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "go", "trigger": {"dag_id": "child"}},
    {"task_id": "use", "bash": "true", "after": ["go"]}]}"#;

const CHILD: &str = r#"{"dag_id": "child", "tasks": [{"task_id": "work", "bash": "true"}]}"#;

/// The run that the first attempt of `go` in the first run triggers.
const FIRST: &str = "manual__2026-11-22T08:00:00+00:00__1.go.1";

fn waits() -> Tale {
    Tale::new(WAITS).beside(CHILD)
}

#[test]
fn a_task_that_waits_ends_as_the_run_does_that_it_has_triggered() {
    let tale = waits().trigger("r").until(5);
    assert_eq!(
        tale.waits("r", "go"),
        format!("the end of a run of DAG `child`: `{FIRST}`")
    );
    assert_eq!(tale.next_deadline_s(), None, "nobody is woken for it");
    tale.until(100)
        .handed("use", &format!("go=\"{FIRST}\""))
        .spawns("work", 1)
        .tells(&format!(
            "0 r running
         0 go 1 running
         0 {FIRST} running
         0 work 1 running
         10 work 1 success
         10 {FIRST} success
         10 go 1 success
         10 use 1 running
         20 use 1 success
         20 r success"
        ));
}

#[test]
fn a_task_that_does_not_wait_is_over_at_once() {
    Tale::new(GOES_ON)
        .beside(CHILD)
        .takes("work", 30)
        .fails("work", 9)
        .trigger("r")
        .until(100)
        .tells(&format!(
            "0 r running
         0 go 1 running
         0 go 1 success
         0 {FIRST} running
         0 use 1 running
         0 work 1 running
         10 use 1 success
         10 r success
         30 work 1 failed
         30 {FIRST} failed"
        ));
}

#[test]
fn a_run_that_fails_fails_the_task_and_another_attempt_triggers_another_run() {
    let second = FIRST.replace("go.1", "go.2");
    waits()
        .not_yet("work", 1)
        .trigger("r")
        .until(100)
        .spawns("work", 2)
        .tells(&format!(
            "0 r running
         0 go 1 running
         0 {FIRST} running
         0 work 1 running
         10 work 1 failed
         10 {FIRST} failed
         10 go 1 up_for_retry: DAG `child` has failed in run `{FIRST}`
         70 go 2 running
         70 {second} running
         70 work 1 running
         80 work 1 success
         80 {second} success
         80 go 2 success
         80 use 1 running
         90 use 1 success
         90 r success"
        ));
}

/// A trigger has no exit code; what `defaults` say about those is for other tasks, as is their `poke`.
#[test]
fn a_run_that_fails_never_skips_the_task_that_waits_for_it() {
    let dag = r#"{"dag_id": "d", "defaults": {"skip_on_exit_code": 1, "poke": {}},
        "tasks": [{"task_id": "go", "trigger": {"dag_id": "child", "wait": true}}]}"#;
    Tale::new(dag)
        .beside(CHILD)
        .not_yet("work", 1)
        .trigger("r")
        .until(100)
        .tells(&format!(
            "0 r running
         0 go 1 running
         0 {FIRST} running
         0 work 1 running
         10 work 1 failed
         10 {FIRST} failed
         10 go 1 failed: DAG `child` has failed in run `{FIRST}`
         10 r failed"
        ));
}

#[test]
fn waiting_takes_no_slot() {
    waits().slots(1).trigger("r").until(100).spawns("use", 1);
}

#[test]
fn a_crash_at_any_record_never_makes_two_runs_and_loses_none() {
    for dag in [WAITS, GOES_ON] {
        let whole = Tale::new(dag).beside(CHILD).trigger("r").until(100);
        for kept in 1..whole.records().len() {
            let tale = Tale::new(dag).beside(CHILD).trigger("r").until(100);
            // Whatever was on the disk by then; a record that is torn away takes all later ones along.
            let tale = tale.lose_all_but(kept).crash_until(200);
            let is_there = tale.is_there("r");
            let tale = tale.until(900);
            if is_there {
                assert_eq!(tale.runs_of("child"), [FIRST], "{kept} records");
                assert_eq!(tale.state_of("r"), "success", "{kept} records");
            }
        }
    }
}

#[test]
fn a_cancelled_run_no_longer_waits_and_what_it_triggered_goes_on() {
    waits()
        .takes("work", 30)
        .trigger("r")
        .until(5)
        .cancel("r")
        .until(100)
        .tells(&format!(
            "0 r running
         0 go 1 running
         0 {FIRST} running
         0 work 1 running
         5 r stopped
         5 r failed
         30 work 1 success
         30 {FIRST} success"
        ));
}

#[test]
fn a_task_that_is_cleared_triggers_anew_and_one_that_is_marked_no_longer_waits() {
    let second = FIRST.replace("go.1", "go.2");
    waits()
        .takes("work", 30)
        .trigger("r")
        .until(5)
        .clear("r", "go", false, false)
        .until(40)
        .mark("r", &["go"], Mark::Success)
        .until(100)
        .tells(&format!(
            "0 r running
         0 go 1 running
         0 {FIRST} running
         0 work 1 running
         5 clear go
         5 go 2 running
         30 work 1 success
         30 {FIRST} success
         30 {second} running
         30 work 1 running
         40 go marked success
         40 use 1 running
         50 use 1 success
         50 r success
         60 work 1 success
         60 {second} success"
        ));
}

#[test]
fn waiting_takes_no_longer_than_the_timeout_also_after_a_restart() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "go", "trigger": {"dag_id": "child", "wait": true}, "timeout": "20s"}]}"#;
    let expected = format!(
        "0 r running
         0 go 1 running
         0 {FIRST} running
         0 work 1 running
         20 go 1 failed
         20 r failed"
    );
    let tale = || Tale::new(dag).beside(CHILD).takes("work", 60);
    tale().trigger("r").until(50).tells(&expected);
    let tale = tale().hangs("work").trigger("r").until(5).crash_until(6);
    assert_eq!(tale.next_deadline_s(), Some(20));
}

#[test]
fn a_run_that_cannot_be_triggered_fails_the_task_and_says_why() {
    let fails = |tale: Tale, why: &str| {
        let tale = tale.trigger("r").until(100);
        assert_eq!(tale.state_of("r"), "failed");
        tale.says_why("go", why);
    };
    let once = GOES_ON.replace("\"child\"}", "\"child\", \"params\": {\"n\": \"x\"}}");
    fails(Tale::new(GOES_ON), "there is no DAG `child`");
    fails(
        Tale::new(GOES_ON).beside(CHILD).load().remove("child"),
        "there is no DAG `child`",
    );
    let picky = CHILD.replace(
        "\"tasks\"",
        "\"params\": {\"n\": {\"type\": \"integer\", \"default\": 1}}, \"tasks\"",
    );
    fails(
        Tale::new(&once).beside(&picky),
        "param `n` must be integer, not \"x\"",
    );
    let (taken, tale) = (
        FIRST.replace("1.go", "2.go"),
        Tale::new(GOES_ON).beside(CHILD),
    );
    fails(
        tale.of("child").trigger(&taken).of("d"),
        &format!("there is a run `{taken}` already"),
    );
}

#[test]
fn what_a_run_is_given_is_rendered_with_its_type() {
    let parent = r#"{"dag_id": "d", "timezone": "KST-9", "params": {"n": 3}, "tasks": [
        {"task_id": "count", "bash": "true"},
        {"task_id": "go", "after": ["count"], "trigger": {"dag_id": "child", "params":
            {"n": "{{ params.n }}", "day": "{{ ds }} {{ try_number }}", "count": "{{ xcom.count }}", "list": [true, "{{ dag_id }}"]}}}]}"#;
    let tale = Tale::new(parent).beside(CHILD).prints("count", "$(id)");
    let tale = tale.trigger("r").until(100);
    assert_eq!(
        tale.params_of("child", FIRST),
        r#"{"count":"$(id)","day":"2026-11-22 1","list":[true,"d"],"n":3}"#
    );
}

#[test]
fn of_a_paused_dag_nothing_is_triggered_and_one_that_is_triggered_waits_to_be_unpaused() {
    let tale = waits().trigger("r").until(0);
    assert_eq!(
        tale.waits("r", "go"),
        format!("the end of a run of DAG `child`: `{FIRST}`")
    );
    let two = r#"{"dag_id": "d", "tasks": [{"task_id": "first", "bash": "true"},
        {"task_id": "go", "after": ["first"], "trigger": {"dag_id": "child", "wait": true}}]}"#;
    let tale = Tale::new(two).beside(CHILD).trigger("r").until(5);
    let tale = tale.pause(true).of("child").pause(true).of("d").until(20);
    assert_eq!(tale.waits("r", "go"), "the DAG is paused");
    let tale = tale.pause(false).until(25);
    let waits = tale.waits("r", "go");
    assert!(
        waits.starts_with("the end of a run of DAG `child`, which is paused: `"),
        "{waits}"
    );
    let tale = tale.of("child").pause(false).of("d").until(100);
    assert_eq!(tale.state_of("r"), "success");
}

#[test]
fn while_nothing_can_be_recorded_nothing_is_triggered() {
    let two = r#"{"dag_id": "d", "tasks": [{"task_id": "first", "bash": "true"},
        {"task_id": "go", "after": ["first"], "trigger": {"dag_id": "child", "wait": true}}]}"#;
    let tale = Tale::new(two).beside(CHILD).trigger("r").until(5);
    let tale = tale.records_can_be_written(false).until(20);
    assert_eq!(tale.runs_of("child"), [""; 0]);
    let tale = tale.records_can_be_written(true).until(100);
    assert_eq!(tale.state_of("r"), "success");
}

#[test]
fn a_dag_that_triggers_itself_ends_after_sixteen() {
    let own = r#"{"dag_id": "d", "max_active_runs": 30, "tasks": [{"task_id": "go", "trigger": {"dag_id": "d", "wait": true}}]}"#;
    let tale = Tale::new(own).trigger("r").until(100);
    assert_eq!(tale.created(), 17, "the first, and 16 that were triggered");
    tale.says_why("go", "16 runs have triggered each other");
    assert_eq!(tale.state_of("r"), "failed");
}

#[test]
fn a_wait_that_would_never_end_is_refused() {
    let own = r#"{"dag_id": "d", "tasks": [{"task_id": "go", "trigger": {"dag_id": "d", "wait": true}}]}"#;
    let tale = Tale::new(own).trigger("r").until(100);
    assert_eq!(tale.created(), 1);
    tale.says_why("go", "it would never begin: 1 runs of DAG `d`");
    // Over another DAG, and with room for one more: then the third is too much.
    for (most, created) in [(1, 2), (2, 4), (3, 6)] {
        let parent = own.replace(
            "\"dag_id\": \"d\", \"wait\"",
            "\"dag_id\": \"child\", \"wait\"",
        );
        let parent = parent.replace(
            "\"tasks\"",
            &format!("\"max_active_runs\": {most}, \"tasks\""),
        );
        let child = r#"{"dag_id": "child", "max_active_runs": 9, "tasks": [{"task_id": "back", "trigger": {"dag_id": "d", "wait": true}}]}"#;
        let tale = Tale::new(&parent).beside(child).trigger("r").until(100);
        assert_eq!(tale.created(), created, "{most}");
        assert_eq!(tale.state_of("r"), "failed");
        // Two that began apart are in each other's way all the same.
        let tale = Tale::new(&parent)
            .beside(child)
            .trigger("r")
            .trigger("s")
            .until(100);
        assert_eq!(
            (tale.state_of("r"), tale.state_of("s")),
            ("failed", "failed")
        );
    }
}

#[test]
fn a_wait_for_a_run_that_only_waits_for_its_turn_is_none_that_never_ends() {
    let tale = waits()
        .takes("work", 30)
        .of("child")
        .trigger("before")
        .of("d");
    let tale = tale.trigger("r").until(100);
    assert_eq!(tale.state_of("r"), "success");
}

#[test]
fn a_run_whose_tasks_would_wait_for_those_of_its_own_parent_is_refused() {
    let own = r#"{"dag_id": "d", "max_active_runs": 9, "tasks": [
        {"task_id": "go", "trigger": {"dag_id": "d", "wait": true}, "depends_on_past": true}]}"#;
    let tale = Tale::new(own).trigger("r").until(100);
    assert_eq!(tale.created(), 1);
    tale.says_why("go", "its tasks wait for those of the run before, `r`");
    let parent = own.replace("\"d\", \"wait\"", "\"child\", \"wait\"");
    let child = r#"{"dag_id": "child", "tasks": [{"task_id": "back", "trigger": {"dag_id": "d", "wait": true}}]}"#;
    let tale = Tale::new(&parent).beside(child).trigger("r").until(100);
    assert_eq!(tale.created(), 2);
    tale.says_why("back", "its tasks wait for those of the run before, `r`");
}

/// `e` looks back at `e0`, which waits for a run of `d`, where `r` has the only place and waits for that run of `e`.
#[test]
fn a_wait_that_leads_back_over_the_past_of_another_dag_is_refused() {
    let parent = r#"{"dag_id": "d", "tasks": [{"task_id": "go", "trigger": {"dag_id": "e", "wait": true}}]}"#;
    let child = r#"{"dag_id": "e", "max_active_runs": 9, "tasks": [
        {"task_id": "first", "bash": "true"},
        {"task_id": "back", "after": ["first"], "trigger": {"dag_id": "d", "wait": true}, "depends_on_past": true}]}"#;
    let tale = Tale::new(parent).beside(child).of("e").trigger("e0");
    let tale = tale.of("d").until(3).trigger("r").until(500);
    tale.says_why(
        "back",
        "it would never begin: 1 runs of DAG `d` may be active",
    );
    assert_eq!(tale.of("e").state_of("e0"), "failed");
}

#[test]
fn a_circle_that_a_smaller_max_active_runs_closes_is_opened() {
    let parent = |most: u32| {
        format!(
            r#"{{"dag_id": "d", "max_active_runs": {most}, "tasks": [
                {{"task_id": "slow", "bash": "true", "trigger_rule": "always"}},
                {{"task_id": "go", "trigger": {{"dag_id": "e", "wait": true}}}}]}}"#
        )
    };
    let child = r#"{"dag_id": "e", "max_active_runs": 9, "tasks": [
        {"task_id": "first", "bash": "true"},
        {"task_id": "back", "after": ["first"], "trigger": {"dag_id": "d", "wait": true}}]}"#;
    // Both places are taken, by `r` and by one that does nothing but run: so the run that `back` triggers may wait.
    let plain =
        r#"{"dag_id": "d", "max_active_runs": 2, "tasks": [{"task_id": "slow", "bash": "true"}]}"#;
    let tale = Tale::new(plain)
        .beside(child)
        .takes("slow", 50)
        .trigger("other");
    let tale = tale.reload_at(1, &parent(2)).trigger("r").until(20);
    assert_eq!(tale.created(), 4);
    let tale = tale.reload_at(20, &parent(1)).until(500);
    tale.says_why("back", "it would never end: run `manual__");
    assert_eq!(tale.unfinished(), [""; 0]);
}

const AWAY_WAITS: &str =
    r#"{"dag_id": "p", "tasks": [{"task_id": "go", "trigger": {"dag_id": "d", "wait": true}}]}"#;

/// A run of `p` waits for one of `d`, and the file of `p` is gone while the program begins anew.
fn waits_and_is_away() -> Tale {
    let tale = Tale::new(&CHILD.replace("child", "d")).beside(AWAY_WAITS);
    let tale = tale.of("p").trigger("r").until(2);
    tale.of("d").remove("p").crash_until(3)
}

#[test]
fn what_a_dag_waits_for_that_is_not_there_is_not_forgotten() {
    let mut tale = waits_and_is_away();
    for n in 0..20 {
        tale = tale.trigger(&format!("d{n}")).until(20 * (n + 1));
    }
    let tale = tale.beside(AWAY_WAITS).until(500).of("p");
    assert_eq!(tale.state_of("r"), "success");
    let tale = tale.of("d").trigger("last").until(600);
    tale.holds(FIRST, false);
}

#[test]
fn what_is_deleted_while_the_dag_that_waits_for_it_is_away_is_not_waited_for() {
    let tale = waits_and_is_away().until(30).delete(FIRST);
    let tale = tale.beside(AWAY_WAITS).until(40).of("p");
    assert_eq!(tale.state_of("r"), "failed");
    tale.says_why("go", "is not known any more");
}

#[test]
fn a_task_with_a_long_name_triggers_a_run_with_a_short_one() {
    let long = "t".repeat(250);
    let dag = GOES_ON.replace("go", &long);
    let tale = Tale::new(&dag).beside(CHILD).trigger("r").until(100);
    let [run_id] = &tale.runs_of("child")[..] else {
        panic!("one run");
    };
    assert_eq!(run_id.len(), 250);
    assert!(run_id.ends_with("t~a5a401634bf66495.1"), "{run_id}");
}
