//! What only the journal has any more, from a daemon and without one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mini_dag::Value;

use crate::daemon::{Daemon, text};

const QUICK: &str = r#"{"dag_id": "quick", "tasks": [{"task_id": "say", "bash": "echo try $MINI_DAG_TRY_NUMBER"}]}"#;

/// Fails, is killed, and succeeds.
const STUBBORN: &str = r#"{"dag_id": "stubborn", "tasks": [{"task_id": "try", "retries": 2, "retry_delay": "0s",
    "bash": "case $MINI_DAG_TRY_NUMBER in 1) exit 3;; 2) kill -9 $$;; esac"},
    {"task_id": "other", "bash": "true"}]}"#;

const YEARLY: &str = r#"{"dag_id": "yearly", "schedule": "0 0 1 1 *", "timezone": "UTC", "timetable": "interval",
    "tasks": [{"task_id": "t", "bash": "true"}]}"#;

const RUNS: &str = "/api/v2/dags/quick/dagRuns";
const WORD: &str = "no daemon runs; this is what the journal says";

/// A daemon whose DAG `quick` has run so many times: `r01`, `r02` …
fn after_runs(test: &str, count: usize) -> Daemon {
    let mut daemon = Daemon::with(test, &[("quick.json", QUICK)]);
    for number in 1..=count {
        let run_id = format!("r{number:02}");
        let body = format!(r#"{{"dag_run_id": "{run_id}", "logical_date": null}}"#);
        daemon.answer("POST", RUNS, &body);
        daemon.wait_for("end", |daemon| {
            daemon.state_of("quick", &run_id) == "success"
        });
    }
    daemon
}

fn restart(daemon: &mut Daemon) {
    daemon.stop();
    begin(daemon);
}

fn begin(daemon: &mut Daemon) {
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
}

/// The runs of a list, and how many it says there are.
fn listed(daemon: &Daemon, query: &str) -> (Vec<String>, String) {
    let answer = daemon.answer("GET", &format!("{RUNS}?{query}"), "");
    let runs = answer.get("dag_runs").and_then(Value::as_array).unwrap();
    let ids = runs.iter().map(|run| text(run, "dag_run_id")).collect();
    (ids, answer.get("total_entries").unwrap().to_string())
}

/// `r20` to `r01`, say.
fn names(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|number| format!("r{number:02}")).collect()
}

#[test]
fn a_list_goes_on_where_memory_ends() {
    let mut daemon = after_runs("list", 20);
    for life in ["first", "second"] {
        let check = |query: &str, ids: Vec<String>, total: &str| {
            let expected = (ids, total.to_owned());
            assert_eq!(listed(&daemon, query), expected, "{life} life: {query}");
        };
        check("order_by=-id&limit=20", names((1..=20).rev()), "20");
        check("", names(1..=20), "20");
        check("limit=3", names(1..=3), "20");
        check("order_by=-id&limit=3&offset=15", names((3..=5).rev()), "19");
        check("order_by=-id&limit=3&offset=19", names(1..=1), "20");
        check("order_by=-start_date&limit=2", names((19..=20).rev()), "20");
        check("state=success&limit=1", names(1..=1), "20");
        check("state=failed", Vec::new(), "0");
        check("state=running&state=queued", Vec::new(), "0");
        // What memory has is enough, and then it is all that is counted.
        check("order_by=-id&limit=7", names((14..=20).rev()), "8");
        let every = daemon.answer("GET", "/api/v2/dags/~/dagRuns", "");
        assert_eq!(every.get("total_entries").unwrap().to_string(), "20");
        assert_eq!(daemon.state_of("quick", "r01"), "success");
        assert_eq!(daemon.ok(&["logs", "quick", "r01"]), "say | try 1\n");
        assert_eq!(daemon.get(&format!("{RUNS}/r21")).0, 404);
        assert_eq!(daemon.ok(&["runs", "quick"]).lines().count(), 21);
        restart(&mut daemon);
    }
}

