//! A DAG as somebody wrote it, in JSON or in Rust, before it is checked: its plain settings are in place, its ids,
//! templates and dependencies are still text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::Span;
use super::keys::Key;
use super::report::At;
use super::{
    Catchup, DEFAULT_POOL, Dag, Functions, Hooks, Http, HttpBody, Operator, Overlap, Task,
    TaskIndex, Template, TimetableKind, TriggerRule, Value, WeightRule,
};
use crate::dag::map_of;

const RETRY_DELAY: Duration = Duration::from_secs(5 * 60);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const SKIP_ON_EXIT_CODE: i32 = 99;
const OUTPUT_BYTES_MAX: u64 = 10 << 20;
const HTTP_TIMEOUT: Duration = Duration::from_secs(60);
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);
const HTTP_BYTES_MAX: u64 = 10 << 20;

/// A text that somebody wrote: in a file where it has a place, or in Rust where it has none.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Option<Span>,
}

/// A DAG that has not been checked.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Everything that needs no check; what the fields below are about is empty here.
    pub(super) dag: Dag,
    pub(super) dag_id: Text,
    /// The DAGs that its schedule names, as they stand in a file.
    pub(super) after: Vec<Text>,
    pub(super) env: Vec<(Text, Text)>,
    pub(super) secrets: Vec<(Text, Text)>,
    pub(super) hooks: DraftHooks,
    pub(super) task_hooks: DraftHooks,
    pub(super) cwd: Option<Text>,
    pub(super) tasks: Vec<DraftTask>,
    pub(super) dependencies: Vec<Dependency>,
}

/// A task that has not been checked.
#[derive(Clone, Debug)]
pub(super) struct DraftTask {
    pub(super) task: Task,
    pub(super) task_id: Text,
    pub(super) action: Action,
    pub(super) env: Vec<(Text, Text)>,
    pub(super) secrets: Vec<(Text, Text)>,
    pub(super) hooks: DraftHooks,
    pub(super) cwd: Option<Text>,
    /// Where the pool, or its slots, are written.
    pub(super) pool: Option<Span>,
    /// What is written at the task itself, and where.
    pub(super) keys: Vec<(&'static Key, Option<Span>)>,
}

/// Hooks that have not been checked: of success, failure and retry.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftHooks {
    pub(super) success: Option<DraftHook>,
    pub(super) failure: Option<DraftHook>,
    pub(super) retry: Option<DraftHook>,
}

/// A hook that has not been checked.
#[derive(Clone, Debug)]
pub(super) struct DraftHook {
    pub(super) action: Action,
    pub(super) timeout: Duration,
    pub(super) secrets: Vec<(Text, Text)>,
    pub(super) span: Option<Span>,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Bash(Text),
    Argv(Vec<Text>),
    Http(Box<DraftHttp>),
    Call {
        function: Text,
        args: DraftValue,
    },
    Trigger {
        dag_id: Text,
        params: DraftValue,
        wait: bool,
    },
    Empty,
}

#[derive(Clone, Debug)]
pub(super) struct DraftHttp {
    /// What needs no check.
    pub(super) http: Http,
    pub(super) url: Text,
    pub(super) headers: Vec<(Text, Text)>,
    pub(super) body: Option<Text>,
    pub(super) json: Option<DraftValue>,
    pub(super) save_to: Option<Text>,
}

/// A JSON value whose strings may be templates.
#[derive(Clone, Debug)]
pub(super) enum DraftValue {
    Plain(Value),
    Text(Text),
    Array(Vec<DraftValue>),
    Object(BTreeMap<String, DraftValue>),
}

/// `downstream` waits for `upstream`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dependency {
    pub(super) upstream: TaskIndex,
    pub(super) downstream: TaskIndex,
    pub(super) at: At,
}

impl Text {
    /// The place of a part of the text.
    pub(super) fn part(&self, part: Range<usize>) -> At {
        At::part(self.span, part)
    }
}

