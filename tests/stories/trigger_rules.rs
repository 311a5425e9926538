//! Every trigger rule, as the real Airflow 2.11.2 answered, in every order in which upstreams can end.

use mini_dag::Value;
use mini_dag::dag::TriggerRule;
use mini_dag::scheduler::{RuleDecision, UpstreamCounts, decide};

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
