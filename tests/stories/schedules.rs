//! Runs that nobody asks for. Each DAG has one task, which takes ten seconds; time begins at 08:00:00 on
//! 2026-11-22 in UTC, and lines name the seconds since.

use crate::tale::Tale;

fn text(keys: &str) -> String {
    format!(
        r#"{{"dag_id": "d", "timezone": "UTC", {keys}, "tasks": [{{"task_id": "t", "bash": "true"}}]}}"#
    )
}

pub fn dag(keys: &str) -> Tale {
    Tale::new(&text(keys))
}

/// A run from its fire on, at this second.
pub fn run(at_s: u64, name: &str) -> String {
    let end_s = at_s + 10;
    format!(
        "{at_s} due {name}\n{at_s} {name} running\n{at_s} t 1 running\n\
         {end_s} t 1 success\n{end_s} {name} success\n"
    )
}

#[test]
fn a_run_starts_when_its_moment_has_come() {
    let tale = dag(r#""schedule": "*/5 * * * *""#).load().until(650);
    tale.tells(
        &[
            run(300, "11-22T08:05:00+00:00"),
            run(600, "11-22T08:10:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn an_interval_counts_from_when_the_dag_was_first_seen() {
    let tale = dag(r#""schedule": {"every": "250s"}"#)
        .until(70)
        .load()
        .until(650);
    tale.tells(
        &[
            run(320, "11-22T08:05:20+00:00"),
            run(570, "11-22T08:09:30+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn once_is_once() {
    let tale = dag(r#""schedule": "@once""#)
        .until(5)
        .load()
        .until(5000)
        .crash_until(6000)
        .until(9000);
    tale.tells(&run(5, "11-22T08:00:05+00:00"));
}

#[test]
fn a_run_may_be_named_after_the_beginning_of_its_interval() {
    let tale = dag(r#""schedule": "@hourly", "timetable": "interval""#)
        .load()
        .until(4000);
    tale.tells(&run(3600, "11-22T08:00:00+00:00"));
}

#[test]
fn of_what_was_missed_only_the_latest_is_made_up_for() {
    let tale = dag(r#""schedule": "*/5 * * * *""#)
        .load()
        .until(310)
        .crash_until(1000)
        .until(1250);
    tale.tells(
        &[
            run(300, "11-22T08:05:00+00:00"),
            "1000 skipped until 11-22T08:10:00+00:00\n".to_owned(),
            run(1000, "11-22T08:15:00+00:00"),
            run(1200, "11-22T08:20:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn everything_that_was_missed_is_made_up_for_oldest_first_if_the_dag_says_so() {
    let keys = r#""schedule": "*/5 * * * *", "catchup": true"#;
    let tale = dag(keys).load().until(310).crash_until(1000).until(1250);
    tale.tells(
        &[
            run(300, "11-22T08:05:00+00:00"),
            run(1000, "11-22T08:10:00+00:00"),
            run(1010, "11-22T08:15:00+00:00"),
            run(1200, "11-22T08:20:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn the_latest_few_of_what_was_missed_are_made_up_for() {
    let keys = r#""schedule": "*/5 * * * *", "catchup": {"max_runs": 2}"#;
    let tale = dag(keys).load().until(10).crash_until(1300).until(1450);
    tale.tells(
        &[
            "1300 skipped until 11-22T08:10:00+00:00\n".to_owned(),
            run(1300, "11-22T08:15:00+00:00"),
            run(1310, "11-22T08:20:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn nothing_that_was_missed_is_run_if_the_dag_says_so() {
    let keys = r#""schedule": "*/5 * * * *", "catchup": "none""#;
    let tale = dag(keys).load().until(310).crash_until(1000).until(1250);
    tale.tells(
        &[
            run(300, "11-22T08:05:00+00:00"),
            "1000 skipped until 11-22T08:15:00+00:00\n".to_owned(),
            run(1200, "11-22T08:20:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn a_start_date_in_the_past_is_a_missed_time_and_an_end_date_ends_it() {
    let keys = r#""schedule": "@hourly", "catchup": true, "max_active_runs": 1,
        "start_date": "2026-11-22T06:00", "end_date": "2026-11-22T09:00""#;
    let tale = dag(keys).until(60).load().until(9000);
    tale.tells(
        &[
            run(60, "11-22T06:00:00+00:00"),
            run(70, "11-22T07:00:00+00:00"),
            run(80, "11-22T08:00:00+00:00"),
            run(3600, "11-22T09:00:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn a_fire_that_finds_its_dag_busy_waits() {
    let tale = dag(r#""schedule": "* * * * *""#)
        .takes("t", 130)
        .load()
        .until(300);
    tale.tells(
        "60 due 11-22T08:01:00+00:00
         60 11-22T08:01:00+00:00 running
         60 t 1 running
         190 t 1 success
         190 11-22T08:01:00+00:00 success
         190 skipped until 11-22T08:02:00+00:00
         190 due 11-22T08:03:00+00:00
         190 11-22T08:03:00+00:00 running
         190 t 1 running",
    );
}

#[test]
fn a_fire_that_finds_its_dag_busy_is_skipped_if_the_dag_says_so() {
    let tale = dag(r#""schedule": "* * * * *", "overlap": "skip""#)
        .takes("t", 130)
        .load()
        .until(250);
    tale.tells(
        "60 due 11-22T08:01:00+00:00
         60 11-22T08:01:00+00:00 running
         60 t 1 running
         120 skipped until 11-22T08:02:00+00:00
         180 skipped until 11-22T08:03:00+00:00
         190 t 1 success
         190 11-22T08:01:00+00:00 success
         240 due 11-22T08:04:00+00:00
         240 11-22T08:04:00+00:00 running
         240 t 1 running",
    );
}

#[test]
fn a_fire_that_finds_its_dag_busy_takes_its_place_if_the_dag_says_so() {
    let tale = dag(r#""schedule": "* * * * *", "overlap": "cancel""#)
        .hangs("t")
        .load()
        .until(150);
    tale.tells(
        "60 due 11-22T08:01:00+00:00
         60 11-22T08:01:00+00:00 running
         60 t 1 running
         120 11-22T08:01:00+00:00 stopped
         120 t 1 SIGTERM
         120 t 1 failed
         120 11-22T08:01:00+00:00 failed
         120 due 11-22T08:02:00+00:00
         120 11-22T08:02:00+00:00 running
         120 t 1 running",
    );
}

#[test]
fn a_continuous_dag_runs_again_when_it_has_ended() {
    let tale = dag(r#""schedule": "@continuous""#).load().until(15);
    tale.tells(
        &[
            run(1, "11-22T08:00:01+00:00"),
            run(11, "11-22T08:00:11+00:00")
                .lines()
                .take(3)
                .fold(String::new(), |text, line| text + line + "\n"),
        ]
        .concat(),
    );
}

#[test]
fn a_month_of_pause_is_made_up_for_by_one_run() {
    let tale = dag(r#""schedule": "*/5 * * * *""#)
        .load()
        .pause(true)
        .until(2_592_000)
        .pause(false);
    tale.until(2_592_010).tells(
        &[
            "0 paused\n2592000 unpaused\n2592000 skipped until 12-22T07:55:00+00:00\n".to_owned(),
            run(2_592_000, "12-22T08:00:00+00:00"),
        ]
        .concat(),
    );
}

#[test]
fn an_interrupted_attempt_runs_again_once_and_uses_up_no_retry() {
    let tale = dag(r#""schedule": "*/5 * * * *""#)
        .load()
        .until(305)
        .crash_until(320)
        .until(400);
    tale.tells(
        "300 due 11-22T08:05:00+00:00
         300 11-22T08:05:00+00:00 running
         300 t 1 running
         320 t 1 none
         320 t 2 running
         330 t 2 success
         330 11-22T08:05:00+00:00 success",
    );
}

#[test]
fn a_manual_run_is_about_the_last_complete_interval() {
    let tale = dag(r#""schedule": "@hourly""#)
        .load()
        .until(10)
        .trigger("r");
    assert_eq!(
        tale.interval("r"),
        "2026-11-22T07:00:00+00:00 2026-11-22T08:00:00+00:00"
    );
}

/// A cleared run waits, is the oldest, and was to start although it had just been stopped: a panic.
#[test]
fn a_run_that_is_cancelled_while_it_waits_does_not_start() {
    let tale = dag(r#""schedule": "* * * * *", "overlap": "cancel""#)
        .takes("t", 100)
        .load()
        .until(130)
        .clear("scheduled__2026-11-22T08:01:00+00:00", "", false, false)
        .until(185);
    tale.tells(
        "60 due 11-22T08:01:00+00:00
         60 11-22T08:01:00+00:00 running
         60 t 1 running
         120 11-22T08:01:00+00:00 stopped
         120 t 1 SIGTERM
         120 t 1 failed
         120 11-22T08:01:00+00:00 failed
         120 due 11-22T08:02:00+00:00
         120 11-22T08:02:00+00:00 running
         120 t 1 running
         130 clear t
         180 11-22T08:01:00+00:00 stopped
         180 11-22T08:01:00+00:00 failed
         180 11-22T08:02:00+00:00 stopped
         180 t 1 SIGTERM
         180 t 1 failed
         180 11-22T08:02:00+00:00 failed
         180 due 11-22T08:03:00+00:00
         180 11-22T08:03:00+00:00 running
         180 t 1 running",
    );
}

/// Whatever woke the schedule while the oldest run was ending made it cancel the next one, too.
#[test]
fn one_fire_takes_the_place_of_one_run() {
    let keys = r#""schedule": "* * * * *", "overlap": "cancel", "max_active_runs": 2"#;
    let tale = dag(keys)
        .hangs("t")
        .deaf("t")
        .load()
        .until(185)
        .pause(true)
        .pause(false)
        .until(191);
    tale.tells(
        "60 due 11-22T08:01:00+00:00
         60 11-22T08:01:00+00:00 running
         60 t 1 running
         120 due 11-22T08:02:00+00:00
         120 11-22T08:02:00+00:00 running
         120 t 1 running
         180 11-22T08:01:00+00:00 stopped
         180 t 1 SIGTERM
         185 paused
         185 unpaused
         190 t 1 SIGKILL
         190 t 1 failed
         190 11-22T08:01:00+00:00 failed
         190 due 11-22T08:03:00+00:00
         190 11-22T08:03:00+00:00 running
         190 t 1 running",
    );
}

/// The fire had cancelled the run whose place it takes, and was dropped then as if it had been missed.
#[test]
fn a_fire_that_takes_a_place_was_not_missed_while_it_waited_for_it() {
    let keys = r#""schedule": "* * * * *", "overlap": "cancel", "catchup": "none""#;
    let tale = dag(keys).hangs("t").deaf("t").load().until(135);
    tale.tells(
        "60 due 11-22T08:01:00+00:00
         60 11-22T08:01:00+00:00 running
         60 t 1 running
         120 11-22T08:01:00+00:00 stopped
         120 t 1 SIGTERM
         130 t 1 SIGKILL
         130 t 1 failed
         130 11-22T08:01:00+00:00 failed
         130 due 11-22T08:02:00+00:00
         130 11-22T08:02:00+00:00 running
         130 t 1 running",
    );
}

/// A fire that was due when the DAG was reloaded was dropped as if it had been missed.
#[test]
fn a_fire_that_comes_with_a_reload_was_not_missed() {
    let keys = r#""schedule": "* * * * *", "catchup": "none""#;
    let tale = dag(keys)
        .load()
        .until(59)
        .reload_at(60, &text(keys))
        .until(75);
    tale.tells(&run(60, "11-22T08:01:00+00:00"));
}

#[test]
fn once_is_not_missed_by_a_dag_that_makes_up_for_nothing() {
    let tale = dag(r#""schedule": "@once", "catchup": "none""#)
        .load()
        .until(20);
    tale.tells(&run(0, "11-22T08:00:00+00:00"));
}

/// Ticks before the DAG was first seen were made up for when its start date was taken away.
#[test]
fn a_dag_without_a_start_date_has_missed_nothing_even_if_it_had_one() {
    let once = r#""schedule": "@once", "start_date": "2026-11-22T07:00""#;
    let every = r#""schedule": {"every": "10m"}, "catchup": true"#;
    let tale = dag(once)
        .load()
        .until(20)
        .reload_at(20, &text(every))
        .until(620);
    tale.tells(
        &[
            run(0, "11-22T07:00:00+00:00"),
            run(600, "11-22T08:10:00+00:00"),
        ]
        .concat(),
    );
}

/// A later version's `is_paused_upon_creation` paused it, but only from the next start on.
#[test]
fn a_dag_that_is_there_is_not_paused_by_a_new_version() {
    let keys = r#""schedule": "*/5 * * * *""#;
    let paused = r#""schedule": "*/5 * * * *", "is_paused_upon_creation": true"#;
    let tale = dag(keys).load().until(10).reload_at(10, &text(paused));
    tale.crash_until(20)
        .until(320)
        .tells(&run(300, "11-22T08:05:00+00:00"));
}

/// The run of `@once` is named after its moment, and the first data interval of the schedule after it began there.
/// So did the one after a run that was named after its end.
#[test]
fn no_name_is_given_twice_when_the_schedule_of_a_dag_changes() {
    let every = r#""schedule": "*/5 * * * *", "timetable": "interval""#;
    for (before, first) in [
        (r#""schedule": "@once", "timetable": "interval""#, 0),
        (r#""schedule": "*/5 * * * *""#, 300),
    ] {
        let tale = dag(before).load().until(first + 20);
        let tale = tale.reload_at(first + 20, &text(every)).until(first + 610);
        let minute = first / 60;
        let run_ids = [
            format!("11-22T08:{minute:02}:00+00:00"),
            format!("11-22T08:{minute:02}:00.001+00:00"),
            format!("11-22T08:{:02}:00+00:00", minute + 5),
        ];
        assert_eq!(tale.due(), run_ids, "{before}");
        let id = format!("scheduled__2026-{}", run_ids[1]);
        let end = format!("2026-11-22T08:{:02}:00+00:00", minute + 5);
        assert!(tale.interval(&id).ends_with(&end), "{}", tale.interval(&id));
    }
}

/// What was triggered by hand while it was paused was the oldest run of a DAG that had no room, and cancelled.
#[test]
fn a_continuous_dag_leaves_what_waits_to_start_alone() {
    for overlap in ["cancel", "skip"] {
        let keys = format!(r#""schedule": "@continuous", "overlap": "{overlap}""#);
        let tale = dag(&keys).load().until(5).pause(true).until(20);
        let tale = tale.trigger("r").until(30).forget_told().pause(false);
        tale.until(35).tells(
            "30 unpaused
             30 r running
             30 t 1 running",
        );
    }
}
