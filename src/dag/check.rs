//! The one check that stands between what somebody wrote, in JSON or in Rust, and a [`Dag`].
//!
//! [`check`] turns a [`Draft`] into a DAG or into everything that is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Span, quote};
use super::draft::{
    Action, Dependency, Draft, DraftHook, DraftHooks, DraftHttp, DraftTask, DraftValue, Text,
};
use super::report::{At, Report};
use super::template::Found;
use super::xcoms::{XcomUse, hand_over};
use super::{
    DEFAULT_POOL, DEPENDENCIES_MAX, Dag, Functions, Hook, Hooks, Http, HttpBody, ID_BYTES_MAX,
    Operator, Param, Pools, TASKS_MAX, Task, TaskIndex, Template, TemplateValue, TriggerDag, graph,
    suggest, weight,
};
use crate::dag::map_of;
use crate::timetable::{DURATION_MAX, Schedule};

/// The tasks of a cycle that are named before the middle is left out.
const CYCLE_NAMES_MAX: usize = 12;

/// Turns a draft into a DAG. Errors go to `report`, and what is returned then means nothing.
///
/// `known` are the functions that a `call` may name, beside those that the draft brings along; `pools` the pools
/// there are, if that is known.
pub(super) fn check(
    draft: Draft,
    known: &Functions,
    pools: Option<&Pools>,
    report: &mut Report<'_>,
) -> Dag {
    let Draft {
        mut dag,
        dag_id,
        after,
        env,
        secrets,
        hooks,
        task_hooks,
        cwd,
        tasks,
        dependencies,
    } = draft;
    id(&dag_id, "DAG", report);
    dag.dag_id = dag_id.text.as_str().into();
    if dag.max_active_runs == 0 || dag.max_active_tasks == Some(0) {
        report.error(dag_id.span, "", || {
            Diagnostic::new("`max_active_runs` and `max_active_tasks` are at least 1")
        });
    }
    if let Some(Schedule::AfterDags(others)) = &dag.schedule
        && others.contains(&dag_id.text)
    {
        let place = after.iter().find(|other| other.text == dag_id.text);
        let span = place.map_or(dag_id.span, |place| place.span);
        report.error(span, "is the DAG itself", || {
            Diagnostic::new(format!("DAG `{}` waits for itself", quote(&dag_id.text)))
                .help("`@continuous` runs again when its last run has ended".to_owned())
        });
    }
    time_limit("run_timeout", dag.run_timeout, &dag_id, report);
    if tasks.len() > TASKS_MAX {
        report.error(tasks[TASKS_MAX].task_id.span, "", || {
            Diagnostic::new(format!("too many tasks: a DAG has at most {TASKS_MAX}"))
        });
        return dag;
    }
    check_params(&dag, dag_id.span, report);
    let params = std::mem::take(&mut dag.params);
    let functions = std::mem::take(&mut dag.functions);
    let mut checker = Checker {
        params: &params,
        own: &functions,
        known,
        pools,
        report,
        by: None,
        xcoms: Vec::new(),
        secret_names: Vec::new(),
        dag_secret_names: secrets.iter().map(|(name, _)| name.text.clone()).collect(),
        is_hook: false,
        is_http: false,
    };
    dag.env = checker.env(env);
    dag.secrets = checker.secrets(secrets);
    dag.hooks = checker.hooks(hooks);
    dag.task_hooks = checker.hooks(task_hooks);
    dag.cwd = cwd.map(|cwd| checker.template(&cwd));
    let task_ids: Vec<Text> = tasks.iter().map(|task| task.task_id.clone()).collect();
    dag.tasks = tasks.into_iter().map(|task| checker.task(task)).collect();
    dag.looks_back = dag.tasks.iter().any(Task::looks_back);
    let xcoms = checker.xcoms;
    (dag.params, dag.functions) = (params, functions);
    dag.by_id = by_id(&task_ids, report);
    if connect(&mut dag, dependencies, report) {
        hand_over(&mut dag, &xcoms, report);
    }
    dag
}

