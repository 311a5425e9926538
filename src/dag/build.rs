//! A DAG in Rust: tasks by name, and `>>` between them.
//!
//! ```
//! use mini_dag::dag::{Dag, Outcome};
//!
//! # fn main() -> Result<(), Vec<mini_dag::dag::Diagnostic>> {
//! let dag = Dag::new("download_rocket_launches").start_days_ago(14);
//! let download = dag.bash("download_launches", "curl -fsS -o /tmp/launches.json https://…").retries(2);
//! let pictures = dag.call("get_pictures", |context| {
//!     println!("pictures for {}", context.run_id);
//!     Ok(Outcome::Done)
//! });
//! let notify = dag.bash("notify", "ls /tmp/images | wc -l");
//! _ = download >> pictures >> notify; // also  a >> [b, c] >> d
//! let dag = dag.finish()?;
//! # assert_eq!(dag.topological_order().len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! The compiler takes a `>>` whose result nobody uses for a mistake: hence the `_ =`. A file full of DAGs may
//! say `#![allow(unused_must_use)]` instead, and drop it.
//!
//! [`DagBuilder::finish`] checks what was built as the JSON loader checks a file; what a method could not
//! make sense of is reported there, too.

mod hook;
mod task;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

pub use self::hook::HookBuilder;
pub use self::task::{TaskHandle, Tasks};
use super::check::{check, no_tasks};
use super::draft::{Action, Draft, DraftHttp, DraftTask, DraftValue, Text};
use super::report::{At, Report};
use super::{
    Catchup, Context, Dag, Diagnostic, Functions, Moment, Overlap, Param, StartDate, TaskIndex,
    TimetableKind, Value, function,
};
use crate::timetable::{Schedule, ScheduleError, Zone};

/// A DAG that is being written.
#[derive(Debug)]
pub struct DagBuilder {
    draft: RefCell<Draft>,
    /// What is wrong already.
    faults: RefCell<Vec<Diagnostic>>,
}

/// The options of the DAG. What is not set is as in a DAG file that does not say it.
impl DagBuilder {
    pub(super) fn new(dag_id: &str) -> Self {
        Self {
            draft: RefCell::new(Draft::new(dag_id.into())),
            faults: RefCell::default(),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Draft)) -> Self {
        set(self.draft.get_mut());
        self
    }

    fn fault(&self, fault: Diagnostic) {
        let mut faults = self.faults.borrow_mut();
        if faults.last() != Some(&fault) {
            faults.push(fault);
        }
    }

    /// One line for lists.
    pub fn description(self, text: &str) -> Self {
        self.set(|draft| text.clone_into(&mut draft.dag.description))
    }

    /// Markdown for the DAG's page.
    pub fn doc(self, text: &str) -> Self {
        self.set(|draft| text.clone_into(&mut draft.dag.doc))
    }

    /// Who answers for it.
    pub fn owner(self, text: &str) -> Self {
        self.set(|draft| text.clone_into(&mut draft.dag.owner))
    }

    /// One more label to filter by.
    pub fn tag(self, tag: &str) -> Self {
        self.set(|draft| draft.dag.tags.push(tag.to_owned()))
    }

    /// A crontab line or a preset such as `@daily`.
    pub fn schedule(self, text: &str) -> Self {
        self.schedule_from(Schedule::parse(text))
    }

    /// Again and again after this much time.
    pub fn every(self, period: Duration) -> Self {
        self.schedule_from(Schedule::every(period))
    }

    /// Whenever each of these DAGs has had a successful run since this one's last.
    pub fn after_dags<const N: usize>(self, dag_ids: [&str; N]) -> Self {
        self.schedule_from(Schedule::after_dags(dag_ids.map(str::to_owned).into()))
    }

    /// Any schedule: `Schedule::any_of(…)`, `Schedule::cron_with_seconds(…)`.
    pub fn schedule_from(self, schedule: Result<Schedule, ScheduleError>) -> Self {
        match schedule {
            Ok(schedule) => self.set(|draft| draft.dag.schedule = Some(schedule)),
            Err(error) => {
                self.fault(
                    Diagnostic::new(error.message)
                        .note(error.label)
                        .help(error.help),
                );
                self
            }
        }
    }

