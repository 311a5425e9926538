//! `mini-dag next`, as its users meet it: with fixed moments, in fixed zones.
//!
//! The zone of the host is set by rules (`TZ=CET-1CEST,…`), which needs no zone database; the tests that name a zone say
//! loudly that they were skipped where the host has none.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ZONES: &str = "/usr/share/zoneinfo";
const BERLIN: &str = "Europe/Berlin";
const BERLIN_RULES: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// What `mini-dag next` prints to stdout and stderr, and its exit code.
fn next(tz: &str, folder: &Path, args: &[&str]) -> (String, String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .arg("next")
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("TZ", tz)
        .env("TZDIR", ZONES)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (text(output.stdout), text(output.stderr), code)
}

/// Compares what is printed after the first line, which is `title`, and an empty line.
#[track_caller]
fn check_in(folder: &Path, tz: &str, args: &[&str], title: &str, expected: &[&str]) {
    let (out, err, code) = next(tz, folder, args);
    let mut lines = out.lines();
    assert_eq!((code, &*err), (0, ""), "{args:?}: {out}");
    assert_eq!(lines.next(), Some(title), "{args:?}");
    assert_eq!(lines.next(), Some(""), "{args:?}");
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.join("\n"), expected.join("\n"), "{args:?}");
}

#[track_caller]
fn check(tz: &str, args: &[&str], title: &str, expected: &[&str]) {
    check_in(&std::env::temp_dir(), tz, args, title, expected);
}

#[track_caller]
fn complains(args: &[&str], expected_code: i32, expected: &str) {
    let (out, err, code) = next("UTC", &std::env::temp_dir(), args);
    assert_eq!(
        (&*out, &*err, code),
        ("", expected, expected_code),
        "{args:?}"
    );
}

fn has_zones() -> bool {
    let has = Path::new(ZONES).join(BERLIN).exists();
    if !has {
        eprintln!("SKIPPED: this host has no zone {BERLIN} in {ZONES}");
    }
    has
}

/// A directory of DAG files, gone when the test is over.
struct Dags(PathBuf);

