//! What a task, or a hook, is made of: actions, templates, variables, secrets; read with what is known of its DAG.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Span, quote};
use super::super::draft::{Action, DraftHook, DraftHooks, DraftHttp, DraftTask, DraftValue, Text};
use super::super::report::Report;
use super::super::template::Found;
use super::super::xcoms::XcomUse;
use super::super::{
    Functions, Hook, Hooks, Http, HttpBody, Operator, Param, Pools, Task, TaskIndex, Template,
    TemplateValue, TriggerDag, map_of, suggest,
};
use super::{id, meaning, time_limit};

/// Hooks of no DAG: they know no params and no functions.
pub(in super::super) fn check_hooks(draft: DraftHooks, report: &mut Report<'_>) -> Hooks {
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
        triggers: false,
    };
    checker.hooks(draft)
}

/// Reads tasks one by one, and hooks; errors go to `report`.
pub(super) struct Checker<'c, 't> {
    pub(super) params: &'c BTreeMap<String, Param>,
    pub(super) own: &'c Functions,
    pub(super) known: &'c Functions,
    pub(super) pools: Option<&'c Pools>,
    pub(super) report: &'c mut Report<'t>,
    /// The task whose templates are read.
    pub(super) by: Option<TaskIndex>,
    pub(super) xcoms: Vec<XcomUse>,
    /// The variables that hold secrets where the checker is, and those of all tasks.
    pub(super) secret_names: Vec<String>,
    pub(super) dag_secret_names: Vec<String>,
    pub(super) is_hook: bool,
    pub(super) is_http: bool,
    pub(super) triggers: bool,
}

impl Checker<'_, '_> {
    pub(super) fn task(&mut self, draft: DraftTask) -> Task {
        self.by = Some(
            self.by
                .map_or(TaskIndex::new(0), |by| TaskIndex::new(by.get() + 1)),
        );
        id(&draft.task_id, "task", self.report);
        meaning::check(&draft, self.report);
        let mut task = draft.task;
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
        meaning::forget(&mut task);
        let fault = self
            .pools
            .and_then(|pools| pools.fault(&task.task_id, &task.pool, task.pool_slots));
        if let Some((fault, label)) = fault {
            let at = draft.pool.or(draft.task_id.span);
            self.report.error(at, label, || fault);
        }
        if task.branch && task.short_circuit {
            self.report.error(draft.task_id.span, "", || {
                Diagnostic::new(format!("{what} has `branch` and `short_circuit`")).help(
                    "a branch that names no task skips all those directly after it".to_owned(),
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
                id(&dag_id, "DAG's", self.report);
                self.triggers = true;
                let params = self.value(params);
                self.triggers = false;
                Operator::Trigger(TriggerDag {
                    dag_id: dag_id.text.into(),
                    params,
                    wait,
                })
            }
            Action::Empty => Operator::Empty,
        }
    }

    pub(super) fn hooks(&mut self, draft: DraftHooks) -> Hooks {
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
    pub(super) fn env(&mut self, env: Vec<(Text, Text)>) -> Vec<(String, Template)> {
        let mut checked: Vec<(String, Template)> = Vec::with_capacity(env.len());
        for (name, value) in env {
            env_name(&name.text, name.span, self.report);
            let value = self.template(&value);
            checked.push((name.text, value));
        }
        checked
    }

    /// Names of variables, and of the secrets that they hold.
    pub(super) fn secrets(&mut self, secrets: Vec<(Text, Text)>) -> Vec<(String, String)> {
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

    pub(super) fn template(&mut self, text: &Text) -> Template {
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
                let help = if self.triggers {
                    "the tasks of the other DAG name it in their own `secrets`".to_owned()
                } else {
                    format!("it is in the environment: the program finds it as `{named}` there")
                };
                Diagnostic::new(format!("the secret `secrets.{named}` outside of `http`"))
                    .help(help)
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
