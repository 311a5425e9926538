//! Every key that a DAG file or the daemon's config file may have: its shape, its default and what it
//! means, in one table.
//!
//! The loaders check files against this table, and the documentation is checked against it: a key is
//! here, or it does not exist.

/// A key of an object.
#[derive(Debug)]
pub struct Key {
    /// As it is written in the file.
    pub name: &'static str,
    /// What its value may be.
    pub shape: Shape,
    /// What holds without it, as JSON or in words; empty where there is nothing.
    pub default: &'static str,
    /// What it means, in one line.
    pub doc: &'static str,
    /// Whether an object without it is an error.
    pub required: bool,
    /// Whether it may stand in the DAG's `defaults`, for every task.
    pub inherited: bool,
    /// The actions of the tasks that it means something to.
    pub of: &'static [&'static str],
}

/// What a value may be.
#[derive(Debug)]
pub enum Shape {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A text.
    Text,
    /// A text in which `{{ … }}` stands for a value.
    Template,
    /// A script for a shell: a template in which only dates and ids may stand.
    Script,
    /// An id: letters, digits, `_`, `.`, `-`.
    Id,
    /// The name of a time zone.
    Zone,
    /// A date, or a date and time, with or without an offset.
    Moment,
    /// `"90s"`, `"1h30m"`, or a number of seconds.
    Duration,
    /// A duration that is not zero.
    Timeout,
    /// `"64KiB"`, `"10M"`, or a number of bytes.
    Size,
    /// A cron line or a preset.
    Schedule,
    /// `a >> [b, c] >> d`
    Order,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A number.
    Number,
    /// Anything.
    Any,
    /// A param: anything, or an object that says what it may be.
    Param,
    /// Anything; its strings are templates.
    AnyTemplate,
    /// An array of these.
    List(&'static Shape),
    /// An object with keys of the writer's choice, and these values.
    Map(&'static Shape),
    /// An object with these keys.
    Object(&'static [Key]),
    /// One of these, told apart by their JSON type.
    Either(&'static [Shape]),
}

impl Shape {
    /// The keys of the objects that it may be or hold.
    pub fn objects(&self) -> Vec<&'static [Key]> {
        match self {
            Self::List(inner) | Self::Map(inner) => inner.objects(),
            Self::Object(keys) => vec![keys],
            Self::Param => vec![PARAM_KEYS],
            Self::Either(shapes) => shapes.iter().flat_map(Self::objects).collect(),
            Self::Null
            | Self::Boolean
            | Self::Text
            | Self::Template
            | Self::Script
            | Self::Id
            | Self::Zone
            | Self::Moment
            | Self::Duration
            | Self::Timeout
            | Self::Size
            | Self::Schedule
            | Self::Order
            | Self::Word(_)
            | Self::Integer(..)
            | Self::Number
            | Self::Any
            | Self::AnyTemplate => Vec::new(),
        }
    }

    /// What to write, in words: "expected …".
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Text | Self::Template | Self::Script | Self::Id => "a string".to_owned(),
            Self::Zone => "the name of a time zone".to_owned(),
            Self::Moment => "a date such as \"2026-05-01\"".to_owned(),
            Self::Duration | Self::Timeout => "a duration such as \"90s\"".to_owned(),
            Self::Size => "a size such as \"10MiB\"".to_owned(),
            Self::Schedule => "a schedule such as \"@daily\"".to_owned(),
            Self::Order => "an order such as \"a >> b\"".to_owned(),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(", ")
            }
            Self::Integer(..) => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Any | Self::AnyTemplate => "any value".to_owned(),
            Self::Param => "any value, or what it may be".to_owned(),
            Self::List(_) => "an array".to_owned(),
            Self::Map(_) | Self::Object(_) => "an object".to_owned(),
            Self::Either(shapes) => {
                let shapes: Vec<String> = shapes.iter().map(Self::describe).collect();
                shapes.join(" or ")
            }
        }
    }
}

const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        default,
        doc,
        required: false,
        inherited: false,
        of: ACTIONS,
    }
}