/// The schedule gives a run no params, and what every run has must fit.
fn check_params(dag: &Dag, span: Option<Span>, report: &mut Report<'_>) {
    if let Err(why) = dag.check_params(&BTreeMap::new())
        && (dag.schedule.is_some() || dag.params.values().all(|param| param.default.is_some()))
    {
        report.error(span, "", || {
            let error = Diagnostic::new(format!("no run of this DAG can begin by itself: {why}"));
            error.help("give each param a `default`, or leave out `schedule`".to_owned())
        });
    }
}

/// What is said of a DAG without tasks.
pub(super) fn no_tasks() -> Diagnostic {
    Diagnostic::new("a DAG has at least one task")
}

/// Dependencies are counted before they are made; this is said when there are more than [`DEPENDENCIES_MAX`].
pub(super) fn too_many_dependencies() -> Diagnostic {
    Diagnostic::new(format!(
        "too many dependencies: a DAG has at most {DEPENDENCIES_MAX}"
    ))
    .help(
        "with an empty task between two groups, their sizes add up instead of multiplying"
            .to_owned(),
    )
}

/// Task indices ordered by id; repeated ids are errors.
fn by_id(task_ids: &[Text], report: &mut Report<'_>) -> Vec<TaskIndex> {
    let mut order: Vec<TaskIndex> = (0..task_ids.len()).map(TaskIndex::new).collect();
    let text = |index: &TaskIndex| task_ids[index.get()].text.as_str();
    order.sort_by(|a, b| text(a).cmp(text(b)));
    for same in order.chunk_by(|a, b| text(a) == text(b)) {
        for again in &same[1..] {
            let number = same[0].get() + 1;
            let span = task_ids[again.get()].span;
            // A task without an id has been reported.
            if text(again).is_empty() {
                continue;
            }
            report.error(span, "this id is taken", || {
                Diagnostic::new(format!("two tasks are called `{}`", quote(text(again))))
                    .note(format!("the other is task number {number}"))
            });
        }
    }
    order
}

/// Fills in each task's upstreams and downstreams; self-dependencies and cycles are errors. Whether there
/// is no cycle.
fn connect(dag: &mut Dag, mut dependencies: Vec<Dependency>, report: &mut Report<'_>) -> bool {
    // Of equal ones the first in the file is kept.
    dependencies.sort_by_key(|d| (d.downstream, d.upstream, d.at));
    dependencies.dedup_by_key(|d| (d.downstream, d.upstream));
    for dependency in &dependencies {
        let (upstream, downstream) = (dependency.upstream, dependency.downstream);
        if upstream == downstream {
            let task_id = dag.tasks[upstream.get()].task_id.clone();
            report.error(dependency.at, "is the task itself", || {
                Diagnostic::new(format!("task `{}` waits for itself", quote(&task_id)))
                    .help("remove this dependency".to_owned())
            });
            continue;
        }
        dag.tasks[downstream.get()].upstream.push(upstream);
        dag.tasks[upstream.get()].downstream.push(downstream);
    }
    let sorted = graph::sort(&dag.tasks);
    if sorted.cycles.is_empty() {
        weight::weigh(&mut dag.tasks, &sorted.order);
    }
    for cycle in &sorted.cycles {
        // The dependency that was written last is the one that closes it.
        let edge = |at: usize| {
            let upstream = cycle[at.checked_sub(1).unwrap_or(cycle.len() - 1)];
            let wanted = (cycle[at], upstream);
            let found = dependencies.binary_search_by_key(&wanted, |d| (d.downstream, d.upstream));
            found.map_or_else(|_| At::default(), |found| dependencies[found].at)
        };
        let first = (0..cycle.len()).max_by_key(|&at| edge(at)).unwrap_or(0);
        let name = |at: usize| quote(&dag.tasks[cycle[(first + at) % cycle.len()].get()].task_id);
        let mut names: Vec<String> = Vec::new();
        for at in 0..=cycle.len() {
            let left_out = cycle.len().saturating_sub(CYCLE_NAMES_MAX);
            if left_out > 0 && at == CYCLE_NAMES_MAX / 2 {
                names.push(format!("… {left_out} more …"));
            }
            if left_out == 0 || !(CYCLE_NAMES_MAX / 2..CYCLE_NAMES_MAX / 2 + left_out).contains(&at)
            {
                names.push(name(at).into_owned());
            }
        }
        report.error(edge(first), "closes the cycle", || {
            Diagnostic::new(format!("dag `{}` has a cycle", quote(&dag.dag_id)))
                .note(names.join(" >> "))
                .help("remove one of these dependencies".to_owned())
        });
    }
    sorted.cycles.is_empty()
}

