//! Stories of branches, short circuits and what tasks leave to each other.

use crate::tale::Tale;

/// Two ways, and where they meet.
const BRANCH: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "choose", "bash": "true", "branch": true},
    {"task_id": "fast", "bash": "true"}, {"task_id": "slow", "bash": "true"}, {"task_id": "polish", "bash": "true"},
    {"task_id": "join", "empty": true, "trigger_rule": "none_failed_min_one_success"}
], "order": ["choose >> [fast, slow, join]", "fast >> join", "slow >> polish >> join"]}"#;

#[test]
fn a_branch_skips_what_it_does_not_name_but_not_where_the_ways_meet() {
    Tale::new(BRANCH)
        .prints("choose", "fast")
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 choose 1 running
         10 choose 1 success
         10 slow skipped
         10 polish skipped
         10 fast 1 running
         20 fast 1 success
         20 join success
         20 r success",
        );
}

#[test]
fn a_branch_names_several_as_a_list_or_with_commas() {
    for line in ["fast, slow", "[\"slow\", \"fast\"]", "slow,fast,slow,"] {
        Tale::new(BRANCH)
            .prints("choose", line)
            .trigger("r")
            .until(100)
            .tells(
                "0 r running
             0 choose 1 running
             10 choose 1 success
             10 fast 1 running
             10 slow 1 running
             20 fast 1 success
             20 slow 1 success
             20 polish 1 running
             30 polish 1 success
             30 join success
             30 r success",
            );
    }
}

#[test]
fn a_branch_that_names_nothing_skips_all_that_follows_it_directly() {
    for line in ["", "[]", " , "] {
        Tale::new(BRANCH)
            .prints("choose", line)
            .trigger("r")
            .until(100)
            .tells(
                "0 r running
             0 choose 1 running
             10 choose 1 success
             10 fast skipped
             10 slow skipped
             10 join skipped
             10 polish skipped
             10 r success",
            );
    }
}

/// Neither a task that is not there, nor one that follows only in the end, nor the branch itself.
#[test]
fn a_branch_that_names_what_does_not_follow_it_has_failed_and_says_so() {
    for line in ["polish", "choose", "fast, nope"] {
        let named = line.rsplit(' ').next().unwrap();
        Tale::new(BRANCH)
            .prints("choose", line)
            .trigger("r")
            .until(100)
            .tells(&format!(
                "0 r running
             0 choose 1 running
             10 choose 1 failed: a branch chose `{named}`, which does not follow it directly; what follows it is fast, slow, join
             10 fast upstream_failed
             10 slow upstream_failed
             10 join upstream_failed
             10 polish upstream_failed
             10 r failed",
            ));
    }
}

#[test]
fn what_a_branch_left_out_does_not_wait_for_its_other_upstreams() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "choose", "bash": "true", "branch": true}, {"task_id": "long", "bash": "true"},
        {"task_id": "a", "bash": "true", "trigger_rule": "always"}, {"task_id": "b", "bash": "true", "trigger_rule": "all_done"},
        {"task_id": "c", "bash": "true"}
    ], "order": ["choose >> [b, c]", "long >> b >> a"]}"#;
    Tale::new(dag)
        .prints("choose", "c")
        .takes("long", 50)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 choose 1 running
         0 long 1 running
         0 a 1 running
         10 choose 1 success
         10 b skipped
         10 c 1 running
         10 a 1 success
         20 c 1 success
         50 long 1 success
         50 r success",
        );
}

#[test]
fn what_was_left_out_is_skipped_again_when_it_is_cleared_alone() {
    Tale::new(BRANCH)
        .prints("choose", "fast")
        .trigger("r")
        .until(100)
        .forget_told()
        .clear("r", "slow", false, false)
        .until(200)
        .tells(
            "100 clear slow
         100 r running
         100 slow skipped
         100 r success",
        );
}

#[test]
fn a_branch_that_is_cleared_chooses_anew() {
    Tale::new(BRANCH)
        .prints("choose", "fast")
        .trigger("r")
        .until(100)
        .forget_told()
        .prints("choose", "slow")
        .clear("r", "choose", true, false)
        .until(200)
        .tells(
            "100 clear choose fast slow polish join
         100 r running
         100 choose 2 running
         110 choose 2 success
         110 fast skipped
         110 slow 1 running
         120 slow 1 success
         120 polish 1 running
         130 polish 1 success
         130 join success
         130 r success",
        );
}

#[test]
fn a_choice_survives_a_crash_and_stands_for_a_later_clear() {
    Tale::new(BRANCH)
        .prints("choose", "fast")
        .trigger("r")
        .until(15)
        .crash_until(20)
        .until(100)
        .forget_told()
        .clear("r", "slow", true, false)
        .until(200)
        .tells(
            "100 clear slow polish join
         100 r running
         100 slow skipped
         100 polish skipped
         100 join success
         100 r success",
        );
}

