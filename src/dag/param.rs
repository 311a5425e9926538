//! A param of a DAG: what `{{ params.x }}` stands for, and what it may be.
//!
//! What stands under its name in a DAG file is its default, and then it may be anything; or an object with
//! `type`, `default` or `enum`, as Airflow's `Param`, which says what it may be. So an object with such a key
//! that is meant as it is stands as a `default` itself.

use std::collections::BTreeMap;

use super::Value;
use super::diagnostic::printable;
use super::keys::PARAM_KEYS;
use crate::dag::map_of;

/// What the params of one run may take, as JSON, in bytes.
pub const PARAMS_BYTES_MAX: usize = 64 << 10;
/// Of a value that is refused, so much is told.
const SHOWN_CHARS_MAX: usize = 60;

/// A param.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Param {
    /// Without one, every trigger has to give it.
    pub default: Option<Value>,
    /// One line for people.
    pub description: String,
    /// The rest of what it says, as JSON Schema writes it: `type`, `enum`, `minimum` and so on.
    schema: BTreeMap<String, Value>,
}

/// The words of `type`.
pub(super) const TYPES: &[&str] = &[
    "string", "integer", "number", "boolean", "null", "array", "object",
];
/// What makes an object one that says what a param may be.
pub(super) const MARKS: [&str; 3] = ["type", "default", "enum"];

/// Whether an object with these keys says what a param may be.
pub(super) fn is_described<'k>(mut keys: impl Iterator<Item = &'k str>) -> bool {
    keys.any(|key| MARKS.contains(&key))
}

impl Param {
    /// Reads what stands under a param's name. What is wrong with it on its own, whoever has checked its keys:
    /// a default that it does not allow, or that nothing is allowed.
    pub fn read(value: Value) -> (Self, Option<String>) {
        let mut schema = match value {
            Value::Object(members) if is_described(members.keys().map(String::as_str)) => members,
            default @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => {
                let default = Some(default);
                let bare = Self {
                    default,
                    ..Self::default()
                };
                return (bare, None);
            }
        };
        let default = schema.remove("default");
        let description = schema.remove("description");
        let description = description.and_then(|text| text.as_str().map(str::to_owned));
        let param = Self {
            default,
            description: description.unwrap_or_default(),
            schema,
        };
        let fault = param.fault();
        (param, fault)
    }

    /// What it may be, as JSON Schema: `{}` if it may be anything.
    pub fn schema(&self) -> Value {
        Value::Object(self.schema.clone())
    }

