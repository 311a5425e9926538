//! The tables of keys as a JSON Schema (2020-12), for editors and for tools that write DAG files.
//!
//! Whatever the loader accepts is valid; what the schema cannot say (ids that must exist, cycles, cron lines,
//! zones) is the loader's to find. `mini-dag schema` prints it.

use std::collections::BTreeMap;

use super::Value;
use super::keys::{ACTIONS, CONFIG_KEYS, DAG_KEYS, HOOK_KEYS, HTTP_KEYS, Key, PARAM_KEYS, Shape};
use crate::dag::map_of;

/// Objects that stand in several places: written once, and referred to.
const SHARED: [(&str, &[Key]); 2] = [("http", HTTP_KEYS), ("hook", HOOK_KEYS)];
const ID: &str = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,249}$";
const MOMENT: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}.*)?$";
const DURATION: &str = "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
const SIZE: &str = "^[1-9][0-9]*(KiB|MiB|GiB|K|M|G)?$";

/// The schema of a DAG file.
pub fn dag() -> Value {
    document("A DAG of mini-dag", DAG_KEYS)
}

/// The schema of the daemon's config file.
pub fn config() -> Value {
    document("The config of the mini-dag daemon", CONFIG_KEYS)
}

fn document(title: &str, keys: &'static [Key]) -> Value {
    let shared = SHARED.map(|(name, keys)| (name, object(keys, true)));
    let head = Value::from([
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("title", title),
    ]);
    merge([
        head,
        object(keys, true),
        Value::from([("$defs", Value::from(shared))]),
    ])
}

/// One object out of several; of a repeated member the last counts.
fn merge(objects: impl IntoIterator<Item = Value>) -> Value {
    let mut members = BTreeMap::new();
    for object in objects {
        if let Value::Object(more) = object {
            members.extend(more);
        }
    }
    Value::Object(members)
}

/// An object with these keys and no others. One that is not complete is a task's `defaults`.
fn object(keys: &'static [Key], is_complete: bool) -> Value {
    let known = || keys.iter().filter(|key| is_complete || key.inherited);
    let properties = known().map(|key| (key.name.to_owned(), property(key)));
    let mut parts = vec![Value::from([
        ("type", Value::from("object")),
        ("properties", Value::Object(map_of(properties))),
        ("additionalProperties", false.into()),
    ])];
    let required: Vec<&str> = known()
        .filter(|key| key.required && is_complete)
        .map(|key| key.name)
        .collect();
    if !required.is_empty() {
        parts.push(Value::from([("required", required)]));
    }
    let actions: Vec<Value> = known()
        .filter(|key| ACTIONS.contains(&key.name))
        .map(|key| action(key.name))
        .collect();
    if !actions.is_empty() {
        parts.push(Value::from([("oneOf", actions)]));
    }
    let meaningless = meaningless(keys);
    if is_complete && !meaningless.is_empty() {
        parts.push(Value::from([(
            "dependentSchemas",
            Value::Object(meaningless),
        )]));
    }
    merge(parts)
}

/// That an object does this; `"empty": false` is no action.
fn action(name: &str) -> Value {
    match name {
        "empty" => holds(name),
        _ => Value::from([("required", vec![name])]),
    }
}

/// That a key is there, and true.
fn holds(key: &str) -> Value {
    let is_true = Value::from([(key, Value::from([("const", true)]))]);
    Value::from([("required", vec![key].into()), ("properties", is_true)])
}

/// For each action of a task, that keys which mean nothing to it are not there.
fn meaningless(keys: &'static [Key]) -> BTreeMap<String, Value> {
    let refused = |names: Vec<&'static str>| {
        let names = names
            .into_iter()
            .map(|name| (name.to_owned(), false.into()));
        Value::from([("properties", Value::Object(map_of(names)))])
    };
    let mut schemas = BTreeMap::new();
    for action in ACTIONS {
        let others = keys.iter().filter(|key| !key.of.contains(action));
        let others: Vec<_> = others.map(|key| key.name).collect();
        if others.is_empty() {
            continue;
        }
        let others = refused(others);
        let schema = match *action {
            "empty" => Value::from([("if", holds("empty")), ("then", others)]),
            "trigger" => {
                let waits =
                    Value::from([("properties", Value::from([("trigger", holds("wait"))]))]);
                merge([
                    others,
                    Value::from([("if", waits), ("else", refused(vec!["timeout"]))]),
                ])
            }
            _ => others,
        };
        schemas.insert((*action).to_owned(), schema);
    }
    schemas
}

fn property(key: &'static Key) -> Value {
    let of = if let (Shape::Object(keys), "defaults") = (&key.shape, key.name) {
        object(keys, false)
    } else {
        shape(&key.shape)
    };
    let mut about = vec![of];
    if matches!(key.name, "env" | "secrets") {
        let variable = Value::from([("pattern", "^[A-Za-z_][A-Za-z0-9_]*$")]);
        about.push(Value::from([("propertyNames", variable)]));
    }
    about.push(Value::from([("description", key.doc)]));
    if let Ok(default) = Value::parse(key.default) {
        about.push(Value::from([("default", default)]));
    }
    merge(about)
}

