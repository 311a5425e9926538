//! Whatever a file holds, loading it ends soon, in bounded memory, with a DAG or with errors.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mini_dag::dag::{
    DAG_FILE_BYTES_MAX, DEPENDENCIES_MAX, Dag, Diagnostic, Functions, Known, Outcome, json, load,
};
use mini_dag::timetable::Zone;

/// What a file may take in an unoptimised build on a slow, busy machine; each takes a fraction of it.
const SOON: Duration = Duration::from_secs(5);
const RICH: &str = include_str!("golden/everything.json");

fn check(text: &str) -> Result<Dag, Vec<Diagnostic>> {
    let functions = Functions::new().with("get_pictures", |_| Ok(Outcome::Done));
    let known = Known {
        functions: &functions,
        pools: None,
        zone: &|name| (name == "Asia/Seoul").then(Zone::utc),
        zone_names: &|| vec!["Asia/Seoul".to_owned()],
        lines: &mini_dag::timetable::Lines::default(),
    };
    let result = load("limits.json", text, &known);
    if let Err(errors) = &result {
        assert!((1..=51).contains(&errors.len()), "{}", errors.len());
        for error in errors {
            let shown = error.render(false);
            assert!(shown.len() < 4_000, "{shown}");
            let hidden = |c: char| c != '\n' && c.is_control();
            assert!(!shown.contains(hidden), "{shown:?}");
        }
    }
    result
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is what is tested"
)]
fn check_soon(name: &str, text: &str) -> Result<Dag, Vec<Diagnostic>> {
    let begin = Instant::now();
    let result = check(text);
    let took = begin.elapsed();
    assert!(took < SOON, "{name} took {took:?}");
    result
}

fn first_error(result: Result<Dag, Vec<Diagnostic>>) -> String {
    result.expect_err("an error")[0].message.clone()
}

#[test]
fn every_beginning_of_a_file_is_an_error_and_nothing_worse() {
    assert!(check(RICH).is_ok());
    for end in (0..RICH.trim_end().len()).filter(|&end| RICH.is_char_boundary(end)) {
        let errors = check(&RICH[..end]).expect_err("a truncated file");
        assert_eq!(errors.len(), 1, "{end}: {errors:?}");
    }
}

#[test]
fn no_changed_byte_does_more_than_change_the_answer() {
    // Every place, with the bytes that mean something to JSON, templates, orders or schedules.
    let bytes = b"\"\\{}[],:0-9aeEnu'/%$<> \n\t\0\x1b\x7f";
    let mut loaded = 0;
    for at in 0..RICH.len() {
        // All places and all bytes, but not each with each.
        for byte in bytes.iter().skip(at % 7).step_by(7) {
            let mut changed = RICH.as_bytes().to_vec();
            changed[at] = *byte;
            if let Ok(text) = String::from_utf8(changed) {
                loaded += usize::from(check(&text).is_ok());
            }
            let mut without = RICH.as_bytes().to_vec();
            without.remove(at);
            without.insert(at / 2, *byte);
            if let Ok(text) = String::from_utf8(without) {
                _ = check(&text);
            }
        }
    }
    assert!(loaded > 100, "{loaded} changed files still load");
}

#[test]
fn a_text_that_is_too_long_is_refused_without_reading_it() {
    let text = "[".repeat(100_000_000);
    let error = first_error(check_soon("100 MB", &text));
    assert_eq!(
        error,
        "`limits.json` is 100000000 bytes long: too long for a DAG"
    );
    let spaces = " ".repeat(DAG_FILE_BYTES_MAX);
    assert_eq!(
        first_error(check_soon("1 MiB of nothing", &spaces)),
        "the text ends too early"
    );
}

#[test]
fn deep_nesting_is_refused_at_once() {
    for text in [
        "[".repeat(1_000_000),
        "{\"a\":".repeat(200_000),
        "[{\"a\":".repeat(150_000),
    ] {
        assert_eq!(
            first_error(check_soon("deep", &text)),
            "nested more than 64 deep"
        );
    }
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json::parse(&deep(64)).is_ok());
    assert!(json::parse(&deep(65)).is_err());
    assert!(json::parse(&"[".repeat(1_000_000)).is_err());
}

