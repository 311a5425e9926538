//! What mini-dag says about a schedule, a duration or a zone that it cannot read.
//!
//! Each table is a list of blocks: the text, what is underlined in it with the label (`|` is the place of something
//! missing), and the help, if there is any.

#![expect(
    clippy::unwrap_used,
    reason = "a test says no by panicking, and so do its parts"
)]

use std::ops::Range;
use std::time::Duration;

use mini_dag::timetable::{DURATION_MAX, Schedule, ScheduleError, Zone, parse_duration};

/// A block of a table.
fn block(text: &str, span: &Range<usize>, label: &str, help: Option<&str>) -> String {
    let width = |range: Range<usize>| text[range].chars().count();
    let mark = if span.is_empty() {
        "|".to_owned()
    } else {
        "^".repeat(width(span.clone()))
    };
    let indent = " ".repeat(width(0..span.start));
    let help = help.map_or(String::new(), |help| format!("\n= help: {help}"));
    format!("{text}\n{indent}{mark} {label}{help}")
}

/// Every block is what `render` makes of its first line.
fn check(table: &str, render: impl Fn(&str) -> String) {
    for expected in table.trim_matches('\n').split("\n\n") {
        let text = expected.lines().next().unwrap();
        assert_eq!(render(text), expected);
    }
}

const NEXT: &str = "`mini-dag next '<schedule>'` prints the next dates";

/// The help that most schedules get is left out of the tables.
fn schedule_block(text: &str, result: Result<Schedule, ScheduleError>) -> String {
    let error = result.expect_err(text);
    assert_eq!(error.message, format!("`{text}` is not a schedule"));
    let help = error.help.as_deref().filter(|help| *help != NEXT);
    assert!(error.help.is_some(), "{text}");
    block(text, &error.span, &error.label, help)
}

#[test]
fn every_mistake_in_a_crontab_line_is_named_with_its_field_range_and_place() {
    check(
        r"
60 * * * *
^^ minute must be 0 to 59

0 25 * * 1-5
  ^^ hour must be 0 to 23

0 24 * * *
  ^^ hour must be 0 to 23

0 0 0 * *
    ^ day of month must be 1 to 31

0 0 32 * *
    ^^ day of month must be 1 to 31

0 0 ? * 5
    ^ day of month must be 1 to 31

0 0 1 13 *
      ^^ month must be 1 to 12 or jan to dec

0 0 1 january *
      ^^^^^^^ month must be 1 to 12 or jan to dec

0 0 * * 8
        ^ day of week must be 0 to 7 or sun to sat

0 0 * * 1,x-5
          ^ day of week must be 0 to 7 or sun to sat

0 0 * * 5#2
        ^^^ day of week must be 0 to 7 or sun to sat

-1 * * * *
| a value is missing here; minute must be 0 to 59

1- * * * *
  | a value is missing here; minute must be 0 to 59

1,,2 * * * *
  | a value is missing here; minute must be 0 to 59

1, * * * *
  | a value is missing here; minute must be 0 to 59

/5 * * * *
| a value is missing here; minute must be 0 to 59

*5 * * * *
^^ minute must be 0 to 59

+5 * * * *
^^ minute must be 0 to 59

1-2-3 * * * *
  ^^^ minute must be 0 to 59

0 ５,받기 * * *
  ^ hour must be 0 to 23

4294967301 * * * *
^^^^^^^^^^ minute must be 0 to 59

*/0 * * * *
  ^ a step must be a whole number from 1 on; minute must be 0 to 59

*/ * * * *
  | a step must be a whole number from 1 on; minute must be 0 to 59

*/-5 * * * *
  ^^ a step must be a whole number from 1 on; minute must be 0 to 59

0 0 * * */mon
          ^^^ a step must be a whole number from 1 on; day of week must be 0 to 7 or sun to sat

0 5/15 * * *
  ^^^^ a step needs a range or `*` before it; hour must be 0 to 23
= help: write `5-23/15`

0 22-2 * * *
  ^^^^ this range runs backwards; hour must be 0 to 23
= help: write `22-23,0-2`

0 0 * * 5-1
        ^^^ this range runs backwards; day of week must be 0 to 7 or sun to sat
= help: write `5-7,0-1`

0 0 * * fri-sun
        ^^^^^^^ this range runs backwards; day of week must be 0 to 7 or sun to sat
= help: write `5-7,0`

0 0 30 2 *
    ^^^^ this date never comes: day of month must be 1 to 31 and in one of the months

0 0 31 4,jun,9,nov *
    ^^^^^^^^^^^^^^ this date never comes: day of month must be 1 to 31 and in one of the months

0 0 30 2 */2
    ^^^^ this date never comes: day of month must be 1 to 31 and in one of the months

*
 | expected 5 fields, found 1: minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)

 0 6 *  * 
         | expected 5 fields, found 4: minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)

