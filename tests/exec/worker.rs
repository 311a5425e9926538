//! This test program as the worker, through the same door as the real one: `/proc/self/exe`, work on standard
//! input.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mini_dag::dag::{CallFn, Context, Outcome, Value};
use mini_dag::exec::worker::{self, Call, Work};
use mini_dag::exec::{Exit, Stdin};
use mini_dag::timetable::Timestamp;

use crate::attempt::{Attempt, Ended, argv};

/// What the test harness prints before the worker has its turn.
const PREAMBLE: &str = "\nrunning 1 test\n";

/// An attempt whose process is this program, in [`as_a_worker`].
pub(crate) fn worker(work: &Work) -> Attempt {
    let mut attempt = argv(&[
        "/proc/self/exe",
        "worker::as_a_worker",
        "--exact",
        "--nocapture",
    ]);
    attempt
        .launch
        .env
        .push(("MINI_DAG_TEST_WORKER".into(), "1".into()));
    attempt.launch.stdin = work.to_stdin();
    attempt
}

/// What a worker printed.
pub(crate) fn printed(ended: &Ended) -> &str {
    let log = ended.log.strip_prefix(PREAMBLE).unwrap_or(&ended.log);
    log.strip_prefix("test worker::as_a_worker ... ")
        .unwrap_or(log)
}

/// No test, but what the tests start. It does nothing when the harness runs it.
#[test]
fn as_a_worker() {
    if std::env::var_os("MINI_DAG_TEST_WORKER").is_some() {
        std::process::exit(worker::main(|call| function(&call.function)).into());
    }
}

#[derive(Debug)]
struct Wrapped(&'static str, Option<Box<Wrapped>>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|it| it as _)
    }
}

#[expect(clippy::print_stdout, reason = "a function prints to its log")]
fn function(name: &str) -> Option<CallFn> {
    let function: CallFn = match name {
        "done" => Arc::new(|_| {
            println!("printed");
            Ok(Outcome::Done)
        }),
        "text" => Arc::new(|_| Ok(Outcome::Value("hello".into()))),
        "lines" => Arc::new(|_| Ok(Outcome::Value("a\nb".into()))),
        "number" => Arc::new(|_| Ok(Outcome::Value(Value::from([("n", 7)])))),
        "branch" | "branch_of_none" => {
            Arc::new(|_: &Context| Ok(Outcome::Branch(vec!["a".into(), "b".into()])))
        }
        "skip" => Arc::new(|_| Ok(Outcome::Skip)),
        "chain" => Arc::new(|_| {
            let cause = Wrapped(
                "no route",
                Some(Box::new(Wrapped("the cable is out", None))),
            );
            Err(Wrapped("cannot fetch", Some(Box::new(cause))).into())
        }),
        "panic" => Arc::new(|_| panic!("index {} of {}", 3, 2)),
        "exit" => Arc::new(|_| std::process::exit(42)),
        "context" => Arc::new(|context| {
            println!("{context:?}");
            Ok(Outcome::Done)
        }),
        _ => return None,
    };
    Some(function)
}

fn context() -> Context {
    Context {
        dag_id: "weather".to_owned(),
        run_id: "manual__2026-11-22".to_owned(),
        task_id: "clean".to_owned(),
        try_number: 3,
        logical_date: Timestamp::from_secs(1_795_334_488),
        data_interval: Some((Timestamp::from_secs(-5), Timestamp::MAX)),
        params: BTreeMap::from([(
            "big".to_owned(),
            Value::Number("184467440737095516160".to_owned()),
        )]),
        args: BTreeMap::from([("받기".to_owned(), Value::from("\0\"\\\n\u{1f680}"))]),
        xcoms: BTreeMap::from([("fetch".to_owned(), Value::from(vec![1, 2]))]),
        prev_data_interval_end_success: Some(Timestamp::from_secs(-7)),
        timeout: Some(std::time::Duration::from_millis(1500)),
        deadline_ms: Some(u64::MAX),
    }
}

fn call(function: &str) -> Ended {
    worker(&Work::Call(Call {
        function: function.to_owned(),
        context: context(),
        is_branch: function == "branch",
    }))
    .run()
}

#[track_caller]
fn check(function: &str, code: i32, expected: &str) {
    let ended = call(function);
    assert_eq!(
        (ended.ending.exit, printed(&ended)),
        (Exit::Code(code), expected),
        "{function}"
    );
}

#[test]
fn a_function_ends_in_every_way_it_can() {
    check("done", 0, "printed\n");
    check("text", 0, "returned \"hello\"\n");
    check("lines", 0, "returned \"a\\nb\"\n");
    check("number", 0, "returned {\"n\":7}\n");
    check("branch", 0, "returned [\"a\",\"b\"]\n");
    check(
        "branch_of_none",
        1,
        "error: the function chose a branch, but its task has no `branch`\n",
    );
    check("skip", worker::SKIP_EXIT_CODE, "");
    check(
        "chain",
        1,
        "error: cannot fetch\n  caused by: no route\n  caused by: the cable is out\n",
    );
    check("exit", 42, "");
    check(
        "absent",
        1,
        "error: this program has no compiled-in function `absent`\n",
    );
}

#[test]
fn a_panic_is_a_failure_with_its_place() {
    let ended = call("panic");
    assert_eq!(ended.ending.exit, Exit::Code(1));
    let (place, message) = printed(&ended).rsplit_once(": ").unwrap();
    assert_eq!(message, "index 3 of 2\n");
    assert!(
        place.starts_with("error: panicked at tests/exec/worker.rs:"),
        "{place}"
    );
}

#[test]
fn a_function_is_told_its_context_unchanged() {
    let ended = call("context");
    assert_eq!(printed(&ended), format!("{:?}\n", context()));
}

#[test]
fn work_that_is_none_is_refused() {
    for text in [
        "",
        "{",
        "null",
        "{}",
        r#"{"http": {}}"#,
        r#"{"call": {"function": 1}}"#,
        r#"{"http": {}, "call": {}}"#,
    ] {
        let mut attempt = worker(&Work::Call(Call {
            function: String::new(),
            context: context(),
            is_branch: false,
        }));
        attempt.launch.stdin = Stdin::Bytes(text.into());
        let ended = attempt.run();
        assert_eq!(ended.ending.exit, Exit::Code(1), "{text}");
        assert!(
            printed(&ended).starts_with("error: standard input does not describe any work: "),
            "{text}"
        );
    }
}

#[test]
fn the_real_worker_is_the_running_program() {
    assert_eq!(
        worker::argv("weather/clean"),
        ["/proc/self/exe", "__worker", "weather/clean"]
    );
}
