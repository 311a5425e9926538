//! The clock of this host, and the real daemon: nothing is faked here. What needs leave to set the clock says
//! so loudly when it has none.

use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use mini_dag::daemon::clock::{Rang, WallTimer};
use mini_dag::dag::Value;
use mini_dag::timetable::Timestamp;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime, clock_settime};

use crate::place::{Place, text};

/// What is not captured, even if the test passes.
fn say(what: &str) {
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(format!("{what}\n").as_bytes()).unwrap();
}

/// Sets the clock to what it shows. `false`: this user may not.
fn set_the_clock() -> bool {
    let is_set = clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime)).is_ok();
    if !is_set {
        say(
            "SKIPPED: this needs CAP_SYS_TIME to set the clock (to what it shows). As root, outside of a \
             sandbox: cargo test --test daemon clock",
        );
    }
    is_set
}

fn clock_of(place: &Place) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
        .args(["status", "--json", "--state"])
        .arg(place.path("state"))
        .output()
        .unwrap();
    let status = Value::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
    status.get("clock").unwrap().clone()
}

fn milliseconds(line: &Value) -> i64 {
    Timestamp::parse(text(line, "at")).unwrap().millis()
}

#[test]
fn a_clock_that_is_set_wakes_whoever_waits_for_it() {
    let timer = WallTimer::new().unwrap();
    // Armed by the first look: a set before that is nobody's business.
    let far = Some(Timestamp::MAX);
    let rang = smol::block_on(smol::future::or(
        async { Some(timer.wait(far).await) },
        async {
            smol::Timer::after(Duration::from_millis(50)).await;
            if !set_the_clock() {
                return None;
            }
            smol::Timer::after(Duration::from_secs(1)).await;
            panic!("nobody woke");
        },
    ));
    assert!(matches!(rang, None | Some(Rang::ClockSet)));
}

/// And in the daemon within a second, however long it would have slept.
#[test]
fn a_clock_that_is_set_wakes_the_daemon_within_a_second() {
    let place = Place::new("clock-set");
    place.dag(
        "rare.json",
        r#"{"schedule": "@yearly", "tasks": [{"task_id": "t", "bash": "true"}]}"#,
    );
    let daemon = place.daemon();
    let began = Instant::now();
    if set_the_clock() {
        daemon.tells("the wall clock was set");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "it took {took:?}");
    }
    daemon.stop();
}

/// On a host whose clock is synchronised the schedule runs, and else it waits and says so.
#[test]
fn a_config_that_requires_ntp_holds_the_schedule_and_nothing_else() {
    let place = Place::new("clock-require");
    fs::write(place.path("mini-dag.json"), r#"{"clock": "require"}"#).unwrap();
    place.dag(
        "each.json",
        r#"{"schedule": {"cron": "* * * * * *", "seconds": true}, "tasks": [{"task_id": "t", "bash": "true"}]}"#,
    );
    let daemon = place.daemon();
    let clock = clock_of(&place);
    let is_held = clock.get("is_held").and_then(Value::as_bool).unwrap();
    if is_held {
        assert_eq!(text(&clock, "status"), "unsynchronised");
        assert!(text(&clock, "reason").contains("until NTP says it is"));
        daemon.tells("scheduled runs wait");
        let trigger = Command::new(env!("CARGO_BIN_EXE_mini-dag"))
            .args(["trigger", "each", "--wait", "--state"])
            .arg(place.path("state"))
            .output()
            .unwrap();
        assert!(trigger.status.success());
        let created = place.recorded("run_created", "each");
        assert_eq!(created.len(), 1, "nothing but what was asked for");
        assert_eq!(text(&created[0], "clock"), "unsynchronised");
        let seen = place
            .journal()
            .iter()
            .any(|line| text(line, "ev") == "seen");
        assert!(!seen, "no DAG is seen by a clock that is not believed");
    } else {
        assert_eq!(text(&clock, "status"), "synchronised");
        say("SKIPPED in part: the clock of this host is synchronised, so nothing waits");
    }
    fs::write(place.path("mini-dag.json"), r#"{"clock": "ignore"}"#).unwrap();
    daemon.signal(Signal::HUP);
    place.until("scheduled runs", || {
        let created = place.recorded("run_created", "each");
        created.iter().any(|line| text(line, "type") == "scheduled")
    });
    daemon.stop();
}

/// 100 DAGs that are due at the same second all start within 100 ms of it, when there is a slot for each.
#[test]
fn a_hundred_dags_that_are_due_at_once_start_at_once() {
    let place = Place::new("clock-hundred");
    fs::write(
        place.path("mini-dag.json"),
        r#"{"clock": "ignore", "parallelism": 100}"#,
    )
    .unwrap();
    for n in 0..100 {
        place.dag(
            &format!("d{n}.json"),
            r#"{"schedule": {"cron": "*/3 * * * * *", "seconds": true}, "tasks": [{"task_id": "t", "argv": ["true"]}]}"#,
        );
    }
    let daemon = place.daemon();
    // A host that is busy with something else may be late; not always.
    let late_ms = |daemon_runs: usize| {
        let lines = place.journal();
        let starts = lines.iter().filter(|line| text(line, "ev") == "start");
        let starts: Vec<_> = starts.map(milliseconds).collect();
        let fires = starts.chunks_exact(100).take(daemon_runs);
        let late = fires.map(|fire| fire.iter().max().unwrap() - fire[0] / 3_000 * 3_000);
        late.collect::<Vec<_>>()
    };
    place.until("three fires", || late_ms(3).len() == 3);
    let late = late_ms(3);
    say(&format!(
        "the last of 100 DAGs started {late:?} ms after the second it was due at"
    ));
    assert!(late.iter().any(|late| *late <= 100), "{late:?} ms");
    daemon.stop();
}
