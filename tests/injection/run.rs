//! One run of a thousand tasks, in which every value stands in every part of a task.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use mini_dag::Value;

use crate::corpus::{PARAM_BYTES_MAX, hostile, left};
use crate::place::{place, task};
use crate::server::serve;

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one run, and what became of each value"
)]
fn no_value_becomes_code_wherever_it_stands() {
    let place = place("run");
    let canary = place.0.join("canary");
    let values = hostile(canary.to_str().unwrap());
    assert!(values.len() >= 200, "{}", values.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let posted = serve(listener);
    let mut params = BTreeMap::new();
    let mut tasks = Vec::new();
    for (n, value) in values.iter().enumerate() {
        fs::write(place.0.join(format!("value{n}")), value).unwrap();
        let file = format!("../value{n}");
        let xcom = Value::from(format!("{{{{ xcom.say{n} }}}}"));
        let print = Value::from("printf %s \"$v\"");
        let words = |value: &Value| Value::from(vec!["printf".into(), "%s".into(), value.clone()]);
        let say = Value::from(vec!["cat", &file]);
        tasks.push(task(&format!("say{n}"), &[("argv", say)]));
        let after = ("after", Value::from(vec![format!("say{n}")]));
        tasks.push(task(
            &format!("xargv{n}"),
            &[("argv", words(&xcom)), after.clone()],
        ));
        let env = Value::from([("v", xcom.clone())]);
        tasks.push(task(
            &format!("xenv{n}"),
            &[("bash", print.clone()), ("env", env), after.clone()],
        ));
        let Some(text) = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.len() < PARAM_BYTES_MAX)
        else {
            continue;
        };
        params.insert(format!("p{n}"), Value::from([("default", text)]));
        let param = Value::from(format!("{{{{ params.p{n} }}}}"));
        tasks.push(task(&format!("pargv{n}"), &[("argv", words(&param))]));
        let env = Value::from([("v", param.clone())]);
        tasks.push(task(&format!("penv{n}"), &[("bash", print), ("env", env)]));
        tasks.push(task(
            &format!("cwd{n}"),
            &[("bash", "pwd".into()), ("cwd", param.clone())],
        ));
        let http = Value::from([
            (
                "url",
                Value::from(format!(
                    "http://127.0.0.1:{port}/{{{{ params.p{n} }}}}?q={{{{ xcom.say{n} }}}}"
                )),
            ),
            ("method", "POST".into()),
            ("headers", Value::from([("X-Value", param.clone())])),
            ("json", Value::from([("v", param.clone()), ("x", xcom)])),
            ("save_to", Value::from(format!("out-{{{{ params.p{n} }}}}"))),
        ]);
        tasks.push(task(&format!("http{n}"), &[("http", http), after.clone()]));
        let body = Value::from([
            (
                "url",
                Value::from(format!("http://127.0.0.1:{port}/body{n}")),
            ),
            ("method", "POST".into()),
            ("body", param.clone()),
        ]);
        tasks.push(task(&format!("body{n}"), &[("http", body)]));
        let args = Value::from([
            ("input_path", param),
            ("output_path", Value::from(format!("{{{{ xcom.say{n} }}}}"))),
        ]);
        let call = ("call", Value::from("calculate_stats"));
        tasks.push(task(&format!("call{n}"), &[call, ("args", args), after]));
    }
    let output = place.run("hostile", params, tasks);
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(!canary.exists(), "a value was run");
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let unsafe_to_show = |c: char| {
        (c.is_control() && c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    assert_eq!(
        out.find(unsafe_to_show).map(|at| &out[at..]),
        None,
        "a terminal would act on it"
    );
    let mut states = BTreeMap::new();
    for line in out.lines() {
        let words: Vec<_> = line.split("  ").collect();
        if let [_, task_id, state, ..] = words[..] {
            states.insert(task_id.to_owned(), (state.to_owned(), line.to_owned()));
        }
    }
    let logs = place.0.join("state/foreground/logs/dag_id=hostile");
    let logs = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    let (mut data, mut errors) = (0, 0);
    let mut check = |task_id: String, expected: &str| {
        let log =
            fs::read(logs.join(format!("task_id={task_id}/attempt=1.log"))).unwrap_or_default();
        let (state, line) = &states[&task_id];
        if state == "success" {
            assert_eq!(String::from_utf8_lossy(&log), expected, "{task_id}");
            data += 1;
        } else {
            let why = String::from_utf8_lossy(&log);
            let is_told = why.starts_with("cannot be started: ") && why.len() > 30
                || state == "upstream_failed";
            assert!(is_told, "{line}: {why}");
            errors += 1;
        }
    };
    for (n, value) in values.iter().enumerate() {
        let xcom = left(value);
        check(format!("xargv{n}"), &xcom);
        check(format!("xenv{n}"), &xcom);
        let text = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.len() < PARAM_BYTES_MAX);
        if let Some(text) = text {
            check(format!("pargv{n}"), text);
            check(format!("penv{n}"), text);
            check(format!("body{n}"), "ok");
            let posted = posted.lock().unwrap();
            let body = posted.get(&format!("/body{n}")).map(Vec::as_slice);
            assert_eq!(body, Some(text.as_bytes()), "{text:?}");
            for kind in ["cwd", "http", "call"] {
                let task_id = format!("{kind}{n}");
                let (state, line) = &states[&task_id];
                let log = logs.join(format!("task_id={task_id}/attempt=1.log"));
                let is_told = fs::metadata(log).is_ok_and(|log| log.len() > 10);
                assert!(
                    is_told || state == "success" || state == "upstream_failed",
                    "{line}"
                );
                assert!(kind != "call" || state != "success", "no such file: {line}");
            }
        }
    }
    // NUL in two values, twice; and what is too long to be left.
    assert!(
        data > 900 && errors < 20,
        "{data} as data, {errors} as errors"
    );
}
