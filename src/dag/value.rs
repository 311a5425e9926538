//! A JSON value, for what this program carries but does not look into: params, args, XComs.

use std::collections::BTreeMap;

/// A JSON value. Numbers keep the text they were written with: nothing is rounded on the way through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as RFC 8259 writes it.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, ordered by key.
    Object(BTreeMap<String, Value>),
}
