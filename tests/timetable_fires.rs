//! When schedules fire, by hand: around DST, at the ends of the calendar, within start and end.

use std::time::Duration;

use mini_dag::timetable::{Schedule, Timestamp, Timetable, Zone};

const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn timetable(schedule: Schedule, zone: &str) -> Timetable {
    Timetable {
        schedule,
        zone: Zone::from_posix(zone).expect(zone),
        start: None,
        end: None,
        anchor: at("2026-01-01T00:00:07Z"),
    }
}

/// A line of five fields, of six, or a preset.
fn line(text: &str, zone: &str) -> Timetable {
    let schedule = match text.split(' ').count() {
        6 => Schedule::cron_with_seconds(text),
        _ => Schedule::parse(text),
    };
    timetable(schedule.expect(text), zone)
}

/// The fires after `from`, as the zone's clocks show them, are these; and the same looking back.
fn check_fires<const N: usize>(timetable: &Timetable, from: &str, expected: [&str; N]) {
    let shown = |moment| timetable.zone.local(moment).to_string();
    let mut moments = vec![at(from)];
    for _ in expected {
        moments.extend(timetable.next_after(moments[moments.len() - 1]));
    }
    let found: Vec<String> = moments[1..].iter().map(|fire| shown(*fire)).collect();
    assert_eq!(found, expected, "{} from {from}", timetable.schedule);
    for pair in moments[1..].windows(2) {
        let before = Timestamp::from_millis(pair[1].millis() - 1);
        for back in [
            timetable.previous_before(pair[1]),
            timetable.latest_at_or_before(before),
            timetable.latest_at_or_before(pair[0]),
        ] {
            assert_eq!(back.map(shown), Some(shown(pair[0])), "{}", shown(pair[1]));
        }
    }
}

fn check<const N: usize>(text: &str, zone: &str, from: &str, expected: [&str; N]) {
    check_fires(&line(text, zone), from, expected);
}

#[test]
fn a_time_of_day_in_a_gap_fires_once_after_the_gap() {
    check(
        "30 2 * * *",
        BERLIN,
        "2028-03-25T00:00:00+01:00",
        [
            "2028-03-25T02:30:00+01:00",
            "2028-03-26T03:00:00+02:00",
            "2028-03-27T02:30:00+02:00",
        ],
    );
    check(
        "0,30 2,3 * * *",
        BERLIN,
        "2028-03-26T00:00:00+01:00",
        [
            "2028-03-26T03:00:00+02:00",
            "2028-03-26T03:30:00+02:00",
            "2028-03-27T02:00:00+02:00",
        ],
    );
    check(
        "15 2 * * *",
        NEW_YORK,
        "2028-03-12T00:00:00-05:00",
        ["2028-03-12T03:00:00-04:00", "2028-03-13T02:15:00-04:00"],
    );
    check(
        "0,15,29,30 2 * * *",
        LORD_HOWE,
        "2028-10-01T00:00:00+10:30",
        ["2028-10-01T02:30:00+11:00", "2028-10-02T02:00:00+11:00"],
    );
    check(
        "59 59 1,2 * * *",
        BERLIN,
        "2028-03-26T00:00:00+01:00",
        [
            "2028-03-26T01:59:59+01:00",
            "2028-03-26T03:00:00+02:00",
            "2028-03-27T01:59:59+02:00",
        ],
    );
}

#[test]
fn a_time_of_day_in_a_fold_fires_at_its_first_coming_only() {
    check(
        "30 2 * * *",
        BERLIN,
        "2028-10-28T12:00:00+02:00",
        ["2028-10-29T02:30:00+02:00", "2028-10-30T02:30:00+01:00"],
    );
    // Asked within the second pass.
    check(
        "30 2 * * *",
        BERLIN,
        "2028-10-29T02:15:00+01:00",
        ["2028-10-30T02:30:00+01:00"],
    );
    check(
        "59 1 * * *",
        NEW_YORK,
        "2028-11-05T00:00:00-04:00",
        ["2028-11-05T01:59:00-04:00", "2028-11-06T01:59:00-05:00"],
    );
    check(
        "0,15,30,45 1,2 * * *",
        LORD_HOWE,
        "2028-04-02T01:00:00+11:00",
        [
            "2028-04-02T01:15:00+11:00",
            "2028-04-02T01:30:00+11:00",
            "2028-04-02T01:45:00+11:00",
            "2028-04-02T02:00:00+10:30",
            "2028-04-02T02:15:00+10:30",
        ],
    );
    check(
        "0-59 2 * * *",
        BERLIN,
        "2028-10-29T02:58:30+02:00",
        ["2028-10-29T02:59:00+02:00", "2028-10-30T02:00:00+01:00"],
    );
}

