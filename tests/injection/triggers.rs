//! Values that a run hands to the run that it triggers.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use mini_dag::Value;

use crate::corpus::{PARAM_BYTES_MAX, hostile, left};
use crate::place::{place, task};

/// One trigger hands over every value, as a param and as an XCom; what it triggers prints each of them.
#[test]
fn what_a_trigger_hands_over_is_data_in_the_run_that_it_triggers() {
    let place = place("trigger");
    let canary = place.0.join("canary");
    let (mut params, mut tasks, mut given) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let (mut printing, mut expected, mut says) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (n, value) in hostile(canary.to_str().unwrap()).iter().enumerate() {
        // The params of a run are 64 KiB at most, and no program is given a NUL.
        if value.len() > PARAM_BYTES_MAX || value.contains(&0) {
            continue;
        }
        fs::write(place.0.join(format!("value{n}")), value).unwrap();
        let say = Value::from(vec!["cat", &format!("../value{n}")]);
        tasks.push(task(&format!("say{n}"), &[("argv", say)]));
        says.push(format!("say{n}"));
        let mut hand_over = |name: String, template: String, text: String| {
            given.insert(name.clone(), Value::from(template));
            let word = Value::from(format!("{{{{ params.{name} }}}}"));
            let words: Value = vec!["printf".into(), "%s".into(), word].into();
            printing.push(task(&name, &[("argv", words)]));
            expected.insert(name, text);
        };
        // What leaves nothing hands over nothing, and as a text that is its JSON.
        let xcom = Some(left(value)).filter(|xcom| !xcom.is_empty());
        let xcom = xcom.unwrap_or_else(|| "null".to_owned());
        hand_over(format!("x{n}"), format!("{{{{ xcom.say{n} }}}}"), xcom);
        if let Ok(text) = std::str::from_utf8(value) {
            params.insert(format!("p{n}"), Value::from([("default", text)]));
            hand_over(
                format!("p{n}"),
                format!("{{{{ params.p{n} }}}}"),
                text.to_owned(),
            );
        }
    }
    let trigger = Value::from([
        ("dag_id", Value::from("child")),
        ("params", Value::Object(given.clone())),
        ("wait", true.into()),
    ]);
    tasks.push(task("go", &[("trigger", trigger), ("after", says.into())]));
    let write = |name: &str, params: BTreeMap<String, Value>, tasks: Vec<Value>| {
        let dag = Value::from([
            ("params", Value::Object(params)),
            ("cwd", place.0.join("work").to_str().unwrap().into()),
            ("tasks", Value::Array(tasks)),
        ]);
        fs::write(place.0.join(format!("dags/{name}.json")), dag.to_string()).unwrap();
    };
    fs::create_dir_all(place.0.join("dags")).unwrap();
    write("parent", params, tasks);
    let declared = given.into_keys().map(|name| (name, Value::from("")));
    write("child", declared.collect(), printing);
    let output = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .args(["run", "parent", "--parallelism", "8", "--state", "state"])
        .current_dir(&place.0)
        .env("HOME", place.0.join("work"))
        .output()
        .unwrap();
    assert!(!canary.exists(), "a value was run");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let logs = place.0.join("state/foreground/logs/dag_id=child");
    let logs = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    for (name, text) in &expected {
        // All of them have run, for the whole is a success. What prints nothing has no log.
        let log = logs.join(format!("task_id={name}/attempt=1.log"));
        let log = fs::read(log).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&log), *text, "{name}");
    }
    assert!(expected.len() > 390, "{}", expected.len());
}