#[test]
fn a_chain_and_a_fan_of_ten_thousand_tasks_load() {
    let tasks = |after: fn(usize) -> String| {
        let tasks: Vec<String> = (0..10_000)
            .map(|i| format!("{{\"task_id\":\"t{i}\",\"empty\":true{}}}", after(i)))
            .collect();
        tasks.join(",\n")
    };
    let chain = |i: usize| match i {
        0 => String::new(),
        _ => format!(",\"after\":[\"t{}\"]", i - 1),
    };
    let dag = check_soon("chain", &format!("{{\"tasks\":[{}]}}", tasks(chain))).expect("a chain");
    assert_eq!(
        (dag.tasks().len(), dag.roots().count(), dag.leaves().count()),
        (10_000, 1, 1)
    );
    assert_eq!(dag.topological_order().last(), dag.find("t9999").as_ref());

    let names: Vec<String> = (1..9_999).map(|i| format!("t{i}")).collect();
    let text = format!(
        "{{\"tasks\":[{}],\"order\":[\"t0 >> [{}] >> t9999\"]}}",
        tasks(|_| String::new()),
        names.join(",")
    );
    let dag = check_soon("fan", &text).expect("a fan");
    let end = dag.find("t9999").expect("the last task");
    assert_eq!(dag.task(end).upstream.len(), 9_998);

    // Backwards, and closed to a ring: the longest cycle there is.
    let ring = |i: usize| format!(",\"after\":[\"t{}\"]", (i + 1) % 10_000);
    let error = check_soon("ring", &format!("{{\"tasks\":[{}]}}", tasks(ring)));
    assert_eq!(first_error(error), "dag `limits` has a cycle");

    let unknown = |i: usize| format!(",\"after\":[\"u{i}\"]");
    let errors =
        check_soon("unknown", &format!("{{\"tasks\":[{}]}}", tasks(unknown))).expect_err("errors");
    assert_eq!(errors[50].message, "`limits.json` … and 9950 more errors");
}

#[test]
fn more_tasks_than_the_limit_are_an_error() {
    let tasks = vec!["{\"task_id\":\"a\",\"empty\":true}"; 10_001].join(",");
    let errors =
        check_soon("10,001 tasks", &format!("{{\"tasks\":[{tasks}]}}")).expect_err("errors");
    assert_eq!(errors[0].message, "too many tasks: a DAG has at most 10000");
}

#[test]
fn dependencies_that_multiply_are_counted_before_they_are_made() {
    let tasks: Vec<String> = (0..1_000)
        .map(|i| format!("{{\"task_id\":\"t{i}\",\"empty\":true}}"))
        .collect();
    let tasks = tasks.join(",");
    let names: Vec<String> = (0..500).map(|i| format!("t{i}")).collect();
    let others: Vec<String> = (500..1_000).map(|i| format!("t{i}")).collect();
    let order = format!("[{}] >> [{}]", names.join(","), others.join(","));
    let error = check_soon(
        "product",
        &format!("{{\"tasks\":[{tasks}],\"order\":[\"{order}\"]}}"),
    );
    let expect = format!("too many dependencies: a DAG has at most {DEPENDENCIES_MAX}");
    assert_eq!(first_error(error), expect);

    let group = vec!["t0"; 100_000].join(",");
    let text =
        format!("{{\"tasks\":[{tasks}],\"order\":[\"[{group}] >> [{group}] >> [{group}]\"]}}");
    assert_eq!(first_error(check_soon("repeated product", &text)), expect);

    let after = vec!["\"t0\""; 150_000].join(",");
    let text =
        format!("{{\"tasks\":[{tasks},{{\"task_id\":\"z\",\"empty\":true,\"after\":[{after}]}}]}}");
    assert_eq!(first_error(check_soon("repeated after", &text)), expect);
}