#[test]
fn a_line_with_a_star_counts_elapsed_time() {
    check(
        "*/30 * * * *",
        BERLIN,
        "2028-03-26T01:00:00+01:00",
        [
            "2028-03-26T01:30:00+01:00",
            "2028-03-26T03:00:00+02:00",
            "2028-03-26T03:30:00+02:00",
        ],
    );
    check(
        "*/30 2 * * *",
        BERLIN,
        "2028-03-26T01:00:00+01:00",
        ["2028-03-27T02:00:00+02:00"],
    );
    check(
        "*/30 2 * * *",
        BERLIN,
        "2028-10-29T01:00:00+02:00",
        [
            "2028-10-29T02:00:00+02:00",
            "2028-10-29T02:30:00+02:00",
            "2028-10-29T02:00:00+01:00",
            "2028-10-29T02:30:00+01:00",
            "2028-10-30T02:00:00+01:00",
        ],
    );
    check(
        "@hourly",
        NEW_YORK,
        "2028-11-05T00:30:00-04:00",
        [
            "2028-11-05T01:00:00-04:00",
            "2028-11-05T01:00:00-05:00",
            "2028-11-05T02:00:00-05:00",
        ],
    );
    check(
        "0 */2 * * *",
        NEW_YORK,
        "2028-03-11T23:30:00-05:00",
        ["2028-03-12T00:00:00-05:00", "2028-03-12T04:00:00-04:00"],
    );
    check(
        "15,45 * * * *",
        LORD_HOWE,
        "2028-04-02T01:00:00+11:00",
        [
            "2028-04-02T01:15:00+11:00",
            "2028-04-02T01:45:00+11:00",
            "2028-04-02T01:45:00+10:30",
            "2028-04-02T02:15:00+10:30",
        ],
    );
    check(
        "20 * * * *",
        LORD_HOWE,
        "2028-10-01T01:00:00+10:30",
        ["2028-10-01T01:20:00+10:30", "2028-10-01T03:20:00+11:00"],
    );
}

/// The clocks of Newfoundland went back at a minute past midnight, into the day before.
#[test]
fn a_time_that_was_shown_before_the_clocks_went_back_is_found_looking_back() {
    check(
        "* 0 30 10 *",
        "NST3:30NDT,M4.1.0/0:01,M10.5.0/0:01",
        "2005-10-30T02:00:00Z",
        [
            "2005-10-30T00:00:00-02:30",
            "2005-10-30T00:00:00-03:30",
            "2005-10-30T00:01:00-03:30",
        ],
    );
}

#[test]
fn a_day_without_midnight_or_without_any_hour_still_counts() {
    check(
        "@daily",
        "CST5CDT,M3.2.0/0,M11.1.0/1",
        "2028-03-11T12:00:00-05:00",
        ["2028-03-12T01:00:00-04:00", "2028-03-13T00:00:00-04:00"],
    );
    // A zone that leaps over the date line: 10 April 2028 does not exist there.
    check(
        "0 6,18 * * *",
        "WAY12FAR-12,J100/0,J200/0",
        "2028-04-09T00:00:00-12:00",
        [
            "2028-04-09T06:00:00-12:00",
            "2028-04-09T18:00:00-12:00",
            "2028-04-11T00:00:00+12:00",
            "2028-04-11T06:00:00+12:00",
        ],
    );
}

