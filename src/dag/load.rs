//! A DAG from a JSON file. All errors of a file come at once, each with its place; a file that is not JSON has one.
//!
//! First the document is checked against the table of keys, then it is read into a [`Draft`], then the draft is
//! checked as one from the builder is. A value that the first has refused is passed over by the second.
//!
//! A file costs memory and time in proportion to its length, of which there is at most
//! [`DAG_FILE_BYTES_MAX`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{check, id, no_tasks, too_many_dependencies};
use super::date::{Moment, StartDate};
use super::diagnostic::{Diagnostic, Source, Span, quote};
use super::draft::{Action, Dependency, Draft, DraftHttp, DraftTask, DraftValue, Text, plain_task};
use super::json::{Document, Item, Kind};
use super::keys::{TAG_CHARS_MAX, TAGS_MAX};
use super::report::{At, Report};
use super::{
    Catchup, DEPENDENCIES_MAX, Dag, Functions, Overlap, TASKS_MAX, Task, TaskIndex, TimetableKind,
    TriggerRule, Value, order, shape, suggest,
};
use crate::timetable::{Schedule, ScheduleError, Zone, suggest_zone};

/// The longest file that is read.
pub const DAG_FILE_BYTES_MAX: usize = 1 << 20;

/// What a program and its host offer to the DAGs that it loads.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// What `call` may name.
    pub functions: &'k Functions,
    /// The host's zone of a name.
    pub zone: &'k dyn Fn(&str) -> Option<Zone>,
    /// The names of the host's zones, to suggest one; asked only after `zone` knew none.
    pub zone_names: &'k dyn Fn() -> Vec<String>,
}

/// Reads a DAG. `file` is its path, shown in errors; without `dag_id` in the text, the DAG is named after it.
pub fn load(file: &str, text: &str, known: &Known<'_>) -> Result<Dag, Vec<Diagnostic>> {
    if text.len() > DAG_FILE_BYTES_MAX {
        let bytes = text.len();
        return Err(vec![
            Diagnostic::new(format!(
                "`{file}` is {bytes} bytes long: too long for a DAG"
            ))
            .help(format!("a DAG file has at most {DAG_FILE_BYTES_MAX} bytes")),
        ]);
    }
    let source = || Source::new(file, text);
    let document = Document::parse(text).map_err(|error| {
        let mut diagnostic = Diagnostic::new(error.message)
            .at(&source(), error.span, error.label)
            .help(error.help.map(str::to_owned));
        diagnostic.notes.extend(error.note);
        vec![diagnostic]
    })?;
    let mut report = Report::new(Some(source()));
    for (first, again) in document.duplicates() {
        report.error(again.span(), "this key stands here already", || {
            let line = text[..first.span().start()].matches('\n').count() + 1;
            Diagnostic::new(format!("duplicate key `{}`", quote(&again.text())))
                .note(format!("the first is in line {line}"))
        });
    }
    shape::check_file(document.root(), &mut report);
    let mut reader = Reader { report, known };
    let draft = reader.dag(document.root(), stem(file));
    let mut dag = check(draft, known.functions, &mut reader.report);
    dag.source = Some(file.into());
    reader.report.finish().map(|()| dag)
}

/// The name of a file without its directory and `.json`.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".json").unwrap_or(name)
}

struct Reader<'r, 't> {
    report: Report<'t>,
    known: &'r Known<'r>,
}

fn text_of(item: Item<'_>) -> Option<Text> {
    (item.kind() == Kind::String).then(|| Text {
        text: item.text().into_owned(),
        span: Some(item.span()),
    })
}

fn string_of(item: Item<'_>) -> Option<String> {
    text_of(item).map(|text| text.text)
}

fn boolean_of(item: Item<'_>) -> Option<bool> {
    match item.kind() {
        Kind::True => Some(true),
        Kind::False => Some(false),
        Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => None,
    }
}

fn number_of<T: TryFrom<i64>>(item: Item<'_>) -> Option<T> {
    shape::integer(item).and_then(|number| number.try_into().ok())
}

fn count_of(item: Item<'_>) -> Option<u32> {
    number_of(item).filter(|&count| count > 0)
}

fn timeout_of(item: Item<'_>) -> Option<Duration> {
    duration_of(item).filter(|timeout| !timeout.is_zero())
}

fn duration_of(item: Item<'_>) -> Option<Duration> {
    let written = matches!(item.kind(), Kind::String | Kind::Number);
    written.then(|| shape::duration(item).ok()).flatten()
}