    /// The zone of its schedule and dates, instead of the host's.
    pub fn timezone(self, zone: Zone) -> Self {
        self.set(|draft| draft.dag.timezone = Some(zone))
    }

    /// What a scheduled run is named after.
    pub fn timetable(self, timetable: TimetableKind) -> Self {
        self.set(|draft| draft.dag.timetable = timetable)
    }

    /// Nothing is due before: `2026-05-01`, `2026-05-01T06:00:00`, with `+09:00` or in the DAG's zone.
    pub fn start_date(self, date: &str) -> Self {
        let moment = self.moment(date);
        self.set(|draft| draft.dag.start_date = moment.map(StartDate::Moment))
    }

    /// Nothing is due before this many midnights before the DAG was first seen.
    pub fn start_days_ago(self, days: u32) -> Self {
        self.set(|draft| draft.dag.start_date = Some(StartDate::DaysAgo(days)))
    }

    /// Nothing is due after; as [`DagBuilder::start_date`].
    pub fn end_date(self, date: &str) -> Self {
        let moment = self.moment(date);
        self.set(|draft| draft.dag.end_date = moment)
    }

    fn moment(&self, date: &str) -> Option<Moment> {
        let moment = Moment::parse(date);
        if moment.is_none() {
            self.fault(Diagnostic::new(format!("`{date}` is not a date")));
        }
        moment
    }

    /// Which missed runs are made up for.
    pub fn catchup(self, catchup: Catchup) -> Self {
        self.set(|draft| draft.dag.catchup = catchup)
    }

    /// What happens when it is due while `max_active_runs` are active.
    pub fn overlap(self, overlap: Overlap) -> Self {
        self.set(|draft| draft.dag.overlap = overlap)
    }

    /// Runs that may be active at once, at least 1.
    pub fn max_active_runs(self, runs: u32) -> Self {
        self.set(|draft| draft.dag.max_active_runs = runs)
    }

    /// Its task instances that may run at once, at least 1.
    pub fn max_active_tasks(self, tasks: u32) -> Self {
        self.set(|draft| draft.dag.max_active_tasks = Some(tasks))
    }

    /// A run that is active for longer fails.
    pub fn run_timeout(self, timeout: Duration) -> Self {
        self.set(|draft| draft.dag.run_timeout = Some(timeout))
    }

    /// Declares a param: its default, or an object that says what it may be, as in a DAG file.
    pub fn param(self, name: &str, default: impl Into<Value>) -> Self {
        let (param, fault) = Param::read(default.into());
        if let Some(why) = param.wrong_word().or(fault) {
            self.fault(Diagnostic::new(format!("param `{name}`: {why}")));
        }
        self.set(|draft| _ = draft.dag.params.insert(name.to_owned(), param))
    }

    /// Added to every task's environment; the value is a template.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.set(|draft| draft.env.push((name.into(), value.into())))
    }

    /// What is done when a run has succeeded.
    pub fn on_success(self, hook: HookBuilder) -> Self {
        self.set(|draft| draft.hooks.success = Some(hook.0))
    }

    /// What is done when a run has failed.
    pub fn on_failure(self, hook: HookBuilder) -> Self {
        self.set(|draft| draft.hooks.failure = Some(hook.0))
    }

    /// What is done when a task will be tried again.
    pub fn on_retry(self, hook: HookBuilder) -> Self {
        self.set(|draft| draft.hooks.retry = Some(hook.0))
    }

    /// The working directory of every task without its own; a template.
    pub fn cwd(self, path: &str) -> Self {
        self.set(|draft| draft.cwd = Some(path.into()))
    }

    /// Whether it waits to be unpaused when it is first seen.
    pub fn is_paused_upon_creation(self, paused: bool) -> Self {
        self.set(|draft| draft.dag.is_paused_upon_creation = paused)
    }

    /// Checks it, as the JSON loader checks a file.
    pub fn finish(self) -> Result<Dag, Vec<Diagnostic>> {
        let mut report = Report::new(None);
        for fault in self.faults.into_inner() {
            report.error(At::default(), "", || fault);
        }
        let draft = self.draft.into_inner();
        if draft.tasks.is_empty() {
            report.error(At::default(), "", no_tasks);
        }
        let dag = check(draft, &Functions::new(), None, &mut report);
        report.finish().map(|()| dag)
    }
}

