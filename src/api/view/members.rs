//! An object that is written as it is made: for what is asked for again and again, a hundred at a time.
//!
//! A [`Value`] of thirty members costs sixty allocations before it is text, and what is put together by `write!`
//! takes three times as long.

use std::fmt::Write as _;

use crate::dag::{Quoted, Value};
use crate::timetable::Timestamp;

/// What can be a member.
pub(crate) trait Json {
    fn put(self, json: &mut String);
}

/// The members so far.
pub(crate) struct Members(String);

impl Members {
    pub(crate) fn new() -> Self {
        Self(String::with_capacity(1 << 10) + "{")
    }

    /// A member whose name needs no escapes and is not there yet.
    pub(crate) fn put(&mut self, name: &str, value: impl Json) {
        self.0.push_str(if self.0.len() > 1 { ",\"" } else { "\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
        value.put(&mut self.0);
    }

    /// Members as they stand in JSON, behind others.
    pub(super) fn put_all(&mut self, members: &str) {
        self.0.push(',');
        self.0.push_str(members);
    }

    /// The object.
    pub(crate) fn finish(self) -> String {
        self.0 + "}"
    }

    /// The object, to look into.
    pub(crate) fn into_value(self) -> Value {
        // What is written here is JSON.
        Value::parse(&self.finish()).unwrap_or(Value::Null)
    }
}

/// What is JSON already.
pub(crate) struct Raw<'j>(pub &'j str);

impl Json for Raw<'_> {
    fn put(self, json: &mut String) {
        json.push_str(self.0);
    }
}

impl Json for bool {
    fn put(self, json: &mut String) {
        json.push_str(if self { "true" } else { "false" });
    }
}

impl Json for u32 {
    fn put(self, json: &mut String) {
        let _ = write!(json, "{self}");
    }
}

impl Json for Value {
    fn put(self, json: &mut String) {
        let _ = write!(json, "{self}");
    }
}

impl Json for Quoted<'_> {
    fn put(self, json: &mut String) {
        let _ = write!(json, "{self}");
    }
}

/// RFC 3339 in UTC.
impl Json for Timestamp {
    fn put(self, json: &mut String) {
        let _ = write!(json, "\"{self}\"");
    }
}

/// A value, or null.
impl<T: Json> Json for Option<T> {
    fn put(self, json: &mut String) {
        match self {
            Some(value) => value.put(json),
            None => json.push_str("null"),
        }
    }
}

/// A string, or null for what was left out.
pub(super) fn text_or_null(text: &str) -> Option<Quoted<'_>> {
    Some(Quoted(text)).filter(|_| !text.is_empty())
}
