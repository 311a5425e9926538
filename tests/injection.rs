//! Two hundred hostile values, through params, XComs, run ids and DAG ids, into every place a template may stand.
//!
//! Each ends as data, byte for byte, or as an error that says what is wrong. None is ever run: the canary
//! file that they all try to touch is not there afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test starts the program as its users do, and has failed if it cannot go on"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mini_dag::Value;
use mini_dag::dag::{Dag, Functions, Known, Operator, Outcome, Pools, RunFacts, load};
use mini_dag::scheduler::{
    Action, Command as Ask, Event, Limits, Monotonic, Now, RunType, Scheduler, Trigger,
};
use mini_dag::timetable::{Timestamp, Zone};

/// What is longer cannot be given to a run at all.
const PARAM_BYTES_MAX: usize = 2_000;

#[expect(clippy::too_many_lines, reason = "a list")]
fn hostile(canary: &str) -> Vec<Vec<u8>> {
    let touch = format!("touch {canary}");
    let mut values: Vec<Vec<u8>> = Vec::new();
    let around = [
        ("", ""),
        ("$(", ")"),
        ("`", "`"),
        (";", ";"),
        ("'; ", "; '"),
        ("\"; ", "; \""),
        ("\n", "\n"),
        ("| ", " |"),
        ("&& ", " &&"),
        ("|| ", " ||"),
        ("& ", " &"),
        (")", "("),
        ("'$(", ")'"),
        ("\"$(", ")\""),
        ("\\\"$(", ")\\\""),
        ("${x:-$(", ")}"),
        ("<(", ")"),
        ("\r\n", "\r\n"),
        ("}}", "{{"),
        ("{{ '", "' }}"),
    ];
    for payload in [
        touch.clone(),
        format!("/bin/{touch}"),
        format!("echo x > {canary}"),
        format!("tee {canary}"),
        format!("eval '{touch}'"),
        format!("\\$\\({touch}\\)"),
        format!("t=touch; $t {canary}"),
    ] {
        for (before, after) in around {
            values.push(format!("{before}{payload}{after}").into_bytes());
        }
    }
    for text in [
        format!("-o{canary}"),
        format!("--output={canary}"),
        format!("-c {touch}"),
        format!("/{canary}"),
        format!("file://{canary}"),
        format!("@{canary}"),
        format!("x HTTP/1.1\r\nX-Other: {touch}\r\n\r\n"),
        format!("BASH_ENV={canary}"),
        format!("() {{ :; }}; {touch}"),
    ] {
        values.push(text.into_bytes());
    }
    for text in [
        "",
        " ",
        "\t",
        "\n",
        "\r",
        "'",
        "\"",
        "`",
        "\\",
        "\\\\",
        "$",
        "$$",
        "$x",
        "${x}",
        "$HOME",
        "~",
        "*",
        "?",
        "[a-z]",
        "!",
        "#",
        "%",
        "%s%s%n",
        "%00",
        "&",
        "|",
        "<",
        ">",
        "(",
        ")",
        "{",
        "}",
        "{{",
        "}}",
        "{{ ds }}",
        "{{ params.p0 }}",
        "../../../etc/passwd",
        "/",
        ".",
        "..",
        "-",
        "--",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{202e}evil\u{2066}",
        "\u{85}\u{9b}31m",
        "a\0b",
        "\0",
        "null",
        "true",
        "[]",
        "{\"a\": 1}",
        "NaN",
        "🚀한글",
    ] {
        values.push(text.as_bytes().to_vec());
    }
    for bytes in [
        &b"\xff\xfe\x00"[..],
        b"caf\xe9",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf8\x88\x80\x80\x80",
    ] {
        values.push(bytes.to_vec());
    }
    values.push(vec![b'x'; 128 << 10]);
    values.push(vec![0xff; 40 << 10]);
    values.push("$(".repeat(20_000).into_bytes());
    values
}

