//! Backfills of one DAG, whose one task takes ten seconds; time begins at 08:00:00 on 2026-11-22 in UTC, and
//! lines name the seconds since.

use mini_dag::scheduler::{BackfillChange, BackfillFacts, Reprocess};
use mini_dag::timetable::Timestamp;

use crate::tale::Tale;

fn dag(keys: &str) -> Tale {
    let text = format!(
        r#"{{"dag_id": "d", "timezone": "UTC", {keys}, "tasks": [{{"task_id": "t", "bash": "true"}}]}}"#
    );
    Tale::new(&text)
}

fn daily() -> Tale {
    dag(r#""schedule": "@daily""#).load()
}

/// From one moment of November 2026 to another, one run at a time.
fn span(from: &str, to: &str) -> BackfillFacts {
    let moment = |text: &str| Timestamp::parse(&format!("2026-11-{text}:00:00Z")).unwrap();
    BackfillFacts {
        from: moment(from),
        to: moment(to),
        reprocess: Reprocess::None,
        newest_first: false,
        max_active_runs: 1,
        params: std::collections::BTreeMap::new(),
    }
}

/// A run of a backfill, from this second on, that ends as its task does.
fn run_that(ends: &str, at_s: u64, date: &str) -> String {
    let later = at_s + 10;
    format!(
        "{at_s} due fill-{date}\n{at_s} fill-{date} running\n{at_s} t 1 running\n\
         {later} t 1 {ends}\n{later} fill-{date} {ends}\n"
    )
}

fn run(at_s: u64, date: &str) -> String {
    run_that("success", at_s, date)
}

#[test]
fn each_date_of_the_span_is_run_oldest_first_and_both_ends_are_in_it() {
    let tale = daily().backfill(span("18T00", "20T00")).until(100);
    tale.tells(
        &[
            "0 backfill 1 created\n".to_owned(),
            run(0, "11-18T00:00:00+00:00"),
            run(10, "11-19T00:00:00+00:00"),
            run(20, "11-20T00:00:00+00:00"),
            "30 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn a_run_is_about_the_interval_that_ends_at_its_date() {
    let tale = daily().backfill(span("18T00", "18T00")).until(100);
    assert_eq!(
        tale.interval("backfill__2026-11-18T00:00:00+00:00"),
        "2026-11-17T00:00:00+00:00 2026-11-18T00:00:00+00:00"
    );
}

#[test]
fn a_backfill_that_is_asked_for_again_runs_only_what_is_missing() {
    let tale = daily()
        .backfill(span("18T00", "19T00"))
        .until(100)
        .forget_told();
    tale.backfill(span("17T00", "20T00")).until(200).tells(
        &[
            "100 backfill 2 created\n".to_owned(),
            run(100, "11-17T00:00:00+00:00"),
            "110 backfill 2 passed 2 until 11-19T00:00:00+00:00\n".to_owned(),
            run(110, "11-20T00:00:00+00:00"),
            "120 backfill 2 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn what_only_history_knows_is_not_run_again() {
    let tale = daily()
        .backfill(span("01T00", "15T00"))
        .until(200)
        .forget_told();
    tale.backfill(span("01T00", "15T00")).until(300).tells(
        "200 backfill 2 created
             200 backfill 2 passed 15 until 11-15T00:00:00+00:00
             200 backfill 2 completed",
    );
}

#[test]
fn the_newest_date_comes_first_if_that_is_asked_for() {
    let facts = BackfillFacts {
        newest_first: true,
        max_active_runs: 2,
        ..span("18T00", "20T00")
    };
    daily().backfill(facts).until(100).tells(
        "0 backfill 1 created
         0 due fill-11-20T00:00:00+00:00
         0 due fill-11-19T00:00:00+00:00
         0 fill-11-20T00:00:00+00:00 running
         0 fill-11-19T00:00:00+00:00 running
         0 t 1 running
         0 t 1 running
         10 t 1 success
         10 fill-11-20T00:00:00+00:00 success
         10 due fill-11-18T00:00:00+00:00
         10 fill-11-18T00:00:00+00:00 running
         10 t 1 running
         10 t 1 success
         10 fill-11-19T00:00:00+00:00 success
         20 t 1 success
         20 fill-11-18T00:00:00+00:00 success
         20 backfill 1 completed",
    );
}

#[test]
fn what_has_failed_is_run_again_under_another_name_if_that_is_asked_for() {
    let again = |reprocess| BackfillFacts {
        reprocess,
        ..span("18T00", "19T00")
    };
    let tale = daily()
        .fails("t", 1)
        .backfill(span("18T00", "18T00"))
        .until(50);
    let tale = tale
        .fails("t", 0)
        .backfill(span("19T00", "19T00"))
        .until(100);
    let tale = tale
        .forget_told()
        .backfill(again(Reprocess::None))
        .until(150);
    let tale = tale.backfill(again(Reprocess::Failed)).until(200);
    let tale = tale.backfill(again(Reprocess::Failed)).until(250);
    let tale = tale.backfill(again(Reprocess::Completed));
    tale.until(300).tells(
        &[
            "100 backfill 3 created
             100 backfill 3 passed 2 until 11-19T00:00:00+00:00
             100 backfill 3 completed
             150 backfill 4 created\n"
                .to_owned(),
            run(150, "11-18T00:00:00+00:00__2"),
            "160 backfill 4 passed 1 until 11-19T00:00:00+00:00
             160 backfill 4 completed
             200 backfill 5 created
             200 backfill 5 passed 2 until 11-19T00:00:00+00:00
             200 backfill 5 completed
             250 backfill 6 created\n"
                .to_owned(),
            run(250, "11-18T00:00:00+00:00__3"),
            run(260, "11-19T00:00:00+00:00__2"),
            "270 backfill 6 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn what_the_schedule_and_people_have_run_needs_no_run() {
    let tale = dag(r#""schedule": "@hourly""#)
        .load()
        .until(3_700)
        .forget_told();
    tale.backfill(span("22T08", "22T09")).until(4_000).tells(
        &[
            "3700 backfill 1 created\n".to_owned(),
            run(3_700, "11-22T08:00:00+00:00"),
            "3710 backfill 1 passed 1 until 11-22T09:00:00+00:00
             3710 backfill 1 completed\n"
                .to_owned(),
        ]
        .concat(),
    );
}

/// The DAG is paused, and a run by hand waits for that: neither is in the way.
#[test]
fn a_backfill_runs_while_its_dag_is_paused_and_leaves_its_other_runs_alone() {
    let tale = daily().pause(true).trigger("by_hand").forget_told();
    let tale = tale.backfill(span("18T00", "18T00")).until(50);
    tale.pause(false).until(80).tells(
        &[
            "0 backfill 1 created\n".to_owned(),
            run(0, "11-18T00:00:00+00:00"),
            "10 backfill 1 completed
             50 unpaused
             50 by_hand running
             50 t 1 running
             60 t 1 success
             60 by_hand success\n"
                .to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn a_backfill_is_not_in_the_way_of_the_schedule() {
    let tale = dag(r#""schedule": "@hourly", "overlap": "cancel""#).load();
    let tale = tale
        .until(3_595)
        .backfill(span("21T00", "21T00"))
        .until(3_650);
    tale.tells(
        "3595 backfill 1 created
         3595 due fill-11-21T00:00:00+00:00
         3595 fill-11-21T00:00:00+00:00 running
         3595 t 1 running
         3600 due 11-22T09:00:00+00:00
         3600 11-22T09:00:00+00:00 running
         3600 t 1 running
         3605 t 1 success
         3605 fill-11-21T00:00:00+00:00 success
         3605 backfill 1 completed
         3610 t 1 success
         3610 11-22T09:00:00+00:00 success",
    );
}

#[test]
fn a_paused_backfill_waits_and_a_cancelled_one_ends_while_its_run_goes_on() {
    let tale = daily()
        .backfill(span("16T00", "20T00"))
        .until(5)
        .forget_told();
    let tale = tale.change_backfill(1, BackfillChange::Pause).until(60);
    let tale = tale.change_backfill(1, BackfillChange::Pause);
    let tale = tale.change_backfill(1, BackfillChange::Unpause).until(65);
    let tale = tale.change_backfill(1, BackfillChange::Cancel).until(100);
    let tale = tale.refuses_change_of_backfill(1, BackfillChange::Cancel, "backfill 1 is over");
    let tale = tale.refuses_change_of_backfill(2, BackfillChange::Pause, "no backfill 2");
    tale.tells(
        "5 backfill 1 paused
         10 t 1 success
         10 fill-11-16T00:00:00+00:00 success
         60 backfill 1 unpaused
         60 due fill-11-17T00:00:00+00:00
         60 fill-11-17T00:00:00+00:00 running
         60 t 1 running
         65 backfill 1 cancelled
         70 t 1 success
         70 fill-11-17T00:00:00+00:00 success",
    );
}

/// It is one of the backfill's: as many at once, none while it is paused, and it starts when the backfill is over.
#[test]
fn a_run_that_is_cleared_starts_when_its_backfill_lets_it() {
    let first = "backfill__2026-11-16T00:00:00+00:00";
    let tale = daily()
        .backfill(span("16T00", "17T00"))
        .until(15)
        .forget_told();
    let tale = tale.clear(first, "", false, false).until(35);
    let tale = tale.clear(first, "", false, false).until(60);
    tale.tells(
        "15 clear t
         20 t 1 success
         20 fill-11-17T00:00:00+00:00 success
         20 fill-11-16T00:00:00+00:00 running
         20 t 2 running
         30 t 2 success
         30 fill-11-16T00:00:00+00:00 success
         30 backfill 1 completed
         35 clear t
         35 fill-11-16T00:00:00+00:00 running
         35 t 3 running
         45 t 3 success
         45 fill-11-16T00:00:00+00:00 success",
    );
}

#[test]
fn a_run_of_a_paused_backfill_that_is_cleared_waits() {
    let tale = daily()
        .backfill(span("16T00", "17T00"))
        .until(5)
        .change_backfill(1, BackfillChange::Pause)
        .until(15)
        .forget_told();
    let tale = tale.clear("backfill__2026-11-16T00:00:00+00:00", "", false, false);
    let tale = tale.until(60).change_backfill(1, BackfillChange::Unpause);
    tale.until(100).tells(
        &[
            "15 clear t
             60 backfill 1 unpaused
             60 fill-11-16T00:00:00+00:00 running
             60 t 2 running
             70 t 2 success
             70 fill-11-16T00:00:00+00:00 success\n"
                .to_owned(),
            run(70, "11-17T00:00:00+00:00"),
            "80 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn a_restart_goes_on_with_a_backfill_where_it_was() {
    let tale = daily()
        .backfill(span("18T00", "20T00"))
        .until(15)
        .forget_told();
    tale.crash_until(100).until(200).tells(
        &[
            "100 t 1 none
             100 t 2 running
             110 t 2 success
             110 fill-11-19T00:00:00+00:00 success\n"
                .to_owned(),
            run(110, "11-20T00:00:00+00:00"),
            "120 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn a_dag_that_is_removed_ends_the_run_and_goes_on_when_it_is_back() {
    let tale = daily()
        .backfill(span("18T00", "19T00"))
        .until(5)
        .forget_told();
    let keys = r#"{"dag_id": "d", "timezone": "UTC", "schedule": "@daily", "tasks": [{"task_id": "t", "bash": "true"}]}"#;
    tale.remove("d")
        .until(100)
        .reload_at(100, keys)
        .until(200)
        .tells(
            &[
                "10 t 1 success\n10 fill-11-18T00:00:00+00:00 success\n".to_owned(),
                run(100, "11-19T00:00:00+00:00"),
                "110 backfill 1 completed\n".to_owned(),
            ]
            .concat(),
        );
}

#[test]
fn a_run_may_be_named_after_the_beginning_of_its_interval_and_one_that_has_not_ended_is_not_run() {
    let tale = dag(r#""schedule": "@daily", "timetable": "interval""#).load();
    tale.backfill(span("20T12", "22T00")).until(100).tells(
        &[
            "0 backfill 1 created\n".to_owned(),
            run(0, "11-21T00:00:00+00:00"),
            "10 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
    let newest = BackfillFacts {
        newest_first: true,
        ..span("20T12", "22T00")
    };
    let tale = dag(r#""schedule": "@daily", "timetable": "interval""#).load();
    tale.backfill(newest).until(100).tells(
        &[
            "0 backfill 1 created\n".to_owned(),
            run(0, "11-21T00:00:00+00:00"),
            "10 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn no_date_lies_before_the_start_date_or_after_the_end_date() {
    let keys = r#""schedule": "@daily", "start_date": "2026-11-18", "end_date": "2026-11-19", "catchup": "none""#;
    let tale = dag(keys).load().forget_told();
    tale.backfill(span("01T00", "22T00")).until(100).tells(
        &[
            "0 backfill 1 created\n".to_owned(),
            run(0, "11-18T00:00:00+00:00"),
            run(10, "11-19T00:00:00+00:00"),
            "20 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn a_date_that_a_backfill_has_just_run_is_not_run_by_the_schedule_again() {
    let tale = daily().pause(true).until(172_800);
    let tale = tale
        .forget_told()
        .backfill(span("24T00", "24T00"))
        .until(172_850);
    tale.pause(false).until(172_900).tells(
        &[
            "172800 backfill 1 created\n".to_owned(),
            run(172_800, "11-24T00:00:00+00:00"),
            "172810 backfill 1 completed
             172850 unpaused
             172850 skipped until 11-23T00:00:00+00:00
             172850 skipped until 11-24T00:00:00+00:00\n"
                .to_owned(),
        ]
        .concat(),
    );
}

#[test]
fn what_cannot_be_made_up_for_is_refused() {
    let schedules = [
        r#""doc": """#,
        r#""schedule": "@reboot""#,
        r#""schedule": "@continuous""#,
        r#""schedule": {"after": ["a"]}"#,
    ];
    for keys in schedules {
        let tale = dag(keys).load();
        tale.refuses_backfill(span("18T00", "20T00"), "has no dates to be made up for");
    }
    let tale = daily().refuses_backfill(span("20T00", "18T00"), "it ends before it begins");
    let tale = tale.refuses_backfill(span("20T00", "23T00"), "it ends in the future");
    let tale = tale.backfill(span("18T00", "20T00"));
    tale.refuses_backfill(span("18T00", "20T00"), "has a backfill that is not over: 1");
}

/// Two years of minutes: dates are found one by one, and only the latest few runs are held.
#[test]
fn a_million_dates_take_no_memory() {
    let span = BackfillFacts {
        from: Timestamp::parse("2024-11-01T00:00:00Z").unwrap(),
        max_active_runs: 3,
        ..span("01T00", "22T00")
    };
    let tale = dag(r#""schedule": "* * * * *", "catchup": "none""#)
        .load()
        .pause(true);
    let tale = tale.backfill(span).until(2_000);
    assert!(tale.runs_held() <= 3 + 8, "{}", tale.runs_held());
}

/// With tasks that take no time, all of them were run in one turn, and everybody else waited.
#[test]
fn a_turn_creates_so_many_runs_and_no_more() {
    let empty = r#"{"dag_id": "d", "timezone": "UTC", "schedule": "* * * * *", "tasks": [{"task_id": "t", "empty": true}]}"#;
    let span = BackfillFacts {
        to: Timestamp::parse("2026-11-20T04:59:00Z").unwrap(),
        ..span("20T00", "20T00")
    };
    let tale = Tale::new(empty).load().backfill(span);
    assert_eq!(tale.created(), 100);
    let tale = tale.until(1);
    assert_eq!(tale.created(), 200);
    let tale = tale.until(2).forget_told().until(10);
    assert_eq!(tale.created(), 300);
    tale.tells("3 backfill 1 completed");
}

/// The date that was run last, named after its end, began the data interval of the next.
#[test]
fn a_date_is_filled_once_although_the_dag_changes_how_runs_are_named() {
    let facts = BackfillFacts {
        reprocess: Reprocess::Completed,
        ..span("18T00", "21T00")
    };
    let text = r#"{"dag_id": "d", "timezone": "UTC", "schedule": "@daily", "timetable": "interval",
        "tasks": [{"task_id": "t", "bash": "true"}]}"#;
    let tale = daily().backfill(facts).until(15).reload_at(15, text);
    tale.until(100).tells(
        &[
            "0 backfill 1 created\n".to_owned(),
            run(0, "11-18T00:00:00+00:00"),
            run(10, "11-19T00:00:00+00:00"),
            "20 backfill 1 passed 1 until 11-20T00:00:00+00:00\n".to_owned(),
            run(20, "11-20T00:00:00+00:00"),
            run(30, "11-21T00:00:00+00:00"),
            "40 backfill 1 completed\n".to_owned(),
        ]
        .concat(),
    );
}
