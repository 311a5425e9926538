//! An object that is written as it is made: for what is asked for again and again, a hundred at a time.
//!
//! A [`Value`] of thirty members costs sixty allocations before it is text.

use std::fmt::{self, Display, Write as _};

use crate::dag::{Quoted, Value};
use crate::timetable::Timestamp;

/// The members so far.
pub(crate) struct Members(String);

impl Members {
    pub(super) fn new() -> Self {
        Self(String::with_capacity(1 << 10) + "{")
    }

    /// A member whose name needs no escapes and is not there yet. What `value` displays is JSON.
    pub(crate) fn put(&mut self, name: &str, value: impl Display) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
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

/// A value, or null.
pub(super) struct OrNull<T>(pub Option<T>);

impl<T: Display> Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// RFC 3339 in UTC, or null.
pub(super) struct Date(pub Option<Timestamp>);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(moment) => write!(f, "\"{moment}\""),
            None => f.write_str("null"),
        }
    }
}

/// A string, or null for what was left out.
pub(super) fn text_or_null(text: &str) -> OrNull<Quoted<'_>> {
    OrNull(Some(Quoted(text)).filter(|_| !text.is_empty()))
}