impl Dags {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("next-{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(path.join("dags")).unwrap();
        for (name, keys) in files {
            let text = format!("{{{keys}, \"tasks\": [{{\"task_id\": \"a\", \"empty\": true}}]}}");
            fs::write(path.join("dags").join(name), text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Dags {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

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
fn a_gap_is_told_where_it_is_crossed_and_what_it_does() {
    if !has_zones() {
        return;
    }
    let from = [
        "--timezone",
        BERLIN,
        "--from",
        "2026-03-28T12:00",
        "-n",
        "2",
    ];
    let title = |line: &str| format!("{line}  in Europe/Berlin, from 2026-03-28T12:00:00+01:00");
    let gap = "2026-03-29 02:00 Europe/Berlin: clocks go forward to 03:00; ";
    let check = |line: &str, does: &str, fires: [&str; 2]| {
        let args = [&[line], &from[..]].concat();
        let told = format!("{gap}{does}");
        check("UTC", &args, &title(line), &[&told, fires[0], fires[1]]);
    };
    check(
        "30 2 * * *",
        "what is due in between runs once, at 03:00",
        [
            "Sun 2026-03-29 03:00  +02:00 CEST   in 14 h",
            "Mon 2026-03-30 02:30  +02:00 CEST   in 1 d 13 h",
        ],
    );
    check(
        "*/20 2-3 * * *",
        "what would be due in between is left out",
        [
            "Sun 2026-03-29 03:00  +02:00 CEST   in 14 h",
            "Sun 2026-03-29 03:20  +02:00 CEST   in 14 h 20 min",
        ],
    );
    check(
        "0 6 * * *",
        "nothing is due in between",
        [
            "Sun 2026-03-29 06:00  +02:00 CEST   in 17 h",
            "Mon 2026-03-30 06:00  +02:00 CEST   in 1 d 17 h",
        ],
    );
    // A time at the end of the gap is shown by the clocks; it is not in between.
    check(
        "0 3 * * *",
        "nothing is due in between",
        [
            "Sun 2026-03-29 03:00  +02:00 CEST   in 14 h",
            "Mon 2026-03-30 03:00  +02:00 CEST   in 1 d 14 h",
        ],
    );
}

#[test]
fn a_fold_is_told_where_it_is_crossed_and_what_it_does() {
    if !has_zones() {
        return;
    }
    check(
        "UTC",
        &[
            "30 2 * * *",
            "--timezone",
            BERLIN,
            "--from",
            "2026-10-25",
            "-n",
            "2",
        ],
        "30 2 * * *  in Europe/Berlin, from 2026-10-25T00:00:00+02:00",
        &[
            "Sun 2026-10-25 02:30  +02:00 CEST   in 2 h 30 min",
            "2026-10-25 03:00 Europe/Berlin: clocks go back to 02:00; what is due in between runs the first time only",
            "Mon 2026-10-26 02:30  +01:00 CET    in 1 d 3 h",
        ],
    );
    check(
        "UTC",
        &[
            "*/30 * * * *",
            "--timezone",
            BERLIN,
            "--from",
            "2026-10-25T02:00:00+02:00",
            "-n",
            "5",
        ],
        "*/30 * * * *  in Europe/Berlin, from 2026-10-25T02:00:00+02:00",
        &[
            "Sun 2026-10-25 02:00  +02:00 CEST   now",
            "Sun 2026-10-25 02:30  +02:00 CEST   in 30 min",
            "2026-10-25 03:00 Europe/Berlin: clocks go back to 02:00; what is due in between runs both times",
            "Sun 2026-10-25 02:00  +01:00 CET    in 1 h",
            "Sun 2026-10-25 02:30  +01:00 CET    in 1 h 30 min",
            "Sun 2026-10-25 03:00  +01:00 CET    in 2 h",
        ],
    );
}

#[test]
fn several_lines_are_told_apart_where_the_clocks_change() {
    let several = "\"schedule\": [\"30 2 * * *\", \"*/40 2 * * *\"]";
    let dags = Dags::new("several", &[("several.json", several)]);
    let check = |from: &str, expected: &[&str]| {
        let title = format!("several  (30 2 * * *; */40 2 * * *)  in {BERLIN_RULES}, from {from}");
        let count = (expected.len() - 1).to_string();
        let args = ["several", "--from", from, "-n", &count];
        check_in(&dags.0, BERLIN_RULES, &args, &title, expected);
    };
    check(
        "2026-03-28T02:40:00+01:00",
        &[
            "Sat 2026-03-28 02:40  +01:00 CET    now",
            "2026-03-29 02:00 CET-1CEST,M3.5.0,M10.5.0/3: clocks go forward to 03:00; \
             times of day in between run once, at 03:00; lines that begin with `*` leave them out",
            "Sun 2026-03-29 03:00  +02:00 CEST   in 23 h 20 min",
            "Mon 2026-03-30 02:00  +02:00 CEST   in 1 d 22 h",
        ],
    );
    check(
        "2026-10-25T02:30:00+02:00",
        &[
            "Sun 2026-10-25 02:30  +02:00 CEST   now",
            "Sun 2026-10-25 02:40  +02:00 CEST   in 10 min",
            "2026-10-25 03:00 CET-1CEST,M3.5.0,M10.5.0/3: clocks go back to 02:00; \
             times of day in between run the first time only; lines that begin with `*` both times",
            "Sun 2026-10-25 02:00  +01:00 CET    in 30 min",
            "Sun 2026-10-25 02:40  +01:00 CET    in 1 h 10 min",
        ],
    );
}

#[test]
fn a_day_that_a_zone_skips_is_told_with_its_date() {
    if !has_zones() {
        return;
    }
    check(
        "UTC",
        &[
            "0 6 * * *",
            "--timezone",
            "Pacific/Apia",
            "--from",
            "2011-12-29T07:00",
            "-n",
            "2",
        ],
        "0 6 * * *  in Pacific/Apia, from 2011-12-29T07:00:00-10:00",
        &[
            "2011-12-30 00:00 Pacific/Apia: clocks go forward to 2011-12-31 00:00; \
             what is due in between runs once, at 2011-12-31 00:00",
            "Sat 2011-12-31 00:00  +14:00 +14    in 17 h",
            "Sat 2011-12-31 06:00  +14:00 +14    in 23 h",
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
fn what_no_clock_decides_is_said_in_words() {
    let dags = Dags::new("words", &[("by_hand.json", "\"doc\": \"\"")]);
    for (asked, title, words) in [
        (
            "@reboot",
            "@reboot",
            "It runs once after each boot of the host.",
        ),
        (
            "@continuous",
            "@continuous",
            "It runs again whenever its last run has ended.",
        ),
        (
            "by_hand",
            "by_hand  (by hand)",
            "It runs only when somebody asks for it: `mini-dag trigger`.",
        ),
    ] {
        check_in(&dags.0, "UTC", &[asked], title, &[words]);
    }
}

#[test]
fn a_schedule_that_ends_says_so() {
    let daily = "\"schedule\": \"@daily\", \"timezone\": \"UTC\", \"start_date\": \"2026-05-01\", \"end_date\": \"2026-05-02\"";
    let once = "\"schedule\": \"@once\", \"timezone\": \"UTC\", \"start_date\": \"2026-05-01\"";
    let dags = Dags::new("ends", &[("daily.json", daily), ("once.json", once)]);
    let check = |args: &[&str], title: &str, expected: &[&str]| {
        check_in(&dags.0, "UTC", args, title, expected);
    };
    check(
        &["daily", "--from", "2026-04-30T23:00"],
        "daily  (@daily)  in UTC, from 2026-04-30T23:00:00+00:00",
        &[
            "Fri 2026-05-01 00:00  +00:00 UTC    in 1 h",
            "Sat 2026-05-02 00:00  +00:00 UTC    in 1 d 1 h",
            "Nothing comes after that: its end date is 2026-05-02T00:00:00+00:00.",
        ],
    );
    check(
        &["daily", "--from", "2026-05-02"],
        "daily  (@daily)  in UTC, from 2026-05-02T00:00:00+00:00",
        &[
            "Sat 2026-05-02 00:00  +00:00 UTC    now",
            "Nothing comes after that: its end date is 2026-05-02T00:00:00+00:00.",
        ],
    );
    check(
        &["daily", "--from", "2026-05-02T00:00:01"],
        "daily  (@daily)  in UTC, from 2026-05-02T00:00:01+00:00",
        &["Nothing comes: its end date, 2026-05-02T00:00:00+00:00, has passed."],
    );
    check(
        &["once", "--from", "2026-04-30"],
        "once  (@once)  in UTC, from 2026-04-30T00:00:00+00:00",
        &[
            "Fri 2026-05-01 00:00  +00:00 UTC    in 1 d",
            "Nothing comes after that: it runs once.",
        ],
    );
    check(
        &["once", "--from", "2026-05-02"],
        "once  (@once)  in UTC, from 2026-05-02T00:00:00+00:00",
        &["Nothing comes: its only run was due at 2026-05-01T00:00:00+00:00."],
    );
    // On a Sunday, 29 March begins summer time: 02:30 is always in the gap, and the line counts elapsed time.
    let title = format!("* 2 29 3 */7  in {BERLIN_RULES}, from 2026-05-01T00:00:00+02:00");
    check_in(
        &dags.0,
        BERLIN_RULES,
        &["* 2 29 3 */7", "--from", "2026-05-01"],
        &title,
        &["Nothing comes: clocks show no such time in the next 100 years."],
    );
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

#[test]
fn errors_name_the_place_and_the_way_out() {
    complains(
        &["0 25 * * 1-5"],
        1,
        "error: `0 25 * * 1-5` is not a schedule
 --> <schedule>:1:3
  |
1 | 0 25 * * 1-5
  |   ^^ hour must be 0 to 23
",
    );
    complains(
        &["@dayly"],
        1,
        "error: `@dayly` is not a schedule
 --> <schedule>:1:1
  |
1 | @dayly
  | ^^^^^^ unknown preset
  = help: did you mean `@daily`?
",
    );
    complains(
        &["@daily", "--from", "2026-02-30"],
        2,
        "error: `2026-02-30` is not a date
 --> --from:1:1
  |
1 | 2026-02-30
  | ^^^^^^^^^^ no calendar has it
  = help: write 2026-11-22, 2026-11-22T06:00 or 2026-11-22T06:00:00+01:00
",
    );
    complains(
        &["dayly"],
        1,
        "error: there is no DAG `dayly`
  = help: `mini-dag list` shows the DAGs there are
",
    );
    if Path::new(ZONES).join("tzdata.zi").exists() {
        complains(
            &["@daily", "--timezone", "Asia/Soul"],
            1,
            "error: unknown time zone `Asia/Soul`
 --> --timezone:1:1
  |
1 | Asia/Soul
  | ^^^^^^^^^ this host has no such zone
  = help: did you mean `Asia/Seoul`?
",
        );
    } else {
        eprintln!("SKIPPED: this host has no list of zones, {ZONES}/tzdata.zi");
    }
}