    /// Why a value is not allowed: `must be at least 1, not 0`.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let refuse = |what: String| {
            let shown: String = value.to_string().chars().take(SHOWN_CHARS_MAX).collect();
            Err(format!("must be {what}, not {}", printable(&shown)))
        };
        let types = self.types();
        if !types.is_empty() && !types.iter().any(|name| is_of(value, name)) {
            return refuse(types.join(" or "));
        }
        if let Some(Value::Array(allowed)) = self.schema.get("enum")
            && !allowed.contains(value)
        {
            let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
            return refuse(format!("one of {}", allowed.join(", ")));
        }
        let bound = |key| self.schema.get(key).and_then(Value::as_f64);
        if let Value::Number(_) = value {
            let number = value.as_f64().unwrap_or(f64::NAN);
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                return refuse(format!("at least {least}"));
            }
            if let Some(most) = bound("maximum").filter(|most| number > *most) {
                return refuse(format!("at most {most}"));
            }
        }
        if let Value::String(text) = value {
            let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            let length = f64::from(length);
            if let Some(least) = bound("minLength").filter(|least| length < *least) {
                return refuse(format!("a text of at least {least} characters"));
            }
            if let Some(most) = bound("maxLength").filter(|most| length > *most) {
                return refuse(format!("a text of at most {most} characters"));
            }
        }
        Ok(())
    }

    /// The value that somebody writes as `text`: the text itself where that is allowed, else what it is as JSON.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let types = self.types();
        let is_text = match &self.default {
            _ if !types.is_empty() => types == ["string"],
            Some(Value::String(_)) => true,
            Some(_) | None => false,
        };
        let own = Value::from(text);
        let value = match Value::parse(text) {
            Ok(value) if !is_text && self.check(&value).is_ok() => value,
            // As JSON it is another value, and as that it is refused.
            Ok(value) if !is_text && self.check(&own).is_err() => value,
            Err(_) if types.is_empty() && !is_text && self.schema.is_empty() => {
                let like = self.default.as_ref().unwrap_or(&Value::Null);
                return Err(format!("is JSON, such as its default {like}"));
            }
            Ok(_) | Err(_) => own,
        };
        self.check(&value).map(|()| value)
    }

    /// Those of its types that there are; what is none is the business of whoever checks its keys.
    fn types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = match self.schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                Vec::new()
            }
        };
        types.retain(|name| TYPES.contains(name));
        types
    }

    /// What is wrong with a description whose keys nobody has checked: one that there is not, or a type.
    pub(super) fn wrong_word(&self) -> Option<String> {
        let is_known = |name: &str| PARAM_KEYS.iter().any(|key| key.name == name);
        if let Some(name) = self.schema.keys().find(|name| !is_known(name)) {
            let known = PARAM_KEYS.iter().map(|key| key.name).collect::<Vec<_>>();
            let known = known.join(", ");
            return Some(format!("there is no key `{name}`; there are {known}"));
        }
        let named = match self.schema.get("type") {
            Some(Value::Array(names)) => names.as_slice(),
            Some(name) => std::slice::from_ref(name),
            None => &[],
        };
        let is_type = |name: &&Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
        let wrong = named.iter().find(|name| !is_type(name))?;
        let types = TYPES.join(", ");
        Some(format!("there is no type {wrong}; there are {types}"))
    }

    fn fault(&self) -> Option<String> {
        let bound = |key| self.schema.get(key).and_then(Value::as_f64);
        let types = self.types();
        for (least, most, bounded) in [
            ("minimum", "maximum", ["integer", "number"]),
            ("minLength", "maxLength", ["string", "string"]),
        ] {
            let given = [least, most].into_iter();
            let mut given = given.filter(|key| self.schema.contains_key(*key));
            let is_bounded = types.iter().any(|name| bounded.contains(name));
            if let Some(key) = given.next().filter(|_| !types.is_empty() && !is_bounded) {
                let of = if bounded[0] == "string" {
                    "texts"
                } else {
                    "numbers"
                };
                let types = types.join(" or ");
                return Some(format!("`{key}` bounds {of}, and its `type` is {types}"));
            }
            if bound(least)
                .zip(bound(most))
                .is_some_and(|(least, most)| least > most)
            {
                return Some(format!(
                    "`{least}` is more than `{most}`: nothing is allowed"
                ));
            }
        }
        let wrong = self.default.as_ref().map(|default| self.check(default))?;
        wrong.err().map(|why| format!("its `default` {why}"))
    }
}

