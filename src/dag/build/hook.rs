//! A hook that is being written in Rust.

use std::time::Duration;

use super::super::Value;
use super::super::draft::{Action, DraftHook, DraftHttp, DraftValue};

/// What is done when a run or a task has ended: for `on_success`, `on_failure` and `on_retry`.
#[derive(Clone, Debug)]
pub struct HookBuilder(pub(super) DraftHook);

impl HookBuilder {
    /// A script for `/bin/bash -c`; what there is to tell is in its environment, as `$MINI_DAG_HOOK_STATE`.
    pub fn bash(script: &str) -> Self {
        Self(DraftHook::new(Action::Bash(script.into())))
    }

    /// A program and its arguments, without a shell; each is a template.
    pub fn argv<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self(DraftHook::new(Action::Argv(words)))
    }

    /// `POST` of a text to a URL; both are templates, as in `{{ hook.state }}`.
    pub fn post(url: &str, text: &str) -> Self {
        let mut http = DraftHttp::new(url.into());
        "POST".clone_into(&mut http.http.method);
        http.body = Some(text.into());
        Self(DraftHook::new(Action::Http(Box::new(http))))
    }

    /// `POST` of JSON to a URL; its strings are templates.
    pub fn post_json(url: &str, value: impl Into<Value>) -> Self {
        let mut http = DraftHttp::new(url.into());
        "POST".clone_into(&mut http.http.method);
        http.json = Some(DraftValue::from(value.into()));
        Self(DraftHook::new(Action::Http(Box::new(http))))
    }

    /// It is stopped after this time, instead of after one minute.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    /// A variable of its environment, and the name of the secret that it holds.
    pub fn secret(mut self, variable: &str, secret: &str) -> Self {
        self.0.secrets.push((variable.into(), secret.into()));
        self
    }
}