impl Key {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn inherited(mut self) -> Self {
        self.inherited = true;
        self
    }

    const fn of(mut self, actions: &'static [&'static str]) -> Self {
        self.of = actions;
        self
    }
}

/// The most runs or task instances that a limit may allow.
const COUNT_MAX: i64 = 1_000_000;
/// The longest list of tags, and the longest tag in characters, as in Airflow.
pub(super) const TAGS_MAX: usize = 100;
pub(super) const TAG_CHARS_MAX: usize = 100;

const TEMPLATES: Shape = Shape::Map(&Shape::Template);
const COUNT: Shape = Shape::Integer(1, COUNT_MAX);
const TYPE: Shape = Shape::Word(super::param::TYPES);
const STATUS: Shape = Shape::Integer(100, 599);

/// The keys of the daemon's config file.
#[rustfmt::skip] // a line a key
pub static CONFIG_KEYS: &[Key] = &[
    key("$schema", Shape::Text, "", "where an editor finds the schema of this file"),
    key("dags", Shape::List(&Shape::Text), "as of `--dags`", "directories and files of DAGs; relative to this file"),
    key("state", Shape::Text, "as of `--state`", "where journal and logs are; relative to this file"),
    key("parallelism", Shape::Integer(1, 10_000), "the number of CPUs", "tasks that may run at once, over all DAGs"),
    key("timezone", Shape::Zone, "the host's", "the zone of DAGs that name none"),
    key("env", Shape::Map(&Shape::Text), "{}", "added to every task's environment, as it is; a DAG's `env` wins over it"),
    key("retention", Shape::Object(RETENTION_KEYS), "{}", "how much of the past is kept"),
    key("sync_interval", Shape::Duration, "\"1s\"", "results of tasks are on the disk after this time at the latest; 0 is at once"),
    key("kill_grace", Shape::Duration, "\"10s\"", "from SIGTERM to SIGKILL, for a task that is stopped"),
    key("pools", Shape::Map(&COUNT), "{}", "named pools and their slots"),
    key("secrets", Shape::Text, "see below", "the directory of secrets, one file each; relative to this file"),
    key("listen", Shape::Text, "\"127.0.0.1:8080\"", "where the web page and the HTTP API are: an address with a port, or `none`"),
    key("host_names", Shape::List(&Shape::Text), "[]", "names under which other hosts ask for the page, with or without a port"),
    key("clock", Shape::Word(&["require", "prefer", "ignore"]), "\"prefer\"", "whether schedules wait for a clock that is synchronised; none goes by one that cannot be right, but with `ignore`"),
    key("clock_wait", Shape::Duration, "\"90s\"", "how long they wait with `prefer`, from the boot of the host"),
    key("on_success", Shape::Object(HOOK_KEYS), "", "what is done when a run of any DAG has succeeded"),
    key("on_failure", Shape::Object(HOOK_KEYS), "", "what is done when a run of any DAG has failed"),
    key("on_retry", Shape::Object(HOOK_KEYS), "", "what is done when a task of any DAG will be tried again"),
];

/// The keys of the config's `retention`.
#[rustfmt::skip] // a line a key
pub static RETENTION_KEYS: &[Key] = &[
    key("runs", COUNT, "100", "the logs of this many of the latest finished runs of each DAG are kept"),
    key("age", Shape::Duration, "\"90d\"", "logs and history that are older are deleted"),
    key("bytes", Shape::Size, "\"1GiB\"", "logs and history take no more than this, the oldest go first"),
];

