//! The table of keys is what the loader does: every key is accepted with any value of its shape.

use std::collections::BTreeSet;

use mini_dag::dag::keys::{ACTIONS, DAG_KEYS, Key, Shape, TASK_KEYS};
use mini_dag::dag::{Dag, Diagnostic, Functions, Known, Outcome, load};
use mini_dag::json;
use mini_dag::timetable::Zone;

fn loaded(text: &str) -> Result<Dag, Vec<Diagnostic>> {
    let functions = Functions::new().with("f", |_| Ok(Outcome::Done));
    let known = Known {
        functions: &functions,
        pools: None,
        zone: &|name| (name == "UTC").then(Zone::utc),
        zone_names: &Vec::new,
        lines: &mini_dag::timetable::Lines::default(),
    };
    load("keys.json", text, &known)
}

/// The messages of the errors of a file; none if it loads.
fn errors(text: &str) -> Vec<String> {
    loaded(text).map_or_else(
        |errors| errors.into_iter().map(|error| error.message).collect(),
        |_| Vec::new(),
    )
}

/// Values of a shape, as JSON: one for each alternative.
fn samples(shape: &Shape) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    match shape {
        Shape::Null => one("null"),
        Shape::Boolean => vec!["true".to_owned(), "false".to_owned()],
        Shape::Text => one("\"f\""),
        Shape::Template => one("\"http://{{ ds }}\""),
        Shape::Script => one("\"echo {{ ds }}\""),
        Shape::Id => one("\"b\""),
        Shape::Zone => one("\"UTC\""),
        Shape::Moment => vec![
            "\"2026-05-01\"".to_owned(),
            "\"2026-05-01T06:00:00Z\"".to_owned(),
        ],
        Shape::Duration | Shape::Timeout => vec!["\"1h30m\"".to_owned(), "2.5".to_owned()],
        Shape::Size => vec!["\"64KiB\"".to_owned(), "100".to_owned()],
        Shape::Schedule => vec!["\"0 6 * * *\"".to_owned()],
        Shape::Order => vec!["\"a >> b\"".to_owned(), "\"b << a\"".to_owned()],
        Shape::Word(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
        Shape::Integer(least, most) => vec![least.to_string(), most.to_string()],
        Shape::Number => vec!["-1".to_owned(), "0.5".to_owned()],
        Shape::Param => vec![
            "{\"a\": 1}".to_owned(),
            "{\"type\": \"integer\", \"minimum\": 1, \"default\": 1}".to_owned(),
        ],
        Shape::Any | Shape::AnyTemplate => one("[1, {\"x\": \"{{ ds }}\"}, null]"),
        Shape::List(inner) => samples(inner)
            .iter()
            .map(|sample| format!("[{sample}]"))
            .collect(),
        Shape::Map(inner) => samples(inner)
            .iter()
            .map(|sample| format!("{{\"K\": {sample}}}"))
            .collect(),
        // One key at a time, beside those that must be there.
        Shape::Object(keys) => {
            let required = keys.iter().filter(|key| key.required);
            let required: Vec<&Key> = required.collect();
            let with = |key: &Key, value: &str| {
                let others = required.iter().filter(|other| other.name != key.name);
                let others: Vec<String> = others
                    .map(|other| format!(", \"{}\": {}", other.name, samples(&other.shape)[0]))
                    .collect();
                // Of a hook, an action must be there.
                let needs_action = keys.iter().any(|it| ACTIONS.contains(&it.name));
                let is_action = ACTIONS.contains(&key.name);
                let action = if needs_action && !is_action {
                    ", \"bash\": \"true\""
                } else {
                    ""
                };
                format!("{{\"{}\": {value}{}{action}}}", key.name, others.concat())
            };
            keys.iter()
                .flat_map(|key| {
                    samples(&key.shape)
                        .into_iter()
                        .map(move |value| (key, value))
                })
                .map(|(key, value)| with(key, &value))
                .collect()
        }
        Shape::Either(shapes) => shapes.iter().flat_map(samples).collect(),
    }
}

fn check(key: &Key, value: &str, text: &str) {
    // These say something about another key of the same object, which is not there.
    let incomplete = ["\"seconds\"", "\"timezone\""]
        .iter()
        .any(|word| value.contains(word));
    if key.name == "schedule" && incomplete {
        return;
    }
    assert_eq!(errors(text), [""; 0], "{text}");
}

#[test]
fn every_key_of_a_dag_is_accepted() {
    let tasks = "{\"task_id\": \"a\", \"empty\": true}, {\"task_id\": \"b\", \"empty\": true}";
    for key in DAG_KEYS {
        if ["tasks", "defaults"].contains(&key.name) {
            continue;
        }
        for value in samples(&key.shape) {
            let text = format!("{{\"{}\": {value}, \"tasks\": [{tasks}]}}", key.name);
            check(key, &value, &text);
        }
    }
}

