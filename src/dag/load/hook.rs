//! A hook, out of JSON.

use super::super::draft::{Action, DraftHook, DraftHooks};
use super::super::json::{Item, Kind};
use super::item::{pairs_of, text_of, texts_of, timeout_of};
use super::task::http;

impl DraftHooks {
    /// Takes over what stands under one of the three keys.
    pub(super) fn read(&mut self, key: &str, value: Item<'_>) {
        let place = match key {
            "on_success" => &mut self.success,
            "on_failure" => &mut self.failure,
            "on_retry" => &mut self.retry,
            _ => return,
        };
        *place = Some(hook(value));
    }
}

/// Without an action, which has been reported, it does nothing.
pub(super) fn hook(value: Item<'_>) -> DraftHook {
    let mut hook = DraftHook::new(Action::Empty);
    hook.span = Some(value.span());
    for (key, value) in value.members() {
        let action = match &*key.text() {
            "bash" => text_of(value).map(Action::Bash),
            "argv" if value.kind() == Kind::Array => Some(Action::Argv(texts_of(value))),
            "http" => http(value).map(|http| Action::Http(Box::new(http))),
            "timeout" => {
                hook.timeout = timeout_of(value).unwrap_or(hook.timeout);
                None
            }
            "secrets" => {
                hook.secrets = pairs_of(value);
                None
            }
            _ => None,
        };
        hook.action = action.unwrap_or(hook.action);
    }
    hook
}