/// What a task leaves that has printed these bytes, told a second time.
fn left(printed: &[u8]) -> String {
    let ended = printed.strip_suffix(b"\n").unwrap_or(printed);
    let line = ended.rsplit(|byte| *byte == b'\n').next().unwrap();
    let mut text = String::new();
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\0' {
                text.push_str("\\x00");
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").unwrap();
        }
    }
    text.trim_end().to_owned()
}

/// What was posted, by its path.
type Posted = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Answers whatever is asked, and keeps what was posted.
fn serve(listener: TcpListener) -> Posted {
    let posted = Posted::default();
    let kept = posted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let kept = kept.clone();
            std::thread::spawn(move || answer(stream, &kept));
        }
    });
    posted
}

fn answer(mut stream: TcpStream, kept: &Posted) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let head = |seen: &[u8]| seen.windows(4).position(|four| four == b"\r\n\r\n");
    let wanted = |seen: &[u8]| {
        let end = head(seen)?;
        let text = String::from_utf8_lossy(&seen[..end]).to_lowercase();
        let length = text.split("content-length: ").nth(1);
        let length = length.map_or(Some(0), |rest| rest.lines().next()?.parse().ok());
        Some(end + 4 + length.unwrap_or(0))
    };
    while wanted(&seen).is_none_or(|bytes| seen.len() < bytes) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => seen.extend_from_slice(&buffer[..bytes]),
        }
    }
    let end = head(&seen).unwrap();
    let line = String::from_utf8_lossy(&seen[..end]).into_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    kept.lock().unwrap().insert(path, seen.split_off(end + 4));
    _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn place(name: &str) -> Place {
    let name = format!("injection-{name}-{}", std::process::id());
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(place.join("work")).unwrap();
    Place(place)
}