/// Whether a value is of a type of JSON Schema; `5.0` is an integer there.
fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(_) if name == "integer" => {
            value.as_i64().is_some() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        Value::Number(_) => name == "number",
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

/// The params of a run: what was given, over the defaults.
pub(super) fn effective(
    params: &BTreeMap<String, Param>,
    given: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let default = |(name, param): (&String, &Param)| Some((name.clone(), param.default.clone()?));
    let mut all = map_of(params.iter().filter_map(default));
    let given = given.iter();
    all.extend(given.map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// Why these params cannot be given to a run: one that is not allowed, one that is missing, or too much.
pub(super) fn check_given(
    params: &BTreeMap<String, Param>,
    given: &BTreeMap<String, Value>,
) -> Result<(), String> {
    for (name, param) in params {
        let shown = printable(name);
        match given.get(name) {
            Some(value) => {
                let wrong = |why| format!("param `{shown}` {why}");
                param.check(value).map_err(wrong)?;
            }
            None if param.default.is_none() => {
                return Err(format!(
                    "param `{shown}` has no default, and none was given"
                ));
            }
            None => {}
        }
    }
    let bytes = Value::Object(effective(params, given)).to_string().len();
    if bytes > PARAMS_BYTES_MAX {
        return Err(format!(
            "the params of a run take at most {PARAMS_BYTES_MAX} bytes, and these are {bytes}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(text: &str) -> Param {
        let (param, fault) = Param::read(Value::parse(text).unwrap());
        assert_eq!(fault, None, "{text}");
        param
    }

    fn refuses(described: &str, value: &str) -> String {
        let value = Value::parse(value).unwrap();
        param(described).check(&value).expect_err("it is refused")
    }

    #[test]
    fn a_bare_value_is_a_default_and_anything_may_take_its_place() {
        for text in ["5", "null", "\"x\"", "[1]", "{\"a\": 1, \"minimum\": 2}"] {
            let bare = param(text);
            assert_eq!(bare.default, Some(Value::parse(text).unwrap()));
            assert_eq!(bare.check(&Value::Null), Ok(()));
            assert_eq!(bare.schema().to_string(), "{}");
        }
        let object = param(r#"{"default": {"type": "tea"}}"#);
        assert_eq!(object.default.unwrap().to_string(), r#"{"type":"tea"}"#);
    }

    #[test]
    fn what_is_not_allowed_is_told_with_the_value() {
        for (described, value, why) in [
            (
                r#"{"type": "integer", "default": 1}"#,
                "1.5",
                "must be integer, not 1.5",
            ),
            (
                r#"{"type": "integer"}"#,
                "\"5\"",
                "must be integer, not \"5\"",
            ),
            (
                r#"{"type": ["string", "null"]}"#,
                "true",
                "must be string or null, not true",
            ),
            (
                r#"{"type": "integer", "minimum": 1}"#,
                "0",
                "must be at least 1, not 0",
            ),
            (
                r#"{"type": "number", "maximum": 0.5}"#,
                "1",
                "must be at most 0.5, not 1",
            ),
            (
                r#"{"enum": ["a", 2]}"#,
                "\"b\"",
                "must be one of \"a\", 2, not \"b\"",
            ),
            (
                r#"{"type": "string", "minLength": 2}"#,
                "\"한\"",
                "must be a text of at least 2 characters, not \"한\"",
            ),
            (
                r#"{"type": "string", "maxLength": 1}"#,
                "\"\\u001b[2J\"",
                "must be a text of at most 1 characters, not \"\\u001b[2J\"",
            ),
        ] {
            assert_eq!(refuses(described, value), why);
        }
        let integer = param(r#"{"type": "integer", "minimum": 1}"#);
        for good in ["1", "5.0", "1e3", "123456789012345678901234567890"] {
            assert_eq!(
                integer.check(&Value::parse(good).unwrap()),
                Ok(()),
                "{good}"
            );
        }
    }

    #[test]
    fn a_description_that_allows_nothing_or_not_its_default_is_wrong() {
        for (text, why) in [
            (
                r#"{"type": "integer", "default": "x"}"#,
                "its `default` must be integer, not \"x\"",
            ),
            (
                r#"{"type": "integer", "minimum": 2, "default": 1}"#,
                "its `default` must be at least 2, not 1",
            ),
            (
                r#"{"type": "integer", "minimum": 2, "maximum": 1}"#,
                "`minimum` is more than `maximum`: nothing is allowed",
            ),
        ] {
            assert_eq!(
                Param::read(Value::parse(text).unwrap()).1.as_deref(),
                Some(why)
            );
        }
    }

    #[test]
    fn what_is_written_on_a_command_line_is_of_the_kind_that_is_wanted() {
        let parse =
            |described: &str, text: &str| param(described).parse(text).map(|v| v.to_string());
        for (described, text, value) in [
            ("\"x\"", "5", "\"5\""),
            ("5", "6", "6"),
            ("null", "\"a\"", "\"a\""),
            (r#"{"type": "string"}"#, "5", "\"5\""),
            (r#"{"type": ["string", "null"]}"#, "null", "null"),
            (r#"{"type": ["string", "null"]}"#, "[x", "\"[x\""),
            (r#"{"type": ["integer", "null"]}"#, "7", "7"),
            (r#"{"enum": ["5", "b"]}"#, "5", "\"5\""),
            (r#"{"enum": ["5", "b"]}"#, "b", "\"b\""),
            (r#"{"type": "array", "default": []}"#, "[1, 2]", "[1,2]"),
        ] {
            assert_eq!(
                parse(described, text),
                Ok(value.to_owned()),
                "{described} {text}"
            );
        }
        assert_eq!(
            parse("5", "x"),
            Err("is JSON, such as its default 5".to_owned())
        );
        assert_eq!(
            parse(r#"{"type": "integer", "maximum": 3}"#, "4"),
            Err("must be at most 3, not 4".to_owned())
        );
        assert_eq!(
            parse(r#"{"type": "integer"}"#, "four"),
            Err("must be integer, not \"four\"".to_owned())
        );
    }
}
