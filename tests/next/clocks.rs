//! What is said where the clocks change, or a day is left out.

use crate::{BERLIN, BERLIN_RULES, Dags, check, check_in, has_zones};

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