fn task(id: &str, members: &[(&str, Value)]) -> Value {
    let mut all = BTreeMap::from([("task_id".to_owned(), Value::from(id))]);
    all.extend(
        members
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    Value::Object(all)
}

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
    let dag = Value::from([
        ("params", Value::Object(params)),
        ("cwd", place.0.join("work").to_str().unwrap().into()),
        ("tasks", Value::Array(tasks)),
    ]);
    fs::write(place.0.join("hostile.json"), dag.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .args([
            "run",
            "hostile.json",
            "--parallelism",
            "8",
            "--state",
            "state",
        ])
        .current_dir(&place.0)
        .env("HOME", place.0.join("work"))
        .output()
        .unwrap();
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

#[test]
fn an_id_that_could_mean_more_is_refused() {
    let known = Known {
        functions: &Functions::new(),
        zone: &|_| Some(Zone::utc()),
        zone_names: &Vec::new,
        pools: None,
    };
    let plain = |text: &str| {
        let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        !text.is_empty() && text.len() <= 250 && text.chars().all(word) && !text.starts_with('.')
    };
    let mut refused = 0;
    for value in hostile("/tmp/canary") {
        let Ok(text) = std::str::from_utf8(&value) else {
            continue;
        };
        for key in ["dag_id", "task_id"] {
            let mut task = BTreeMap::from([
                ("task_id".to_owned(), Value::from("t")),
                ("bash".to_owned(), "true".into()),
            ]);
            let mut dag = BTreeMap::from([("dag_id".to_owned(), Value::from("d"))]);
            let into = if key == "dag_id" { &mut dag } else { &mut task };
            into.insert(key.to_owned(), text.into());
            dag.insert("tasks".to_owned(), vec![Value::Object(task)].into());
            let loaded = load("d.json", &Value::Object(dag).to_string(), &known);
            assert_eq!(loaded.is_ok(), plain(text), "{key} {text:?}");
            refused += u32::from(loaded.is_err());
        }
    }
    assert!(refused > 380, "{refused}");
}

/// A run id names a folder and stands in scripts; somebody may choose it.
#[test]
fn a_run_id_that_could_mean_more_is_refused_and_the_others_end_as_data() {
    let canary = "/tmp/canary";
    let dag = Dag::new("d").max_active_runs(1_000);
    dag.bash("t", "echo {{ run_id }}");
    let dag = Arc::new(dag.finish().unwrap());
    let now = Now {
        wall: Timestamp::from_secs(0),
        monotonic: Monotonic(0),
    };
    let mut scheduler = Scheduler::new(Limits {
        pools: Pools::new(1_000),
        kill_grace: Duration::from_secs(1),
    });
    let mut actions = Vec::new();
    scheduler.step(now, Event::DagLoaded(dag), &mut actions);
    let ids = hostile(canary).into_iter();
    let ids = ids.filter_map(|value| String::from_utf8(value).ok());
    let (mut refused, mut taken) = (0, 0);
    for id in ids.chain(["a~b+c:d.e-f_G9", "x--y", "z.."].map(str::to_owned)) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.:+-~".contains(c);
        let is_plain = id.chars().all(plain)
            && (1..=250).contains(&id.len())
            && !id.starts_with(['.', '-', '~']);
        let trigger = Trigger {
            dag_id: "d".into(),
            run_id: Some(id.clone()),
            run_type: RunType::Manual,
            logical_date: None,
            data_interval: None,
            params: BTreeMap::new(),
        };
        actions.clear();
        scheduler.step(now, Event::Command(1, Ask::Trigger(trigger)), &mut actions);
        let answer = actions.iter().find_map(|action| match action {
            Action::Reply(_, answer) => Some(answer.is_ok()),
            Action::Record(_)
            | Action::Spawn(_)
            | Action::Signal(..)
            | Action::Hook(_)
            | Action::Look(_) => None,
        });
        assert_eq!(answer, Some(is_plain), "{id:?}");
        let spawn = actions.iter().find_map(|action| match action {
            Action::Spawn(spawn) => Some(spawn),
            Action::Record(_)
            | Action::Reply(..)
            | Action::Signal(..)
            | Action::Hook(_)
            | Action::Look(_) => None,
        });
        refused += u32::from(spawn.is_none());
        let Some(spawn) = spawn else { continue };
        taken += 1;
        let Operator::Bash(script) = &spawn.dag.tasks()[0].operator else {
            panic!("it is a script");
        };
        let said = script.render(&facts(&id, &BTreeMap::new()));
        let words = said.strip_prefix("echo ").unwrap();
        let harmless = |c: char| c.is_ascii_alphanumeric() || "_.:+-".contains(c);
        assert!(words.chars().all(harmless), "{said}");
    }
    assert!(
        refused > 190 && taken >= 3,
        "{refused} refused, {taken} taken"
    );
}

fn facts<'f>(run_id: &'f str, params: &'f BTreeMap<String, Value>) -> RunFacts<'f> {
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    static NO_XCOMS: BTreeMap<Arc<str>, Arc<Value>> = BTreeMap::new();
    static UTC: std::sync::LazyLock<Zone> = std::sync::LazyLock::new(Zone::utc);
    RunFacts {
        dag_id: "d",
        run_id,
        task_id: "t",
        try_number: 1,
        logical_date: Timestamp::from_secs(0),
        data_interval: None,
        prev_data_interval_end_success: None,
        params,
        xcoms: &NO_XCOMS,
        hook: None,
        secrets: &NOTHING,
        zone: &UTC,
    }
}

/// What is nothing but a param has its type; what has anything beside it is a text. A key is never a template, and a
/// value is never read as one.
#[test]
fn the_args_of_a_call_are_values_with_their_type_and_nothing_more() {
    let functions = Functions::new().with("f", |_| Ok(Outcome::Done));
    let known = Known {
        functions: &functions,
        zone: &|_| Some(Zone::utc()),
        zone_names: &Vec::new,
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
        pools: None,
    };
    for variable in ["params.p", "xcom.a"] {
        let text = format!(
            "{{\"params\": {{\"p\": 1}}, \"tasks\": [{{\"task_id\": \"a\", \"bash\": \"true\"}},
            {{\"task_id\": \"b\", \"after\": [\"a\"], \"bash\": \"echo {{{{ {variable} }}}}\"}}]}}"
        );
        let errors = load("d.json", &text, &known).unwrap_err();
        assert!(
            errors[0]
                .help
                .as_deref()
                .unwrap()
                .contains("hand it over in `env`")
        );
    }
}
