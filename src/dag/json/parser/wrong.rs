//! What is said of a text that is no JSON: what stands there, what should, and what its writer may have meant.

use super::super::line_and_column;
use super::{Parser, SyntaxError};
use crate::dag::diagnostic::Span;

impl Parser<'_> {
    /// The letters, digits and signs that stand here, as many as a wrong word may reasonably have.
    pub(super) fn word(&self) -> &str {
        let rest = &self.text[self.at..];
        let end = rest
            .char_indices()
            .take(32)
            .find(|(_, c)| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '+' | '-'))
            .map_or_else(
                || rest.char_indices().nth(32).map_or(rest.len(), |(at, _)| at),
                |(at, _)| at,
            );
        &rest[..end]
    }

    pub(super) fn error(
        &self,
        at: std::ops::Range<usize>,
        message: &str,
        label: &'static str,
    ) -> SyntaxError {
        let span = Span::new(at.start, at.end);
        SyntaxError::new(self.text, span, message.to_owned(), label)
    }

    /// The error for what stands here, where something else should.
    pub(super) fn unexpected(&self, expected: &'static str) -> SyntaxError {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            let at = self.text.trim_end_matches([' ', '\t', '\n', '\r']).len();
            let mut error = self.error(at..at, "the text ends too early", expected);
            if self.depth > 0 {
                let holder = self.open[self.depth - 1];
                let span = self.document.item(holder).span();
                let (line, column) = line_and_column(self.text, span.start());
                let bracket = char::from(self.bytes[span.start()]);
                error.note = Some(format!(
                    "`{bracket}` at line {line}, column {column} is not closed"
                ));
            }
            return error;
        };
        let word = self.word();
        let found = if word.is_empty() {
            &rest[..first.len_utf8()]
        } else {
            word
        };
        let error = self.error(
            self.at..self.at + found.len(),
            &format!("unexpected `{found}`"),
            expected,
        );
        match found {
            "/" if rest.starts_with("//") || rest.starts_with("/*") => {
                error.help("JSON has no comments; `description` and `doc` are for people")
            }
            "#" => error.help("JSON has no comments; `description` and `doc` are for people"),
            "'" => error.help("strings are written with `\"`"),
            "True" => error.help("write `true`"),
            "False" => error.help("write `false`"),
            "None" | "nil" | "undefined" => error.help("write `null`"),
            "\"" if expected != "expected a value" && self.depth > 0 => {
                error.help("is a comma missing before it?")
            }
            _ => error,
        }
    }
}
