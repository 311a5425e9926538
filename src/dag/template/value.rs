//! JSON in which texts are templates: the `args` of a call, the `json` of a request, the `params` of a trigger.

use std::collections::BTreeMap;
use std::fmt;

use super::super::{RunFacts, Value, map_of};
use super::Template;

/// A JSON value whose strings are templates; keys are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateValue {
    /// What has no strings in it.
    Plain(Value),
    /// A string.
    Text(Template),
    /// An array.
    Array(Vec<TemplateValue>),
    /// An object.
    Object(BTreeMap<String, TemplateValue>),
}

impl TemplateValue {
    /// The value of a run.
    pub fn render(&self, facts: &RunFacts<'_>) -> Value {
        self.to_value(&|template| template.value(facts))
    }

    fn to_value(&self, text: &impl Fn(&Template) -> Value) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => text(template),
            Self::Array(elements) => Value::Array(
                elements
                    .iter()
                    .map(|element| element.to_value(text))
                    .collect(),
            ),
            Self::Object(members) => Value::Object(map_of(
                members
                    .iter()
                    .map(|(key, member)| (key.clone(), member.to_value(text))),
            )),
        }
    }
}

/// JSON, with its templates as they would be written in a DAG file.
impl fmt::Display for TemplateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |template: &Template| Value::String(template.to_string());
        write!(f, "{}", self.to_value(&text))
    }
}