/// The keys of a DAG file.
#[rustfmt::skip] // a line a key
pub static DAG_KEYS: &[Key] = &[
    key("$schema", Shape::Text, "", "where an editor finds the schema of this file"),
    key("dag_id", Shape::Id, "the file's name without `.json`", "unique among all DAGs"),
    key("description", Shape::Text, "\"\"", "one line for lists"),
    key("doc", Shape::Text, "\"\"", "Markdown for the DAG's page"),
    key("owner", Shape::Text, "\"\"", "who answers for it"),
    key("tags", Shape::List(&Shape::Text), "[]", "labels to filter by"),
    key("schedule", Shape::Either(&[Shape::Null, Shape::Schedule, Shape::Object(SCHEDULE_KEYS), Shape::List(&Shape::Schedule)]), "null", "when it runs: cron, a preset, an interval, after other DAGs, or only by hand"),
    key("timezone", Shape::Zone, "the host's", "the zone of its schedule and its dates"),
    key("timetable", Shape::Word(&["trigger", "interval"]), "\"trigger\"", "whether a run is named after the moment it is due, or after the beginning of its interval"),
    key("start_date", Shape::Either(&[Shape::Moment, Shape::Object(DAYS_AGO_KEYS)]), "the moment the DAG is first seen", "nothing is due before, inclusive"),
    key("end_date", Shape::Moment, "", "nothing is due after, inclusive"),
    key("catchup", Shape::Either(&[Shape::Boolean, Shape::Word(&["latest", "all", "none"]), Shape::Object(CATCHUP_KEYS)]), "false", "which missed runs are made up for"),
    key("overlap", Shape::Word(&["queue", "skip", "cancel"]), "\"queue\"", "what happens when it is due while `max_active_runs` are active"),
    key("max_active_runs", COUNT, "1", "runs that may be active at once"),
    key("max_active_tasks", COUNT, "as many as there are slots", "its task instances that may run at once, over all runs"),
    key("run_timeout", Shape::Timeout, "none", "a run that is active for longer fails"),
    key("params", Shape::Map(&Shape::Param), "{}", "what `{{ params.x }}` stands for, unless a trigger says otherwise"),
    key("defaults", Shape::Object(TASK_KEYS), "{}", "task keys that every task inherits"),
    key("env", TEMPLATES, "{}", "added to every task's environment"),
    key("cwd", Shape::Template, "the home directory", "the working directory of every task"),
    key("on_success", Shape::Object(HOOK_KEYS), "", "what is done when a run has succeeded"),
    key("on_failure", Shape::Object(HOOK_KEYS), "", "what is done when a run has failed"),
    key("on_retry", Shape::Object(HOOK_KEYS), "", "what is done when a task will be tried again"),
    key("tasks", Shape::List(&Shape::Object(TASK_KEYS)), "", "what it does").required(),
    key("order", Shape::List(&Shape::Order), "[]", "which task waits for which: `a >> [b, c] >> d`"),
    key("is_paused_upon_creation", Shape::Boolean, "false", "whether it waits to be unpaused when it is first seen"),
];