/// A time limit leaves some time, and no more than any duration.
fn time_limit(key: &str, limit: Option<Duration>, of: &Text, report: &mut Report<'_>) {
    if limit.is_some_and(|limit| limit.is_zero() || limit > DURATION_MAX) {
        report.error(of.span, "", || {
            Diagnostic::new(format!(
                "`{key}` of `{}` is not from 1 ms to 100 years",
                quote(&of.text)
            ))
            .help("leave it out for no limit".to_owned())
        });
    }
}

/// An id: `[A-Za-z0-9_.-]`, 1 to [`ID_BYTES_MAX`] of them, no leading dot. `what` is "DAG", "task", "pool" or "secret".
pub(super) fn id(id: &Text, what: &str, report: &mut Report<'_>) {
    let text = id.text.as_str();
    let alien = |c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c);
    let (part, label) = if let Some(start) = text.find(alien) {
        let rest = &text[start..];
        let end = rest.find(|c| !alien(c)).unwrap_or(rest.len());
        (
            start..start + end,
            "an id has letters A to Z, digits, `_`, `.` and `-`",
        )
    } else if text.is_empty() {
        // A task without an id has been reported as such.
        if id.span.is_none() && what == "task" {
            return;
        }
        (0..0, "an id has at least one character")
    } else if text.len() > ID_BYTES_MAX {
        (0..text.len(), "an id has at most 250 characters")
    } else if text.starts_with('.') {
        (0..1, "an id does not begin with a dot")
    } else {
        return;
    };
    report.error(id.part(part), label, || {
        let help = match what {
            "DAG" => "without `dag_id`, the file's name is the id; `description` may hold any text",
            "pool" => "as in \"camera\"",
            "secret" => "a secret is named as the file that holds it",
            _ => "`doc` may hold any text",
        };
        Diagnostic::new(format!("`{}` is not a {what} id", quote(text))).help(help.to_owned())
    });
}

/// The name of a pool in the config: an id, and not that of the default pool.
pub(crate) fn pool_name(name: &str, span: Span, report: &mut Report<'_>) {
    let text = Text {
        text: name.to_owned(),
        span: Some(span),
    };
    id(&text, "pool", report);
    if name == DEFAULT_POOL {
        report.error(span, "this pool is there anyway", || {
            Diagnostic::new(format!("`{DEFAULT_POOL}` in `pools`"))
                .help("`parallelism` says how many slots it has".to_owned())
        });
    }
}

/// Hooks of no DAG: they know no params and no functions.
pub(super) fn check_hooks(draft: DraftHooks, report: &mut Report<'_>) -> Hooks {
    let (params, functions) = (BTreeMap::new(), Functions::new());
    let mut checker = Checker {
        params: &params,
        own: &functions,
        known: &functions,
        pools: None,
        report,
        by: None,
        xcoms: Vec::new(),
        secret_names: Vec::new(),
        dag_secret_names: Vec::new(),
        is_hook: false,
        is_http: false,
    };
    checker.hooks(draft)
}

struct Checker<'c, 't> {
    params: &'c BTreeMap<String, Param>,
    own: &'c Functions,
    known: &'c Functions,
    pools: Option<&'c Pools>,
    report: &'c mut Report<'t>,
    /// The task whose templates are read.
    by: Option<TaskIndex>,
    xcoms: Vec<XcomUse>,
    /// The variables that hold secrets where the checker is, and those of all tasks.
    secret_names: Vec<String>,
    dag_secret_names: Vec<String>,
    is_hook: bool,
    is_http: bool,
}