/// They were those of the runs in memory: eight of each DAG.
#[test]
fn how_many_runs_are_in_each_state_is_told_of_all_there_were() {
    let mut daemon = after_runs("stats", 12);
    let failing = format!(
        r#"{{"dag_id": "gated", "tasks": [{{"task_id": "t", "bash": "test -e '{}'"}}]}}"#,
        daemon.path("gate")
    );
    fs::write(daemon.path("dags/gated.json"), failing).unwrap();
    daemon.ok(&["reload"]);
    for number in 0..10 {
        let run_id = format!("f{number}");
        let args = ["trigger", "gated", "--run-id", &run_id, "--wait"];
        assert_eq!(daemon.run(&args).code, 1);
    }
    let stats = |daemon: &Daemon, dag_id: &str| {
        let answer = daemon.answer("GET", &format!("/api/v2/dagStats?dag_ids={dag_id}"), "");
        let dags = answer.get("dags").and_then(Value::as_array).unwrap();
        let stats = dags[0].get("stats").and_then(Value::as_array).unwrap();
        let count = |stat: &Value| stat.get("count").unwrap().to_string();
        stats.iter().map(count).collect::<Vec<_>>().join(" ")
    };
    for life in ["first", "second"] {
        assert_eq!(stats(&daemon, "quick"), "0 0 12 0", "{life}");
        assert_eq!(stats(&daemon, "gated"), "0 0 0 10", "{life}");
        restart(&mut daemon);
    }
    // One that only the journal has any more succeeds after all, another is deleted.
    fs::write(daemon.path("gate"), "").unwrap();
    daemon.ok(&["clear", "gated", "f0"]);
    daemon.wait_for("success", |daemon| {
        daemon.state_of("gated", "f0") == "success"
    });
    daemon.request("DELETE", "/api/v2/dags/gated/dagRuns/f1", "", "");
    for life in ["third", "fourth"] {
        assert_eq!(stats(&daemon, "gated"), "0 0 1 8", "{life}");
        restart(&mut daemon);
    }
    // Nor does a snapshot forget them.
    daemon.stop();
    daemon.ok(&["journal", "compact"]);
    begin(&mut daemon);
    assert_eq!(stats(&daemon, "gated"), "0 0 1 8");
    assert_eq!(stats(&daemon, "quick"), "0 0 12 0");
}