/// The keys of a task.
#[rustfmt::skip] // a line a key
pub static TASK_KEYS: &[Key] = &[
    key("task_id", Shape::Id, "", "unique in its DAG").required(),
    key("bash", Shape::Script, "", "a script for `/bin/bash -c`, or `/bin/sh -c` where there is no bash"),
    key("argv", Shape::List(&Shape::Template), "", "a program and its arguments, without a shell"),
    key("http", Shape::Object(HTTP_KEYS), "", "one HTTP request"),
    key("call", Shape::Text, "", "the name of a compiled-in function"),
    key("args", Shape::Map(&Shape::AnyTemplate), "{}", "what is handed to the function").of(&["call"]),
    key("trigger", Shape::Object(TRIGGER_KEYS), "", "starts a run of another DAG"),
    key("empty", Shape::Boolean, "false", "does nothing: a name to hang dependencies on"),
    key("after", Shape::List(&Shape::Id), "[]", "the tasks it waits for"),
    key("trigger_rule", Shape::Word(super::trigger_rule::WORDS), "\"all_success\"", "which ends of its upstreams let it run").inherited(),
    key("retries", Shape::Integer(0, COUNT_MAX), "0", "how often a failed attempt is repeated").inherited().of(TRIED),
    key("retry_delay", Shape::Duration, "\"5m\"", "the pause before the next attempt").inherited().of(TRIED),
    key("retry_exponential_backoff", Shape::Boolean, "false", "whether the pause doubles with each attempt").inherited().of(TRIED),
    key("max_retry_delay", Shape::Duration, "\"1d\"", "the longest that the pause grows to").inherited().of(TRIED),
    key("timeout", Shape::Timeout, "none", "an attempt that runs for longer is stopped and has failed; of a `trigger`, the waiting").inherited().of(TRIED),
    key("env", TEMPLATES, "{}", "added to the DAG's `env`, and wins over it").inherited().of(PROCESSES),
    key("secrets", Shape::Map(&Shape::Id), "{}", "variables of its environment, and the names of the secrets that they hold; added to those of `defaults`").inherited().of(PROCESSES),
    key("cwd", Shape::Template, "the DAG's", "the working directory").inherited().of(PROCESSES),
    key("pool", Shape::Id, "\"default_pool\"", "the pool whose slots it takes").inherited().of(PROCESSES),
    key("pool_slots", COUNT, "1", "how many slots it takes").inherited().of(PROCESSES),
    key("priority", Shape::Integer(-COUNT_MAX, COUNT_MAX), "0", "of the tasks that wait for a slot, the highest weight goes first").inherited(),
    key("weight_rule", Shape::Word(super::weight::WORDS), "\"downstream\"", "whether the priorities of all tasks after it, of all before it, or its own alone make its weight").inherited().of(PROCESSES),
    key("depends_on_past", Shape::Boolean, "false", "waits until the same task of the run before has succeeded or was skipped").inherited(),
    key("wait_for_downstream", Shape::Boolean, "false", "and for what comes directly after that task in the run before").inherited(),
    key("skip_on_exit_code", Shape::Either(&[Shape::Integer(1, 255), Shape::Null]), "99", "the exit code that means skipped").inherited().of(PROCESSES),
    key("branch", Shape::Boolean, "false", "its last line names the tasks after it that go on, the others are skipped").of(PROCESSES),
    key("short_circuit", Shape::Boolean, "false", "when it exits to skip, it is a success, and everything after it is skipped").of(SKIPPING),
    key("poke", Shape::Object(POKE_KEYS), "", "run again until it succeeds, without a slot between").inherited().of(PROCESSES),
    key("limits", Shape::Object(LIMITS_KEYS), "{}", "what an attempt may use").inherited().of(PROCESSES),
    key("xcom", Shape::Boolean, "true", "whether its last line is kept for other tasks").inherited().of(TRIED),
    key("on_success", Shape::Object(HOOK_KEYS), "", "what is done when it has succeeded").inherited(),
    key("on_failure", Shape::Object(HOOK_KEYS), "", "what is done when it has failed").inherited().of(TRIED),
    key("on_retry", Shape::Object(HOOK_KEYS), "", "what is done when it will be tried again").inherited().of(TRIED),
    key("doc", Shape::Text, "\"\"", "Markdown for the task's page"),
];

/// The names of the keys that say what a task does.
pub static ACTIONS: &[&str] = &["bash", "argv", "http", "call", "trigger", "empty"];
/// Those of a task that is a process.
const PROCESSES: &[&str] = &["bash", "argv", "http", "call"];
/// Those of a task that can fail, and be tried again.
const TRIED: &[&str] = &["bash", "argv", "http", "call", "trigger"];
/// Those of a task that can say that it has nothing to do.
const SKIPPING: &[&str] = &["bash", "argv", "call"];

/// The keys of an object that says what a param may be: one that has `type`, `default` or `enum`.
#[rustfmt::skip] // a line a key
pub static PARAM_KEYS: &[Key] = &[
    key("type", Shape::Either(&[TYPE, Shape::List(&TYPE)]), "anything", "of which JSON types it may be"),
    key("default", Shape::Any, "none: every trigger has to give it", "what it is unless a trigger says otherwise"),
    key("enum", Shape::List(&Shape::Any), "", "it is one of these"),
    key("minimum", Shape::Number, "", "the least number"),
    key("maximum", Shape::Number, "", "the greatest number"),
    key("minLength", Shape::Integer(0, COUNT_MAX), "0", "the least number of characters of a text"),
    key("maxLength", Shape::Integer(0, COUNT_MAX), "", "the greatest number of characters of a text"),
    key("title", Shape::Text, "its name", "what a form calls it"),
    key("description", Shape::Text, "\"\"", "one line for people"),
];