/// The member of an object under a key.
fn member<'d>(object: Item<'d>, name: &str) -> Option<Item<'d>> {
    let mut members = object.members();
    members
        .find(|(key, _)| key.text() == name)
        .map(|(_, value)| value)
}

fn texts_of(array: Item<'_>) -> Vec<Text> {
    array.elements().filter_map(text_of).collect()
}

fn pairs_of(object: Item<'_>) -> Vec<(Text, Text)> {
    object
        .members()
        .filter_map(|(key, value)| Some((text_of(key)?, text_of(value)?)))
        .collect()
}

fn draft_value(item: Item<'_>) -> DraftValue {
    // Recursion is bounded by json::DEPTH_MAX.
    match item.kind() {
        Kind::Null | Kind::True | Kind::False | Kind::Number => DraftValue::Plain(item.to_value()),
        Kind::String => DraftValue::Text(Text {
            text: item.text().into_owned(),
            span: Some(item.span()),
        }),
        Kind::Array => DraftValue::Array(item.elements().map(draft_value).collect()),
        Kind::Object => DraftValue::Object(
            item.members()
                .map(|(key, value)| (key.text().into_owned(), draft_value(value)))
                .collect(),
        ),
    }
}

impl Reader<'_, '_> {
    fn dag(&mut self, root: Item<'_>, stem: &str) -> Draft {
        // Without an id in the file, what is said of the id is said at its first bracket.
        let start = root.span().start();
        let mut draft = Draft::new(Text {
            text: stem.to_owned(),
            span: Some(Span::new(start, start + 1)),
        });
        let dag = &mut draft.dag;
        let mut order = None;
        let mut tasks = None;
        let mut defaults = Settings::default();
        for (key, value) in root.members() {
            match &*key.text() {
                "dag_id" => draft.dag_id = text_of(value).unwrap_or(draft.dag_id),
                "description" => dag.description = string_of(value).unwrap_or_default(),
                "doc" => dag.doc = string_of(value).unwrap_or_default(),
                "owner" => dag.owner = string_of(value).unwrap_or_default(),
                "tags" => dag.tags = self.tags(value),
                "schedule" => dag.schedule = self.schedule(value),
                "timezone" => dag.timezone = self.zone(value),
                "timetable" if value.text() == "interval" => {
                    dag.timetable = TimetableKind::Interval
                }
                "start_date" => dag.start_date = start_date(value),
                "end_date" => dag.end_date = Moment::parse(&value.text()),
                "catchup" => dag.catchup = catchup(value),
                "overlap" => dag.overlap = overlap(&value.text()),
                "max_active_runs" => dag.max_active_runs = count_of(value).unwrap_or(1),
                "max_active_tasks" => dag.max_active_tasks = count_of(value),
                "run_timeout" => dag.run_timeout = timeout_of(value),
                "params" => dag.params = self.params(value),
                "defaults" => self.settings(value, &mut defaults),
                "env" => draft.env = pairs_of(value),
                "cwd" => draft.cwd = text_of(value),
                "is_paused_upon_creation" => {
                    dag.is_paused_upon_creation = boolean_of(value).unwrap_or_default();
                }
                "tasks" => tasks = Some(value),
                "order" => order = Some(value),
                _ => {}
            }
        }
        self.dates(root, dag);
        // Environment and directory of `defaults` are shared by all tasks instead of copied into each.
        draft.env.append(&mut defaults.env);
        draft.cwd = defaults.cwd.take().or(draft.cwd);
        if let Some(tasks) = tasks {
            if tasks.kind() == Kind::Array && tasks.elements().next().is_none() {
                self.report.error(tasks.span(), "", no_tasks);
            }
            for item in tasks.elements().take(TASKS_MAX + 1) {
                draft.tasks.push(self.task(item, &defaults));
            }
            self.dependencies(tasks, order, &mut draft);
        }
        draft
    }

    fn tags(&mut self, value: Item<'_>) -> Vec<String> {
        let tags = texts_of(value);
        if tags.len() > TAGS_MAX {
            self.report.error(tags[TAGS_MAX].span, "", || {
                Diagnostic::new(format!("a DAG has at most {} tags", TAGS_MAX))
            });
        }
        for tag in &tags {
            if tag.text.is_empty() || tag.text.chars().count() > TAG_CHARS_MAX {
                self.report.error(tag.span, "", || {
                    Diagnostic::new(format!("a tag has 1 to {} characters", TAG_CHARS_MAX))
                });
            }
        }
        tags.into_iter().map(|tag| tag.text).collect()
    }