#[test]
fn one_megabyte_of_errors_is_fifty_errors() {
    let task = "{\"task_id\":\"a\",\"empty\":true}";
    let mut keys = String::new();
    for i in 0..45_000 {
        _ = write!(keys, "\"shedule{i}\":{i},");
    }
    let escaped = "\"\\u0061\":1,".repeat(80_000);
    let long_names = format!("\"{}\",", "x".repeat(60)).repeat(10_000);
    let order = format!("\"\\u0061 >> [{}]\"", vec!["nn"; 300_000].join(","));
    let braces = "{{".repeat(400_000);
    let open = "{{ ds }}".repeat(100_000);
    let errors = "{{ x }}".repeat(120_000);
    let zones = format!("\"{}\"", "Z".repeat(900_000));
    for (name, text) in [
        ("unknown keys", format!("{{{keys}\"tasks\":[{task}]}}")),
        ("duplicate keys", format!("{{{escaped}\"tasks\":[{task}]}}")),
        (
            "wrong tags",
            format!("{{\"tags\":[{long_names}1],\"tasks\":[{task}]}}"),
        ),
        (
            "unknown upstreams",
            format!(
                "{{\"tasks\":[{{\"task_id\":\"a\",\"empty\":true,\"after\":[{long_names}1]}}]}}"
            ),
        ),
        (
            "unknown names in an escaped order",
            format!("{{\"tasks\":[{task}],\"order\":[{order}]}}"),
        ),
        (
            "braces",
            format!("{{\"tasks\":[{{\"task_id\":\"a\",\"bash\":\"{braces}\"}}]}}"),
        ),
        (
            "unknown variables",
            format!("{{\"tasks\":[{{\"task_id\":\"a\",\"bash\":\"\\n{errors}\"}}]}}"),
        ),
        (
            "a long zone",
            format!("{{\"timezone\":{zones},\"tasks\":[{task}]}}"),
        ),
        (
            "a long schedule",
            format!("{{\"schedule\":{zones},\"tasks\":[{task}]}}"),
        ),
        (
            "a long date",
            format!("{{\"end_date\":{zones},\"tasks\":[{task}]}}"),
        ),
        (
            "a long duration",
            format!("{{\"run_timeout\":{zones},\"tasks\":[{task}]}}"),
        ),
        (
            "a long word",
            format!("{{\"overlap\":{zones},\"tasks\":[{task}]}}"),
        ),
        (
            "a long id",
            format!("{{\"dag_id\":{zones},\"tasks\":[{task}]}}"),
        ),
        (
            "a long number",
            format!(
                "{{\"run_timeout\":{},\"tasks\":[{task}]}}",
                "1".repeat(900_000)
            ),
        ),
        (
            "a long text instead of an order",
            format!("{{\"tasks\":[{task}],\"order\":[{zones}]}}"),
        ),
        (
            "combining characters",
            format!("{{\"{}\":1,\"tasks\":[{task}]}}", "\u{301}".repeat(400_000)),
        ),
    ] {
        assert!(text.len() <= DAG_FILE_BYTES_MAX, "{name}");
        assert!(check_soon(name, &text).is_err(), "{name}");
    }
    let text = format!("{{\"tasks\":[{{\"task_id\":\"a\",\"bash\":\"{open}\"}}]}}");
    assert!(check_soon("variables", &text).is_ok());
}

#[test]
fn what_tasks_inherit_is_not_copied_into_each() {
    let value = "v".repeat(500_000);
    let tasks: Vec<String> = (0..10_000)
        .map(|i| format!("{{\"task_id\":\"t{i}\",\"empty\":true}}"))
        .collect();
    let text = format!(
        "{{\"defaults\":{{\"env\":{{\"A\":\"{value}\"}},\"cwd\":\"/tmp\"}},\"tasks\":[{}]}}",
        tasks.join(",")
    );
    let dag = check_soon("defaults", &text).expect("a DAG");
    assert_eq!(dag.env.len(), 1);
    assert!(
        dag.tasks()
            .iter()
            .all(|task| task.env.is_empty() && task.cwd.is_none())
    );
}
