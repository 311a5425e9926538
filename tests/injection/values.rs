//! Values with their types, and the one place where none may stand: a script.

use std::collections::BTreeMap;

use mini_dag::Value;
use mini_dag::dag::{Functions, Known, Operator, Outcome, load};
use mini_dag::timetable::Zone;

use crate::corpus::hostile;
use crate::ids::facts;

/// What is nothing but a param has its type; what has anything beside it is a text. A key is never a template, and a
/// value is never read as one.
#[test]
fn the_args_of_a_call_are_values_with_their_type_and_nothing_more() {
    let functions = Functions::new().with("f", |_| Ok(Outcome::Done));
    let known = Known {
        functions: &functions,
        zone: &|_| Some(Zone::utc()),
        zone_names: &Vec::new,
        lines: &mini_dag::timetable::Lines::default(),
        pools: None,
    };
    let text = r#"{"params": {"p": null}, "tasks": [{"task_id": "t", "call": "f", "args": {
        "whole": "{{ params.p }}", "spaced": " {{ params.p }}", "deep": [{"{{ params.p }}": ["{{params.p}}", 1, true, null]}]}}]}"#;
    let dag = load("d.json", text, &known).unwrap();
    let Operator::Call { args, .. } = &dag.tasks()[0].operator else {
        panic!("it is a call");
    };
    let hostile = hostile("/tmp/canary").into_iter();
    let hostile = hostile.filter_map(|value| Some(Value::String(String::from_utf8(value).ok()?)));
    let typed = [
        "null",
        "true",
        "7",
        "1e999",
        "184467440737095516160",
        "[1, \"{{ ds }}\"]",
        "{\"a\": {}}",
    ];
    let typed = typed.map(|text| Value::parse(text).unwrap());
    let mut checked = 0;
    for value in hostile.chain(typed) {
        let params = BTreeMap::from([("p".to_owned(), value.clone())]);
        let args = args.render(&facts("r", &params));
        let shown = match &value {
            Value::String(text) => text.clone(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => value.to_string(),
        };
        let inner = vec![value.clone(), 1.into(), true.into(), Value::Null];
        let deep = Value::from([("{{ params.p }}", Value::from(inner))]);
        let expected = Value::from([
            ("whole", value),
            ("spaced", format!(" {shown}").into()),
            ("deep", Value::from(vec![deep])),
        ]);
        assert_eq!(args, expected);
        checked += 1;
    }
    assert!(checked >= 200, "{checked}");
}

/// A script is the DAG's author's; a value of another has no place in it, whatever it is called.
#[test]
fn a_script_takes_no_value() {
    let known = Known {
        functions: &Functions::new(),
        zone: &|_| Some(Zone::utc()),
        zone_names: &Vec::new,
        lines: &mini_dag::timetable::Lines::default(),
        pools: None,
    };
    let task = r#"{"params": {"p": 1}, "tasks": [{"task_id": "a", "bash": "true"},
        {"task_id": "b", "after": ["a"], "bash": "echo {{ VALUE }}"}]}"#;
    let hook = r#"{"params": {"p": 1}, "on_failure": {"bash": "echo {{ VALUE }}"},
        "tasks": [{"task_id": "a", "bash": "true"}]}"#;
    for (dag, variable, instead) in [
        (task, "params.p", "hand it over in `env`"),
        (task, "xcom.a", "hand it over in `env`"),
        (hook, "params.p", "hand it over in `env`"),
        (hook, "hook.reason", "write \"$MINI_DAG_HOOK_REASON\""),
        (hook, "hook.log", "write \"$MINI_DAG_HOOK_LOG\""),
    ] {
        let errors = load("d.json", &dag.replace("VALUE", variable), &known).unwrap_err();
        assert_eq!(
            errors[0].message,
            format!("`{variable}` in a `bash` string")
        );
        let help = errors[0].help.as_deref().unwrap();
        assert!(help.contains(instead), "{help}");
    }
}

/// The environment and the directory that all tasks share, from the DAG or from its `defaults`: a text, whatever is in it.
#[test]
fn what_all_tasks_share_is_text() {
    let known = Known {
        functions: &Functions::new(),
        zone: &|_| Some(Zone::utc()),
        zone_names: &Vec::new,
        lines: &mini_dag::timetable::Lines::default(),
        pools: None,
    };
    let shared = r#""env": {"v": "{{ params.p }}"}, "cwd": "/srv/{{ params.p }}""#;
    let of_dag = format!(r#"{shared}, "tasks""#);
    let of_defaults = format!(r#""defaults": {{{shared}}}, "tasks""#);
    for keys in [of_dag, of_defaults] {
        let text = r#"{"params": {"p": ""}, KEYS: [{"task_id": "t", "empty": true}]}"#;
        let dag = load("d.json", &text.replace("KEYS", &keys), &known).unwrap();
        for value in hostile("/tmp/canary") {
            let Ok(value) = String::from_utf8(value) else {
                continue;
            };
            let params = BTreeMap::from([("p".to_owned(), Value::from(value.as_str()))]);
            let facts = facts("r", &params);
            let [(name, template)] = &dag.env[..] else {
                panic!("{:?}", dag.env);
            };
            assert_eq!(
                (name.as_str(), template.render(&facts)),
                ("v", value.clone())
            );
            let cwd = dag.cwd.as_ref().unwrap().render(&facts);
            assert_eq!(cwd, format!("/srv/{value}"));
        }
    }
}
