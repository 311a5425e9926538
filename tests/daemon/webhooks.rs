//! The webhooks that README shows, word for word but for the host: what the service of each is sent.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use mini_dag::dag::Value;

use crate::place::Place;

const SECRET: &str = "T000/B000/XXXX";
/// One DAG that succeeds and one that fails; `HOOKS` stands for keys.
const GOOD: &str = r#"{HOOKS "tasks": [{"task_id": "a", "bash": "true"}]}"#;
const BAD: &str = r#"{HOOKS "tasks": [{"task_id": "a", "bash": "exit 7"}]}"#;

/// The JSON after a sentence of README.
fn shown(sentence: &str) -> String {
    let readme = include_str!("../../README.md");
    let after = &readme[readme.find(sentence).expect(sentence)..];
    let block = &after[after.find("```json\n").unwrap() + 8..];
    block[..block.find("```").unwrap()].to_owned()
}

/// One request, all of it; the answer is empty.
pub fn serve(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&got);
        let length = text.to_ascii_lowercase();
        let length = length
            .split("content-length: ")
            .nth(1)
            .and_then(|it| it.lines().next()?.parse().ok());
        let body = text.split("\r\n\r\n").nth(1).map(str::len);
        if read == 0 || body.is_some_and(|body| body >= length.unwrap_or(0)) {
            break;
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    String::from_utf8(got).unwrap()
}

/// What a run of each DAG sends to the service, with hooks of all DAGs or of each.
fn sent(name: &str, sentence: &str, host: &str, is_of_all: bool, dags: &[&str]) -> Vec<String> {
    let place = Place::new(&format!("webhook-{name}"));
    let secrets = place.path("secrets");
    fs::DirBuilder::new().mode(0o700).create(&secrets).unwrap();
    for secret in ["slack-webhook", "healthchecks-uuid"] {
        fs::write(secrets.join(secret), format!("{SECRET}\n")).unwrap();
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(secrets.join(secret), private).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!("http://{}/", listener.local_addr().unwrap());
    let hooks = shown(sentence);
    assert!(hooks.contains(host), "{hooks}");
    let hooks = hooks.replace(host, &here);
    let keys = hooks.trim().strip_prefix('{').unwrap();
    let keys = format!("{},", keys.strip_suffix('}').unwrap());
    let (of_all, of_each) = if is_of_all {
        (&*keys, "")
    } else {
        ("", &*keys)
    };
    let config = format!("{{{of_all} \"secrets\": \"secrets\"}}");
    fs::write(place.path("mini-dag.json"), config).unwrap();
    for (number, dag) in dags.iter().enumerate() {
        place.dag(&format!("d{number}.json"), &dag.replace("HOOKS", of_each));
    }
    let daemon = place.daemon();
    let requests = (0..dags.len()).map(|number| {
        place.command(&["trigger", &format!("d{number}")]);
        serve(&listener)
    });
    let requests = requests.collect();
    let log = daemon.log();
    daemon.stop();
    assert!(!log.contains(SECRET), "{log}");
    requests
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn ntfy_gets_a_title_a_priority_and_why() {
    let sentence = "A message to a phone by [ntfy]";
    let sent = sent("ntfy", sentence, "https://ntfy.sh/", true, &[BAD]);
    let head = sent[0].to_ascii_lowercase();
    assert!(head.starts_with("post /my-pi http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ntitle: d0 has failed\r\n"), "{head}");
    assert!(head.contains("\r\npriority: high\r\n"), "{head}");
    let body = body(&sent[0]);
    assert!(
        body.starts_with("manual__") && body.ends_with(": failed: a"),
        "{body}"
    );
}

#[test]
fn slack_gets_json_at_an_address_that_nobody_else_sees() {
    let sentence = "Slack, whose webhook's address is the secret itself";
    let sent = sent("slack", sentence, "https://hooks.slack.com/", true, &[BAD]);
    let line = format!("POST /services/{SECRET} HTTP/1.1\r\n");
    assert!(sent[0].starts_with(&line), "{}", sent[0]);
    let message = Value::parse(body(&sent[0])).unwrap();
    let text = message.get("text").and_then(Value::as_str).unwrap();
    assert!(text.starts_with("d0 failed after 0."), "{text}");
    assert!(text.ends_with(" s: failed: a"), "{text}");
    assert!(
        sent[0].to_ascii_lowercase().contains("application/json"),
        "{}",
        sent[0]
    );
}

#[test]
fn healthchecks_hears_of_both_ends() {
    let sentence = "[healthchecks.io](https://healthchecks.io) raises the alarm";
    let sent = sent(
        "health",
        sentence,
        "https://hc-ping.com/",
        false,
        &[GOOD, BAD],
    );
    assert!(
        sent[0].starts_with(&format!("POST /{SECRET} HTTP/1.1\r\n")),
        "{}",
        sent[0]
    );
    let said = body(&sent[0]);
    assert!(
        said.starts_with("manual__") && said.contains(" took 0."),
        "{said}"
    );
    assert!(
        sent[1].starts_with(&format!("POST /{SECRET}/fail HTTP/1.1\r\n")),
        "{}",
        sent[1]
    );
    assert_eq!(body(&sent[1]), "failed: a");
}
