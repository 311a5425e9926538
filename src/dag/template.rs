//! Texts in which `{{ … }}` stands for a fact of the run.
//!
//! A [`Template`] is parsed when its DAG is loaded: every variable in it is known, and rendering cannot
//! fail. In a script for a shell only dates and ids may stand, whose letters mean nothing to a shell; a
//! value that a person or another program supplied goes through `env`, so that no value becomes code.
//! `{{ '{{' }}` is a literal `{{`; a `}}` alone is itself.

mod read;
mod value;

use std::fmt;

use super::Value;
use super::facts::RunFacts;
use super::hook::HOOK_FIELDS;
pub(super) use read::Found;
pub use value::TemplateValue;

/// A text with `{{ … }}` in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
    /// Whether it is code for a shell.
    script: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

/// What may stand in `{{ … }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Ds,
    DsNodash,
    Ts,
    TsNodash,
    LogicalDate,
    DataIntervalStart,
    DataIntervalEnd,
    PrevDataIntervalEndSuccess,
    RunId,
    DagId,
    TaskId,
    TryNumber,
    Param(Box<str>),
    Xcom(Box<str>),
    /// The place of one of [`HOOK_FIELDS`].
    Hook(usize),
    /// The variable of the environment that holds a secret.
    Secret(Box<str>),
}

/// The variables that need no name after a dot.
const NAMES: [(&str, Variable); 12] = [
    ("ds", Variable::Ds),
    ("ds_nodash", Variable::DsNodash),
    ("ts", Variable::Ts),
    ("ts_nodash", Variable::TsNodash),
    ("logical_date", Variable::LogicalDate),
    ("data_interval_start", Variable::DataIntervalStart),
    ("data_interval_end", Variable::DataIntervalEnd),
    (
        "prev_data_interval_end_success",
        Variable::PrevDataIntervalEndSuccess,
    ),
    ("run_id", Variable::RunId),
    ("dag_id", Variable::DagId),
    ("task_id", Variable::TaskId),
    ("try_number", Variable::TryNumber),
];

/// How a literal `{{` is written.
const LITERAL: &str = "{{ '{{' }}";

impl Template {
    /// A text without variables, whatever braces it has.
    pub fn literal(text: &str) -> Self {
        Self {
            parts: [Part::Text(text.into())].into(),
            script: false,
        }
    }

    /// The text of a run. Dates are in the DAG's zone.
    pub fn render(&self, facts: &RunFacts<'_>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(variable) if self.script => {
                    out.extend(facts.value(variable).chars().map(harmless));
                }
                Part::Variable(variable) => out.push_str(&facts.value(variable)),
            }
        }
        out
    }

    /// The value of a run: what a param or an XCom is, if the text is that and nothing else, with its type;
    /// else the text.
    pub fn value(&self, facts: &RunFacts<'_>) -> Value {
        match &*self.parts {
            [Part::Variable(variable @ (Variable::Param(_) | Variable::Xcom(_)))] => {
                facts.json(variable).cloned().unwrap_or(Value::Null)
            }
            _ => Value::String(self.render(facts)),
        }
    }

    /// The text, if there is no variable in it.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it asks for what only a hook is told.
    pub(super) fn asks_for_hook(&self) -> bool {
        let is_hook = |part: &Part| matches!(part, Part::Variable(Variable::Hook(_)));
        self.parts.iter().any(is_hook)
    }

    /// The secrets that it names, by their variables.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(Variable::Secret(name)) => Some(&**name),
            Part::Variable(_) | Part::Text(_) => None,
        })
    }
}

/// As it would be written in a DAG file.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace("{{", LITERAL))?,
                Part::Variable(Variable::Xcom(name)) => write!(f, "{{{{ xcom.{name} }}}}")?,
                Part::Variable(Variable::Param(name)) => write!(f, "{{{{ params.{name} }}}}")?,
                Part::Variable(Variable::Secret(name)) => write!(f, "{{{{ secrets.{name} }}}}")?,
                Part::Variable(Variable::Hook(field)) => {
                    write!(f, "{{{{ hook.{} }}}}", HOOK_FIELDS[*field])?;
                }
                Part::Variable(variable) => {
                    let named = NAMES.iter().find(|(_, other)| other == variable);
                    write!(f, "{{{{ {} }}}}", named.map_or("", |(name, _)| name))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.to_string()).finish()
    }
}

