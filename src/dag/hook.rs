//! Hooks: what is done about the end of a run or of an attempt, beside the DAG itself.
//!
//! A hook is told what has ended and how; what it does changes nothing of that.

use std::sync::Arc;
use std::time::Duration;

use super::Operator;

/// What a hook is told, beside the facts of the run: `{{ hook.state }}` in its templates, and
/// `MINI_DAG_HOOK_STATE` in its environment.
pub const HOOK_FIELDS: [&str; 9] = [
    "name",
    "of",
    "state",
    "reason",
    "exit_code",
    "duration",
    "log",
    "failed_tasks",
    "retry_in",
];

/// The values of [`HOOK_FIELDS`], in their order; empty where there is nothing to tell.
pub type HookFacts = [String; HOOK_FIELDS.len()];

/// One hook.
#[derive(Clone, Debug)]
pub struct Hook {
    /// `bash`, `argv` or `http`.
    pub operator: Operator,
    /// A hook that runs for longer is stopped, and has failed.
    pub timeout: Duration,
    /// Variables of its environment, and the secrets that they hold.
    pub secrets: Vec<(String, String)>,
}

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookKind {
    /// A run or a task has succeeded.
    Success,
    /// A run or a task has failed.
    Failure,
    /// An attempt has failed, and the task will be tried again.
    Retry,
}

impl HookKind {
    /// Its key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "on_success",
            Self::Failure => "on_failure",
            Self::Retry => "on_retry",
        }
    }
}

/// The hooks of a DAG, of a task, or of all DAGs.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// For each success.
    pub on_success: Option<Arc<Hook>>,
    /// For each failure.
    pub on_failure: Option<Arc<Hook>>,
    /// For each attempt that will be repeated.
    pub on_retry: Option<Arc<Hook>>,
}

impl Hooks {
    /// The hook for an occasion of this kind.
    pub fn get(&self, kind: HookKind) -> Option<&Arc<Hook>> {
        match kind {
            HookKind::Success => self.on_success.as_ref(),
            HookKind::Failure => self.on_failure.as_ref(),
            HookKind::Retry => self.on_retry.as_ref(),
        }
    }
}