    fn params(&mut self, value: Item<'_>) -> BTreeMap<String, Value> {
        for (_, param) in value.members() {
            // Airflow's Param with a type and a range; as a plain value it would look as if it worked.
            let described = |key: &str| member(param, key).is_some();
            if described("type") || described("default") {
                self.report.error(Some(param.span()), "", || {
                    Diagnostic::new("a param with `type` or `default` is not supported yet")
                        .help("write the default itself".to_owned())
                });
            }
        }
        let members = value.members();
        members
            .map(|(key, value)| (key.text().into_owned(), value.to_value()))
            .collect()
    }

    fn zone(&mut self, value: Item<'_>) -> Option<Zone> {
        let name = text_of(value)?;
        let zone = (self.known.zone)(&name.text);
        if zone.is_none() {
            let names = self.known.zone_names;
            self.report
                .error(name.span, "this host has no such zone", || {
                    let names = names();
                    let found = suggest_zone(&name.text, names.iter().map(String::as_str));
                    let help = found.map_or_else(
                        || "zones are named as in \"Europe/Berlin\"".to_owned(),
                        |found| format!("did you mean `{found}`?"),
                    );
                    Diagnostic::new(format!("unknown time zone `{}`", quote(&name.text))).help(help)
                });
        }
        zone
    }

    fn schedule(&mut self, value: Item<'_>) -> Option<Schedule> {
        match value.kind() {
            Kind::String => self.schedule_text(value, Schedule::parse),
            Kind::Array => {
                let mut lines = Vec::new();
                for element in value
                    .elements()
                    .filter(|element| element.kind() == Kind::String)
                {
                    let schedule = self.schedule_text(element, Schedule::parse)?;
                    if !schedule.is_cron() {
                        self.report
                            .error(Some(element.span()), "is no crontab line", || {
                                Diagnostic::new("a list of schedules may hold crontab lines only")
                            });
                        return None;
                    }
                    lines.push(schedule);
                }
                self.made(value, Schedule::any_of(lines))
            }
            Kind::Object => self.schedule_object(value),
            Kind::Null | Kind::True | Kind::False | Kind::Number => None,
        }
    }

