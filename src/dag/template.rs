//! Placeholder module: replaced by the loader's author.

/// A text with `{{ … }}` in it.
#[derive(Clone, Debug)]
pub struct Template(pub String);

/// A JSON value whose strings are templates.
#[derive(Clone, Debug)]
pub struct TemplateValue(pub super::Value);