/// A name that only the journal knew was given to a second run.
#[test]
fn no_run_gets_the_name_or_the_date_of_a_run_that_is_only_history() {
    let daemon = after_runs("twin", 10);
    let first = daemon.answer("GET", &format!("{RUNS}/r01"), "");
    let date = text(&first, "logical_date");
    let trigger = |body: &str| daemon.request("POST", RUNS, "", body);
    for (body, detail) in [
        (
            r#"{"dag_run_id": "r01", "logical_date": null}"#.to_owned(),
            "there is a run `r01` already",
        ),
        (
            format!(r#"{{"logical_date": "{date}"}}"#),
            "has a run with the logical date",
        ),
        (
            format!(r#"{{"dag_run_id": "new", "logical_date": "{date}"}}"#),
            "has a run with the logical date",
        ),
    ] {
        let (status, answer) = trigger(&body);
        assert_eq!(status, 409, "{body}: {answer}");
        assert!(answer.contains(detail), "{body}: {answer}");
    }
    let (status, answer) =
        trigger(r#"{"dag_run_id": "r11", "logical_date": "2001-01-01T00:00:00Z"}"#);
    assert_eq!(status, 200, "{answer}");
    let (status, _) =
        trigger(r#"{"dag_run_id": "manual__2001-01-01T00:00:00+00:00", "logical_date": null}"#);
    assert_eq!(status, 200, "the name of a date that another run has");
}

#[test]
fn every_attempt_is_told_with_what_it_took() {
    let mut daemon = Daemon::with("tries", &[("stubborn.json", STUBBORN)]);
    daemon.ok(&["trigger", "stubborn", "--run-id", "r", "--wait"]);
    let path = "/api/v2/dags/stubborn/dagRuns/r/taskInstances/try/tries";
    let before = daemon.answer("GET", path, "");
    restart(&mut daemon);
    let answer = daemon.answer("GET", path, "");
    assert_eq!(answer, before);
    let tries = answer.get("task_instances").and_then(Value::as_array);
    let tries = tries.unwrap();
    let told = |key: &str| {
        let values = tries.iter().map(|attempt| attempt.get(key).unwrap());
        values.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told("try_number"), ["1", "2", "3"]);
    assert_eq!(told("exit_code"), ["3", "null", "0"]);
    assert_eq!(told("signal"), ["null", "9", "null"]);
    let again = "\"up_for_retry\"";
    assert_eq!(told("state"), [again, again, "\"success\""]);
    for key in ["duration", "cpu_s", "memory_peak_bytes", "output_bytes"] {
        let numbers = told(key);
        let is_number = |text: &String| text.parse::<f64>().is_ok();
        assert!(numbers.iter().all(is_number), "{key}: {numbers:?}");
    }
    assert_ne!(told("memory_peak_bytes")[0], "0");
    assert_eq!(answer.get("total_entries").unwrap().to_string(), "3");
}

#[test]
fn a_run_that_is_only_history_is_cleared_and_runs_again() {
    let mut daemon = after_runs("clear", 12);
    let said = daemon.run(&["clear", "quick", "r01", "--task", "nope"]);
    assert!(said.err.contains("there is no task `nope`"), "{said:?}");
    let body = r#"{"dag_run_id": "r01", "only_failed": false}"#;
    let shown = daemon.answer("POST", "/api/v2/dags/quick/clearTaskInstances", body);
    assert_eq!(shown.get("total_entries").unwrap().to_string(), "1");
    let restored = |daemon: &Daemon| {
        let journal = daemon.ok(&["journal", "cat"]);
        let lines = journal.lines();
        lines
            .filter(|line| line.contains("\"run_restored\""))
            .count()
    };
    assert_eq!(restored(&daemon), 0, "only what is cleared is brought back");

    assert_eq!(daemon.ok(&["clear", "quick", "r01"]), "cleared say\n");
    let logs = |daemon: &Daemon| daemon.run(&["logs", "quick", "r01"]).out;
    daemon.wait_for("second attempt", |daemon| {
        daemon.state_of("quick", "r01") == "success" && logs(daemon) == "say | try 2\n"
    });
    assert_eq!(restored(&daemon), 1);
    let ids = names((1..=12).rev());
    for _ in 0..2 {
        let expected = (ids.clone(), "12".to_owned());
        assert_eq!(listed(&daemon, "order_by=-id&limit=50"), expected);
        let tries = format!("{RUNS}/r01/taskInstances/say/tries");
        let tries = daemon.answer("GET", &tries, "");
        assert_eq!(tries.get("total_entries").unwrap().to_string(), "2");
        restart(&mut daemon);
    }
}

#[test]
fn who_changed_what_is_still_known_after_a_restart() {
    let mut daemon = Daemon::with("who", &[("quick.json", QUICK)]);
    daemon.ok(&["pause", "quick"]);
    restart(&mut daemon);
    daemon.ok(&["unpause", "quick"]);
    let answer = daemon.answer("GET", "/api/v2/eventLogs?dag_id=quick", "");
    let logs = answer.get("event_logs").and_then(Value::as_array).unwrap();
    let told = |log: &Value| format!("{} {}", text(log, "event"), text(log, "dag_id"));
    let told: Vec<_> = logs.iter().map(told).collect();
    assert_eq!(told, ["patch_dag quick", "patch_dag quick"]);
    let number = |log: &Value| log.get("event_log_id").unwrap().to_string();
    let numbers: Vec<_> = logs.iter().map(number).collect();
    assert_eq!(numbers, ["1", "2"]);
}

/// Every file below a directory, and its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                files.insert(path.display().to_string(), bytes);
            }
        }
    }
    files
}