    fn schedule_text(
        &mut self,
        item: Item<'_>,
        parse: impl FnOnce(&str) -> Result<Schedule, ScheduleError>,
    ) -> Option<Schedule> {
        let text = text_of(item)?;
        match parse(&text.text) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                self.report.error(text.part(error.span), error.label, || {
                    Diagnostic::new(error.message).help(error.help)
                });
                None
            }
        }
    }

    /// A schedule that was made of something else than a text.
    fn made(&mut self, item: Item<'_>, made: Result<Schedule, ScheduleError>) -> Option<Schedule> {
        made.map_err(|error| {
            self.report.error(Some(item.span()), error.label, || {
                Diagnostic::new(error.message).help(error.help)
            });
        })
        .ok()
    }

    fn schedule_object(&mut self, value: Item<'_>) -> Option<Schedule> {
        let [every, cron, after] = ["every", "cron", "after"].map(|key| member(value, key));
        for option in ["seconds", "timezone"] {
            let given = value.members().find(|(key, _)| key.text() == option);
            if let (Some((key, _)), None) = (given, cron) {
                self.report.error(Some(key.span()), "", || {
                    Diagnostic::new(format!("`{option}` belongs to `cron`"))
                });
            }
        }
        match (every, cron, after) {
            (Some(every), None, None) => {
                let period = duration_of(every)?;
                self.made(every, Schedule::every(period))
            }
            (None, Some(cron), None) => {
                let seconds = member(value, "seconds").and_then(boolean_of);
                let parse = if seconds == Some(true) {
                    Schedule::cron_with_seconds
                } else {
                    Schedule::parse
                };
                self.schedule_text(cron, parse)
            }
            (None, None, Some(after)) => {
                let dag_ids = texts_of(after);
                for dag_id in &dag_ids {
                    id(dag_id, "DAG", &mut self.report);
                }
                let dag_ids = dag_ids.into_iter().map(|dag_id| dag_id.text);
                self.made(after, Schedule::after_dags(dag_ids.collect()))
            }
            _ => {
                self.report.error(Some(value.span()), "", || {
                    Diagnostic::new("a schedule is one of `every`, `cron` and `after`")
                        .help("{\"every\": \"90m\"}, {\"cron\": \"0 6 * * *\"} or {\"after\": [\"other_dag\"]}".to_owned())
                });
                None
            }
        }
    }

    /// What must hold between the zone, the schedule and the dates.
    fn dates(&mut self, root: Item<'_>, dag: &mut Dag) {
        let of_schedule =
            member(root, "schedule").and_then(|schedule| member(schedule, "timezone"));
        if let Some(item) = of_schedule {
            let zone = self.zone(item);
            if let (Some(other), Some(own)) = (&dag.timezone, &zone)
                && other.name() != own.name()
            {
                self.report.error(Some(item.span()), "", || {
                    Diagnostic::new(format!("the DAG's `timezone` is `{}`", other.name()))
                        .help("write one of them".to_owned())
                });
            }
            dag.timezone = dag.timezone.take().or(zone);
        }
        let over = match (dag.start_date, dag.end_date) {
            (Some(StartDate::Moment(Moment::Local(start))), Some(Moment::Local(end))) => {
                end < start
            }
            (Some(StartDate::Moment(Moment::Instant(start))), Some(Moment::Instant(end))) => {
                end < start
            }
            (_, _) => false,
        };
        if over {
            let span = member(root, "end_date").map(Item::span);
            self.report.error(span, "before `start_date`", || {
                Diagnostic::new("`end_date` lies before `start_date`")
                    .help("it would never run".to_owned())
            });
        }
    }

    fn task(&mut self, item: Item<'_>, defaults: &Settings) -> DraftTask {
        let mut settings = defaults.clone();
        self.settings(item, &mut settings);
        let mut task_id = Text::from("");
        let mut action = None;
        let mut args = BTreeMap::new();
        let mut doc = String::new();
        let mut args_span = None;
        for (key, value) in item.members() {
            let found = match &*key.text() {
                "task_id" => {
                    task_id = text_of(value).unwrap_or(task_id);
                    None
                }
                "doc" => {
                    doc = string_of(value).unwrap_or_default();
                    None
                }
                "args" => {
                    args_span = Some(key.span());
                    if let DraftValue::Object(members) = draft_value(value) {
                        args = members;
                    }
                    None
                }
                "bash" => text_of(value).map(Action::Bash),
                "argv" if value.kind() == Kind::Array => Some(Action::Argv(texts_of(value))),
                "http" => http(value).map(|http| Action::Http(Box::new(http))),
                "call" => text_of(value).map(|function| Action::Call {
                    function,
                    args: DraftValue::Object(BTreeMap::new()),
                }),
                "empty" => {
                    if boolean_of(value) == Some(false) {
                        self.report.error(Some(value.span()), "", || {
                            Diagnostic::new("`empty` can only be true")
                                .help("leave it out, and say what the task does".to_owned())
                        });
                    }
                    Some(Action::Empty)
                }
                _ => None,
            };
            action = action.or(found);
        }
        match &mut action {
            Some(Action::Call { args: own, .. }) => *own = DraftValue::Object(args),
            Some(Action::Bash(_) | Action::Argv(_) | Action::Http(_) | Action::Empty) | None => {
                if args_span.is_some() && member(item, "call").is_none() {
                    self.report.error(args_span, "there is no `call`", || {
                        Diagnostic::new("`args` are for a `call`")
                            .help("hand values over in `env`".to_owned())
                    });
                }
            }
        }
        let mut task = settings.task;
        task.doc = doc;
        DraftTask {
            task,
            task_id,
            action: action.unwrap_or(Action::Empty),
            env: settings.env,
            cwd: settings.cwd,
        }
    }

    /// Reads the keys that a task may inherit.
    fn settings(&mut self, item: Item<'_>, settings: &mut Settings) {
        let task = &mut settings.task;
        for (key, value) in item.members() {
            match &*key.text() {
                "trigger_rule" => {
                    task.trigger_rule = TriggerRule::parse(&value.text()).unwrap_or_default();
                }
                "retries" => task.retries = number_of(value).unwrap_or_default(),
                "retry_delay" => task.retry_delay = duration_of(value).unwrap_or_default(),
                "retry_exponential_backoff" => {
                    task.retry_exponential_backoff = boolean_of(value).unwrap_or_default();
                }
                "max_retry_delay" => task.max_retry_delay = duration_of(value).unwrap_or_default(),
                "timeout" => {
                    task.timeout = timeout_of(value);
                }
                "env" => settings.env = pairs_of(value),
                "cwd" => settings.cwd = text_of(value),
                "priority" => task.priority = number_of(value).unwrap_or_default(),
                "skip_on_exit_code" => task.skip_on_exit_code = number_of(value),
                "limits" => {
                    let output = member(value, "output").and_then(shape::size_bytes);
                    task.output_bytes_max = output.unwrap_or(task.output_bytes_max);
                }
                _ => {}
            }
        }
    }

    fn dependencies(&mut self, tasks: Item<'_>, order: Option<Item<'_>>, draft: &mut Draft) {
        let names = draft.tasks.iter().enumerate();
        let mut by_id: Vec<(&str, TaskIndex)> = names
            .map(|(index, task)| (task.task_id.text.as_str(), TaskIndex::new(index)))
            .collect();
        by_id.sort_unstable();
        let find = |name: &str| {
            let found = by_id.partition_point(|(id, _)| *id < name);
            by_id
                .get(found)
                .filter(|(id, _)| *id == name)
                .map(|(_, index)| *index)
        };
        let ids = || by_id.iter().map(|(id, _)| *id);
        let mut found: Vec<Dependency> = Vec::new();
        for (index, item) in tasks.elements().enumerate().take(draft.tasks.len()) {
            let downstream = TaskIndex::new(index);
            let after = member(item, "after").into_iter().flat_map(Item::elements);
            for upstream in after.filter_map(text_of) {
                if let Some(index) = find(&upstream.text) {
                    found.push(Dependency {
                        upstream: index,
                        downstream,
                        at: upstream.span.into(),
                    });
                } else {
                    self.report.error(upstream.span, "no task has this id", || {
                        let task_id = &draft.tasks[index].task_id.text;
                        Diagnostic::new(format!(
                            "task `{}` has unknown upstream `{}`",
                            quote(task_id),
                            quote(&upstream.text)
                        ))
                        .help(suggest::help(&upstream.text, ids()))
                    });
                }
            }
        }
        let order = order.into_iter().flat_map(Item::elements);
        for line in order.filter_map(text_of) {
            let groups = match order::parse(&line.text) {
                Ok(groups) => groups,
                Err(error) => {
                    self.report.error(line.part(error.part), error.label, || {
                        Diagnostic::new(format!("`{}` is not an order of tasks", quote(&line.text)))
                            .help("write \"a >> b\", \"a >> [b, c] >> d\" or \"b << a\"".to_owned())
                    });
                    continue;
                }
            };
            let product: usize = groups
                .windows(2)
                .map(|pair| pair[0].len() * pair[1].len())
                .sum();
            if found.len() + product > DEPENDENCIES_MAX {
                self.report.error(line.span, "", too_many_dependencies);
                return;
            }
            let groups: Vec<Vec<(Option<TaskIndex>, At)>> = groups
                .into_iter()
                .map(|group| {
                    let mut known = Vec::with_capacity(group.len());
                    for part in group {
                        let name = &line.text[part.clone()];
                        let index = find(name);
                        let at = line.part(part.clone());
                        if index.is_none() {
                            self.report.error(at, "no task has this id", || {
                                Diagnostic::new(format!(
                                    "unknown task `{}` in `order`",
                                    quote(name)
                                ))
                                .help(suggest::help(name, ids()))
                            });
                        }
                        known.push((index, at));
                    }
                    known
                })
                .collect();
            for pair in groups.windows(2) {
                for &(upstream, _) in &pair[0] {
                    for &(downstream, at) in &pair[1] {
                        if let (Some(upstream), Some(downstream)) = (upstream, downstream) {
                            found.push(Dependency {
                                upstream,
                                downstream,
                                at,
                            });
                        }
                    }
                }
            }
        }
        if found.len() > DEPENDENCIES_MAX {
            self.report
                .error(found[DEPENDENCIES_MAX].at, "", too_many_dependencies);
            found.clear();
        }
        draft.dependencies = found;
    }
}

/// What a task may inherit.
#[derive(Clone)]
struct Settings {
    task: Task,
    env: Vec<(Text, Text)>,
    cwd: Option<Text>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            task: plain_task(),
            env: Vec::new(),
            cwd: None,
        }
    }
}

fn start_date(value: Item<'_>) -> Option<StartDate> {
    match member(value, "days_ago") {
        Some(days) => number_of(days).map(StartDate::DaysAgo),
        None => Moment::parse(&value.text()).map(StartDate::Moment),
    }
}

fn catchup(value: Item<'_>) -> Catchup {
    match &*value.text() {
        "true" | "all" => Catchup::All,
        "none" => Catchup::None,
        _ => member(value, "max_runs")
            .and_then(number_of)
            .map_or(Catchup::Latest, Catchup::AtMost),
    }
}

fn overlap(word: &str) -> Overlap {
    match word {
        "skip" => Overlap::Skip,
        "cancel" => Overlap::Cancel,
        _ => Overlap::Queue,
    }
}

fn http(value: Item<'_>) -> Option<DraftHttp> {
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
