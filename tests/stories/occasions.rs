//! DAGs that wait for a boot of the host, or for others: `d` beside `a` and `b`, which people trigger. Each
//! has one task, which takes ten seconds; time begins at 08:00:00 on 2026-11-22 in UTC.

use mini_dag::scheduler::Awaited;

use crate::tale::Tale;

fn text(dag_id: &str, keys: &str) -> String {
    let task = match dag_id {
        "d" => "t",
        other => other,
    };
    format!(
        r#"{{"dag_id": "{dag_id}", "timezone": "UTC"{keys}, "tasks": [{{"task_id": "{task}", "bash": "true"}}]}}"#
    )
}

fn reboot(keys: &str) -> Tale {
    Tale::new(&text("d", &format!(r#", "schedule": "@reboot"{keys}"#)))
}

const AFTER_A: &str = r#", "schedule": {"after": ["a"]}"#;
const AFTER_BOTH: &str = r#", "schedule": {"after": ["a", "b"]}"#;

/// `d` waits for `a`, and people ask for `a`.
fn after(keys: &str) -> Tale {
    Tale::new(&text("d", &format!("{AFTER_A}{keys}")))
        .beside(&text("a", ""))
        .of("a")
}

/// A run of `d` from its fire on, at this second.
fn run(at_s: u64, name: &str) -> String {
    let end_s = at_s + 10;
    format!(
        "{at_s} due {name}\n{at_s} {name} running\n{at_s} t 1 running\n\
         {end_s} t 1 success\n{end_s} {name} success\n"
    )
}

/// A run of another DAG, whose one task is called as it is.
fn other(at_s: u64, dag_id: &str, run_id: &str) -> String {
    let end_s = at_s + 10;
    format!(
        "{at_s} {run_id} running\n{at_s} {dag_id} 1 running\n\
         {end_s} {dag_id} 1 success\n{end_s} {run_id} success\n"
    )
}

fn successes(of: &[&str]) -> Awaited {
    Awaited::Successes(of.iter().map(|id| (*id).into()).collect())
}

#[test]
fn a_dag_runs_once_in_each_boot_of_the_host_however_often_the_daemon_starts() {
    let tale = reboot("").load().until(100).crash_until(200).until(300);
    let tale = tale.dag_waits("d", &Awaited::Boot);
    let tale = tale.reboot_until(400).until(500).crash_until(600);
    tale.until(700).tells(
        &[
            run(0, "11-22T08:00:00+00:00"),
            run(400, "11-22T08:06:40+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn a_run_that_a_boot_interrupted_goes_on_and_the_boot_waits_for_it() {
    let tale = reboot("").load().until(5).reboot_until(60).until(200);
    tale.tells(
        "0 due 11-22T08:00:00+00:00
         0 11-22T08:00:00+00:00 running
         0 t 1 running
         60 t 1 none
         60 t 2 running
         70 t 2 success
         70 11-22T08:00:00+00:00 success
         70 due 11-22T08:01:10+00:00
         70 11-22T08:01:10+00:00 running
         70 t 1 running
         80 t 1 success
         80 11-22T08:01:10+00:00 success",
    );
}

#[test]
fn a_boot_that_finds_its_dag_busy_is_passed_over_if_the_dag_says_so() {
    let tale = reboot(r#", "overlap": "skip""#).load().until(5);
    tale.reboot_until(60).until(200).tells(
        "0 due 11-22T08:00:00+00:00
         0 11-22T08:00:00+00:00 running
         0 t 1 running
         60 t 1 none
         60 t 2 running
         60 passed boot-2
         70 t 2 success
         70 11-22T08:00:00+00:00 success",
    );
}

#[test]
fn a_boot_while_the_dag_is_paused_is_made_up_for_unless_the_dag_makes_up_for_nothing() {
    let missed = |keys| reboot(keys).load().pause(true).forget_told();
    let tale = missed(r#", "is_paused_upon_creation": true"#).until(50);
    tale.pause(false)
        .until(90)
        .tells(&format!("50 unpaused\n{}", run(50, "11-22T08:00:50+00:00")));
    let tale = missed(r#", "is_paused_upon_creation": true, "catchup": "none""#);
    tale.until(50).pause(false).until(90).tells("50 unpaused");
}

#[test]
fn a_boot_before_the_start_date_waits_for_it_and_one_after_the_end_date_is_none() {
    let keys = r#", "start_date": "2026-11-22T08:01", "end_date": "2026-11-22T08:02""#;
    let tale = reboot(keys).load().until(100).reboot_until(200).until(300);
    tale.tells(&run(60, "11-22T08:01:00+00:00"));
}

#[test]
fn a_dag_runs_when_the_one_it_waits_for_has_succeeded_and_not_before() {
    let tale = after("").load().dag_waits("d", &successes(&["a"])).until(5);
    let tale = tale
        .trigger("r1")
        .until(100)
        .dag_waits("d", &successes(&["a"]));
    tale.trigger("r2").until(200).tells(
        &[
            "0 passed {\"a\": 0}\n".to_owned(),
            other(5, "a", "r1"),
            run(15, "11-22T08:00:15+00:00"),
            other(100, "a", "r2"),
            run(110, "11-22T08:01:50+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn a_failure_is_no_success() {
    let tale = after("").fails("a", 1).load().trigger("r1").until(50);
    tale.tells(
        "0 passed {\"a\": 0}
         0 r1 running
         0 a 1 running
         10 a 1 failed
         10 r1 failed",
    );
}

#[test]
fn each_of_the_dags_it_waits_for_has_to_succeed_since_its_last_run() {
    let tale = Tale::new(&text("d", AFTER_BOTH)).beside(&text("a", ""));
    let tale = tale.beside(&text("b", "")).of("a").load().trigger("a1");
    let tale = tale.until(30).trigger("a2").until(60).forget_told();
    let tale = tale
        .dag_waits("d", &successes(&["b"]))
        .of("b")
        .trigger("b1");
    let tale = tale.until(100).dag_waits("d", &successes(&["a", "b"]));
    let tale = tale.trigger("b2").until(200);
    tale.dag_waits("d", &successes(&["a"])).tells(
        &[
            other(60, "b", "b1"),
            run(70, "11-22T08:01:10+00:00"),
            other(100, "b", "b2"),
        ]
        .concat(),
    );
}

#[test]
fn what_it_has_heard_survives_restarts() {
    let tale = Tale::new(&text("d", AFTER_BOTH)).beside(&text("a", ""));
    let tale = tale.beside(&text("b", "")).of("a").load().trigger("a1");
    let tale = tale
        .until(30)
        .crash_until(40)
        .dag_waits("d", &successes(&["b"]));
    let tale = tale.of("b").forget_told().trigger("b1").until(55);
    // It was created; the crash interrupts it, and nothing is created for it again.
    let tale = tale.crash_until(60).until(100).reboot_until(200);
    tale.until(300).tells(
        "40 b1 running
         40 b 1 running
         50 b 1 success
         50 b1 success
         50 due 11-22T08:00:50+00:00
         50 11-22T08:00:50+00:00 running
         50 t 1 running
         60 t 1 none
         60 t 2 running
         70 t 2 success
         70 11-22T08:00:50+00:00 success",
    );
}

#[test]
fn successes_while_it_is_busy_make_one_more_run() {
    let tale = after("").takes("t", 100).load();
    let tale = tale.trigger("r1").until(20).trigger("r2").until(40);
    let tale = tale.trigger("r3").until(60).forget_told().until(350);
    tale.tells(
        "110 t 1 success
         110 11-22T08:00:10+00:00 success
         110 due 11-22T08:01:50+00:00
         110 11-22T08:01:50+00:00 running
         110 t 1 running
         210 t 1 success
         210 11-22T08:01:50+00:00 success",
    );
}

#[test]
fn a_success_that_finds_it_busy_is_passed_over_or_takes_the_place_if_it_says_so() {
    let busy = |keys: &str| {
        let tale = after(keys).hangs("t").load();
        tale.trigger("r1")
            .until(20)
            .forget_told()
            .trigger("r2")
            .until(35)
    };
    let second = "20 r2 running\n20 a 1 running\n30 a 1 success\n30 r2 success\n";
    let tale = busy(r#", "overlap": "skip""#);
    tale.tells(&format!("{second}30 passed {{\"a\": 2}}"));
    let tale = busy(r#", "overlap": "cancel""#);
    tale.tells(&format!(
        "{second}30 11-22T08:00:10+00:00 stopped
         30 t 1 SIGTERM
         30 t 1 failed
         30 11-22T08:00:10+00:00 failed
         30 due 11-22T08:00:30+00:00
         30 11-22T08:00:30+00:00 running
         30 t 1 running"
    ));
}

#[test]
fn successes_while_it_is_paused_make_one_run_unless_it_makes_up_for_nothing() {
    let paused = |keys: &str| {
        let tale = after(keys).load().of("d").pause(true).of("a");
        let tale = tale.trigger("r1").until(20).trigger("r2").until(40);
        tale.forget_told().of("d").pause(false).until(60)
    };
    paused("").tells(&format!("40 unpaused\n{}", run(40, "11-22T08:00:40+00:00")));
    paused(r#", "catchup": "none""#).tells("40 unpaused");
}

#[test]
fn an_old_run_that_is_cleared_and_succeeds_again_counts() {
    let tale = after("").load().trigger("r1").until(40).forget_told();
    tale.clear("r1", "", false, false).until(100).tells(
        &[
            "40 clear a\n40 r1 running\n40 a 2 running\n50 a 2 success\n50 r1 success\n".to_owned(),
            run(50, "11-22T08:00:50+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn a_run_by_hand_is_not_what_it_waits_for() {
    let tale = after("").load().trigger("r1").until(15).of("d");
    let tale = tale.clear("scheduled__2026-11-22T08:00:10+00:00", "", false, false);
    let tale = tale.until(40).trigger("by_hand").until(60).forget_told();
    let tale = tale.of("a").trigger("r2").until(90);
    tale.tells(&[other(60, "a", "r2"), run(70, "11-22T08:01:10+00:00")].concat());
}

#[test]
fn a_new_dag_has_missed_nothing_and_one_more_dag_to_wait_for_counts_from_then_on() {
    let tale = Tale::new(&text("d", AFTER_A))
        .beside(&text("a", ""))
        .beside(&text("b", ""));
    let tale = tale.of("b").load().trigger("b1").until(20).forget_told();
    let tale = tale
        .reload_at(20, &text("d", AFTER_BOTH))
        .of("a")
        .trigger("a1");
    let tale = tale.until(50).dag_waits("d", &successes(&["b"]));
    tale.tells(&format!("20 passed {{\"b\": 1}}\n{}", other(20, "a", "a1")));
}

#[test]
fn a_dag_that_is_removed_is_waited_for_until_it_is_back_and_succeeds() {
    let tale = after("").load().trigger("r1").until(40).remove("a");
    let tale = tale.until(50).dag_waits("d", &successes(&["a"]));
    let tale = tale.beside(&text("a", "")).until(60).forget_told();
    let tale = tale.trigger("r2").until(90);
    tale.tells(&[other(60, "a", "r2"), run(70, "11-22T08:01:10+00:00")].concat());
}

#[test]
fn a_dag_that_comes_later_is_waited_for_from_then_on() {
    let tale = Tale::new(&text("d", AFTER_A))
        .load()
        .dag_waits("d", &successes(&["a"]));
    let tale = tale.until(30).beside(&text("a", "")).of("a").trigger("r1");
    tale.until(60).tells(
        &[
            "30 passed {\"a\": 0}\n".to_owned(),
            other(30, "a", "r1"),
            run(40, "11-22T08:00:40+00:00"),
        ]
        .concat(),
    );
}

/// With tasks that take no time it would never have come back from one event.
#[test]
fn dags_that_wait_for_each_other_wait_for_ever() {
    let empty = |dag_id: &str, other: &str| {
        format!(
            r#"{{"dag_id": "{dag_id}", "timezone": "UTC", "schedule": {{"after": ["{other}"]}},
                "tasks": [{{"task_id": "t", "empty": true}}]}}"#
        )
    };
    let tale = Tale::new(&empty("d", "b"))
        .beside(&empty("a", "d"))
        .beside(&empty("b", "a"));
    let tale = tale.load().forget_told().trigger("r").until(1_000);
    let circle = ["d", "b", "a", "d"].map(Into::into).to_vec();
    let tale = tale.dag_waits("d", &Awaited::Circle(circle));
    tale.tells("0 r running\n0 t success\n0 r success");
}

/// Nobody woke the one that the circle had held.
#[test]
fn a_dag_that_a_circle_has_held_runs_when_the_circle_is_open() {
    let tale = after("").beside(&text("a", r#", "schedule": {"after": ["d"]}"#));
    let tale = tale.load().trigger("r1").until(30).forget_told();
    let open = tale.beside(&text("a", "")).until(60);
    open.tells(&run(30, "11-22T08:00:30+00:00"));
    let tale = after("").beside(&text("a", r#", "schedule": {"after": ["d"]}"#));
    let tale = tale.load().trigger("r1").until(30).forget_told();
    tale.remove("a")
        .until(60)
        .tells(&run(30, "11-22T08:00:30+00:00"));
}

/// Two runs of one second would have had one name.
#[test]
fn runs_of_one_second_have_names_of_their_own() {
    let tale = after(r#", "max_active_runs": 3"#).takes("a", 0).load();
    let tale = tale
        .forget_told()
        .trigger("r1")
        .until(0)
        .trigger("r2")
        .until(9);
    tale.tells(
        "0 r1 running
         0 a 1 running
         0 a 1 success
         0 r1 success
         0 due 11-22T08:00:00+00:00
         0 11-22T08:00:00+00:00 running
         0 t 1 running
         0 r2 running
         0 a 1 running
         0 a 1 success
         0 r2 success
         0 due 11-22T08:00:01+00:00
         0 11-22T08:00:01+00:00 running
         0 t 1 running",
    );
}

/// The runs of the first time are not held in memory any more; what is remembered instead says no moment to be free
/// that was not.
#[test]
fn a_second_that_comes_again_when_the_clock_was_set_back_gives_no_name_twice() {
    let mut tale = after("").takes("a", 0).takes("t", 0).load();
    for n in 0..12 {
        tale = tale.trigger(&format!("r{n}")).until(10 * (n + 1));
    }
    let tale = tale.set_clock(-4 * 3_600_000).until(14_400).forget_told();
    tale.trigger("again").until(14_400).tells(
        "14400 again running
         14400 a 1 running
         14400 a 1 success
         14400 again success
         14400 due 11-22T08:00:41+00:00
         14400 11-22T08:00:41+00:00 running
         14400 t 1 running
         14400 t 1 success
         14400 11-22T08:00:41+00:00 success",
    );
}
