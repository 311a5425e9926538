//! A DAG and its tasks.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::members::{self, Members, Raw};
use super::{date, number, object, text, text_or_null, uuid};
use crate::dag::{
    Catchup, Dag, Moment, Param, Quoted, StartDate, Task, TaskIndex, TimetableKind, Value, map_of,
};
use crate::timetable::{Schedule, Timestamp, Zone};

/// Where a DAG stands, as far as its definition does not say.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Nothing of it starts.
    pub is_paused: bool,
    /// Task instances that may run at once, of all DAGs.
    pub slots: u32,
    /// When its file was read, if a daemon has done so.
    pub loaded_at: Option<Timestamp>,
    /// Its file has changed since, and no longer loads.
    pub has_import_errors: bool,
    /// When the next scheduled run is created.
    pub next_run: Option<Timestamp>,
    /// The time that it is about: from, until.
    pub next_interval: Option<(Timestamp, Timestamp)>,
    /// Runs that are `running`.
    pub active_runs: u32,
}

impl Standing {
    /// Without a daemon, on a host with so many slots.
    pub fn offline(dag: &Dag, slots: u32) -> Self {
        Self {
            is_paused: dag.is_paused_upon_creation,
            slots,
            loaded_at: None,
            has_import_errors: false,
            next_run: None,
            next_interval: None,
            active_runs: 0,
        }
    }
}

/// The version of a DAG: `DagVersionResponse`. There is one; its id is made of the DAG's.
pub(crate) fn version(dag: &Dag, created_at: Timestamp) -> Value {
    object([
        ("id", text(uuid(&["dag", &dag.dag_id]))),
        ("version_number", number(1)),
        ("dag_id", text(&*dag.dag_id)),
        ("dag_display_name", text(&*dag.dag_id)),
        ("bundle_name", text("dags-folder")),
        ("bundle_version", Value::Null),
        ("bundle_url", Value::Null),
        ("created_at", date(Some(created_at))),
    ])
}

/// Who answers for a DAG.
pub(crate) fn owner(dag: &Dag) -> &str {
    if dag.owner.is_empty() {
        "mini-dag"
    } else {
        &dag.owner
    }
}

/// Whether its schedule names dates.
fn is_backfillable(dag: &Dag) -> bool {
    dag.schedule
        .as_ref()
        .is_some_and(|schedule| match schedule {
            Schedule::Cron(_) | Schedule::Every(_) | Schedule::Once => true,
            Schedule::Reboot | Schedule::Continuous | Schedule::AfterDags(_) => false,
        })
}

/// What Airflow has and we have not.
const SAME_FOR_ALL: &str = concat!(
    r#""is_stale":false,"last_parse_duration":null,"last_expired":null,"timetable_partitioned":false,"#,
    r#""max_consecutive_failed_dag_runs":0,"has_task_concurrency_limits":false,"allowed_run_types":null,"#,
    r#""file_token":"","bundle_name":"dags-folder","bundle_version":null"#
);

/// A DAG in a list: `DAGResponse`.
pub fn dag_summary(dag: &Dag, standing: &Standing) -> Value {
    summary(dag, standing).into_value()
}

/// [`dag_summary`], to which more can be added.
pub(crate) fn summary(dag: &Dag, standing: &Standing) -> Members {
    let dag_id = Quoted(&dag.dag_id).to_string();
    let dag_id = dag_id.as_str();
    let schedule = dag.schedule.as_ref().map(ToString::to_string);
    let described = schedule.as_deref();
    let described = described.unwrap_or("Never, external triggers only");
    let max_active_tasks = dag.max_active_tasks.unwrap_or(standing.slots);
    let (start, end) = standing.next_interval.unzip();
    let logical_date = match dag.timetable {
        TimetableKind::Trigger => standing.next_run,
        TimetableKind::Interval => start,
    };
    let mut tags = String::from("[");
    for tag in &dag.tags {
        let comma = if tags.len() > 1 { "," } else { "" };
        let _ = write!(
            tags,
            "{comma}{{\"name\":{},\"dag_id\":{dag_id},\"dag_display_name\":{dag_id}}}",
            Quoted(tag)
        );
    }
    tags.push(']');
    let path = dag.source.as_deref().map(Path::to_string_lossy);
    let file_name = dag.source.as_deref().and_then(Path::file_name);
    let file_name = file_name.map(OsStr::to_string_lossy);
    let mut all = Members::new();
    all.put("dag_id", Raw(dag_id));
    all.put("dag_display_name", Raw(dag_id));
    all.put("is_paused", standing.is_paused);
    all.put("last_parsed_time", standing.loaded_at);
    all.put("description", members::text_or_null(&dag.description));
    all.put("timetable_summary", schedule.as_deref().map(Quoted));
    all.put("timetable_description", Quoted(described));
    all.put("timetable_periodic", dag.schedule.is_some());
    all.put("tags", Raw(&tags));
    all.put("owners", Value::from(vec![owner(dag)]));
    all.put("max_active_runs", dag.max_active_runs);
    all.put("max_active_tasks", max_active_tasks);
    all.put("has_import_errors", standing.has_import_errors);
    all.put("next_dagrun_logical_date", logical_date);
    all.put("next_dagrun_data_interval_start", start);
    all.put("next_dagrun_data_interval_end", end);
    all.put("next_dagrun_run_after", standing.next_run);
    all.put("is_backfillable", is_backfillable(dag));
    all.put("fileloc", Quoted(path.as_deref().unwrap_or("compiled-in")));
    all.put("relative_fileloc", file_name.as_deref().map(Quoted));
    all.put_all(SAME_FOR_ALL);
    all
}

