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
//! [`DagBuilder::finish`] checks what was built as the JSON loader checks a file; what a method could not
//! make sense of is reported there, too.

use std::cell::RefCell;
use std::ops::Shr;
use std::sync::Arc;
use std::time::Duration;

use super::check::{check, no_tasks, too_many_dependencies};
use super::draft::{Action, Dependency, Draft, DraftHttp, DraftTask, DraftValue, Text};
use super::report::{At, Report};
use super::{
    Catchup, Context, DEPENDENCIES_MAX, Dag, Diagnostic, Functions, Moment, Overlap, StartDate,
    TaskIndex, TimetableKind, TriggerRule, Value, function,
};
use crate::timetable::{Schedule, ScheduleError, Zone};

/// A DAG that is being written.
#[derive(Debug)]
pub struct DagBuilder {
    draft: RefCell<Draft>,
    /// What is wrong already.
    faults: RefCell<Vec<Diagnostic>>,
}

/// A task of a [`DagBuilder`], to order it with `>>` and to set its options.
#[derive(Clone, Copy, Debug)]
pub struct TaskHandle<'d> {
    dag: &'d DagBuilder,
    index: TaskIndex,
}

/// One task or several: what may stand on the right of `>>`, and in [`TaskHandle::after`].
pub trait Tasks<'d> {
    /// Calls `each` with every one of them.
    fn each(&self, each: &mut dyn FnMut(TaskHandle<'d>));
}

impl<'d> Tasks<'d> for TaskHandle<'d> {
    fn each(&self, each: &mut dyn FnMut(TaskHandle<'d>)) {
        each(*self);
    }
}

impl<'d, const N: usize> Tasks<'d> for [TaskHandle<'d>; N] {
    fn each(&self, each: &mut dyn FnMut(TaskHandle<'d>)) {
        self.iter().copied().for_each(each);
    }
}

impl<'d> Tasks<'d> for Vec<TaskHandle<'d>> {
    fn each(&self, each: &mut dyn FnMut(TaskHandle<'d>)) {
        self.iter().copied().for_each(each);
    }
}

/// `a >> b` and `a >> [b, c]`: what is on the right waits for `a`. The result is the right side.
impl<'d, T: Tasks<'d>> Shr<T> for TaskHandle<'d> {
    type Output = T;

    fn shr(self, downstream: T) -> T {
        downstream.each(&mut |task| _ = task.after(self));
        downstream
    }
}

/// `[a, b] >> c`: `c` waits for both.
impl<'d, const N: usize> Shr<TaskHandle<'d>> for [TaskHandle<'d>; N] {
    type Output = TaskHandle<'d>;

    fn shr(self, downstream: TaskHandle<'d>) -> TaskHandle<'d> {
        downstream.after(self)
    }
}

/// As for arrays.
impl<'d> Shr<TaskHandle<'d>> for Vec<TaskHandle<'d>> {
    type Output = TaskHandle<'d>;

    fn shr(self, downstream: TaskHandle<'d>) -> TaskHandle<'d> {
        downstream.after(self)
    }
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

    fn schedule_from(self, schedule: Result<Schedule, ScheduleError>) -> Self {
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

    /// Declares a param, with its default.
    pub fn param(self, name: &str, default: impl Into<Value>) -> Self {
        self.set(|draft| _ = draft.dag.params.insert(name.to_owned(), default.into()))
    }

    /// Added to every task's environment; the value is a template.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.set(|draft| draft.env.push((name.into(), value.into())))
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
        let dag = check(draft, &Functions::new(), &mut report);
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
        // One statement: the borrow must be over before `task` takes its own.
        (self.draft.borrow_mut().dag.functions).insert(task_id.to_owned(), Arc::new(function));
        let args = DraftValue::Object(std::collections::BTreeMap::new());
        let function = task_id.into();
        self.task(task_id, Action::Call { function, args })
    }

    /// Nothing: a name to hang dependencies on.
    pub fn empty(&self, task_id: &str) -> TaskHandle<'_> {
        self.task(task_id, Action::Empty)
    }
}

/// The options of a task. What is not set is as in a DAG file that does not say it.
impl<'d> TaskHandle<'d> {
    fn set(self, set: impl FnOnce(&mut DraftTask)) -> Self {
        set(&mut self.dag.draft.borrow_mut().tasks[self.index.get()]);
        self
    }

    /// Waits for a task, or for several.
    pub fn after(self, upstream: impl Tasks<'d>) -> Self {
        upstream.each(&mut |upstream| {
            if !std::ptr::eq(self.dag, upstream.dag) {
                let ours = self.dag.draft.borrow().dag_id.text.clone();
                let theirs = upstream.dag.draft.borrow().dag_id.text.clone();
                let message = format!("a task of `{ours}` waits for one of `{theirs}`");
                return self.dag.fault(Diagnostic::new(message));
            }
            let dependencies = &mut self.dag.draft.borrow_mut().dependencies;
            if dependencies.len() == DEPENDENCIES_MAX {
                return self.dag.fault(too_many_dependencies());
            }
            dependencies.push(Dependency {
                upstream: upstream.index,
                downstream: self.index,
                at: At::default(),
            });
        });
        self
    }

    /// Which ends of its upstreams let it run.
    pub fn trigger_rule(self, rule: TriggerRule) -> Self {
        self.set(|draft| draft.task.trigger_rule = rule)
    }

    /// How often a failed attempt is repeated.
    pub fn retries(self, retries: u32) -> Self {
        self.set(|draft| draft.task.retries = retries)
    }

    /// The pause before the next attempt.
    pub fn retry_delay(self, delay: Duration) -> Self {
        self.set(|draft| draft.task.retry_delay = delay)
    }

    /// The pause doubles with each attempt, up to `longest`.
    pub fn retry_exponential_backoff(self, longest: Duration) -> Self {
        self.set(|draft| {
            draft.task.retry_exponential_backoff = true;
            draft.task.max_retry_delay = longest;
        })
    }

    /// An attempt that runs for longer is stopped and has failed.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|draft| draft.task.timeout = Some(timeout))
    }

    /// Added to the DAG's environment, and wins over it; the value is a template.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.set(|draft| draft.env.push((name.into(), value.into())))
    }

    /// The working directory; a template.
    pub fn cwd(self, path: &str) -> Self {
        self.set(|draft| draft.cwd = Some(path.into()))
    }

    /// Of the tasks that wait for a slot, the highest goes first.
    pub fn priority(self, priority: i32) -> Self {
        self.set(|draft| draft.task.priority = priority)
    }

    /// The exit code that means skipped; `None` for no such code.
    pub fn skip_on_exit_code(self, code: Option<i32>) -> Self {
        self.set(|draft| draft.task.skip_on_exit_code = code)
    }

    /// The most bytes of output that are kept of one attempt.
    pub fn output_bytes_max(self, bytes: u64) -> Self {
        self.set(|draft| draft.task.output_bytes_max = bytes)
    }

    /// Markdown for the task's page.
    pub fn doc(self, text: &str) -> Self {
        self.set(|draft| text.clone_into(&mut draft.task.doc))
    }

    /// Handed to the function of a `call`; strings in it are templates.
    pub fn arg(self, name: &str, value: impl Into<Value>) -> Self {
        let mut called = false;
        let value = DraftValue::from(value.into());
        let task = self.set(|draft| {
            if let Action::Call {
                args: DraftValue::Object(args),
                ..
            } = &mut draft.action
            {
                args.insert(name.to_owned(), value);
                called = true;
            }
        });
        task.only(called, "arg", "call")
    }

    /// The method of an HTTP request.
    pub fn method(self, method: &str) -> Self {
        self.http("method", |http| method.clone_into(&mut http.http.method))
    }

    /// A header of an HTTP request; the value is a template.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.http("header", |http| {
            http.headers.push((name.into(), value.into()))
        })
    }

    /// The body of an HTTP request; a template.
    pub fn body(self, text: &str) -> Self {
        self.http("body", |http| http.body = Some(text.into()))
    }

    /// The body of an HTTP request as JSON; strings in it are templates.
    pub fn json(self, value: impl Into<Value>) -> Self {
        self.http("json", |http| {
            http.json = Some(DraftValue::from(value.into()))
        })
    }

    /// The file that the answer to an HTTP request goes to; a template.
    pub fn save_to(self, path: &str) -> Self {
        self.http("save_to", |http| http.save_to = Some(path.into()))
    }

    /// The status codes that are a success, instead of 200 to 299.
    pub fn expect_status<const N: usize>(self, codes: [u16; N]) -> Self {
        self.http("expect_status", |http| {
            http.http.expect_status = codes.into()
        })
    }

    /// For the whole exchange of an HTTP request.
    pub fn http_timeout(self, timeout: Duration) -> Self {
        self.http("http_timeout", |http| http.http.timeout = timeout)
    }

    /// A longer answer to an HTTP request fails the task.
    pub fn bytes_max(self, bytes: u64) -> Self {
        self.http("bytes_max", |http| http.http.bytes_max = bytes)
    }

    fn http(self, option: &str, set: impl FnOnce(&mut DraftHttp)) -> Self {
        let mut is_http = false;
        let task = self.set(|draft| {
            if let Action::Http(http) = &mut draft.action {
                set(http);
                is_http = true;
            }
        });
        task.only(is_http, option, "http")
    }

    fn only(self, right: bool, option: &str, action: &str) -> Self {
        if !right {
            let task_id = self.dag.draft.borrow().tasks[self.index.get()]
                .task_id
                .text
                .clone();
            let message = format!("`{option}` of task `{task_id}`, which is no `{action}` task");
            self.dag.fault(Diagnostic::new(message));
        }
        self
    }
}