0 0 6 * * 1
          ^ expected 5 fields, found 6: minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)
= help: a leading seconds field needs the object form: {`cron`: `0 0 6 * * 1`, `seconds`: true}

0 6 * * 1 root true
          ^^^^^^^^^ expected 5 fields, found 7: minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)
",
        |text| schedule_block(text, Schedule::parse(text)).replace('"', "`"),
    );
}

#[test]
fn a_line_with_seconds_has_six_fields() {
    check(
        "
0 6 * * 1
         | expected 6 fields, found 5: second (0 to 59), minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)

60 0 6 * * 1
^^ second must be 0 to 59

0 0 6 * * 1 2026
            ^^^^ expected 6 fields, found 7: second (0 to 59), minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)
",
        |text| schedule_block(text, Schedule::cron_with_seconds(text)),
    );
}

#[test]
fn every_mistake_in_a_preset_is_named_with_its_place() {
    check(
        "
@hourl
^^^^^^ unknown preset
= help: did you mean `@hourly`?

 @Hourly
 ^^^^^^^ unknown preset
= help: did you mean `@hourly`?

@dialy
^^^^^^ unknown preset
= help: did you mean `@daily`?

@anually
^^^^^^^^ unknown preset
= help: did you mean `@annually`?

@evry 5m
^^^^^ unknown preset
= help: did you mean `@every`?

@fortnightly
^^^^^^^^^^^^ unknown preset
= help: the presets are @hourly, @daily, @midnight, @weekly, @monthly, @quarterly, @yearly, @annually, @once, @reboot, @continuous, @every

@
^ unknown preset
= help: the presets are @hourly, @daily, @midnight, @weekly, @monthly, @quarterly, @yearly, @annually, @once, @reboot, @continuous, @every

@daily 5
      ^^ nothing may follow a preset

@every
      | a number and a unit are missing, such as 90s or 1h30m

@every 90
         | expected a unit here: d, h, m, s or ms

@every  -5m
        ^ expected a whole number here

@every 0s
       ^^ period must be 1s to 100 years (36525d)

@every 999ms
       ^^^^^ period must be 1s to 100 years (36525d)

@every 36526d
       ^^^^^^ at most 100 years (36525d)
",
        |text| schedule_block(text, Schedule::parse(text)),
    );
}

#[test]
fn what_is_no_text_is_checked_too() {
    for (result, expected) in [
        (
            Schedule::every(Duration::ZERO),
            "every 0s\n| period must be 1s to 100 years (36525d)",
        ),
        (
            Schedule::every(Duration::from_millis(999)),
            "every 999ms\n| period must be 1s to 100 years (36525d)",
        ),
        (
            Schedule::every(DURATION_MAX + Duration::from_millis(1)),
            "every 36525d1ms\n| period must be 1s to 100 years (36525d)",
        ),
        (
            Schedule::every(Duration::MAX),
            "every 213503982334601d7h15s999ms\n| period must be 1s to 100 years (36525d)",
        ),
        (
            Schedule::any_of(vec![Schedule::Once]),
            "@once\n| a list may hold crontab lines only",
        ),
        (
            Schedule::any_of(Vec::new()),
            "[]\n| a list must hold a crontab line",
        ),
        (
            Schedule::after_dags(Vec::new()),
            "[]\n| `after` must name a DAG",
        ),
        (
            Schedule::parse(""),
            "\n| expected 5 fields, found 0: minute (0 to 59), hour (0 to 23), day of month (1 to 31), month (1 to 12), day of week (0 to 7)",
        ),
    ] {
        let text = expected.lines().next().unwrap();
        assert_eq!(schedule_block(text, result), expected);
    }
    for duration in [Duration::from_secs(1), DURATION_MAX] {
        assert!(Schedule::every(duration).is_ok(), "{duration:?}");
    }
}