impl Checker<'_, '_> {
    fn task(&mut self, draft: DraftTask) -> Task {
        let mut task = draft.task;
        self.by = Some(
            self.by
                .map_or(TaskIndex::new(0), |by| TaskIndex::new(by.get() + 1)),
        );
        id(&draft.task_id, "task", self.report);
        time_limit("timeout", task.timeout, &draft.task_id, self.report);
        let poke = task.poke;
        time_limit(
            "poke.every",
            poke.map(|poke| poke.every),
            &draft.task_id,
            self.report,
        );
        time_limit(
            "poke.timeout",
            poke.map(|poke| poke.timeout),
            &draft.task_id,
            self.report,
        );
        let fault = self
            .pools
            .and_then(|pools| pools.fault(&draft.task_id.text, &task.pool, task.pool_slots));
        if let Some((fault, label)) = fault {
            let at = draft.pool.or(draft.task_id.span);
            self.report.error(at, label, || fault);
        }
        time_limit("cpu_time", task.cpu_time_max, &draft.task_id, self.report);
        task.task_id = Arc::from(draft.task_id.text);
        task.env = self.env(draft.env);
        task.hooks = self.hooks(draft.hooks);
        task.secrets = self.secrets(draft.secrets);
        let own = task.secrets.iter().map(|(name, _)| name.clone());
        self.secret_names = own.chain(self.dag_secret_names.iter().cloned()).collect();
        task.cwd = draft.cwd.map(|cwd| self.template(&cwd));
        let what = format!("task `{}`", quote(&task.task_id));
        task.operator = self.operator(draft.action, &what, draft.task_id.span);
        self.choice(&task, draft.task_id.span);
        if task.poke.is_some() && matches!(task.operator, Operator::Trigger(_)) {
            self.report.error(draft.task_id.span, "runs nothing", || {
                Diagnostic::new(format!("`poke` of {what}, which triggers a DAG")).help(
                    "with `\"wait\": true` it waits for the run, and `timeout` bounds that"
                        .to_owned(),
                )
            });
        }
        task
    }

    fn operator(&mut self, action: Action, of: &str, span: Option<Span>) -> Operator {
        match action {
            Action::Bash(script) => Operator::Bash(self.parse(&script, true)),
            Action::Argv(words) => {
                if words.is_empty() {
                    self.report.error(span, "", || {
                        Diagnostic::new(format!("`argv` of {of} is empty"))
                            .help("the program comes first: [\"/bin/echo\", \"hello\"]".to_owned())
                    });
                }
                Operator::Argv(words.iter().map(|word| self.template(word)).collect())
            }
            Action::Http(http) => Operator::Http(self.http(*http)),
            Action::Call { function, args } => {
                self.function(&function);
                let args = self.value(args);
                Operator::Call {
                    function: function.text,
                    args,
                }
            }
            Action::Trigger {
                dag_id,
                params,
                wait,
            } => {
                id(&dag_id, "DAG", self.report);
                Operator::Trigger(TriggerDag {
                    dag_id: dag_id.text.into(),
                    params: self.value(params),
                    wait,
                })
            }
            Action::Empty => Operator::Empty,
        }
    }

    fn hooks(&mut self, draft: DraftHooks) -> Hooks {
        let mut check = |hook: Option<DraftHook>| hook.map(|hook| Arc::new(self.hook(hook)));
        Hooks {
            on_success: check(draft.success),
            on_failure: check(draft.failure),
            on_retry: check(draft.retry),
        }
    }

    fn hook(&mut self, draft: DraftHook) -> Hook {
        let name = Text {
            text: "a hook".to_owned(),
            span: draft.span,
        };
        time_limit("timeout", Some(draft.timeout), &name, self.report);
        self.is_hook = true;
        let secrets = self.secrets(draft.secrets);
        self.secret_names = secrets.iter().map(|(name, _)| name.clone()).collect();
        let operator = self.operator(draft.action, &name.text, draft.span);
        self.is_hook = false;
        Hook {
            operator,
            timeout: draft.timeout,
            secrets,
        }
    }

