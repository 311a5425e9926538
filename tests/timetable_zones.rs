//! What the clocks of a zone show, by hand: rules of every form, midnights, dates without zone.

use mini_dag::timetable::{Timestamp, Zone};
use time::PrimitiveDateTime;

const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn zone(posix: &str) -> Zone {
    Zone::from_posix(posix).expect(posix)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

/// The next changes after `from`, as `last second before -> first second after`.
fn check_transitions<const N: usize>(posix: &str, from: &str, expected: [&str; N]) {
    let zone = zone(posix);
    let mut after = at(from);
    let found: Vec<String> = std::iter::from_fn(|| {
        let next = zone.next_transition(after)?;
        after = next.at;
        let last = zone.local(Timestamp::from_secs(next.at.secs() - 1));
        let first = zone.local(next.at);
        assert_eq!(
            (last.offset_s, first.offset_s),
            (next.offset_before_s, next.offset_after_s)
        );
        Some(format!("{last} -> {first} {}", first.abbreviation))
    })
    .take(N)
    .collect();
    assert_eq!(found, expected, "{posix}");
}

#[test]
fn rules_of_every_form_change_the_clocks_when_they_say() {
    check_transitions(
        BERLIN,
        "2026-01-01T00:00:00Z",
        [
            "2026-03-29T01:59:59+01:00 -> 2026-03-29T03:00:00+02:00 CEST",
            "2026-10-25T02:59:59+02:00 -> 2026-10-25T02:00:00+01:00 CET",
            "2027-03-28T01:59:59+01:00 -> 2027-03-28T03:00:00+02:00 CEST",
        ],
    );
    check_transitions(
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "2026-01-01T00:00:00Z",
        [
            "2026-04-05T01:59:59+11:00 -> 2026-04-05T01:30:00+10:30 +1030",
            "2026-10-04T01:59:59+10:30 -> 2026-10-04T02:30:00+11:00 +11",
        ],
    );
    // Dublin: winter time is the "daylight" one. Gaza: 50 hours after the fourth Thursday. Nuuk: an hour before midnight.
    check_transitions(
        "IST-1GMT0,M10.5.0,M3.5.0/1",
        "2026-01-01T00:00:00Z",
        ["2026-03-29T00:59:59+00:00 -> 2026-03-29T02:00:00+01:00 IST"],
    );
    check_transitions(
        "EET-2EEST,M3.4.4/50,M10.4.4/50",
        "2026-01-01T00:00:00Z",
        [
            "2026-03-28T01:59:59+02:00 -> 2026-03-28T03:00:00+03:00 EEST",
            "2026-10-24T01:59:59+03:00 -> 2026-10-24T01:00:00+02:00 EET",
        ],
    );
    check_transitions(
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "2026-01-01T00:00:00Z",
        ["2026-03-28T22:59:59-02:00 -> 2026-03-29T00:00:00-01:00 -01"],
    );
    // J60 is 1 March in every year; 59 is 29 February in a leap year.
    check_transitions(
        "AAA-3:17BBB-5:42:10,J60/0,J300",
        "2028-01-01T00:00:00Z",
        ["2028-02-29T23:59:59+03:17 -> 2028-03-01T02:25:10+05:42:10 BBB"],
    );
    check_transitions(
        "AAA0BBB,59/0,J300",
        "2028-01-01T00:00:00Z",
        ["2028-02-28T23:59:59+00:00 -> 2028-02-29T01:00:00+01:00 BBB"],
    );
}

#[test]
fn a_zone_without_changes_has_none() {
    for posix in [
        "KST-9",
        "<+01>-1",
        "EST5EDT,0/0,J365/25",
        "AAA0BBB0,J1,J100",
    ] {
        check_transitions(posix, "2026-01-01T00:00:00Z", []);
        assert_eq!(zone(posix).next_transition(Timestamp::MAX), None);
    }
    assert_eq!(Zone::utc().next_transition(Timestamp::MIN), None);
    assert_eq!(zone(BERLIN).next_transition(Timestamp::MAX), None);
    let all_year = zone("EST5EDT,0/0,J365/25");
    let shown = all_year.local(at("2026-01-01T05:00:00Z"));
    assert_eq!((shown.offset_s, shown.abbreviation), (-4 * 3600, "EDT"));
}

#[test]
fn the_clocks_show_local_time_in_every_year() {
    let berlin = zone(BERLIN);
    for (moment, shown) in [
        ("2038-01-19T03:14:08Z", "2038-01-19T04:14:08+01:00 CET"),
        (
            "2026-11-22T05:00:00.250Z",
            "2026-11-22T06:00:00.250+01:00 CET",
        ),
        ("2999-07-01T00:00:00Z", "2999-07-01T02:00:00+02:00 CEST"),
        ("0000-01-01T00:00:00Z", "0000-01-01T01:00:00+01:00 CET"),
    ] {
        let local = berlin.local(at(moment));
        assert_eq!(format!("{local} {}", local.abbreviation), shown);
    }
    assert_eq!(berlin.name(), BERLIN);
    assert_eq!(
        zone("WEST12").local(at("2026-01-01T00:00:00Z")).to_string(),
        "2025-12-31T12:00:00-12:00"
    );
    // Beyond the years that RFC 3339 can write, the last moment of them.
    assert_eq!(
        berlin.local(Timestamp::MAX).to_string(),
        "9999-12-31T23:59:59.999+01:00"
    );
}

#[test]
fn a_date_without_zone_is_a_moment() {
    let berlin = zone(BERLIN);
    for (wall, moment) in [
        ("2026-07-01T00:00:00", "2026-06-30T22:00:00Z"),
        ("2026-07-01T00:00:00.5", "2026-06-30T22:00:00.5Z"),
        ("2026-03-29T02:30:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
    ] {
        let utc = at(&format!("{wall}Z")).to_utc();
        let wall = PrimitiveDateTime::new(utc.date(), utc.time());
        assert_eq!(berlin.moment(wall), at(moment), "{wall}");
    }
}

#[test]
fn days_ago_begin_at_the_zones_midnight() {
    for (posix, now, days, midnight) in [
        (
            "UTC0",
            "2026-11-22T11:25:00Z",
            0,
            "2026-11-22T00:00:00+00:00",
        ),
        (
            "UTC0",
            "2026-11-22T00:00:00Z",
            0,
            "2026-11-22T00:00:00+00:00",
        ),
        (
            "KST-9",
            "2026-11-22T16:00:00Z",
            14,
            "2026-11-09T00:00:00+09:00",
        ),
        (
            BERLIN,
            "2026-03-30T12:00:00+02:00",
            1,
            "2026-03-29T00:00:00+01:00",
        ),
        (
            BERLIN,
            "2026-03-30T00:30:00+02:00",
            14,
            "2026-03-16T00:00:00+01:00",
        ),
        // Havana: the day begins at one o'clock; in autumn midnight comes twice.
        (
            "CST5CDT,M3.2.0/0,M11.1.0/1",
            "2026-03-09T12:00:00-04:00",
            1,
            "2026-03-08T01:00:00-04:00",
        ),
        (
            "CST5CDT,M3.2.0/0,M11.1.0/1",
            "2026-11-01T12:00:00-05:00",
            0,
            "2026-11-01T00:00:00-04:00",
        ),
        (
            "CST5CDT,M3.2.0/0,M11.1.0/1",
            "2026-11-01T00:30:00-05:00",
            0,
            "2026-11-01T00:00:00-04:00",
        ),
    ] {
        let zone = zone(posix);
        let found = zone.midnight_days_ago(at(now), days);
        assert_eq!(
            zone.local(found).to_string(),
            midnight,
            "{posix} {now} {days}"
        );
    }
    let now = at("2026-11-22T11:25:00Z");
    assert_eq!(Zone::utc().midnight_days_ago(now, u32::MAX), Timestamp::MIN);
}
