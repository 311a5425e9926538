//! Every trigger rule, as the real Airflow 2.11.2 answered, in every order in which upstreams can end.

use std::collections::BTreeMap;

use mini_dag::Value;
use mini_dag::dag::{TriggerRule, trigger_rule};
use mini_dag::scheduler::{RuleDecision, UpstreamCounts, decide};

use crate::rules::{State, verdict};

const AIRFLOW: &str = include_str!("../data/airflow_trigger_rules.json");

fn count(counts: &mut UpstreamCounts, state: &str) {
    match state {
        "success" => counts.success += 1,
        "failed" => counts.failed += 1,
        "upstream_failed" => counts.upstream_failed += 1,
        "skipped" => counts.skipped += 1,
        _ => assert_eq!(state, "running"),
    }
}

fn word(decision: RuleDecision) -> &'static str {
    match decision {
        RuleDecision::Wait => "wait",
        RuleDecision::Run => "RUN",
        RuleDecision::Skip => "skipped",
        RuleDecision::UpstreamFailed => "upstream_failed",
    }
}

#[test]
fn every_rule_decides_as_airflow_does() {
    let answers = Value::parse(AIRFLOW).unwrap();
    let cases = answers.get("cases").and_then(Value::as_array).unwrap();
    let mut checked = 0;
    for case in cases {
        let states = case.get("upstream").and_then(Value::as_array).unwrap();
        let mut counts = UpstreamCounts::default();
        for state in states {
            count(&mut counts, state.as_str().unwrap_or("running"));
        }
        for (rule, expected) in case.get("result").and_then(Value::as_object).unwrap() {
            let decision = decide(TriggerRule::parse(rule).unwrap(), counts, 3);
            assert_eq!(
                word(decision),
                expected.as_str().unwrap(),
                "{rule} of {states:?}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 35 * 11, "all of Airflow's answers");
}

/// What Airflow says of three upstreams in these states, under a rule.
fn airflow() -> BTreeMap<(Vec<String>, String), String> {
    let answers = Value::parse(AIRFLOW).unwrap();
    let cases = answers.get("cases").and_then(Value::as_array).unwrap();
    let mut all = BTreeMap::new();
    for case in cases {
        let states = case.get("upstream").and_then(Value::as_array).unwrap();
        let name = |state: &Value| state.as_str().unwrap_or("running").to_owned();
        let mut states: Vec<_> = states.iter().map(name).collect();
        states.sort();
        for (rule, answer) in case.get("result").and_then(Value::as_object).unwrap() {
            let answer = answer.as_str().unwrap().to_owned();
            all.insert((states.clone(), rule.clone()), answer);
        }
    }
    all
}

/// At each step of every order, what is decided of those that have ended is what Airflow says of them.
#[test]
fn every_rule_decides_as_airflow_does_in_every_order_in_which_upstreams_end() {
    let ends = ["success", "failed", "upstream_failed", "skipped"];
    let airflow = airflow();
    let mut checked = 0;
    for order in 0..64 {
        let order = [order % 4, order / 4 % 4, order / 16].map(|end| ends[end]);
        for rule in trigger_rule::ALL {
            let mut counts = UpstreamCounts::default();
            for ended in 0..=3 {
                let mut states = vec!["running".to_owned(); 3];
                for (state, end) in states.iter_mut().zip(&order[..ended]) {
                    (*end).clone_into(state);
                }
                states.sort();
                if ended > 0 {
                    count(&mut counts, order[ended - 1]);
                }
                let expected = &airflow[&(states, rule.name().to_owned())];
                let told = word(decide(rule, counts, 3));
                assert_eq!(told, expected, "{rule}: {:?}", &order[..ended]);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 64 * 11 * 4);
}

/// Against the rules told a second time, over lists of states instead of counts: every mixture of up to six.
#[test]
fn every_rule_decides_up_to_six_upstreams_as_it_is_told() {
    let all = [
        State::Running,
        State::Success,
        State::Failed,
        State::UpstreamFailed,
        State::Skipped,
    ];
    let mut mixtures: Vec<Vec<State>> = vec![Vec::new()];
    let mut checked = 0;
    for upstreams in 0..=6 {
        for states in &mixtures {
            let of = |wanted| {
                let count = states.iter().filter(|state| **state == wanted).count();
                u32::try_from(count).unwrap()
            };
            let counts = UpstreamCounts {
                success: of(State::Success),
                failed: of(State::Failed),
                upstream_failed: of(State::UpstreamFailed),
                skipped: of(State::Skipped),
            };
            for rule in trigger_rule::ALL {
                let told = word(decide(rule, counts, upstreams));
                assert_eq!(told, verdict(rule, states), "{rule} of {states:?}");
                checked += 1;
            }
        }
        let longer = |states: &Vec<State>| {
            let last = states.last().copied();
            let from = all
                .iter()
                .position(|state| Some(*state) == last)
                .unwrap_or(0);
            let states = states.clone();
            all[from..]
                .iter()
                .map(move |more| [&states[..], &[*more]].concat())
        };
        mixtures = mixtures.iter().flat_map(longer).collect();
    }
    assert_eq!(checked, 462 * 11);
}