#[test]
fn an_error_is_one_line_of_a_log() {
    let error = Schedule::parse("0 25 * * 1-5").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`0 25 * * 1-5` is not a schedule: hour must be 0 to 23 (byte 3)"
    );
    let error = Schedule::parse(&"x\n".repeat(99)).unwrap_err();
    assert_eq!(
        error.message.chars().count(),
        61 + "`` is not a schedule".len()
    );
    assert!(!error.message.contains('\n'));
}

#[test]
fn every_mistake_in_a_duration_is_named_with_its_place() {
    check(
        "
90
  | expected a unit here: d, h, m, s or ms

1h30
    | expected a unit here: d, h, m, s or ms

1.5h
 ^ expected a unit here: d, h, m, s or ms

1 h
 ^ expected a unit here: d, h, m, s or ms

-5m
^ expected a whole number here

5m 
  ^ expected a whole number here

십분
^ expected a whole number here

10분
  ^ unit must be d, h, m, s or ms

10min
  ^^^ unit must be d, h, m, s or ms

1H
 ^ unit must be d, h, m, s or ms

30m1h
    ^ units go from large to small, each once

1h1h
   ^ units go from large to small, each once

36525d1ms
^^^^^^^^^ at most 100 years (36525d)

99999999999999999999999s
^^^^^^^^^^^^^^^^^^^^^^^^ at most 100 years (36525d)

18446744073709551615d
^^^^^^^^^^^^^^^^^^^^^ at most 100 years (36525d)
",
        |text| {
            let error = parse_duration(text).expect_err(text);
            assert_eq!(error.message, format!("`{text}` is not a duration"));
            block(text, &error.span, &error.label, None)
        },
    );
    let error = parse_duration("").unwrap_err();
    assert_eq!(
        block("", &error.span, &error.label, None),
        "\n| a number and a unit are missing, such as 90s or 1h30m"
    );
}

#[test]
fn every_mistake_in_a_posix_zone_is_named_with_its_place() {
    check(
        "
CE-1
^^ expected a name of three letters or more, or one in `<` `>`

:CET
| expected a name of three letters or more, or one in `<` `>`

<+09-9
^^^^^^ this name needs a closing `>`

Europe/Berlin
      | expected an offset from -24 to 24 hours, such as -9 or 3:30

CET
   | expected an offset from -24 to 24 hours, such as -9 or 3:30

KST-25
   ^^^ expected an offset from -24 to 24 hours, such as -9 or 3:30

KST-9:60
   ^^^^^ expected an offset from -24 to 24 hours, such as -9 or 3:30

KST-24:00:01
   ^^^^^^^^^ expected an offset from -24 to 24 hours, such as -9 or 3:30

CET-1CEST
         | daylight time needs two rules, such as `,M3.5.0,M10.5.0/3`

CET-1CEST,M3.5.0
                | daylight time needs two rules, such as `,M3.5.0,M10.5.0/3`

CET-1CEST,M13.5.0,M10.5.0
          ^^^ expected a day: M1.1.0 to M12.5.6, J1 to J365 or 0 to 365

CET-1CEST,M3.6.0,M10.5.0
          ^^^^ expected a day: M1.1.0 to M12.5.6, J1 to J365 or 0 to 365

CET-1CEST,M3.5.7,M10.5.0
          ^^^^^^ expected a day: M1.1.0 to M12.5.6, J1 to J365 or 0 to 365

CET-1CEST,J0,366
          ^^ expected a day: M1.1.0 to M12.5.6, J1 to J365 or 0 to 365

CET-1CEST,0,366
            ^^^ expected a day: M1.1.0 to M12.5.6, J1 to J365 or 0 to 365

CET-1CEST,M3.5.0/168,M10.5.0
                ^^^^ expected a time from -167 to 167 hours

CET-1CEST,M3.5.0,M10.5.0/3,
                          ^ nothing may follow the second rule
",
        |text| {
            let error = Zone::from_posix(text).expect_err(text);
            assert_eq!(error.message, format!("`{text}` is not a POSIX time zone"));
            block(text, &error.span, &error.label, None)
        },
    );
}