/// A text without a place.
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            span: None,
        }
    }
}

impl Draft {
    /// A DAG without tasks, in which every key has its default.
    pub(super) fn new(dag_id: Text) -> Self {
        Self {
            dag: Dag {
                dag_id: Arc::from(""),
                description: String::new(),
                doc: String::new(),
                owner: String::new(),
                tags: Vec::new(),
                schedule: None,
                timezone: None,
                timetable: TimetableKind::default(),
                start_date: None,
                end_date: None,
                catchup: Catchup::default(),
                overlap: Overlap::default(),
                is_paused_upon_creation: false,
                params: BTreeMap::new(),
                env: Vec::new(),
                secrets: Vec::new(),
                hooks: Hooks::default(),
                task_hooks: Hooks::default(),
                cwd: None,
                max_active_runs: 1,
                max_active_tasks: None,
                run_timeout: None,
                source: None,
                functions: Functions::new(),
                looks_back: false,
                tasks: Vec::new(),
                by_id: Vec::new(),
            },
            dag_id,
            after: Vec::new(),
            env: Vec::new(),
            secrets: Vec::new(),
            hooks: DraftHooks::default(),
            task_hooks: DraftHooks::default(),
            cwd: None,
            tasks: Vec::new(),
            dependencies: Vec::new(),
        }
    }
}

/// The settings of a task that sets nothing.
pub(super) fn plain_task() -> Task {
    Task {
        task_id: Arc::from(""),
        operator: Operator::Empty,
        upstream: Vec::new(),
        downstream: Vec::new(),
        trigger_rule: TriggerRule::default(),
        retries: 0,
        retry_delay: RETRY_DELAY,
        retry_exponential_backoff: false,
        max_retry_delay: RETRY_DELAY_MAX,
        timeout: None,
        poke: None,
        env: Vec::new(),
        cwd: None,
        pool: Arc::from(DEFAULT_POOL),
        pool_slots: 1,
        depends_on_past: false,
        wait_for_downstream: false,
        priority: 0,
        weight_rule: WeightRule::default(),
        weight: 0,
        skip_on_exit_code: Some(SKIP_ON_EXIT_CODE),
        output_bytes_max: OUTPUT_BYTES_MAX,
        memory_bytes_max: None,
        cpu_time_max: None,
        nice: 0,
        secrets: Vec::new(),
        xcom: true,
        is_xcom_wanted: false,
        xcoms: Vec::new(),
        branch: false,
        short_circuit: false,
        hooks: Hooks::default(),
        doc: String::new(),
    }
}

impl DraftTask {
    pub(super) fn new(task_id: Text, action: Action) -> Self {
        Self {
            task: plain_task(),
            task_id,
            action,
            env: Vec::new(),
            secrets: Vec::new(),
            hooks: DraftHooks::default(),
            cwd: None,
            pool: None,
            keys: Vec::new(),
        }
    }
}

impl DraftHook {
    pub(super) fn new(action: Action) -> Self {
        Self {
            action,
            timeout: HOOK_TIMEOUT,
            secrets: Vec::new(),
            span: None,
        }
    }
}

impl DraftHttp {
    pub(super) fn new(url: Text) -> Self {
        Self {
            http: Http {
                url: Template::literal(""),
                method: "GET".to_owned(),
                headers: Vec::new(),
                body: HttpBody::None,
                save_to: None,
                expect_status: Vec::new(),
                timeout: HTTP_TIMEOUT,
                bytes_max: HTTP_BYTES_MAX,
            },
            url,
            headers: Vec::new(),
            body: None,
            json: None,
            save_to: None,
        }
    }
}

impl From<Value> for DraftValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Plain(value),
            Value::String(text) => Self::Text(Text { text, span: None }),
            Value::Array(elements) => Self::Array(elements.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let members = members.into_iter();
                Self::Object(map_of(members.map(|(key, value)| (key, value.into()))))
            }
        }
    }
}