#[test]
fn several_lines_are_one_schedule() {
    let lines = [
        "0 6 * * 1-5",
        "0 9 * * 6,0",
        "0 6,9 * * sun",
        "30 0 6 * * 1",
    ];
    let schedules = lines.map(|text| line(text, "UTC0").schedule);
    let several = Schedule::any_of(schedules.to_vec()).expect("four lines");
    check_fires(
        &timetable(several, "UTC0"),
        "2026-11-20T07:00:00Z",
        [
            "2026-11-21T09:00:00+00:00",
            "2026-11-22T06:00:00+00:00",
            "2026-11-22T09:00:00+00:00",
            "2026-11-23T06:00:00+00:00",
            "2026-11-23T06:00:30+00:00",
            "2026-11-24T06:00:00+00:00",
        ],
    );
}

#[test]
fn presets_are_the_usual_lines() {
    for (preset, expected) in [
        ("@hourly", "2026-11-22T07:00:00+00:00"),
        ("@daily", "2026-11-23T00:00:00+00:00"),
        ("@midnight", "2026-11-23T00:00:00+00:00"),
        ("@weekly", "2026-11-29T00:00:00+00:00"),
        ("@monthly", "2026-12-01T00:00:00+00:00"),
        ("@quarterly", "2027-01-01T00:00:00+00:00"),
        ("@yearly", "2027-01-01T00:00:00+00:00"),
        ("@annually", "2027-01-01T00:00:00+00:00"),
    ] {
        check(preset, "UTC0", "2026-11-22T06:00:00Z", [expected]);
    }
    check(
        "@quarterly",
        "UTC0",
        "2027-01-01T00:00:00Z",
        ["2027-04-01T00:00:00+00:00", "2027-07-01T00:00:00+00:00"],
    );
}

#[test]
fn years_past_2038_and_2100_are_ordinary() {
    check(
        "* * * * *",
        BERLIN,
        "2038-01-19T03:14:07Z",
        ["2038-01-19T04:15:00+01:00"],
    );
    check(
        "0 0 29 2 *",
        BERLIN,
        "2095-01-01T00:00:00Z",
        ["2096-02-29T00:00:00+01:00", "2104-02-29T00:00:00+01:00"],
    );
    check(
        "0 12 29 2 */7",
        BERLIN,
        "2088-01-01T00:00:00Z",
        [
            "2088-02-29T12:00:00+01:00",
            "2128-02-29T12:00:00+01:00",
            "2156-02-29T12:00:00+01:00",
            "2184-02-29T12:00:00+01:00",
            "2224-02-29T12:00:00+01:00",
        ],
    );
    check(
        "30 2 * 3 */7",
        BERLIN,
        "2299-03-25T12:00:00Z",
        ["2299-03-26T03:00:00+02:00", "2300-03-04T02:30:00+01:00"],
    );
    check(
        "59 59 23 31 12 *",
        "UTC0",
        "9998-01-01T00:00:00Z",
        ["9998-12-31T23:59:59+00:00", "9999-12-31T23:59:59+00:00"],
    );
    check(
        "@daily",
        "WEST12",
        "0000-01-01T00:00:00Z",
        ["0000-01-01T00:00:00-12:00", "0000-01-02T00:00:00-12:00"],
    );
    check(
        "@yearly",
        "UTC0",
        "0000-06-01T00:00:00Z",
        ["0001-01-01T00:00:00+00:00", "0002-01-01T00:00:00+00:00"],
    );
}

#[test]
fn the_calendar_ends_without_a_repetition() {
    for zone in ["UTC0", "EAST-14", "WEST12"] {
        for text in ["* * * * * *", "0 6 * * *", "@yearly", "@every 1d"] {
            let timetable = line(text, zone);
            assert_eq!(timetable.next_after(Timestamp::MAX), None, "{text} {zone}");
            assert_eq!(
                timetable.previous_before(Timestamp::MIN),
                None,
                "{text} {zone}"
            );
            let mut last = Timestamp::from_millis(Timestamp::MAX.millis() - 5_000);
            while let Some(next) = timetable.next_after(last) {
                assert!(next > last);
                last = next;
            }
        }
    }
}

