//! What a task instance runs, with every template filled in: Airflow's `rendered_fields`.
//!
//! Made anew from the run's facts each time, so nothing of it is kept: before the first attempt it is what
//! would run, and of a run that only the journal has any more, what its DAG says now. Secrets are
//! not in it: nobody reads them for this.

use super::text;
use crate::dag::map_of;
use crate::dag::{HttpBody, Operator, RunFacts, TaskIndex, Template, Value};
use crate::scheduler::Run;
use crate::timetable::{Timestamp, Zone};

/// What stands for a secret.
const MASK: &str = "***";

/// A run, and the end of what the last success before it was about; `local`: the zone of a DAG that names none.
pub(crate) fn rendered_fields(
    (run, previous_success): (&Run, Option<Timestamp>),
    index: TaskIndex,
    local: &Zone,
) -> Value {
    let (dag, task) = (&run.dag, run.dag.task(index));
    let params = run.dag.params_of(&run.facts.params);
    let xcoms = run.xcoms_for(index);
    let secrets = dag.secrets.iter().chain(&task.secrets);
    let secrets = map_of(secrets.map(|(variable, _)| (variable.clone(), MASK.to_owned())));
    let facts = RunFacts {
        dag_id: &dag.dag_id,
        run_id: &run.facts.run_id,
        task_id: &task.task_id,
        try_number: run.task(index).try_number.max(1),
        logical_date: run.facts.logical_date,
        data_interval: run.facts.data_interval,
        prev_data_interval_end_success: previous_success,
        params: &params,
        xcoms: &xcoms,
        hook: None,
        secrets: &secrets,
        zone: dag.timezone.as_ref().unwrap_or(local),
    };
    let mut fields = operator(&task.operator, &facts);
    let env = pairs(dag.env.iter().chain(&task.env), &facts);
    if env.as_object().is_some_and(|env| !env.is_empty()) {
        fields.push(("env", env));
    }
    if let Some(cwd) = task.cwd.as_ref().or(dag.cwd.as_ref()) {
        fields.push(("cwd", text(cwd.render(&facts))));
    }
    let fields = fields.into_iter();
    Value::Object(map_of(fields.map(|(name, value)| (name.to_owned(), value))))
}

/// The names are those of Airflow's operators, where it has one.
fn operator(operator: &Operator, facts: &RunFacts<'_>) -> Vec<(&'static str, Value)> {
    match operator {
        Operator::Bash(script) => vec![("bash_command", text(script.render(facts)))],
        Operator::Argv(words) => {
            let words = words.iter().map(|word| text(word.render(facts)));
            vec![("argv", Value::Array(words.collect()))]
        }
        Operator::Http(http) => {
            let mut fields = vec![
                ("method", text(&http.method)),
                ("url", text(http.url.render(facts))),
                ("headers", pairs(&http.headers, facts)),
            ];
            match &http.body {
                HttpBody::None => {}
                HttpBody::Text(body) => fields.push(("data", text(body.render(facts)))),
                HttpBody::Json(body) => fields.push(("data", body.render(facts))),
            }
            fields
        }
        Operator::Call { function, args } => vec![
            ("python_callable", text(function)),
            ("op_kwargs", args.render(facts)),
        ],
        Operator::Trigger(trigger) => vec![
            ("trigger_dag_id", text(&*trigger.dag_id)),
            ("conf", trigger.params.render(facts)),
        ],
        Operator::Empty => Vec::new(),
    }
}

/// Of one name, the last counts.
fn pairs<'p>(
    pairs: impl IntoIterator<Item = &'p (String, Template)>,
    facts: &RunFacts<'_>,
) -> Value {
    let pair = |(name, value): &(String, Template)| (name.clone(), text(value.render(facts)));
    Value::Object(map_of(pairs.into_iter().map(pair)))
}