/// The keys of `http`.
#[rustfmt::skip] // a line a key
pub static HTTP_KEYS: &[Key] = &[
    key("url", Shape::Template, "", "absolute, `http` or `https`").required(),
    key("method", Shape::Word(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]), "\"GET\"", "what is asked"),
    key("headers", TEMPLATES, "{}", "sent with the request"),
    key("body", Shape::Template, "", "sent as it is"),
    key("json", Shape::AnyTemplate, "", "sent as JSON"),
    key("save_to", Shape::Template, "the task's output", "the file that the answer goes to"),
    key("expect_status", Shape::Either(&[STATUS, Shape::List(&STATUS)]), "200 to 299", "the status codes that are a success"),
    key("timeout", Shape::Timeout, "\"1m\"", "for the whole exchange"),
    key("max_bytes", Shape::Size, "\"10MiB\"", "a longer answer fails the task"),
];

#[rustfmt::skip] // a line a key
static TRIGGER_KEYS: &[Key] = &[
    key("dag_id", Shape::Id, "", "the DAG to run").required(),
    key("params", Shape::Map(&Shape::AnyTemplate), "{}", "what that run is given"),
    key("wait", Shape::Boolean, "false", "whether the task ends when that run does, and as well as it"),
];

#[rustfmt::skip] // a line a key
static POKE_KEYS: &[Key] = &[
    key("every", Shape::Timeout, "\"1m\"", "the pause between two pokes"),
    key("timeout", Shape::Timeout, "\"7d\"", "from the first poke until it gives up, over all tries"),
    key("soft_fail", Shape::Boolean, "false", "whether giving up is a skip"),
];

#[rustfmt::skip] // a line a key
static LIMITS_KEYS: &[Key] = &[
    key("memory", Shape::Size, "none", "the most memory of all its processes together, where a cgroup can enforce it"),
    key("cpu_time", Shape::Timeout, "none", "the most CPU time of each of its processes, in whole seconds"),
    key("nice", Shape::Integer(-20, 19), "0", "how much it stands back for others: its niceness"),
    key("output", Shape::Size, "\"10MiB\"", "the most output that is kept of one attempt"),
];

/// The keys of a hook.
#[rustfmt::skip] // a line a key
pub static HOOK_KEYS: &[Key] = &[
    key("bash", Shape::Script, "", "a script"),
    key("argv", Shape::List(&Shape::Template), "", "a program and its arguments"),
    key("http", Shape::Object(HTTP_KEYS), "", "one HTTP request"),
    key("timeout", Shape::Timeout, "\"1m\"", "when it is stopped, and has failed"),
    key("secrets", Shape::Map(&Shape::Id), "{}", "variables of its environment, and the names of the secrets that they hold"),
];

#[rustfmt::skip] // a line a key
static SCHEDULE_KEYS: &[Key] = &[
    key("every", Shape::Duration, "", "the time from one run to the next"),
    key("cron", Shape::Schedule, "", "a cron line"),
    key("seconds", Shape::Boolean, "false", "whether the cron line has a leading field for seconds"),
    key("timezone", Shape::Zone, "the DAG's", "the zone of the cron line"),
    key("after", Shape::List(&Shape::Id), "", "DAGs: due when each has succeeded since the last run"),
];

#[rustfmt::skip] // a line a key
static CATCHUP_KEYS: &[Key] = &[
    key("max_runs", COUNT, "", "of the missed runs, this many of the latest").required(),
];

#[rustfmt::skip] // a line a key
static DAYS_AGO_KEYS: &[Key] = &[
    key("days_ago", Shape::Integer(0, 36_500), "", "this many midnights before the DAG was first seen").required(),
];
