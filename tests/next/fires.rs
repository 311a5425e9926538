//! Which fires are shown, in which zone, for people and for programs.

use crate::{BERLIN, BERLIN_RULES, Dags, check, check_in, has_zones, next};

#[test]
fn fires_are_shown_with_offset_zone_and_distance() {
    check(
        "UTC",
        &["0 6 * * 1-5", "--from", "2026-05-01T02:48", "-n", "3"],
        "0 6 * * 1-5  in UTC, from 2026-05-01T02:48:00+00:00",
        &[
            "Fri 2026-05-01 06:00  +00:00 UTC    in 3 h 12 min",
            "Mon 2026-05-04 06:00  +00:00 UTC    in 3 d 3 h",
            "Tue 2026-05-05 06:00  +00:00 UTC    in 4 d 3 h",
        ],
    );
    check(
        "KST-9",
        &["@daily", "--from", "2026-05-01", "-n", "2"],
        "@daily  in KST-9, from 2026-05-01T00:00:00+09:00",
        &[
            "Fri 2026-05-01 00:00  +09:00 KST    now",
            "Sat 2026-05-02 00:00  +09:00 KST    in 1 d",
        ],
    );
    check(
        "KST-9",
        &["@hourly", "--from", "2026-05-01T05:59:18Z", "-n", "1"],
        "@hourly  in KST-9, from 2026-05-01T14:59:18+09:00",
        &["Fri 2026-05-01 15:00  +09:00 KST    in 42 s"],
    );
    let (out, _, _) = next("UTC", &std::env::temp_dir(), &["@hourly"]);
    assert_eq!(out.lines().count(), 12, "ten fires from now on:\n{out}");
}

#[test]
fn a_period_counts_from_when_the_dag_is_first_seen() {
    check(
        BERLIN_RULES,
        &["@every 90m", "--from", "2026-03-29T00:00:30", "-n", "3"],
        "every 1h30m  in CET-1CEST,M3.5.0,M10.5.0/3, from 2026-03-29T00:00:30+01:00",
        &[
            "Sun 2026-03-29 01:30:30  +01:00 CET    in 1 h 30 min",
            "2026-03-29 02:00 CET-1CEST,M3.5.0,M10.5.0/3: clocks go forward to 03:00; periods count elapsed time",
            "Sun 2026-03-29 04:00:30  +02:00 CEST   in 3 h",
            "Sun 2026-03-29 05:30:30  +02:00 CEST   in 4 h 30 min",
            "",
            "As if a daemon first saw it at 2026-03-29T00:00:30+01:00.",
        ],
    );
    let every = "\"schedule\": {\"every\": \"1d\"}, \"timezone\": \"UTC\", \"start_date\": \"2026-05-01T06:00\"";
    let dags = Dags::new("every", &[("tick.json", every)]);
    check_in(
        &dags.0,
        "UTC",
        &["tick", "--from", "2026-05-03T06:00", "-n", "2"],
        "tick  (every 1d)  in UTC, from 2026-05-03T06:00:00+00:00",
        &[
            "Sun 2026-05-03 06:00  +00:00 UTC    now",
            "Mon 2026-05-04 06:00  +00:00 UTC    in 1 d",
        ],
    );
}

#[test]
fn json_is_an_array_of_runs_in_utc() {
    let interval = "\"schedule\": [\"0 6 * * 1-5\", \"0 9 * * 6,0\"], \"timezone\": \"UTC\", \"timetable\": \"interval\"";
    let trigger =
        "\"schedule\": \"0 6 * * *\", \"timezone\": \"UTC\", \"end_date\": \"2026-05-01\"";
    let dags = Dags::new(
        "json",
        &[("interval.json", interval), ("trigger.json", trigger)],
    );
    let check = |args: &[&str], expected: &str| {
        let args = [args, &["--json"]].concat();
        let (out, err, code) = next("KST-9", &dags.0, &args);
        assert_eq!((&*out, &*err, code), (expected, "", 0), "{args:?}");
    };
    check(
        &["interval", "--from", "2026-05-02T00:00Z", "-n", "1"],
        "[{\"data_interval_end\":\"2026-05-02T09:00:00+00:00\",\"data_interval_start\":\"2026-05-01T06:00:00+00:00\",\
         \"logical_date\":\"2026-05-01T06:00:00+00:00\",\"run_after\":\"2026-05-02T09:00:00+00:00\"}]\n",
    );
    check(
        &["dags/trigger.json", "--from", "2026-04-30"],
        "[{\"data_interval_end\":\"2026-04-30T06:00:00+00:00\",\"data_interval_start\":\"2026-04-29T06:00:00+00:00\",\
         \"logical_date\":\"2026-04-30T06:00:00+00:00\",\"run_after\":\"2026-04-30T06:00:00+00:00\"}]\n",
    );
    check(&["trigger", "--from", "2027-01-01"], "[]\n");
    check(&["@reboot"], "[]\n");
}

#[test]
fn the_zone_is_the_one_asked_for_then_the_dags_then_the_hosts() {
    let dags = Dags::new(
        "zone",
        &[
            (
                "own.json",
                "\"schedule\": \"@daily\", \"timezone\": \"UTC\"",
            ),
            ("none.json", "\"schedule\": \"@daily\""),
        ],
    );
    let check = |args: &[&str], zone: &str| {
        let args = [args, &["--from", "2026-05-01"]].concat();
        let (out, err, _) = next("KST-9", &dags.0, &args);
        let is_so = out.contains(&format!("  in {zone}, from 2026-05-01T00:00:00+"));
        assert!(is_so, "{args:?}: no {zone} in:\n{out}{err}");
    };
    check(&["own"], "UTC");
    check(&["none"], "KST-9");
    check(&["@daily"], "KST-9");
    check(&["none", "--timezone", "UTC"], "UTC");
    if has_zones() {
        check(&["own", "--timezone", BERLIN], BERLIN);
    }
}