/// All of a DAG but its tasks: `DAGDetailsResponse`.
pub(crate) fn dag_details(dag: &Dag, standing: &Standing) -> String {
    let zone = dag.timezone.as_ref();
    // A date without an offset means another moment in every zone; the host's is not known here.
    let moment = |moment: Moment| match (moment, zone) {
        (Moment::Zoned(moment), _) => Some(moment),
        (moment @ Moment::Local(_), Some(zone)) => Some(moment.instant(zone)),
        (Moment::Local(_), None) => None,
    };
    let start_date = dag.start_date.and_then(|start| match start {
        StartDate::Moment(start) => moment(start),
        StartDate::DaysAgo(_) => None,
    });
    let timeout = dag
        .run_timeout
        .map(|timeout| format!("PT{}S", timeout.as_secs()));
    let max_active_tasks = dag.max_active_tasks.unwrap_or(standing.slots);
    let loaded_at = standing.loaded_at.unwrap_or_default();
    let is_made_up_for = matches!(dag.catchup, Catchup::All | Catchup::AtMost(_));
    let details = [
        // As in Airflow, without it the latest is made up for.
        ("catchup", Value::Bool(is_made_up_for)),
        ("dag_run_timeout", timeout.map_or(Value::Null, text)),
        ("asset_expression", Value::Null),
        ("doc_md", text_or_null(&dag.doc)),
        ("start_date", date(start_date)),
        ("end_date", date(dag.end_date.and_then(moment))),
        (
            "is_paused_upon_creation",
            Value::Bool(dag.is_paused_upon_creation),
        ),
        ("params", params(dag)),
        ("render_template_as_native_obj", Value::Bool(false)),
        ("template_search_path", Value::Null),
        (
            "timezone",
            zone.map_or(Value::Null, |zone: &Zone| text(zone.name())),
        ),
        ("last_parsed", date(standing.loaded_at)),
        ("default_args", object([])),
        ("rerun_with_latest_version", Value::Null),
        ("owner_links", object([])),
        ("is_favorite", Value::Bool(false)),
        ("active_runs_count", number(standing.active_runs)),
        ("concurrency", number(max_active_tasks)),
        ("latest_dag_version", version(dag, loaded_at)),
    ];
    let mut all = summary(dag, standing);
    for (name, value) in details {
        all.put(name, value);
    }
    all.finish()
}

/// What a DAG's runs may be given: Airflow's `Param`s. The value is the default.
pub fn params(dag: &Dag) -> Value {
    let param = |(name, param): (&String, &Param)| {
        let param = object([
            ("value", param.default.clone().unwrap_or(Value::Null)),
            ("description", text_or_null(&param.description)),
            ("schema", param.schema()),
        ]);
        (name.clone(), param)
    };
    Value::Object(map_of(dag.params.iter().map(param)))
}

/// A task of a DAG: `TaskResponse`.
pub fn task(dag: &Dag, task: &Task) -> Value {
    let id = |index: &TaskIndex| text(&*dag.task(*index).task_id);
    let delta = |duration: Duration| {
        object([
            ("__type", text("TimeDelta")),
            ("days", number(duration.as_secs() / 86_400)),
            ("seconds", number(duration.as_secs() % 86_400)),
            ("microseconds", number(duration.subsec_micros())),
        ])
    };
    let class = object([
        ("module_path", text("mini_dag")),
        ("class_name", text(task.operator.name())),
    ]);
    let backoff = u8::from(task.retry_exponential_backoff) * 2;
    object([
        ("task_id", text(&*task.task_id)),
        ("task_display_name", text(&*task.task_id)),
        ("owner", text(owner(dag))),
        ("start_date", Value::Null),
        ("end_date", Value::Null),
        ("operator_name", text(task.operator.name())),
        ("trigger_rule", text(task.trigger_rule.name())),
        ("depends_on_past", Value::Bool(task.looks_back())),
        ("wait_for_downstream", Value::Bool(task.wait_for_downstream)),
        ("retries", number(task.retries)),
        ("retry_delay", delta(task.retry_delay)),
        ("retry_exponential_backoff", number(backoff)),
        ("execution_timeout", task.timeout.map_or(Value::Null, delta)),
        ("queue", text("default")),
        ("pool", text(&*task.pool)),
        ("pool_slots", number(task.pool_slots)),
        ("priority_weight", number(task.priority)),
        ("weight_rule", text(task.weight_rule.name())),
        ("ui_color", text("#fff")),
        ("ui_fgcolor", text("#000")),
        ("template_fields", Value::Array(Vec::new())),
        (
            "upstream_task_ids",
            Value::Array(task.upstream.iter().map(id).collect()),
        ),
        (
            "downstream_task_ids",
            Value::Array(task.downstream.iter().map(id).collect()),
        ),
        ("doc_md", text_or_null(&task.doc)),
        ("params", object([])),
        ("class_ref", class),
        ("is_mapped", Value::Bool(false)),
        ("extra_links", Value::Array(Vec::new())),
    ])
}
