//! A task that is being written: `>>`, and its options.

use std::ops::Shr;
use std::time::Duration;

use super::super::check::too_many_dependencies;
use super::super::draft::{Action, Dependency, DraftHttp, DraftTask, DraftValue};
use super::super::keys::TASK_KEYS;
use super::super::report::At;
use super::super::{DEPENDENCIES_MAX, Diagnostic, Poke, TaskIndex, TriggerRule, Value, WeightRule};
use super::{DagBuilder, HookBuilder};

/// A task of a [`DagBuilder`], to order it with `>>` and to set its options.
#[derive(Clone, Copy, Debug)]
pub struct TaskHandle<'d> {
    pub(super) dag: &'d DagBuilder,
    pub(super) index: TaskIndex,
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

/// The options of a task. What is not set is as in a DAG file that does not say it. What may stand in `defaults`
/// there may be set for any task here: `retries` of an empty one change nothing.
impl<'d> TaskHandle<'d> {
    fn set(self, set: impl FnOnce(&mut DraftTask)) -> Self {
        set(&mut self.dag.draft.borrow_mut().tasks[self.index.get()]);
        self
    }

    /// Sets what is no task's but its own, and must mean something to it.
    fn own(self, key: &str, set: impl FnOnce(&mut DraftTask)) -> Self {
        let key = TASK_KEYS.iter().find(|known| known.name == key);
        self.set(|draft| {
            draft.keys.extend(key.map(|key| (key, None)));
            set(draft);
        })
    }

    /// Waits for a task, or for several.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a handle is Copy, and a list is written in place"
    )]
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

    /// It is run again until it exits with 0.
    pub fn poke(self, poke: Poke) -> Self {
        self.set(|draft| draft.task.poke = Some(poke))
    }

    /// Added to the DAG's environment, and wins over it; the value is a template.
    pub fn env(self, name: &str, value: &str) -> Self {
        self.set(|draft| draft.env.push((name.into(), value.into())))
    }

    /// The working directory; a template.
    pub fn cwd(self, path: &str) -> Self {
        self.set(|draft| draft.cwd = Some(path.into()))
    }

    /// The pool whose slots it takes; the config says which there are.
    pub fn pool(self, pool: &str) -> Self {
        self.set(|draft| draft.task.pool = pool.into())
    }

    /// How many slots it takes; at least 1.
    pub fn pool_slots(self, slots: u32) -> Self {
        self.set(|draft| draft.task.pool_slots = slots.max(1))
    }

    /// Of the tasks that wait for a slot, the highest weight goes first.
    pub fn priority(self, priority: i32) -> Self {
        self.set(|draft| draft.task.priority = priority)
    }

    /// It waits until the same task of the run before has succeeded or was skipped.
    pub fn depends_on_past(self) -> Self {
        self.set(|draft| draft.task.depends_on_past = true)
    }

    /// And for what comes directly after that task in the run before.
    pub fn wait_for_downstream(self) -> Self {
        self.set(|draft| draft.task.wait_for_downstream = true)
    }

    /// Whose priorities make its weight.
    pub fn weight_rule(self, rule: WeightRule) -> Self {
        self.set(|draft| draft.task.weight_rule = rule)
    }

    /// The exit code that means skipped; `None` for no such code.
    pub fn skip_on_exit_code(self, code: Option<i32>) -> Self {
        self.set(|draft| draft.task.skip_on_exit_code = code)
    }

    /// What it leaves for other tasks is not kept.
    pub fn without_xcom(self) -> Self {
        self.set(|draft| draft.task.xcom = false)
    }

    /// Its last line, or what its function answers, names the tasks after it that go on.
    pub fn branch(self) -> Self {
        self.own("branch", |draft| draft.task.branch = true)
    }

    /// When it has nothing to do, nothing after it is run.
    pub fn short_circuit(self) -> Self {
        self.own("short_circuit", |draft| draft.task.short_circuit = true)
    }

    /// The most bytes of output that are kept of one attempt.
    pub fn output_bytes_max(self, bytes: u64) -> Self {
        self.set(|draft| draft.task.output_bytes_max = bytes)
    }

    /// The most memory of all processes of an attempt together, in bytes, where a cgroup can enforce it.
    pub fn memory_bytes_max(self, bytes: u64) -> Self {
        self.set(|draft| draft.task.memory_bytes_max = Some(bytes.max(1)))
    }

    /// The most CPU time of each process of an attempt, in whole seconds.
    pub fn cpu_time_max(self, limit: Duration) -> Self {
        self.set(|draft| draft.task.cpu_time_max = Some(limit))
    }

    /// How much an attempt stands back for others: -20 to 19.
    pub fn nice(self, nice: i32) -> Self {
        self.set(|draft| draft.task.nice = nice.clamp(-20, 19))
    }

    /// A variable of its environment, and the name of the secret that it holds.
    pub fn secret(self, variable: &str, secret: &str) -> Self {
        self.set(|draft| draft.secrets.push((variable.into(), secret.into())))
    }

    /// What is done when it has succeeded.
    pub fn on_success(self, hook: HookBuilder) -> Self {
        self.set(|draft| draft.hooks.success = Some(hook.0))
    }

    /// What is done when it has failed.
    pub fn on_failure(self, hook: HookBuilder) -> Self {
        self.set(|draft| draft.hooks.failure = Some(hook.0))
    }

    /// What is done when it will be tried again.
    pub fn on_retry(self, hook: HookBuilder) -> Self {
        self.set(|draft| draft.hooks.retry = Some(hook.0))
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

    /// Given to the run that is triggered; strings in it are templates.
    pub fn param(self, name: &str, value: impl Into<Value>) -> Self {
        let mut triggers = false;
        let value = DraftValue::from(value.into());
        let task = self.set(|draft| {
            if let Action::Trigger {
                params: DraftValue::Object(params),
                ..
            } = &mut draft.action
            {
                params.insert(name.to_owned(), value);
                triggers = true;
            }
        });
        task.only(triggers, "param", "trigger")
    }

    /// It ends when the run that is triggered does, and as well as it.
    pub fn wait(self) -> Self {
        let mut triggers = false;
        let task = self.set(|draft| {
            if let Action::Trigger { wait, .. } = &mut draft.action {
                (*wait, triggers) = (true, true);
            }
        });
        task.only(triggers, "wait", "trigger")
    }

    /// The method of an HTTP request.
    pub fn method(self, method: &str) -> Self {
        self.http("method", |http| method.clone_into(&mut http.http.method))
    }

    /// A header of an HTTP request; the value is a template.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.http("header", |http| {
            http.headers.push((name.into(), value.into()));
        })
    }

    /// The body of an HTTP request; a template.
    pub fn body(self, text: &str) -> Self {
        self.http("body", |http| http.body = Some(text.into()))
    }

    /// The body of an HTTP request as JSON; strings in it are templates.
    pub fn json(self, value: impl Into<Value>) -> Self {
        self.http("json", |http| {
            http.json = Some(DraftValue::from(value.into()));
        })
    }

    /// The file that the answer to an HTTP request goes to; a template.
    pub fn save_to(self, path: &str) -> Self {
        self.http("save_to", |http| http.save_to = Some(path.into()))
    }

    /// The status codes that are a success, instead of 200 to 299.
    pub fn expect_status<const N: usize>(self, codes: [u16; N]) -> Self {
        self.http("expect_status", |http| {
            http.http.expect_status = codes.into();
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