#[test]
fn without_a_daemon_the_journal_says_what_the_daemon_said() {
    let mut daemon = after_runs("alone", 12);
    let questions = [
        &["runs", "quick", "--json"][..],
        &["runs", "quick"],
        &[
            "runs", "quick", "--state", "success", "--limit", "3", "--json",
        ],
        &["status", "quick", "r01", "--json"],
        &["status", "quick", "latest"],
        &["logs", "quick", "r01"],
        &["logs", "quick", "latest", "say", "--json"],
        &["list", "--json"],
        &["show", "quick", "--json"],
    ];
    let ask = |daemon: &Daemon| questions.map(|question| daemon.ok(question));
    let before = ask(&daemon);
    assert_eq!(daemon.run(&["runs", "quick"]).err, "");
    daemon.stop();
    let state = daemon.root.join("state");
    let left = files(&state);
    assert_eq!(ask(&daemon), before);
    let said = daemon.run(&["runs", "quick"]);
    assert_eq!(said.err.trim_end(), WORD);
    let status = daemon.run(&["status"]);
    assert_eq!(status.code, 0);
    assert!(status.out.starts_with("no daemon runs\n"), "{status:?}");
    assert_eq!(status.err.trim_end(), WORD);
    let said = daemon.run(&["runs", "quick", "--dags", &daemon.path("state")]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("with --dags"), "{said:?}");
    fs::rename(daemon.path("dags"), daemon.path("plans")).unwrap();
    assert_eq!(daemon.run(&["runs", "quick"]).code, 1);
    fs::write(daemon.path("mini-dag.json"), r#"{"dags": ["plans"]}"#).unwrap();
    let said = daemon.ok(&["runs", "quick", "--json"]);
    assert_eq!(said, before[0], "the config file says where DAG files are");
    fs::remove_file(daemon.path("mini-dag.json")).unwrap();
    fs::rename(daemon.path("plans"), daemon.path("dags")).unwrap();
    let said = daemon.run(&["status", "quikc"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("did you mean `quick`?"), "{said:?}");
    for changing in [
        &["trigger", "quick"][..],
        &["clear", "quick", "r01"],
        &["clear", "quick", "latest"],
        &["pause", "quick"],
    ] {
        let said = daemon.run(changing);
        assert_eq!(said.code, 1, "{changing:?}");
        assert!(said.err.contains("`mini-dag daemon`"), "{said:?}");
        assert!(!said.err.contains(WORD), "{said:?}");
    }
    assert!(files(&state) == left, "who only reads writes nothing");

    begin(&mut daemon);
    daemon.kill();
    assert_eq!(ask(&daemon), before, "a dead daemon's socket is no daemon");
}

#[test]
fn damage_is_told_with_a_daemon_and_without_one() {
    let mut daemon = after_runs("damage", 1);
    daemon.stop();
    let segment = daemon.root.join("state/journal/0000000001.jsonl");
    let text_before = fs::read_to_string(&segment).unwrap();
    fs::write(
        &segment,
        text_before.replacen("run_started", "run_stated!", 1),
    )
    .unwrap();
    let said = daemon.run(&["status"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("the journal is damaged"), "{said:?}");
    assert!(said.out.contains("nothing new is started"), "{said:?}");

    begin(&mut daemon);
    let health = daemon.answer("GET", "/api/v2/monitor/health", "");
    let scheduler = health.get("scheduler").unwrap();
    assert_eq!(text(scheduler, "status"), "unhealthy");
    let reason = text(scheduler, "reason");
    assert!(reason.contains("the journal is damaged"), "{reason}");
    let said = daemon.ok(&["status"]);
    assert!(said.contains("nothing new is started"), "{said}");
    assert_eq!(text(&daemon.json(&["status"]), "trouble"), reason);
}

#[test]
fn the_next_run_and_what_it_is_about_are_told() {
    let daemon = Daemon::with("next", &[("yearly.json", YEARLY), ("quick.json", QUICK)]);
    let dag = daemon.answer("GET", "/api/v2/dags/yearly", "");
    let next = text(&dag, "next_dagrun_run_after");
    assert!(next.ends_with("-01-01T00:00:00+00:00"), "{next}");
    assert_eq!(text(&dag, "next_dagrun_data_interval_end"), next);
    let start = text(&dag, "next_dagrun_data_interval_start");
    let year = |date: &str| date[..4].parse::<u32>().unwrap();
    assert_eq!(year(&start) + 1, year(&next));
    assert_eq!(text(&dag, "next_dagrun_logical_date"), start);
    let status = daemon.ok(&["status", "yearly"]);
    assert!(status.contains("  in "), "{status}");
    assert!(status.contains(" (0 0 1 1 *)"), "{status}");
    daemon.ok(&["pause", "yearly"]);
    let dag = daemon.answer("GET", "/api/v2/dags/yearly", "");
    assert_eq!(dag.get("next_dagrun_run_after"), Some(&Value::Null));
}
