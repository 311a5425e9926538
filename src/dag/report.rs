//! Collects what is wrong with a file or a DAG, until all of it is known.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Source, Span, quote};
use super::json::{self, Document};

/// Further errors of a file are counted only.
const DIAGNOSTICS_MAX: usize = 50;

/// A place in a file, or a part of the text of a string there, or none: a DAG written in Rust has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    span: Option<Span>,
    /// In bytes of the string's text; found in the file only when it is shown.
    part: Option<Span>,
}

impl At {
    pub(super) fn part(string: Option<Span>, part: Range<usize>) -> Self {
        Self {
            span: string,
            part: Some(Span::new(part.start, part.end)),
        }
    }
}

impl From<Option<Span>> for At {
    fn from(span: Option<Span>) -> Self {
        Self { span, part: None }
    }
}

impl From<Span> for At {
    fn from(span: Span) -> Self {
        Some(span).into()
    }
}

/// Collects what is wrong, with the text it is about if there is one.
pub(crate) struct Report<'t> {
    source: Option<Source<'t>>,
    found: Vec<Diagnostic>,
    more: usize,
}

impl<'t> Report<'t> {
    pub(super) fn new(source: Option<Source<'t>>) -> Self {
        Self {
            source,
            found: Vec::new(),
            more: 0,
        }
    }

    /// Something is wrong. `label` says what, at its place; the rest is made only while there is room for it.
    pub(crate) fn error(
        &mut self,
        at: impl Into<At>,
        label: impl Into<String>,
        make: impl FnOnce() -> Diagnostic,
    ) {
        if self.found.len() == DIAGNOSTICS_MAX {
            self.more += 1;
            return;
        }
        let label = label.into();
        let at = at.into();
        let error = match (&self.source, at.span) {
            (Some(source), Some(span)) => make().at(source, place(source.text, span, at), label),
            _ if label.is_empty() => make(),
            _ => make().note(label),
        };
        self.found.push(error);
    }

    /// Everything that was wrong, in the order of the text; nothing if nothing was.
    pub(crate) fn finish(mut self) -> Result<(), Vec<Diagnostic>> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found
            .sort_by_key(|error| error.place.as_ref().map(|place| place.span));
        self.found.dedup();
        if self.more > 0 {
            let file = self.source.map(|source| format!("`{}` ", source.file));
            let file = file.unwrap_or_default();
            let more = self.more;
            self.found
                .push(Diagnostic::new(format!("{file}… and {more} more errors")));
        }
        Err(self.found)
    }
}

/// Reads a file as JSON. What is no JSON is the only error; keys that stand twice are errors among others.
pub(crate) fn read<'t>(
    file: &'t str,
    text: &'t str,
) -> Result<(Document<'t>, Report<'t>), Vec<Diagnostic>> {
    let source = || Source::new(file, text);
    let document = Document::parse(text).map_err(|error| {
        let mut diagnostic = Diagnostic::new(error.message)
            .at(&source(), error.span, error.label)
            .help(error.help.map(str::to_owned));
        diagnostic.notes.extend(error.note);
        vec![diagnostic]
    })?;
    let mut report = Report::new(Some(source()));
    for (first, again) in document.duplicates() {
        report.error(again.span(), "this key stands here already", || {
            let line = text[..first.span().start()].matches('\n').count() + 1;
            Diagnostic::new(format!("duplicate key `{}`", quote(&again.text())))
                .note(format!("the first is in line {line}"))
        });
    }
    Ok((document, report))
}

/// Where a part of a string stands in the file; only strings have parts.
fn place(text: &str, span: Span, at: At) -> Span {
    match at.part {
        Some(part) if text[span.range()].starts_with('"') => {
            json::span_within(text, span, part.range())
        }
        Some(_) | None => span,
    }
}
