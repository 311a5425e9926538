//! One task, out of JSON, with what it inherits.

use std::collections::BTreeMap;

use super::super::diagnostic::Span;
use super::super::draft::{Action, DraftHooks, DraftHttp, DraftTask, DraftValue, Text, plain_task};
use super::super::json::{Item, Kind};
use super::super::keys::TASK_KEYS;
use super::super::{Poke, Task, TriggerRule, WeightRule, shape};
use super::item::{
    boolean_of, count_of, draft_value, duration_of, member, number_of, pairs_of, string_of,
    text_of, texts_of, timeout_of,
};

/// What a task may inherit.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) task: Task,
    pub(super) env: Vec<(Text, Text)>,
    pub(super) secrets: Vec<(Text, Text)>,
    pub(super) hooks: DraftHooks,
    pub(super) cwd: Option<Text>,
    /// Where the pool, or else its slots, are written.
    pool: Option<Span>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            task: plain_task(),
            env: Vec::new(),
            secrets: Vec::new(),
            hooks: DraftHooks::default(),
            cwd: None,
            pool: None,
        }
    }
}

impl Settings {
    /// Takes over the keys that a task may inherit.
    pub(super) fn read(&mut self, item: Item<'_>) {
        for (key, value) in item.members() {
            match &*key.text() {
                "trigger_rule" => {
                    self.task.trigger_rule = TriggerRule::parse(&value.text()).unwrap_or_default();
                }
                "retries" => self.task.retries = number_of(value).unwrap_or_default(),
                "retry_delay" => self.task.retry_delay = duration_of(value).unwrap_or_default(),
                "retry_exponential_backoff" => {
                    self.task.retry_exponential_backoff = boolean_of(value).unwrap_or_default();
                }
                "max_retry_delay" => {
                    self.task.max_retry_delay = duration_of(value).unwrap_or_default();
                }
                "timeout" => {
                    self.task.timeout = timeout_of(value);
                }
                "poke" => self.task.poke = Some(poke(value)),
                "env" => self.env = pairs_of(value),
                "secrets" => self.secrets = pairs_of(value),
                "cwd" => self.cwd = text_of(value),
                "pool" => {
                    self.task.pool = value.text().into();
                    self.pool = Some(value.span());
                }
                "pool_slots" => {
                    self.task.pool_slots = count_of(value).unwrap_or(1);
                    self.pool.get_or_insert(value.span());
                }
                "priority" => self.task.priority = number_of(value).unwrap_or_default(),
                "depends_on_past" => {
                    self.task.depends_on_past = boolean_of(value).unwrap_or_default();
                }
                "wait_for_downstream" => {
                    self.task.wait_for_downstream = boolean_of(value).unwrap_or_default();
                }
                "weight_rule" => {
                    self.task.weight_rule = WeightRule::parse(&value.text()).unwrap_or_default();
                }
                "xcom" => self.task.xcom = boolean_of(value).unwrap_or(true),
                "branch" => self.task.branch = boolean_of(value).unwrap_or_default(),
                "short_circuit" => self.task.short_circuit = boolean_of(value).unwrap_or_default(),
                "skip_on_exit_code" => self.task.skip_on_exit_code = number_of(value),
                "limits" => self.limits(value),
                name @ ("on_success" | "on_failure" | "on_retry") => self.hooks.read(name, value),
                _ => {}
            }
        }
    }
}

impl Settings {
    /// A limit that is not named is the inherited one.
    fn limits(&mut self, item: Item<'_>) {
        let task = &mut self.task;
        for (key, value) in item.members() {
            match &*key.text() {
                "output" => {
                    let bytes = shape::size_bytes(value);
                    task.output_bytes_max = bytes.unwrap_or(task.output_bytes_max);
                }
                "memory" => task.memory_bytes_max = shape::size_bytes(value),
                "cpu_time" => task.cpu_time_max = timeout_of(value),
                "nice" => task.nice = number_of(value).unwrap_or_default(),
                _ => {}
            }
        }
    }
}