    /// A task that says what goes on after it says it in one way, and runs something that can say it.
    fn choice(&mut self, task: &Task, span: Option<Span>) {
        let task_id = quote(&task.task_id);
        let key = match (task.branch, task.short_circuit) {
            (false, false) => return,
            (true, true) => {
                return self.report.error(span, "", || {
                    let message = format!("task `{task_id}` has `branch` and `short_circuit`");
                    Diagnostic::new(message).help(
                        "a branch that names no task skips all those directly after it".to_owned(),
                    )
                });
            }
            (true, false) => "branch",
            (false, true) => "short_circuit",
        };
        let what = match task.operator {
            Operator::Empty => "is empty",
            Operator::Trigger(_) => "triggers a DAG",
            Operator::Bash(_) | Operator::Argv(_) | Operator::Http(_) | Operator::Call { .. } => {
                return;
            }
        };
        self.report.error(span, "runs nothing", || {
            Diagnostic::new(format!("`{key}` of task `{task_id}`, which {what}"))
                .help("give it `bash`, `argv` or `call`".to_owned())
        });
    }

    fn http(&mut self, draft: DraftHttp) -> Http {
        self.is_http = true;
        let http = self.exchange(draft);
        self.is_http = false;
        http
    }

    fn exchange(&mut self, draft: DraftHttp) -> Http {
        let mut http = draft.http;
        http.url = self.template(&draft.url);
        // What stands before the first variable can be told now; the rest when the request is made.
        let url = draft.url.text.to_ascii_lowercase();
        let begin = url.split("{{").next().unwrap_or_default();
        let schemes = ["http://", "https://"];
        let host = schemes.iter().find_map(|scheme| begin.strip_prefix(scheme));
        let absolute = if url.contains("{{") {
            host.is_some() || schemes.iter().any(|scheme| scheme.starts_with(begin))
        } else {
            host.is_some_and(|host| !host.is_empty())
        };
        if !absolute {
            self.report.error(draft.url.span, "", || {
                Diagnostic::new(format!(
                    "`{}` is not an absolute URL",
                    quote(&draft.url.text)
                ))
                .help("it begins with `http://` or `https://`".to_owned())
            });
        }
        http.headers = Vec::with_capacity(draft.headers.len());
        for (name, value) in draft.headers {
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.text.is_empty() || !name.text.chars().all(token) {
                self.report.error(name.span, "not a header's name", || {
                    Diagnostic::new(format!("`{}` is not an HTTP header", quote(&name.text)))
                });
            }
            if let Some(at) = value.text.find(['\r', '\n']) {
                self.report
                    .error(value.part(at..at + 1), "would begin another header", || {
                        Diagnostic::new("a line break in an HTTP header")
                    });
            }
            let value = self.template(&value);
            http.headers.push((name.text, value));
        }
        http.save_to = draft.save_to.map(|path| self.template(&path));
        http.body = match (draft.body, draft.json) {
            (None, None) => HttpBody::None,
            (Some(text), None) => HttpBody::Text(self.template(&text)),
            (None, Some(value)) => HttpBody::Json(self.value(value)),
            (Some(text), Some(_)) => {
                self.report.error(text.span, "`json` is a body, too", || {
                    Diagnostic::new("`body` and `json` of one request")
                        .help("remove one of them".to_owned())
                });
                HttpBody::None
            }
        };
        http
    }

    fn function(&mut self, function: &Text) {
        let name = function.text.as_str();
        if self.own.get(name).is_some() || self.known.get(name).is_some() {
            return;
        }
        self.report.error(function.span, "not compiled in", || {
            let error = Diagnostic::new(format!("unknown function `{}`", quote(name)));
            let names = || self.own.names().chain(self.known.names());
            let help = suggest::help(name, names()).unwrap_or_else(|| {
                let names: Vec<&str> = names().take(10).collect();
                if names.is_empty() {
                    "no functions are compiled into this program; `bash` and `argv` run others"
                        .to_owned()
                } else {
                    format!("compiled in are {}", names.join(", "))
                }
            });
            error.help(help)
        });
    }

    /// Names and values of an environment; of a repeated name the last counts.
    fn env(&mut self, env: Vec<(Text, Text)>) -> Vec<(String, Template)> {
        let mut checked: Vec<(String, Template)> = Vec::with_capacity(env.len());
        for (name, value) in env {
            env_name(&name.text, name.span, self.report);
            let value = self.template(&value);
            checked.push((name.text, value));
        }
        checked
    }