#[test]
fn a_line_whose_every_date_falls_into_a_gap_has_no_fire() {
    let never = line("* 2 29 3 */7", BERLIN);
    assert_eq!(never.next_after(at("2026-01-01T00:00:00Z")), None);
    assert_eq!(never.previous_before(at("2026-01-01T00:00:00Z")), None);
    check(
        "30 2 29 3 */7",
        BERLIN,
        "2026-01-01T00:00:00Z",
        ["2026-03-29T03:00:00+02:00", "2037-03-29T03:00:00+02:00"],
    );
}

#[test]
fn a_period_counts_elapsed_time_from_its_anchor() {
    check(
        "@every 12h",
        BERLIN,
        "2028-03-25T12:00:00+01:00",
        [
            "2028-03-25T13:00:07+01:00",
            "2028-03-26T01:00:07+01:00",
            "2028-03-26T14:00:07+02:00",
        ],
    );
    let mut timetable = line("@every 90m", "UTC0");
    timetable.anchor = at("2026-11-22T06:00:00.250Z");
    check_fires(
        &timetable,
        "2026-11-22T06:00:00.249Z",
        [
            "2026-11-22T06:00:00.250+00:00",
            "2026-11-22T07:30:00.250+00:00",
        ],
    );
    // The grid reaches back too, for the data interval of the first fire.
    assert_eq!(
        timetable.previous_before(timetable.anchor),
        Some(at("2026-11-22T04:30:00.250Z"))
    );
}

#[test]
fn start_and_end_may_fire_themselves() {
    let mut timetable = line("0 6 * * *", "UTC0");
    timetable.start = Some(at("2026-11-22T06:00:00Z"));
    timetable.end = Some(at("2026-11-24T06:00:00Z"));
    check_fires(
        &timetable,
        "1970-01-01T00:00:00Z",
        [
            "2026-11-22T06:00:00+00:00",
            "2026-11-23T06:00:00+00:00",
            "2026-11-24T06:00:00+00:00",
        ],
    );
    assert_eq!(timetable.next_after(at("2026-11-24T06:00:00Z")), None);
    for (asked, latest) in [
        ("2026-11-22T05:59:59.999Z", None),
        ("2026-11-22T06:00:00Z", timetable.start),
        ("2030-01-01T00:00:00Z", timetable.end),
    ] {
        assert_eq!(timetable.latest_at_or_before(at(asked)), latest, "{asked}");
    }
    // The data interval of the first fire begins before the start.
    assert_eq!(
        timetable.previous_before(at("2026-11-22T06:00:00Z")),
        Some(at("2026-11-21T06:00:00Z"))
    );
    timetable.end = Some(at("2026-11-22T05:00:00Z"));
    assert_eq!(timetable.next_after(Timestamp::MIN), None);
    assert_eq!(timetable.latest_at_or_before(Timestamp::MAX), None);
}

#[test]
fn once_is_the_start_and_never_again() {
    let mut timetable = line("@once", "UTC0");
    let (anchor, start) = (timetable.anchor, at("2027-01-01T00:00:00Z"));
    for (start, fire) in [(None, anchor), (Some(start), start)] {
        timetable.start = start;
        assert_eq!(timetable.next_after(Timestamp::MIN), Some(fire));
        assert_eq!(timetable.next_after(fire), None);
        assert_eq!(timetable.latest_at_or_before(Timestamp::MAX), Some(fire));
        assert_eq!(timetable.previous_before(fire), None);
    }
    timetable.end = Some(anchor);
    assert_eq!(timetable.next_after(Timestamp::MIN), None);
}

#[test]
fn what_waits_for_an_event_has_no_moment() {
    let after = Schedule::after_dags(vec!["a".to_owned()]).expect("one DAG");
    let every = Schedule::every(Duration::from_secs(1)).expect("a second");
    for (schedule, has_moments) in [
        (Schedule::Reboot, false),
        (Schedule::Continuous, false),
        (after, false),
        (every, true),
    ] {
        let timetable = timetable(schedule, "UTC0");
        let now = at("2026-11-22T06:00:00Z");
        assert_eq!(timetable.next_after(now).is_some(), has_moments);
        assert_eq!(timetable.latest_at_or_before(now).is_some(), has_moments);
    }
}
