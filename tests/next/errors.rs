//! What is wrong with a command line, and the way out.

use std::path::Path;

use crate::{ZONES, complains};

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