    /// Names of variables, and of the secrets that they hold.
    fn secrets(&mut self, secrets: Vec<(Text, Text)>) -> Vec<(String, String)> {
        let mut checked = Vec::with_capacity(secrets.len());
        for (name, secret) in secrets {
            env_name(&name.text, name.span, self.report);
            id(&secret, "secret", self.report);
            checked.push((name.text, secret.text));
        }
        checked
    }

    fn value(&mut self, value: DraftValue) -> TemplateValue {
        // Recursion is bounded by json::DEPTH_MAX; a value built in Rust is as deep as its author made it.
        match value {
            DraftValue::Plain(value) => TemplateValue::Plain(value),
            DraftValue::Text(text) => TemplateValue::Text(self.parse_any(&text, false)),
            DraftValue::Array(elements) => {
                TemplateValue::Array(elements.into_iter().map(|e| self.value(e)).collect())
            }
            DraftValue::Object(members) => {
                let members = members.into_iter();
                TemplateValue::Object(map_of(members.map(|(k, v)| (k, self.value(v)))))
            }
        }
    }

    fn template(&mut self, text: &Text) -> Template {
        self.parse(text, false)
    }

    /// A template that ends up where the kernel reads it: no NUL can be handed over there.
    fn parse(&mut self, text: &Text, script: bool) -> Template {
        if let Some(at) = text.text.find('\0') {
            self.report.error(
                text.part(at..at + 1),
                "no program can be given this",
                || Diagnostic::new("a NUL character in a text"),
            );
        }
        self.parse_any(text, script)
    }

    /// A secret may stand where only the worker reads it, and nobody's command line shows it.
    fn secret(&mut self, name: &str, text: &Text) {
        let named = quote(name);
        if !self.is_http {
            self.report.error(text.span, "would be seen", || {
                Diagnostic::new(format!("the secret `secrets.{named}` outside of `http`")).help(
                    format!("it is in the environment: the program finds it as `{named}` there"),
                )
            });
        } else if !self.secret_names.iter().any(|known| known == name) {
            let known = self.secret_names.iter().map(String::as_str);
            let help = suggest::help(name, known).unwrap_or_else(|| {
                format!("declare it: \"secrets\": {{\"{named}\": \"its-name\"}}")
            });
            self.report.error(text.span, "no such secret here", || {
                Diagnostic::new(format!("unknown secret `secrets.{named}`")).help(help)
            });
        }
    }

    fn parse_any(&mut self, text: &Text, script: bool) -> Template {
        let mut found = Found::default();
        let template = Template::parse(&text.text, self.params, script, &mut found);
        for (part, task_id) in found.xcoms {
            let (by, at) = (self.by, text.part(part));
            if self.is_hook {
                self.report.error(at, "is for tasks", || {
                    Diagnostic::new("a hook has no XComs").help(
                        "hand it over in the environment of a task, and let the task do it"
                            .to_owned(),
                    )
                });
                continue;
            }
            self.xcoms.push(XcomUse { by, task_id, at });
        }
        for error in found.errors {
            self.report.error(text.part(error.part), error.label, || {
                Diagnostic::new(error.message).help(error.help)
            });
        }
        if template.asks_for_hook() && !self.is_hook {
            self.report.error(text.span, "is no hook", || {
                Diagnostic::new("`hook.` in a text that is not of a hook").help(
                    "only `on_success`, `on_failure` and `on_retry` are told of an end".to_owned(),
                )
            });
        }
        for name in template.secrets() {
            self.secret(name, text);
        }
        template
    }
}

/// Refuses what is no name of an environment variable, or not the writer's to set.
pub(crate) fn env_name(name: &str, span: Option<Span>, report: &mut Report<'_>) {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || digit_first || !name.chars().all(word) {
        report.error(span, "letters, digits and `_`; no digit first", || {
            Diagnostic::new(format!(
                "`{}` is not the name of an environment variable",
                quote(name)
            ))
        });
    } else if name.starts_with("MINI_DAG_") {
        report.error(span, "", || {
            Diagnostic::new(format!("`{}` is set by mini-dag itself", quote(name)))
                .help("choose a name that does not begin with `MINI_DAG_`".to_owned())
        });
    }
}