pub(super) fn task(item: Item<'_>, defaults: &Settings) -> DraftTask {
    let mut settings = defaults.clone();
    settings.read(item);
    let mut task_id = Text::from("");
    let mut args = BTreeMap::new();
    let mut doc = String::new();
    let mut actions = Vec::new();
    let mut keys = Vec::new();
    for (key, value) in item.members() {
        let name = key.text();
        let known = TASK_KEYS.iter().find(|known| known.name == name);
        keys.extend(known.map(|known| (known, Some(key.span()))));
        match &*name {
            "task_id" => task_id = text_of(value).unwrap_or(task_id),
            "doc" => doc = string_of(value).unwrap_or_default(),
            "args" => {
                if let DraftValue::Object(members) = draft_value(value) {
                    args = members;
                }
            }
            name => actions.extend(action(name, value)),
        }
    }
    // What none or several of them mean for the keys nobody can tell; it has been reported.
    let mut actions = actions.into_iter();
    let mut action = actions.next();
    if action.is_none() || actions.next().is_some() {
        keys.clear();
    }
    if let Some(Action::Call { args: own, .. }) = &mut action {
        *own = DraftValue::Object(args);
    }
    let mut task = settings.task;
    task.doc = doc;
    DraftTask {
        task,
        task_id,
        action: action.unwrap_or(Action::Empty),
        env: settings.env,
        secrets: settings.secrets,
        hooks: settings.hooks,
        cwd: settings.cwd,
        pool: settings.pool,
        keys,
    }
}

fn action(key: &str, value: Item<'_>) -> Option<Action> {
    match key {
        "bash" => text_of(value).map(Action::Bash),
        "argv" if value.kind() == Kind::Array => Some(Action::Argv(texts_of(value))),
        "http" => http(value).map(|http| Action::Http(Box::new(http))),
        "call" => text_of(value).map(|function| Action::Call {
            function,
            args: DraftValue::Object(BTreeMap::new()),
        }),
        "trigger" => trigger(value),
        "empty" if boolean_of(value) == Some(true) => Some(Action::Empty),
        _ => None,
    }
}

fn poke(value: Item<'_>) -> Poke {
    let mut poke = Poke::default();
    for (key, value) in value.members() {
        match &*key.text() {
            "every" => poke.every = timeout_of(value).unwrap_or(poke.every),
            "timeout" => poke.timeout = timeout_of(value).unwrap_or(poke.timeout),
            "soft_fail" => poke.soft_fail = boolean_of(value).unwrap_or_default(),
            _ => {}
        }
    }
    poke
}

fn trigger(value: Item<'_>) -> Option<Action> {
    let dag_id = member(value, "dag_id").and_then(text_of)?;
    let params = member(value, "params").filter(|params| params.kind() == Kind::Object);
    let wait = member(value, "wait").and_then(boolean_of);
    Some(Action::Trigger {
        dag_id,
        params: params.map_or(DraftValue::Object(BTreeMap::new()), draft_value),
        wait: wait.unwrap_or_default(),
    })
}

pub(super) fn http(value: Item<'_>) -> Option<DraftHttp> {
    let url = member(value, "url").and_then(text_of)?;
    let mut draft = DraftHttp::new(url);
    for (key, value) in value.members() {
        match &*key.text() {
            "method" => draft.http.method = string_of(value).unwrap_or_default(),
            "headers" => draft.headers = pairs_of(value),
            "body" => draft.body = text_of(value),
            "json" => draft.json = Some(draft_value(value)),
            "save_to" => draft.save_to = text_of(value),
            "expect_status" => {
                let list = value
                    .elements()
                    .chain((value.kind() == Kind::Number).then_some(value));
                draft.http.expect_status = list.filter_map(number_of).collect();
            }
            "timeout" => draft.http.timeout = timeout_of(value).unwrap_or_default(),
            "max_bytes" => draft.http.bytes_max = shape::size_bytes(value).unwrap_or_default(),
            _ => {}
        }
    }
    Some(draft)
}
