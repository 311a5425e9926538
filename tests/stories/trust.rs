//! Whether the clock is believed: what waits for NTP, for how long, and what is done all the same.

use mini_dag::scheduler::{ClockDemand, build_date};
use mini_dag::timetable::Timestamp;

use crate::clock::{ALONE, SYNCHRONISED, demands, five_minutes};
use crate::schedules::{dag, run};

#[test]
fn without_ntp_the_schedule_waits_for_a_while_and_goes_on_then() {
    let tale = dag(r#""schedule": "* * * * *""#)
        .reports(ALONE)
        .load()
        .until(89);
    tale.tells("");
    let tale = tale.says_of_the_clock(&["not synchronised yet", "up for 1m30s at most"]);
    let tale = tale.until(90);
    assert_eq!(
        tale.first_seen().as_deref(),
        Some("2026-11-22T08:01:30+00:00")
    );
    let tale = tale.says_of_the_clock(&["not synchronised (no NTP)", "go by what it shows"]);
    tale.until(130).tells(&run(120, "11-22T08:02:00+00:00"));
}

/// `clock_wait` counts from the boot of the host: a daemon that starts later has nothing to wait for.
#[test]
fn a_daemon_that_starts_late_does_not_wait() {
    let tale = dag(r#""schedule": "* * * * *""#)
        .reports(ALONE)
        .until(95)
        .load();
    tale.until(130).tells(&run(120, "11-22T08:02:00+00:00"));
}

#[test]
fn ntp_ends_the_wait() {
    let tale = dag(r#""schedule": "* * * * *""#)
        .reports(ALONE)
        .load()
        .until(30)
        .reports(SYNCHRONISED)
        .says_of_the_clock(&["the clock is synchronised"]);
    tale.until(70).tells(&run(60, "11-22T08:01:00+00:00"));
}

#[test]
fn a_config_that_requires_ntp_waits_for_it_however_long() {
    let tale = dag(r#""schedule": "* * * * *""#)
        .reports(demands(ClockDemand::Require))
        .load()
        .until(5_000)
        .says_of_the_clock(&["wait until NTP", "`clock`"]);
    tale.tells("");
    let mut synchronised = demands(ClockDemand::Require);
    synchronised.is_synchronised = true;
    let tale = tale.reports(synchronised).until(5_050);
    tale.tells(&run(5_040, "11-22T09:24:00+00:00"));
    // It was right once; nothing waits when NTP goes away.
    let tale = tale.reports(demands(ClockDemand::Require)).until(5_060);
    tale.forget_told()
        .until(5_110)
        .tells(&run(5_100, "11-22T09:25:00+00:00"));
}

#[test]
fn a_config_that_ignores_the_clock_runs_in_1970() {
    let tale = dag(r#""schedule": "* * * * *""#)
        .reports(demands(ClockDemand::Ignore))
        .begins_at("1970-01-01T00:00:00+00:00")
        .load()
        .until(70)
        .says_of_the_clock(&["cannot be right", "all the same"]);
    tale.tells(&run(60, "1970-01-01T00:01:00+00:00"));
    // And is none the worse for it afterwards: one run for what 56 years have missed.
    let tale = tale
        .clock_shows("2026-11-22T08:00:30+00:00")
        .until(80)
        .forget_told();
    tale.until(110).tells(&run(100, "11-22T08:01:00+00:00"));
}

#[test]
fn what_somebody_triggers_runs_by_any_clock_and_is_marked() {
    let tale = five_minutes()
        .reports(ALONE)
        .begins_at("1970-01-01T00:00:10+00:00")
        .load()
        .trigger("r")
        .until(20);
    tale.tells("0 r running\n0 t 1 running\n10 t 1 success\n10 r success");
    assert_eq!(tale.clock_of("r"), "implausible");
    let tale = tale.clock_shows("2026-11-22T08:00:00+00:00").trigger("s");
    assert_eq!(tale.clock_of("s"), "unsynchronised");
    let tale = tale.reports(SYNCHRONISED).trigger("u");
    assert_eq!(tale.clock_of("u"), "synchronised");
}

/// What was shown before the power went is a floor, less a minute; so is what timesyncd has noted.
#[test]
fn a_clock_that_is_behind_what_it_was_is_not_believed_after_a_restart() {
    let at = |text| Some(Timestamp::parse(text).unwrap());
    let mut recorded = ALONE;
    recorded.recorded = at("2026-11-22T09:00:00+00:00");
    let mut saved = ALONE;
    saved.saved = at("2026-11-22T08:59:00+00:00");
    for (report, by) in [
        (recorded, "as the journal says"),
        (saved, "systemd-timesyncd"),
    ] {
        let tale = five_minutes().reports(report).load().until(3_500);
        let tale = tale.says_of_the_clock(&["cannot be right", by, "08:59"]);
        tale.tells("");
        // It comes to 08:59 by itself, and nobody is asked again and again.
        assert_eq!(tale.next_fire(), at("2026-11-22T08:59:00+00:00"));
        tale.until(3_610).tells(&run(3_600, "11-22T09:00:00+00:00"));
    }
}

/// Somebody had set the clock a month ahead, and the journal remembers. NTP knows better.
#[test]
fn a_synchronised_clock_is_believed_whatever_was_shown_before() {
    let mut report = SYNCHRONISED;
    report.recorded = Some(Timestamp::parse("2026-12-22T09:00:00+00:00").unwrap());
    report.saved = report.recorded;
    let tale = five_minutes().reports(report).load().until(310);
    tale.tells(&run(300, "11-22T08:05:00+00:00"));
}

/// The floors are for the start: whoever sets a clock while the daemon runs is believed.
#[test]
fn a_clock_that_is_set_back_later_is_believed_but_not_before_the_program_was_built() {
    let mut report = SYNCHRONISED;
    report.recorded = Some(Timestamp::parse("2026-11-23T00:00:00+00:00").unwrap());
    let tale = five_minutes()
        .reports(report)
        .begins_at("2026-11-24T00:00:00+00:00")
        .load()
        .clock_shows("2026-11-22T00:00:00+00:00")
        .says_of_the_clock(&["is synchronised"])
        .clock_shows("2026-11-21T00:00:00+00:00")
        .says_of_the_clock(&["cannot be right"]);
    let days = build_date().since(Timestamp::parse("2026-11-21T00:00:00+00:00").unwrap());
    assert_eq!(
        days.as_secs(),
        86_400,
        "or the source is younger than this story"
    );
    tale.tells("");
}
