//! What is said in words: of a schedule that no clock decides, that ends, or that begins paused.

use crate::{BERLIN_RULES, Dags, check_in};

#[test]
fn what_no_clock_decides_is_said_in_words() {
    let after = "\"schedule\": {\"after\": [\"a\"]}";
    let both = "\"schedule\": {\"after\": [\"a\", \"b\"]}";
    let files = [
        ("by_hand.json", "\"doc\": \"\""),
        ("after.json", after),
        ("both.json", both),
    ];
    let dags = Dags::new("words", &files);
    for (asked, title, words) in [
        (
            "@reboot",
            "@reboot",
            "It runs once in each boot of the host, however often the daemon starts in it.",
        ),
        (
            "@continuous",
            "@continuous",
            "It runs again whenever its last run has ended, at least a second later.",
        ),
        (
            "after",
            "after  (after a)",
            "It runs when `a` has succeeded since the last run that this made.",
        ),
        (
            "both",
            "both  (after a, b)",
            "It runs when each of `a`, `b` has succeeded since the last run that this made.",
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
fn a_dag_that_begins_paused_says_so() {
    let daily =
        "\"schedule\": \"@daily\", \"timezone\": \"UTC\", \"is_paused_upon_creation\": true";
    let reboot = "\"schedule\": \"@reboot\", \"is_paused_upon_creation\": true";
    let dags = Dags::new("paused", &[("daily.json", daily), ("reboot.json", reboot)]);
    let paused = "It begins paused: nothing starts before `mini-dag unpause`.";
    check_in(
        &dags.0,
        "UTC",
        &["daily", "--from", "2026-05-01", "-n", "1"],
        "daily  (@daily)  in UTC, from 2026-05-01T00:00:00+00:00",
        &["Fri 2026-05-01 00:00  +00:00 UTC    now", "", paused],
    );
    let words = "It runs once in each boot of the host, however often the daemon starts in it.";
    let lines = [words, "", paused];
    check_in(&dags.0, "UTC", &["reboot"], "reboot  (@reboot)", &lines);
}
