//! Values in hooks: those of params, and what a hook is told of an end, which may quote what a task printed.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use mini_dag::Value;

use crate::corpus::{PARAM_BYTES_MAX, hostile};
use crate::place::{place, task};
use crate::server::serve;

/// The texts that a param may be, with their numbers.
fn texts(canary: &str) -> Vec<(usize, String)> {
    let values = hostile(canary).into_iter().enumerate();
    let short = values.filter(|(_, value)| value.len() < PARAM_BYTES_MAX && !value.contains(&0));
    short
        .filter_map(|(n, value)| Some((n, String::from_utf8(value).ok()?)))
        .collect()
}

#[test]
fn a_value_in_a_hook_is_data() {
    let place = place("hooks");
    let canary = place.0.join("canary");
    let texts = texts(canary.to_str().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let posted = serve(listener);
    let url = |path: String| Value::from(format!("http://127.0.0.1:{port}/{path}"));
    let (mut params, mut tasks) = (BTreeMap::new(), Vec::new());
    for (n, text) in &texts {
        params.insert(format!("p{n}"), Value::from([("default", text.as_str())]));
        let param = Value::from(format!("{{{{ params.p{n} }}}}"));
        let words: Value = vec!["printf".into(), "%s".into(), param.clone()].into();
        let hooked = |name: String, hook: Value| {
            task(
                &name,
                &[("argv", vec!["true"].into()), ("on_success", hook)],
            )
        };
        tasks.push(hooked(format!("argv{n}"), Value::from([("argv", words)])));
        let json = Value::from([
            ("url", url(format!("json{n}"))),
            ("method", "POST".into()),
            ("json", Value::from([("v", param.clone())])),
        ]);
        tasks.push(hooked(format!("json{n}"), Value::from([("http", json)])));
        let body = Value::from([
            ("url", url(format!("body{n}"))),
            ("method", "POST".into()),
            ("body", param.clone()),
        ]);
        tasks.push(hooked(format!("body{n}"), Value::from([("http", body)])));
        let other = Value::from([
            ("url", url(format!("{{{{ params.p{n} }}}}"))),
            ("headers", Value::from([("X-Value", param.clone())])),
            ("save_to", Value::from(format!("out-{{{{ params.p{n} }}}}"))),
        ]);
        tasks.push(hooked(format!("http{n}"), Value::from([("http", other)])));
        // Its end quotes what it printed: the branch that does not follow it.
        fs::write(place.0.join(format!("value{n}")), text).unwrap();
        let told = r#"printf '%s' "$MINI_DAG_HOOK_REASON"; printf '%s' "$0""#;
        let words = vec!["sh", "-c", told, "{{ hook.reason }}"];
        let branch = [
            ("argv", vec!["cat", &format!("../value{n}")].into()),
            ("branch", true.into()),
            ("on_failure", Value::from([("argv", words)])),
        ];
        tasks.push(task(&format!("branch{n}"), &branch));
    }
    let output = place.run("hooks", params, tasks);
    assert!(!canary.exists(), "a value was run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let logs = place.0.join("state/foreground/logs/dag_id=hooks");
    let logs = fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    let said = |task_id: String, hook: &str| {
        let log = logs.join(format!("task_id={task_id}/attempt=1.{hook}.log"));
        String::from_utf8(fs::read(log).unwrap_or_default()).unwrap()
    };
    let mut quoted = 0;
    for (n, text) in &texts {
        assert_eq!(said(format!("argv{n}"), "on_success"), *text);
        let posted = posted.lock().unwrap();
        let body = posted.get(&format!("/body{n}")).map(Vec::as_slice);
        assert_eq!(body, Some(text.as_bytes()), "{text:?}");
        let json = &posted[&format!("/json{n}")];
        let json = Value::parse(std::str::from_utf8(json).unwrap()).unwrap();
        assert_eq!(json, Value::from([("v", text.as_str())]));
        // The same by both ways: the environment, and an argument.
        let told = said(format!("branch{n}"), "on_failure");
        let (half, other) = told.split_at_checked(told.len() / 2).unwrap();
        assert_eq!(half, other, "{text:?}");
        quoted += usize::from(half.starts_with("a branch chose `"));
    }
    assert!(
        texts.len() > 190 && quoted > 150,
        "{} {quoted}",
        texts.len()
    );
}
