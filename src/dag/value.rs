//! A JSON value, for what this program carries but does not look into: params, args, XComs.

use std::collections::BTreeMap;
use std::fmt;

use super::json;

/// A JSON value. Numbers keep the text they were written with: nothing is rounded on the way through.
///
/// `Display` writes it as JSON on one line, keys in order: the same value is always the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as RFC 8259 writes it. Any other text in here is written as a string.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, ordered by key.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Reads JSON, as strictly as [`json::parse`].
    pub fn parse(text: &str) -> Result<Self, json::SyntaxError> {
        json::parse(text)
    }

    /// What an object has under a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// `true` or `false`.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// A number written without fraction and exponent that fits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(text) = self {
            text.parse().ok()
        } else {
            None
        }
    }

    /// A number, as near as a double comes to it.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Number(text) = self {
            text.parse().ok()
        } else {
            None
        }
    }

    /// What an array holds.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self {
            Some(elements)
        } else {
            None
        }
    }

    /// What an object holds.
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    /// What the value is in a text: a string is itself, anything else its JSON.
    pub fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => {
                self.to_string()
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.to_string())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Number(value.to_string())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Number(value.to_string())
    }
}

/// JSON has no infinities: they, and what is no number, become `null`.
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Self::Number(value.to_string())
        } else {
            Self::Null
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    /// (Not by `collect`, which brings a sort of its own for each type and length: 3 KB each time.)
    fn from(members: [(K, V); N]) -> Self {
        let mut object = BTreeMap::new();
        for (key, value) in members {
            object.insert(key.into(), value.into());
        }
        Self::Object(object)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) if json::is_number(text) => f.write_str(text),
            Self::Number(text) | Self::String(text) => write_string(f, text),
            Self::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    write_string(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A string as JSON has it.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'t>(pub &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_string(f, self.0)
    }
}

/// Escapes what JSON must, and the two line separators that JavaScript once tripped over.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        f.write_str(text)?;
        return f.write_str("\"");
    }
    let mut plain_from = 0;
    for (at, character) in text.char_indices() {
        let escape = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\0'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => "",
            _ => continue,
        };
        f.write_str(&text[plain_from..at])?;
        if escape.is_empty() {
            write!(f, "\\u{:04x}", u32::from(character))?;
        } else {
            f.write_str(escape)?;
        }
        plain_from = at + character.len_utf8();
    }
    f.write_str(&text[plain_from..])?;
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let check = |text: &str, expect: &str| {
            let value = Value::parse(text).expect(text);
            assert_eq!(value.to_string(), expect);
            assert_eq!(Value::parse(expect), Ok(value));
        };
        check(" null ", "null");
        check(
            "[true, false , -0.50e+07, 184467440737095516160]",
            "[true,false,-0.50e+07,184467440737095516160]",
        );
        check(r#"{"b": 1, "a": {"": []}}"#, r#"{"a":{"":[]},"b":1}"#);
        check(
            r#""\u0000\n\u001b[\/\"\\\ud83d\ude80\u007f""#,
            "\"\\u0000\\n\\u001b[/\\\"\\\\🚀\\u007f\"",
        );
    }

    #[test]
    fn a_number_that_is_none_is_written_as_a_string() {
        for text in ["", "NaN", "1}", "01", "0x10", "1e", "-", " 1"] {
            let value = Value::Number(text.to_owned());
            assert_eq!(value.to_string(), format!("\"{text}\""));
        }
        assert_eq!(Value::from(f64::INFINITY).to_string(), "null");
        assert_eq!(Value::from(0.1).to_string(), "0.1");
        assert_eq!(Value::from(1e300).as_f64(), Some(1e300));
    }

    #[test]
    fn accessors_answer_only_to_their_kind() {
        let value = Value::from([
            ("n", Value::from(7)),
            ("s", "x".into()),
            ("l", vec![1, 2].into()),
        ]);
        assert_eq!(value.get("n").and_then(Value::as_i64), Some(7));
        assert_eq!(value.get("s").and_then(Value::as_str), Some("x"));
        assert_eq!(
            value.get("l").and_then(Value::as_array).map(<[_]>::len),
            Some(2)
        );
        assert_eq!(value.get("s").and_then(Value::as_i64), None);
        assert_eq!(value.get("absent"), None);
        assert_eq!(Value::Null.get("n"), None);
    }
}
