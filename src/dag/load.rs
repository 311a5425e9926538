//! A DAG from a JSON file. All errors of a file come at once, each with its place; a file that is not JSON has one.
//!
//! First the document is checked against the table of keys, then it is read into a [`Draft`], then the draft is
//! checked as one from the builder is. A value that the first has refused is passed over by the second.
//!
//! A file costs memory and time in proportion to its length, of which there is at most
//! [`DAG_FILE_BYTES_MAX`].

mod dependencies;
mod hook;
mod item;
mod schedule;
mod task;

use std::collections::BTreeMap;

use self::item::{
    boolean_of, count_of, member, pairs_of, string_of, text_of, texts_of, timeout_of,
};
use self::schedule::{after, catchup, overlap, start_date};
use self::task::{Settings, task};
use super::check::{check, check_hooks, no_tasks};
use super::date::{Moment, StartDate};
use super::diagnostic::{Diagnostic, Span, quote};
use super::draft::{Draft, DraftHooks, Text};
use super::json::{Item, Kind};
use super::keys::{TAG_CHARS_MAX, TAGS_MAX};
use super::report::{self, Report};
use super::{Dag, Functions, Hooks, Param, Pools, TASKS_MAX, TimetableKind, shape};
use crate::timetable::{Lines, Zone, suggest_zone};

/// The longest file that is read.
pub const DAG_FILE_BYTES_MAX: usize = 1 << 20;

/// What a program and its host offer to the DAGs that it loads.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// What `call` may name.
    pub functions: &'k Functions,
    /// The host's zone of a name.
    pub zone: &'k dyn Fn(&str) -> Option<Zone>,
    /// The pools there are; `None` if nobody knows, and then any name is taken for one.
    pub pools: Option<&'k Pools>,
    /// The names of the host's zones, to suggest one; asked only after `zone` knew none.
    pub zone_names: &'k dyn Fn() -> Vec<String>,
    /// The crontab lines that were read before.
    pub lines: &'k Lines,
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
    let (document, mut report) = report::read(file, text)?;
    shape::check_dag(document.root(), &mut report);
    let mut reader = Reader { report, known };
    let draft = reader.dag(document.root(), stem(file));
    let mut dag = check(draft, known.functions, known.pools, &mut reader.report);
    dag.source = Some(file.into());
    reader.report.finish().map(|()| dag)
}

/// The zone that an item names.
pub(crate) fn zone_of(value: Item<'_>, known: &Known<'_>, report: &mut Report<'_>) -> Option<Zone> {
    let name = text_of(value)?;
    let zone = (known.zone)(&name.text);
    if zone.is_none() {
        report.error(name.span, "this host has no such zone", || {
            let names = (known.zone_names)();
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

/// The hooks that a config file names, into `hooks`: one of them, out of what stands under its key.
pub(crate) fn config_hook(hooks: &mut Hooks, key: &str, value: Item<'_>, report: &mut Report<'_>) {
    let mut draft = DraftHooks::default();
    draft.read(key, value);
    let read = check_hooks(draft, report);
    hooks.on_success = read.on_success.or(hooks.on_success.take());
    hooks.on_failure = read.on_failure.or(hooks.on_failure.take());
    hooks.on_retry = read.on_retry.or(hooks.on_retry.take());
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
                "schedule" => {
                    dag.schedule = self.schedule(value);
                    draft.after = after(value);
                }
                "timezone" => dag.timezone = self.zone(value),
                "timetable" if value.text() == "interval" => {
                    dag.timetable = TimetableKind::Interval;
                }
                "start_date" => dag.start_date = start_date(value),
                "end_date" => dag.end_date = Moment::parse(&value.text()),
                "catchup" => dag.catchup = catchup(value),
                "overlap" => dag.overlap = overlap(&value.text()),
                "max_active_runs" => dag.max_active_runs = count_of(value).unwrap_or(1),
                "max_active_tasks" => dag.max_active_tasks = count_of(value),
                "run_timeout" => dag.run_timeout = timeout_of(value),
                "params" => dag.params = self.params(value),
                "defaults" => defaults.read(value),
                "env" => draft.env = pairs_of(value),
                "cwd" => draft.cwd = text_of(value),
                name @ ("on_success" | "on_failure" | "on_retry") => draft.hooks.read(name, value),
                "is_paused_upon_creation" => {
                    dag.is_paused_upon_creation = boolean_of(value).unwrap_or_default();
                }
                "tasks" => tasks = Some(value),
                "order" => order = Some(value),
                _ => {}
            }
        }
        self.dates(root, dag);
        // Environment, directory and hooks of `defaults` are shared by all tasks instead of copied into each.
        draft.env.append(&mut defaults.env);
        draft.secrets.append(&mut defaults.secrets);
        draft.task_hooks = std::mem::take(&mut defaults.hooks);
        draft.cwd = defaults.cwd.take().or(draft.cwd);
        if let Some(tasks) = tasks {
            if tasks.kind() == Kind::Array && tasks.elements().next().is_none() {
                self.report.error(tasks.span(), "", no_tasks);
            }
            for item in tasks.elements().take(TASKS_MAX + 1) {
                draft.tasks.push(task(item, &defaults));
            }
            self.dependencies(tasks, order, &mut draft);
        }
        draft
    }

    fn tags(&mut self, value: Item<'_>) -> Vec<String> {
        let tags = texts_of(value);
        if tags.len() > TAGS_MAX {
            self.report.error(tags[TAGS_MAX].span, "", || {
                Diagnostic::new(format!("a DAG has at most {TAGS_MAX} tags"))
            });
        }
        for tag in &tags {
            if tag.text.is_empty() || tag.text.chars().count() > TAG_CHARS_MAX {
                self.report.error(tag.span, "", || {
                    Diagnostic::new(format!("a tag has 1 to {TAG_CHARS_MAX} characters"))
                });
            }
        }
        tags.into_iter().map(|tag| tag.text).collect()
    }

    fn params(&mut self, value: Item<'_>) -> BTreeMap<String, Param> {
        let mut params = BTreeMap::new();
        for (key, item) in value.members() {
            let name = key.text().into_owned();
            let (param, fault) = Param::read(item.to_value());
            if let Some(why) = fault {
                self.report.error(item.span(), "", || {
                    Diagnostic::new(format!("param `{}`: {why}", quote(&name)))
                });
            }
            params.insert(name, param);
        }
        params
    }

    fn zone(&mut self, value: Item<'_>) -> Option<Zone> {
        zone_of(value, self.known, &mut self.report)
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
            (Some(StartDate::Moment(Moment::Zoned(start))), Some(Moment::Zoned(end))) => {
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
}