/// The tasks.
impl DagBuilder {
    fn task(&self, task_id: &str, action: Action) -> TaskHandle<'_> {
        let mut draft = self.draft.borrow_mut();
        let index = TaskIndex::new(draft.tasks.len());
        draft.tasks.push(DraftTask::new(task_id.into(), action));
        TaskHandle { dag: self, index }
    }

    /// A script for `/bin/bash -c`; dates and ids may stand in it as templates.
    pub fn bash(&self, task_id: &str, script: &str) -> TaskHandle<'_> {
        self.task(task_id, Action::Bash(script.into()))
    }

    /// A program and its arguments, without a shell; each is a template.
    pub fn argv<'w>(
        &self,
        task_id: &str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> TaskHandle<'_> {
        let words = words.into_iter().map(Text::from).collect();
        self.task(task_id, Action::Argv(words))
    }

    /// One HTTP request; the URL is a template.
    pub fn http(&self, task_id: &str, url: &str) -> TaskHandle<'_> {
        self.task(task_id, Action::Http(Box::new(DraftHttp::new(url.into()))))
    }

    /// A compiled-in function. It is kept with the DAG, under the task's id.
    pub fn call<F>(&self, task_id: &str, function: F) -> TaskHandle<'_>
    where
        F: Fn(&Context) -> function::Result + Send + Sync + 'static,
    {
        let compiled = Arc::new(function);
        let name = task_id.to_owned();
        self.draft.borrow_mut().dag.functions.insert(name, compiled);
        let args = DraftValue::Object(std::collections::BTreeMap::new());
        let function = task_id.into();
        self.task(task_id, Action::Call { function, args })
    }

    /// A run of another DAG.
    pub fn trigger(&self, task_id: &str, dag_id: &str) -> TaskHandle<'_> {
        let action = Action::Trigger {
            dag_id: dag_id.into(),
            params: DraftValue::Object(std::collections::BTreeMap::new()),
            wait: false,
        };
        self.task(task_id, action)
    }

    /// Nothing: a name to hang dependencies on.
    pub fn empty(&self, task_id: &str) -> TaskHandle<'_> {
        self.task(task_id, Action::Empty)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Operator, Outcome};
    use super::*;

    fn edges(dag: &Dag) -> Vec<String> {
        let names = |tasks: &[TaskIndex]| -> Vec<String> {
            let names = tasks.iter().map(|task| dag.task(*task).task_id.to_string());
            names.collect()
        };
        let tasks = dag.tasks().iter();
        let after = tasks.filter(|task| !task.upstream.is_empty());
        after
            .map(|task| format!("{} after {}", task.task_id, names(&task.upstream).join(",")))
            .collect()
    }

    fn errors(dag: DagBuilder) -> Vec<String> {
        let errors = dag.finish().expect_err("errors");
        errors.iter().map(|error| error.message.clone()).collect()
    }

    #[test]
    #[expect(clippy::many_single_char_names, reason = "they are the tasks' names")]
    fn arrows_order_tasks_and_groups() {
        let dag = Dag::new("arrows");
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|id| dag.empty(id));
        _ = a >> [b, c] >> d;
        _ = a >> d;
        _ = a >> d;
        let e = dag.bash("e", "true").after([b, c]).after(a);
        let dag_edges = [
            "b after a",
            "c after a",
            "d after a,b,c",
            "e after a,b,c",
            "f after d,e",
        ];
        let f = dag.argv("f", ["true"]);
        _ = vec![d, e] >> f;
        let dag = dag.finish().expect("a DAG");
        assert_eq!(edges(&dag), dag_edges);
        let order: Vec<usize> = dag
            .topological_order()
            .into_iter()
            .map(TaskIndex::get)
            .collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
        assert_eq!(dag.find("e"), Some(TaskIndex::new(4)));
        assert_eq!(dag.find("g"), None);
    }

    #[test]
    fn a_function_travels_with_its_dag() {
        let dag = Dag::new("functions").param("dir", "/tmp");
        dag.call("seven", |_| Ok(Outcome::Value(7.into())))
            .arg("dir", "{{ params.dir }}");
        dag.empty("nothing");
        let dag = dag.finish().expect("a DAG");
        let none = Functions::new();
        let (seven, nothing) = (&dag.tasks()[0], &dag.tasks()[1]);
        assert!(dag.function(seven, &none).is_some());
        assert!(dag.function(nothing, &none).is_none());
        let Operator::Call { args, .. } = &seven.operator else {
            panic!("{seven:?}");
        };
        assert_eq!(args.to_string(), "{\"dir\":\"{{ params.dir }}\"}");
    }

    #[test]
    fn the_builder_is_checked_as_a_file_is() {
        let dag = Dag::new("no dag")
            .schedule("61 * * * *")
            .start_date("soon")
            .max_active_runs(0);
        let other = Dag::new("other");
        let a = dag
            .bash("a", "{{ params.x }}")
            .method("GET")
            .timeout(Duration::ZERO);
        let b = dag.http("a", "localhost").arg("x", 1);
        _ = a >> b >> a;
        _ = a >> a;
        _ = other.empty("o") >> b;
        assert_eq!(
            errors(dag),
            [
                "`61 * * * *` is not a schedule",
                "`soon` is not a date",
                "`method` of task `a`, which is no `http` task",
                "`arg` of task `a`, which is no `call` task",
                "a task of `no dag` waits for one of `other`",
                "`no dag` is not a DAG id",
                "`max_active_runs` and `max_active_tasks` are at least 1",
                "`timeout` of `a` is not from 1 ms to 100 years",
                "template variable `params.x` is no param of this DAG",
                "`localhost` is not an absolute URL",
                "two tasks are called `a`",
                "task `a` waits for itself",
                "dag `no dag` has a cycle",
            ]
        );
        assert_eq!(errors(Dag::new("empty")), ["a DAG has at least one task"]);
    }

    #[test]
    fn an_option_that_means_nothing_to_a_task_is_an_error_if_defaults_cannot_hand_it_over() {
        let dag = Dag::new("options");
        let poke = super::super::Poke::default();
        dag.empty("empty").retries(3).poke(poke).branch();
        dag.trigger("fire", "other").poke(poke).short_circuit();
        assert_eq!(
            errors(dag),
            [
                "`branch` of task `empty`, which is empty",
                "`short_circuit` of task `fire`, which triggers a DAG"
            ]
        );
        let dag = Dag::new("inherited");
        dag.empty("empty").retries(3).poke(poke);
        let dag = dag.finish().expect("a DAG");
        assert_eq!(dag.tasks()[0].poke, None);
    }

    #[test]
    fn what_a_param_is_described_with_is_checked_as_in_a_file() {
        let described = |text: &str| {
            let dag = Dag::new("d").param("p", Value::parse(text).unwrap());
            dag.empty("t");
            match dag.finish() {
                Ok(_) => Vec::new(),
                Err(errors) => errors.into_iter().map(|error| error.message).collect(),
            }
        };
        for good in [
            "5",
            r#"{"a": 1}"#,
            r#"{"type": ["integer", "null"], "default": null}"#,
        ] {
            assert_eq!(described(good), [""; 0], "{good}");
        }
        let types = "there are string, integer, number, boolean, null, array, object";
        for (text, why) in [
            (
                r#"{"type": "strng", "default": 1}"#,
                format!("there is no type \"strng\"; {types}"),
            ),
            (
                r#"{"type": ["null", 3], "default": 1}"#,
                format!("there is no type 3; {types}"),
            ),
            (
                r#"{"type": "integer", "default": "x"}"#,
                "its `default` must be integer, not \"x\"".to_owned(),
            ),
        ] {
            assert_eq!(described(text), [format!("param `p`: {why}")]);
        }
        let misspelt = described(r#"{"default": 1, "minimun": 0}"#);
        assert!(
            misspelt[0].contains("there is no key `minimun`; there are type, "),
            "{misspelt:?}"
        );
    }

    #[test]
    fn too_many_dependencies_are_one_error() {
        let dag = Dag::new("many");
        let tasks: Vec<_> = (0..400).map(|i| dag.empty(&format!("t{i}"))).collect();
        for task in &tasks[200..] {
            task.after(tasks[..200].to_vec());
            task.after(tasks[..200].to_vec());
            task.after(tasks[..200].to_vec());
        }
        assert_eq!(
            errors(dag),
            ["too many dependencies: a DAG has at most 100000"]
        );
    }
}