/// A chain, and at its end what runs whatever happens.
const SHORT: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "is_new", "bash": "true", "short_circuit": true}, {"task_id": "load", "bash": "true"},
    {"task_id": "tell", "bash": "true", "trigger_rule": "all_done"}, {"task_id": "other", "bash": "true"}
], "order": ["is_new >> load >> tell"]}"#;

#[test]
fn a_short_circuit_is_a_success_and_skips_everything_after_it() {
    Tale::new(SHORT)
        .exits("is_new", 99)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 is_new 1 running
         0 other 1 running
         10 is_new 1 success
         10 load skipped
         10 tell skipped
         10 other 1 success
         10 r success",
        );
}

#[test]
fn a_short_circuit_that_has_something_to_do_or_fails_is_a_task_like_any_other() {
    Tale::new(SHORT).trigger("r").until(100).tells(
        "0 r running
         0 is_new 1 running
         0 other 1 running
         10 is_new 1 success
         10 load 1 running
         10 other 1 success
         20 load 1 success
         20 tell 1 running
         30 tell 1 success
         30 r success",
    );
    Tale::new(SHORT)
        .exits("is_new", 1)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 is_new 1 running
         0 other 1 running
         10 is_new 1 failed
         10 load upstream_failed
         10 tell 1 running
         10 other 1 success
         20 tell 1 success
         20 r success",
        );
}

#[test]
fn a_short_circuit_stands_until_it_is_cleared_itself() {
    Tale::new(SHORT)
        .exits("is_new", 99)
        .trigger("r")
        .until(100)
        .forget_told()
        .clear("r", "tell", false, false)
        .until(200)
        .exits("is_new", 0)
        .clear("r", "is_new", true, false)
        .until(300)
        .tells(
            "100 clear tell
         100 r running
         100 tell skipped
         100 r success
         200 clear is_new load tell
         200 r running
         200 is_new 2 running
         210 is_new 2 success
         210 load 1 running
         220 load 1 success
         220 tell 1 running
         230 tell 1 success
         230 r success",
        );
}

/// It waited for its retry although nobody wanted it any more.
#[test]
fn what_is_left_out_does_not_wait_for_its_next_try() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "is_new", "bash": "true", "short_circuit": true},
        {"task_id": "eager", "bash": "true", "trigger_rule": "always", "retries": 3, "retry_delay": "1h"}
    ], "order": ["is_new >> eager"]}"#;
    Tale::new(dag)
        .takes("is_new", 30)
        .exits("is_new", 99)
        .fails("eager", 9)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 is_new 1 running
         0 eager 1 running
         10 eager 1 up_for_retry
         30 is_new 1 success
         30 eager skipped
         30 r success",
        );
}

/// One that hands over, one that says no, and one that asks for both and for what came before.
const XCOMS: &str = r#"{"dag_id": "d", "tasks": [
    {"task_id": "first", "bash": "true"}, {"task_id": "silent", "bash": "true", "xcom": false},
    {"task_id": "middle", "bash": "true", "retries": 1, "retry_delay": 5},
    {"task_id": "last", "argv": ["echo", "{{ xcom.first }}"]}
], "order": ["[first, silent] >> middle >> last"]}"#;

#[test]
fn what_a_task_printed_last_is_handed_to_those_that_may_ask_for_it() {
    Tale::new(XCOMS)
        .prints("first", "1")
        .prints("silent", "2")
        .prints("middle", "3")
        .trigger("r")
        .until(15)
        .handed("first", "")
        .handed("middle", "first=\"1\"")
        .until(100)
        .handed("last", "first=\"1\" middle=\"3\"");
}

#[test]
fn an_attempt_that_failed_has_left_nothing_and_a_cleared_task_no_more() {
    let tale = Tale::new(XCOMS)
        .prints("first", "1")
        .prints("middle", "3")
        .fails("middle", 2)
        .trigger("r")
        .until(100)
        .forget_told()
        .clear("r", "last", false, false)
        .until(110)
        .crash_until(120)
        .clear("r", "middle", true, false)
        .until(200);
    let tale = tale.handed("last", "first=\"1\" middle=\"3\"");
    tale.prints("first", "")
        .clear("r", "", false, false)
        .until(300)
        .handed("last", "middle=\"3\"");
}

/// It is there after any number of failures, when the run itself is long forgotten otherwise.
#[test]
fn a_run_is_told_of_the_last_success_before_it() {
    let dag = r#"{"dag_id": "d", "tasks": [{"task_id": "load", "bash": "true"}]}"#;
    let mut tale = Tale::new(dag).trigger("r0").until(50).follows("load", None);
    tale = tale.exits("load", 1);
    for n in 1..12 {
        tale = tale.trigger(&format!("r{n}")).until(50 + 50 * n);
        tale = tale.follows("load", Some(0));
    }
    tale = tale
        .exits("load", 0)
        .clear("r11", "load", false, false)
        .until(700);
    tale = tale.follows("load", Some(0)).trigger("r12").until(750);
    tale.follows("load", Some(550)).holds("r0", false);
}
