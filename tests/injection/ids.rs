//! Ids: they name folders and stand in scripts, so what could mean more is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mini_dag::Value;
use mini_dag::dag::{Dag, Functions, Known, Operator, Pools, RunFacts, load};
use mini_dag::scheduler::{
    Action, Command as Ask, Event, Limits, Monotonic, Now, RunType, Scheduler, Trigger,
};
use mini_dag::timetable::{Timestamp, Zone};

use crate::corpus::hostile;

#[test]
fn an_id_that_could_mean_more_is_refused() {
    let known = Known {
        functions: &Functions::new(),
        zone: &|_| Some(Zone::utc()),
        zone_names: &Vec::new,
        lines: &mini_dag::timetable::Lines::default(),
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

pub fn facts<'f>(run_id: &'f str, params: &'f BTreeMap<String, Value>) -> RunFacts<'f> {
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