/// What a script gets of a date or an id. Those of this program pass unchanged; should an id ever come
/// from elsewhere unchecked, what a shell could read as more than a word is gone.
fn harmless(character: char) -> char {
    let plain = character.is_ascii_alphanumeric() || "_-.:+ ".contains(character);
    if plain { character } else { '_' }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::Param;
    use super::read::TemplateError;
    use super::*;
    use crate::timetable::{Timestamp, Zone};

    fn render(text: &str, script: bool, run_id: &str) -> Result<String, Vec<TemplateError>> {
        let params = BTreeMap::from([
            ("dir".to_owned(), Value::from("/tmp/$(x)")),
            ("n".to_owned(), Value::from(5)),
            ("list".to_owned(), Value::from(vec!["a", "b"])),
        ]);
        let xcoms = BTreeMap::from([("a-b.c".into(), Arc::new(Value::from("`x`")))]);
        let zone = Zone::from_posix("KST-9").expect("a zone");
        let at = |text: &str| Timestamp::parse(text).expect("a date");
        let facts = RunFacts {
            dag_id: "launches",
            run_id,
            task_id: "fetch",
            try_number: 2,
            logical_date: at("2026-11-21T21:00:00.5Z"),
            data_interval: Some((at("2026-11-20T21:00:00Z"), at("2026-11-21T21:00:00Z"))),
            prev_data_interval_end_success: None,
            params: &params,
            xcoms: &xcoms,
            hook: None,
            secrets: &BTreeMap::new(),
            zone: &zone,
        };
        let mut found = Found::default();
        let bare = |(name, value): (&String, &Value)| (name.clone(), Param::read(value.clone()).0);
        let declared = params.iter().map(bare).collect();
        let template = Template::parse(text, &declared, script, &mut found);
        if found.errors.is_empty() {
            Ok(template.render(&facts))
        } else {
            Err(found.errors)
        }
    }

    #[test]
    fn each_variable_has_airflows_form_in_the_dags_zone() {
        for (variable, expect) in [
            ("ds", "2026-11-22"),
            ("ds_nodash", "20261122"),
            ("ts", "2026-11-22T06:00:00.500+09:00"),
            ("ts_nodash", "20261122T060000"),
            ("logical_date", "2026-11-22 06:00:00.500+09:00"),
            ("data_interval_start", "2026-11-21 06:00:00+09:00"),
            ("data_interval_end", "2026-11-22 06:00:00+09:00"),
            ("prev_data_interval_end_success", ""),
            ("run_id", "manual__1"),
            ("dag_id", "launches"),
            ("task_id", "fetch"),
            ("try_number", "2"),
            ("params.dir", "/tmp/$(x)"),
            ("params.n", "5"),
            ("params.list", "[\"a\",\"b\"]"),
            ("xcom.a-b.c", "`x`"),
            ("xcom.skipped", ""),
        ] {
            let text = format!("<{{{{ {variable} }}}}>");
            let got = render(&text, false, "manual__1");
            assert_eq!(got, Ok(format!("<{expect}>")), "{variable}");
        }
    }

    #[test]
    fn what_is_no_variable_stays_as_it_is() {
        for (text, expect) in [
            ("", ""),
            (
                "awk '{print $1}' ${#x} }} {% x %} {# #}",
                "awk '{print $1}' ${#x} }} {% x %} {# #}",
            ),
            ("{{ '{{' }}.Names}}", "{{.Names}}"),
            ("{{\"{{\"}}", "{{"),
            ("{{ds}}{{  ds_nodash  }}", "2026-11-2220261122"),
            ("한글 {{ try_number }} 🚀", "한글 2 🚀"),
        ] {
            assert_eq!(render(text, true, "r"), Ok(expect.to_owned()), "{text}");
        }
    }

    #[test]
    fn errors_stand_where_they_are_and_do_not_hide_each_other() {
        for (text, script, parts) in [
            (
                "{{ x }} {{ ds }} {{ y }}",
                false,
                vec!["{{ x }}", "{{ y }}"],
            ),
            ("{{ params.dir }}", true, vec!["{{ params.dir }}"]),
            ("{{ params.no }}", false, vec!["{{ params.no }}"]),
            ("{{ xcom.a }}", true, vec!["{{ xcom.a }}"]),
            ("{{ ds", false, vec!["{{"]),
            ("{{ {{ ds }}", false, vec!["{{"]),
            ("{{}}", false, vec!["{{}}"]),
            ("한 {{ DS }}", false, vec!["{{ DS }}"]),
        ] {
            let errors = render(text, script, "r").expect_err(text);
            let found: Vec<&str> = errors
                .iter()
                .map(|error| &text[error.part.clone()])
                .collect();
            assert_eq!(found, parts, "{text}");
        }
    }

    #[test]
    fn an_unchecked_run_id_cannot_become_code() {
        let id = "m$(touch /x)`y`;\"'\n|&<>*?~!\\{}é";
        let script = render("echo {{ run_id }}", true, id).expect("a script");
        assert_eq!(script, "echo m__touch _x__y_________________");
        assert_eq!(render("{{ run_id }}", false, id).as_deref(), Ok(id));
    }

    #[test]
    fn a_template_reads_as_it_was_written() {
        let params = BTreeMap::from([("a b".to_owned(), Param::default())]);
        for text in [
            "{{ ds }} x {{ params.a b }}",
            "plain }}",
            "{{ xcom.a.b }}",
            "{{ '{{' }} x {{ run_id }}",
        ] {
            let template = Template::parse(text, &params, false, &mut Found::default());
            assert_eq!(template.to_string(), text);
        }
        assert_eq!(Template::literal("{{ ds }}").as_literal(), Some("{{ ds }}"));
    }
}
