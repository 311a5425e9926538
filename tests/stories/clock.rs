//! What the schedule does when the clock lies. Each DAG has one task, which takes ten seconds unless told
//! otherwise; time begins at 08:00:00 on 2026-11-22 in UTC, and lines name the seconds since, whatever the
//! clock shows.

use std::time::Duration;

use mini_dag::scheduler::{ClockDemand, ClockReport, ClockRule, Monotonic};

use crate::schedules::{dag, run};
use crate::tale::Tale;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A host that was booted as the tale begins, without NTP so far.
pub const ALONE: ClockReport = ClockReport {
    rule: ClockRule {
        demand: ClockDemand::Prefer,
        wait: Duration::from_secs(90),
    },
    booted: Monotonic(0),
    is_synchronised: false,
    saved: None,
    recorded: None,
};

pub const SYNCHRONISED: ClockReport = ClockReport {
    is_synchronised: true,
    ..ALONE
};

pub fn demands(demand: ClockDemand) -> ClockReport {
    let mut report = ALONE;
    report.rule.demand = demand;
    report
}

pub fn five_minutes() -> Tale {
    dag(r#""schedule": "*/5 * * * *""#)
}

/// A run that begins at this second and is over at the other.
pub fn long(from_s: u64, until_s: u64, name: &str) -> String {
    format!(
        "{from_s} due {name}\n{from_s} {name} running\n{from_s} t 1 running\n\
         {until_s} t 1 success\n{until_s} {name} success\n"
    )
}

/// node-schedule#431: 12 runs in quick succession when NTP set the clock of a Pi. robfig/cron#26: 720.
#[test]
fn a_boot_in_1970_runs_nothing_until_ntp_and_one_run_then() {
    let tale = five_minutes()
        .reports(ALONE)
        .begins_at("1970-01-01T00:00:10+00:00")
        .load()
        .until(400)
        .says_of_the_clock(&["1970-01-01", "cannot be right", "2026-11-22", "wait"]);
    tale.tells("");
    assert_eq!(tale.first_seen(), None, "1970 is no date to remember");
    let tale = tale
        .reports(SYNCHRONISED)
        .clock_shows("2026-11-22T08:12:00+00:00");
    assert_eq!(
        tale.first_seen().as_deref(),
        Some("2026-11-22T08:12:00+00:00")
    );
    tale.until(600).tells(&run(580, "11-22T08:15:00+00:00"));
}

/// What was due before the power went is made up for once; what 1970 showed is no window that was missed.
#[test]
fn a_boot_in_1970_makes_up_for_what_was_missed_when_it_is_over() {
    let tale = five_minutes()
        .reports(SYNCHRONISED)
        .load()
        .until(310)
        .reports(ALONE)
        .dies_at("1970-01-01T00:00:00+00:00")
        .until(900)
        .reports(SYNCHRONISED)
        .clock_shows("2026-11-22T10:02:00+00:00")
        .until(1100);
    tale.tells(
        &[
            run(300, "11-22T08:05:00+00:00"),
            "900 skipped until 11-22T09:55:00+00:00\n".to_owned(),
            run(900, "11-22T10:00:00+00:00"),
            run(1080, "11-22T10:05:00+00:00"),
        ]
        .concat(),
    );
}

/// zos#2286, dcron#16: nothing ran until the clock had caught up with the wrong date.
#[test]
fn a_boot_in_2098_leaves_no_trace() {
    let tale = five_minutes()
        .reports(SYNCHRONISED)
        .begins_at("2098-03-04T05:06:00+00:00")
        .load()
        .until(400)
        .says_of_the_clock(&["2098-03-04", "cannot be right", "wait"]);
    tale.tells("");
    assert_eq!(tale.first_seen(), None);
    let tale = tale.clock_shows("2026-11-22T08:12:00+00:00").until(600);
    tale.tells(&run(580, "11-22T08:15:00+00:00"));
}

/// The same where nobody could know that it is wrong: a year ahead may be right.
#[test]
fn a_clock_that_was_far_ahead_holds_nothing_back_when_it_is_right() {
    let tale = five_minutes()
        .begins_at("2030-03-04T05:04:00+00:00")
        .load()
        .until(120)
        .clock_shows("2026-11-22T08:12:00+00:00")
        .until(320);
    tale.tells(
        &[
            run(60, "2030-03-04T05:05:00+00:00"),
            "120 back to 11-22T08:10:00+00:00\n".to_owned(),
            run(300, "11-22T08:15:00+00:00"),
        ]
        .concat(),
    );
}

/// The state directory remembers the wrong date, and no clock is set while the daemon runs.
#[test]
fn a_mark_from_a_clock_that_was_far_ahead_is_given_up_after_a_restart() {
    let tale = five_minutes()
        .begins_at("2030-03-04T05:04:00+00:00")
        .load()
        .until(120)
        .dies_at("2026-11-22T08:12:00+00:00")
        .until(320);
    tale.tells(
        &[
            run(60, "2030-03-04T05:05:00+00:00"),
            "120 back to 11-22T08:10:00+00:00\n".to_owned(),
            run(300, "11-22T08:15:00+00:00"),
        ]
        .concat(),
    );
}

/// robfig/cron#26, kubernetes#42649 ("too many missed starts" and never again).
#[test]
fn a_step_forward_in_the_middle_of_a_run_is_one_run_more_and_the_schedule_lives() {
    for (hours, missed, latest, next) in [
        (
            1,
            "11-22T09:00:00+00:00",
            "11-22T09:05:00+00:00",
            "11-22T09:10:00+00:00",
        ),
        (
            34,
            "11-23T18:00:00+00:00",
            "11-23T18:05:00+00:00",
            "11-23T18:10:00+00:00",
        ),
        (
            9_600,
            "2027-12-27T08:00:00+00:00",
            "2027-12-27T08:05:00+00:00",
            "2027-12-27T08:10:00+00:00",
        ),
    ] {
        let tale = five_minutes()
            .takes("t", 100)
            .load()
            .until(350)
            .set_clock(hours * HOUR_MS)
            .until(750);
        tale.tells(
            &[
                "300 due 11-22T08:05:00+00:00
                 300 11-22T08:05:00+00:00 running
                 300 t 1 running\n"
                    .to_owned(),
                format!("350 skipped until {missed}\n"),
                "400 t 1 success\n400 11-22T08:05:00+00:00 success\n".to_owned(),
                long(400, 500, latest),
                long(600, 700, next),
            ]
            .concat(),
        );
    }
}

/// home-assistant/core#58808: the same moment a hundred times.
#[test]
fn a_step_back_of_two_hours_is_waited_for() {
    let tale = five_minutes()
        .takes("t", 100)
        .load()
        .until(350)
        .set_clock(-2 * HOUR_MS)
        .until(7_900);
    tale.tells(
        &[
            long(300, 400, "11-22T08:05:00+00:00"),
            long(7_800, 7_900, "11-22T08:10:00+00:00"),
        ]
        .concat(),
    );
}

/// zos#2286, dcron#16: here every fire has its turn; one that was run says so.
#[test]
fn after_a_step_back_of_thirty_hours_what_was_run_is_skipped_and_the_rest_runs() {
    let tale = dag(r#""schedule": "0 */6 * * *""#)
        .takes("t", 100)
        .load()
        .until(86_450)
        .forget_told()
        .set_clock(-30 * HOUR_MS)
        .until(209_000);
    // 08:00 on the 23rd is 02:00 on the 22nd now, before the DAG was first seen: 06:00 was never run.
    tale.tells(
        &[
            "86450 back to 11-22T00:00:00+00:00\n".to_owned(),
            long(100_800, 100_900, "11-22T06:00:00+00:00"),
            "122400 skipped until 11-22T12:00:00+00:00
             144000 skipped until 11-22T18:00:00+00:00
             165600 skipped until 11-23T00:00:00+00:00
             187200 skipped until 11-23T06:00:00+00:00\n"
                .to_owned(),
            long(208_800, 208_900, "11-23T12:00:00+00:00"),
        ]
        .concat(),
    );
}

/// The same, and the daemon has ended in between.
#[test]
fn what_was_run_is_known_after_a_restart_and_a_step_back() {
    let tale = five_minutes()
        .load()
        .until(18_100)
        .forget_told()
        .dies_at("2026-11-22T08:57:00+00:00")
        .until(18_600);
    tale.tells(
        "18100 back to 11-22T08:55:00+00:00
         18280 skipped until 11-22T09:00:00+00:00
         18580 skipped until 11-22T09:05:00+00:00",
    );
}

/// A clock that goes to and fro by a little is no reason to run anything twice, or not at all.
#[test]
fn a_clock_that_trembles_gives_one_run_a_minute() {
    let mut tale = dag(r#""schedule": "* * * * *""#).takes("t", 1).load();
    for second in 1..=330 {
        tale = tale
            .until(second)
            .set_clock(50)
            .set_clock(-100)
            .set_clock(50);
        if second % 7 == 0 {
            tale = tale.set_clock(-50);
        } else if second % 7 == 3 {
            tale = tale.set_clock(50);
        }
    }
    assert_eq!(
        tale.due(),
        [
            "11-22T08:01:00+00:00",
            "11-22T08:02:00+00:00",
            "11-22T08:03:00+00:00",
            "11-22T08:04:00+00:00",
            "11-22T08:05:00+00:00",
        ]
    );
}

#[test]
fn a_fire_that_the_host_slept_through_runs_when_it_wakes() {
    let tale = five_minutes()
        .load()
        .until(200)
        .sleeps_until(1_000)
        .until(1_250);
    tale.tells(
        &[
            "1000 skipped until 11-22T08:10:00+00:00\n".to_owned(),
            run(1_000, "11-22T08:15:00+00:00"),
            run(1_200, "11-22T08:20:00+00:00"),
        ]
        .concat(),
    );
}

/// A task's timeout goes on while the host sleeps, and what the clock shows does not matter to it.
#[test]
fn a_timeout_counts_elapsed_time_whatever_the_clock_shows() {
    let tale = Tale::new(
        r#"{"dag_id": "d", "tasks": [{"task_id": "t", "bash": "true", "timeout": "100s"}]}"#,
    )
    .hangs("t")
    .trigger("r")
    .until(10)
    .set_clock(9_600 * HOUR_MS)
    .until(20)
    .set_clock(-9_630 * HOUR_MS)
    .until(99);
    tale.tells("0 r running\n0 t 1 running");
    tale.until(100).tells(
        "0 r running
         0 t 1 running
         100 t 1 SIGTERM
         100 t 1 failed
         100 r failed",
    );
}

#[test]
fn a_week_without_power_is_made_up_for_as_the_dag_says() {
    let week = 7 * 86_400;
    let first = 57_600; // midnight
    let night = |day: u32| format!("11-{day}T00:00:00+00:00");
    for (keys, expected) in [
        ("\"catchup\": false", vec![28, 29]),
        ("\"catchup\": \"latest\"", vec![28, 29]),
        ("\"catchup\": true", (23..=29).collect()),
        ("\"catchup\": \"all\"", (23..=29).collect()),
        ("\"catchup\": {\"max_runs\": 3}", vec![26, 27, 28, 29]),
        ("\"catchup\": \"none\"", vec![29]),
    ] {
        let tale = dag(&format!("\"schedule\": \"@daily\", {keys}"))
            .load()
            .until(100)
            .crash_until(week - 86_400 + 100)
            .until(first + 6 * 86_400 + 100);
        let expected: Vec<_> = expected.into_iter().map(night).collect();
        assert_eq!(tale.due(), expected, "{keys}");
    }
}

#[test]
fn two_weeks_of_days_ago_are_made_up_for_across_a_change_of_the_clocks() {
    for (max_active_runs, ends_s) in [(1, 160), (3, 160)] {
        let keys = format!(
            r#""schedule": "30 2 * * *", "timetable": "interval", "catchup": true,
               "start_date": {{"days_ago": 14}}, "max_active_runs": {max_active_runs}"#
        );
        let text = format!(
            r#"{{"dag_id": "d", "timezone": "CET-1CEST,M3.5.0,M10.5.0/3", {keys},
                "tasks": [{{"task_id": "t", "bash": "true"}}]}}"#
        );
        // Clocks go back on 25 October at 03:00: the nights before are an hour earlier in UTC.
        let tale = Tale::new(&text)
            .begins_at("2026-11-01T08:00:00+00:00")
            .load()
            .until(ends_s);
        let mut nights: Vec<_> = (17..=24)
            .map(|day| format!("10-{day}T00:30:00+00:00"))
            .collect();
        nights.extend((25..=30).map(|day| format!("10-{day}T01:30:00+00:00")));
        nights[8] = "10-25T00:30:00+00:00".to_owned();
        nights.push("10-31T01:30:00+00:00".to_owned());
        assert_eq!(tale.due(), nights, "{max_active_runs}");
        assert_eq!(tale.most_active(), max_active_runs);
    }
}

/// Each step by itself is one run more; a clock that does nothing but jump is not to be followed.
#[test]
fn a_clock_that_jumps_forward_again_and_again_starts_no_more_than_time_allows() {
    let mut tale = dag(r#""schedule": "@daily""#).takes("t", 0).load();
    for second in 1..=60 {
        tale = tale.until(second).set_clock(DAY_MS);
    }
    assert_eq!(tale.due().len(), 3);
    // It has not been given up: the next one comes a day after the last three, near enough.
    assert_eq!(tale.until(2 * 86_400).due().len(), 5);
}

/// A step does not stop it, nor make it wait for what the clock showed before.
#[test]
fn a_continuous_dag_goes_on_whatever_the_clock_does() {
    let step = |by_ms| {
        let tale = dag(r#""schedule": "@continuous""#)
            .begins_at("2026-12-22T08:00:00+00:00")
            .load()
            .until(15)
            .set_clock(by_ms);
        tale.until(60).due().len()
    };
    assert_eq!(step(0), 6);
    for by_ms in [DAY_MS, -HOUR_MS, -30 * HOUR_MS, 400 * DAY_MS] {
        assert!((5..=6).contains(&step(by_ms)), "{by_ms}: {}", step(by_ms));
    }
}

/// Its names go on after those of the hours that come a second time, and it does not wait for them.
#[test]
fn a_continuous_dag_gives_no_name_twice_when_hours_come_again() {
    let tale = dag(r#""schedule": "@continuous""#).takes("t", 600).load();
    let tale = tale.until(18_001).set_clock(-4 * HOUR_MS).until(36_001);
    let due = tale.due();
    let names: std::collections::BTreeSet<_> = due.iter().collect();
    assert_eq!(names.len(), due.len(), "{due:?}");
    assert!((59..=61).contains(&due.len()), "{}", due.len());
}

/// It waited until the clock showed the moment of its last run again.
#[test]
fn a_continuous_dag_goes_on_at_its_start_when_the_clock_goes_back_before_it() {
    let keys = r#""schedule": "@continuous", "start_date": "2026-11-22T08:00:10""#;
    let tale = dag(keys).load().until(95).set_clock(-200_000).until(205);
    assert_eq!(tale.due().len(), 9);
    assert_eq!(tale.until(212).due().len(), 10);
}
