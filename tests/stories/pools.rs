//! Pools and weights: who gets a slot, and who waits for one.

use mini_dag::dag::Pools;

use super::tale::Tale;

#[test]
fn a_full_pool_holds_up_nobody_who_does_not_need_it() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "film", "bash": "true", "pool": "camera", "priority": 9},
        {"task_id": "photo", "bash": "true", "pool": "camera", "priority": 8},
        {"task_id": "log", "bash": "true"}]}"#;
    Tale::new(dag)
        .pool("camera", 1)
        .slots(2)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 film 1 running
         0 log 1 running
         10 film 1 success
         10 photo 1 running
         10 log 1 success
         20 photo 1 success
         20 r success",
        );
}

#[test]
fn a_task_takes_as_many_slots_as_it_says_and_smaller_ones_go_past_it() {
    let dag = r#"{"dag_id": "d", "tasks": [
        {"task_id": "one", "bash": "true", "pool": "uplink", "priority": 9},
        {"task_id": "big", "bash": "true", "pool": "uplink", "pool_slots": 3, "priority": 8},
        {"task_id": "two", "bash": "true", "pool": "uplink", "pool_slots": 2}]}"#;
    Tale::new(dag)
        .pool("uplink", 3)
        .trigger("r")
        .until(100)
        .tells(
            "0 r running
         0 one 1 running
         0 two 1 running
         10 one 1 success
         10 two 1 success
         10 big 1 running
         20 big 1 success
         20 r success",
        );
}

#[test]
fn a_pool_that_shrinks_or_goes_lets_what_runs_go_on_and_the_rest_wait() {
    let dag = r#"{"dag_id": "d", "defaults": {"pool": "camera"}, "tasks": [
        {"task_id": "a", "bash": "true"}, {"task_id": "b", "bash": "true"}, {"task_id": "c", "bash": "true"}]}"#;
    let tale = Tale::new(dag)
        .pool("camera", 2)
        .trigger("r")
        .until(5)
        .pools_become(Pools::new(9));
    assert_eq!(
        tale.waits("r", "c"),
        "the config has no pool `camera` any more"
    );
    let tale = tale
        .until(100)
        .pools_become(Pools::new(9).with("camera", 1));
    tale.until(200).tells(
        "0 r running
         0 a 1 running
         0 b 1 running
         10 a 1 success
         10 b 1 success
         100 c 1 running
         110 c 1 success
         110 r success",
    );
}

#[test]
fn a_task_says_what_it_waits_for() {
    let dag = r#"{"dag_id": "d", "max_active_tasks": 2, "tasks": [
        {"task_id": "film", "bash": "true", "pool": "camera"}, {"task_id": "photo", "bash": "true", "pool": "camera"},
        {"task_id": "big", "bash": "true", "pool": "camera", "pool_slots": 4}, {"task_id": "a", "bash": "true"}]}"#;
    let tale = Tale::new(dag)
        .pool("camera", 1)
        .slots(1)
        .trigger("r")
        .until(5);
    assert_eq!(tale.waits("r", "film"), "");
    assert_eq!(
        tale.waits("r", "photo"),
        "1 slot of pool `camera`, 1 of 1 taken"
    );
    assert_eq!(
        tale.waits("r", "big"),
        "takes 4 slots of pool `camera`, which has 1"
    );
    assert_eq!(tale.waits("r", "a"), "a slot, 1 of 1 taken");
    let tale = tale.pause(true);
    assert_eq!(tale.waits("r", "a"), "the DAG is paused");
    let tale = tale
        .pause(false)
        .pools_become(Pools::new(9).with("camera", 4));
    assert_eq!(
        tale.waits("r", "big"),
        "another task of the DAG: 2 may run at once"
    );
}

/// Without a rule of its own, what an important task needs is as important.
#[test]
fn a_weight_is_the_priority_of_a_task_and_of_all_that_comes_after_it() {
    let dag = |rule: &str| {
        format!(
            r#"{{"dag_id": "d", "defaults": {{"weight_rule": "{rule}"}}, "tasks": [
            {{"task_id": "a", "bash": "true"}}, {{"task_id": "b", "bash": "true"}},
            {{"task_id": "alarm", "bash": "true", "priority": 5, "after": ["b"]}}]}}"#
        )
    };
    let story = |first: &str, second: &str| {
        format!(
            "0 r running
             0 {first} 1 running
             10 {first} 1 success
             10 {second} 1 running
             20 {second} 1 success"
        )
    };
    let told = |rule: &str, until| {
        let tale = Tale::new(&dag(rule)).slots(1).trigger("r");
        tale.until(until)
    };
    told("downstream", 20).tells(&(story("b", "alarm") + "\n20 a 1 running"));
    told("absolute", 20).tells(&(story("a", "b") + "\n20 alarm 1 running"));
}