/// Anything; but an object that has one of the marks says what the param may be.
fn param() -> Value {
    let marks = super::param::MARKS.map(|mark| Value::from([("required", vec![mark])]));
    Value::from([
        (
            "if",
            Value::from([
                ("type", Value::from("object")),
                ("anyOf", Value::Array(marks.into())),
            ]),
        ),
        ("then", object(PARAM_KEYS, true)),
    ])
}

/// What a value may be. The depth of recursion is that of the table.
fn shape(shape: &'static Shape) -> Value {
    let of_type = |name: &str| Value::from([("type", name)]);
    let text = |pattern: &str| Value::from([("type", "string"), ("pattern", pattern)]);
    let either = |choices: Vec<Value>| Value::from([("anyOf", choices)]);
    match shape {
        Shape::Null => of_type("null"),
        Shape::Boolean => of_type("boolean"),
        Shape::Text
        | Shape::Template
        | Shape::Script
        | Shape::Zone
        | Shape::Schedule
        | Shape::Order => of_type("string"),
        Shape::Id => text(ID),
        Shape::Moment => text(MOMENT),
        Shape::Duration => either(vec![text(DURATION), seconds("minimum")]),
        Shape::Timeout => either(vec![text(DURATION), seconds("exclusiveMinimum")]),
        Shape::Size => {
            let bytes = [("type", Value::from("integer")), ("minimum", 1.into())];
            either(vec![text(SIZE), Value::from(bytes)])
        }
        Shape::Word(words) => Value::from([("enum", words.to_vec())]),
        Shape::Integer(least, most) => Value::from([
            ("type", Value::from("integer")),
            ("minimum", (*least).into()),
            ("maximum", (*most).into()),
        ]),
        Shape::Number => of_type("number"),
        Shape::Any | Shape::AnyTemplate => Value::Object(BTreeMap::new()),
        Shape::Param => param(),
        Shape::List(inner) => Value::from([
            ("type", Value::from("array")),
            ("items", self::shape(inner)),
        ]),
        Shape::Map(inner) => Value::from([
            ("type", Value::from("object")),
            ("additionalProperties", self::shape(inner)),
        ]),
        Shape::Object(keys) => {
            let shared = SHARED.iter().find(|(_, other)| std::ptr::eq(*keys, *other));
            match shared {
                Some((name, _)) => Value::from([("$ref", format!("#/$defs/{name}"))]),
                None => object(keys, true),
            }
        }
        Shape::Either(shapes) => either(shapes.iter().map(self::shape).collect()),
    }
}

fn seconds(least: &str) -> Value {
    Value::from([("type", Value::from("number")), (least, 0.into())])
}

#[cfg(test)]
mod tests {
    use super::super::keys::TASK_KEYS;
    use super::*;

    /// The names of the properties of every object, wherever it stands.
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                for member in members.values() {
                    names(member, found);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    names(element, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The names of the keys of every object of a table.
    fn keys_of(keys: &'static [Key], found: &mut Vec<&'static str>) {
        for key in keys {
            found.push(key.name);
            for keys in key.shape.objects() {
                keys_of(keys, found);
            }
        }
    }

    #[test]
    fn every_key_of_every_object_is_in_the_schema() {
        for (schema, keys) in [(dag(), DAG_KEYS), (config(), CONFIG_KEYS)] {
            let (mut in_schema, mut in_table) = (Vec::new(), Vec::new());
            names(&schema, &mut in_schema);
            keys_of(keys, &mut in_table);
            in_table.sort_unstable();
            in_table.dedup();
            for key in &in_table {
                assert!(in_schema.iter().any(|name| name == key), "{key}");
            }
            assert!(in_table.len() > 20);
        }
    }

    #[test]
    fn the_schema_says_what_is_required_inherited_and_exclusive() {
        let schema = dag();
        assert_eq!(schema.get("required"), Some(&Value::from(vec!["tasks"])));
        let at = |path: &[&str]| {
            let found = path.iter().try_fold(&schema, |value, key| value.get(key));
            found.cloned().unwrap_or(Value::Null)
        };
        let task = at(&["properties", "tasks", "items"]);
        assert_eq!(task.get("required"), Some(&Value::from(vec!["task_id"])));
        let actions = task.get("oneOf").and_then(Value::as_array);
        assert_eq!(actions.map(<[Value]>::len), Some(ACTIONS.len()));
        let defaults = at(&["properties", "defaults", "properties"]);
        let inherited = TASK_KEYS.iter().filter(|key| key.inherited).count();
        assert_eq!(defaults.as_object().map(BTreeMap::len), Some(inherited));
        assert!(at(&["$defs", "http", "properties", "url"]) != Value::Null);
    }
}