#[test]
fn every_key_of_a_task_is_accepted_in_defaults_too_if_the_table_says_so() {
    for key in TASK_KEYS {
        for value in samples(&key.shape) {
            let other = if ACTIONS.contains(&key.name) && value != "false" {
                ""
            } else if key.name == "args" {
                ", \"call\": \"f\""
            } else {
                ", \"bash\": \"true\""
            };
            let id = if key.name == "task_id" {
                ""
            } else {
                ", \"task_id\": \"a\""
            };
            let last = if key.name == "task_id" { "c" } else { "b" };
            let text = format!(
                "{{\"tasks\": [{{\"{}\": {value}{other}{id}}}, {{\"task_id\": \"{last}\", \"empty\": true}}]}}",
                key.name
            );
            check(key, &value, &text);
            let text = format!(
                "{{\"defaults\": {{\"{}\": {value}}}, \"tasks\": [{{\"task_id\": \"a\", \"bash\": \"true\"}}]}}",
                key.name
            );
            if key.inherited {
                check(key, &value, &text);
            } else {
                assert_eq!(
                    errors(&text),
                    [format!("`{}` cannot stand in `defaults`", key.name)],
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn a_default_that_is_written_out_is_accepted() {
    for key in DAG_KEYS.iter().filter(|key| !key.required) {
        if json::parse(key.default).is_ok() {
            let text = format!(
                "{{\"{}\": {}, \"tasks\": [{{\"task_id\": \"a\", \"bash\": \"true\"}}]}}",
                key.name, key.default
            );
            assert_eq!(errors(&text), [""; 0], "{text}");
        }
    }
    for key in TASK_KEYS.iter().filter(|key| key.name != "args") {
        if json::parse(key.default).is_ok() {
            let text = format!(
                "{{\"tasks\": [{{\"task_id\": \"a\", \"bash\": \"true\", \"{}\": {}}}]}}",
                key.name, key.default
            );
            assert_eq!(errors(&text), [""; 0], "{text}");
        }
    }
}

#[test]
fn the_sample_of_everything_has_every_key() {
    let text = include_str!("golden/everything.json");
    for key in DAG_KEYS.iter().chain(TASK_KEYS) {
        let name = format!("\"{}\":", key.name);
        assert!(text.contains(&name), "{name}");
    }
    let names: BTreeSet<&str> = DAG_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), DAG_KEYS.len());
    let names: BTreeSet<&str> = TASK_KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names.len(), TASK_KEYS.len());
}

/// What each key changes, for each action: `x` something, `-` nothing, and then it is an error at the task.
const MEANING: &str = r#"
key                        bash argv http call trigger+wait trigger empty  a value
after                      x    x    x    x    x            x       x      ["b"]
trigger_rule               x    x    x    x    x            x       x      "all_done"
depends_on_past            x    x    x    x    x            x       x      true
wait_for_downstream        x    x    x    x    x            x       x      true
priority                   x    x    x    x    x            x       x      3
on_success                 x    x    x    x    x            x       x      {"bash": "true"}
doc                        x    x    x    x    x            x       x      "text"
retries                    x    x    x    x    x            x       -      3
retry_delay                x    x    x    x    x            x       -      "7s"
retry_exponential_backoff  x    x    x    x    x            x       -      true
max_retry_delay            x    x    x    x    x            x       -      "7s"
xcom                       x    x    x    x    x            x       -      false
on_failure                 x    x    x    x    x            x       -      {"bash": "true"}
on_retry                   x    x    x    x    x            x       -      {"bash": "true"}
timeout                    x    x    x    x    x            -       -      "7s"
env                        x    x    x    x    -            -       -      {"A": "1"}
secrets                    x    x    x    x    -            -       -      {"A": "s"}
cwd                        x    x    x    x    -            -       -      "/tmp"
pool                       x    x    x    x    -            -       -      "camera"
pool_slots                 x    x    x    x    -            -       -      2
weight_rule                x    x    x    x    -            -       -      "absolute"
skip_on_exit_code          x    x    x    x    -            -       -      3
branch                     x    x    x    x    -            -       -      true
poke                       x    x    x    x    -            -       -      {"every": "7s"}
limits                     x    x    x    x    -            -       -      {"nice": 3}
short_circuit              x    x    -    x    -            -       -      true
args                       -    -    -    x    -            -       -      {"a": 1}
"#;

#[test]
fn a_key_that_means_nothing_to_what_a_task_does_is_an_error_and_any_other_changes_the_task() {
    let actions = [
        r#""bash": "true""#,
        r#""argv": ["true"]"#,
        r#""http": {"url": "http://localhost"}"#,
        r#""call": "f""#,
        r#""trigger": {"dag_id": "d", "wait": true}"#,
        r#""trigger": {"dag_id": "d"}"#,
        r#""empty": true"#,
    ];
    let with = |keys: &str, defaults: &str| {
        let other = r#"{"task_id": "b", "empty": true}"#;
        format!(r#"{{"defaults": {{{defaults}}}, "tasks": [{{"task_id": "a", {keys}}}, {other}]}}"#)
    };
    let described = |text: &str| format!("{:?}", loaded(text).expect(text).tasks());
    let mut named = BTreeSet::new();
    for row in MEANING.lines().skip(2) {
        let mut words = row.split_whitespace();
        let name = words.next().expect(row);
        let marks: Vec<&str> = words.by_ref().take(actions.len()).collect();
        let value = words.collect::<Vec<_>>().join(" ");
        named.insert(name);
        for (action, mark) in actions.iter().zip(marks) {
            let written = format!("\"{name}\": {value}");
            let text = with(&format!("{action}, {written}"), "");
            if mark == "x" {
                let without = with(action, "");
                assert_ne!(described(&text), described(&without), "{text}");
            } else {
                let found = errors(&text);
                let begin = format!("`{name}` of task `a`, which ");
                assert!(
                    found.len() == 1 && found[0].starts_with(&begin),
                    "{found:?}"
                );
                let key = TASK_KEYS.iter().find(|key| key.name == name);
                if key.expect(name).inherited {
                    assert_eq!(errors(&with(action, &written)), [""; 0], "{text}");
                }
            }
        }
    }
    let others = TASK_KEYS.iter().map(|key| key.name);
    let others = others.filter(|name| !ACTIONS.contains(name) && *name != "task_id");
    assert_eq!(others.collect::<BTreeSet<_>>(), named);
}
