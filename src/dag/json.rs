//! JSON text, strictly as RFC 8259 has it, into a flat tree that remembers where everything stood.
//!
//! After [`Document::parse`] returns Ok, the text is valid JSON nested at most [`DEPTH_MAX`] deep. Keys
//! that an object repeats are listed in [`Document::duplicates`], because whoever reads a file by hand
//! wants to hear of all of them; [`parse`] refuses them. Nothing recurses along the input: the parser
//! keeps its place in an array of fixed size, and the tree is one vector in document order.

mod parser;

use std::borrow::Cow;
use std::fmt;

use self::parser::{Parser, unicode_escape};

use super::Value;
use super::diagnostic::Span;
use crate::dag::map_of;

/// The deepest nesting of arrays and objects that is read.
pub const DEPTH_MAX: usize = 64;

/// Reads a text as one JSON value. Refuses whatever RFC 8259 does not allow, repeated keys, and nesting
/// deeper than [`DEPTH_MAX`].
pub fn parse(text: &str) -> Result<Value, SyntaxError> {
    let document = Document::parse(text)?;
    if let Some(&(_, second)) = document.duplicates.first() {
        let key = document.item(second);
        return Err(SyntaxError::new(
            text,
            key.span(),
            format!("duplicate key `{}`", key.text()),
            "this key stands here twice",
        ));
    }
    Ok(document.root().to_value())
}

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// What to say at the place.
    pub label: &'static str,
    /// Where, in bytes.
    pub span: Span,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// More about it: where the bracket was opened that is not closed.
    pub note: Option<String>,
    /// What to write instead, where that can be said.
    pub help: Option<&'static str>,
}

impl SyntaxError {
    fn new(text: &str, span: Span, message: String, label: &'static str) -> Self {
        let (line, column) = line_and_column(text, span.start());
        Self {
            message,
            label,
            span,
            line,
            column,
            note: None,
            help: None,
        }
    }

    fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for SyntaxError {}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string, or the key of a member.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A parsed text. It borrows the text, and holds 16 bytes for each value and key.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    duplicates: Vec<(usize, usize)>,
}

/// One value or key. What an array or object holds follows it directly, up to `after`.
#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    end: u32,
    after: u32,
    kind: Kind,
    /// A string with an escape in it.
    is_escaped: bool,
}

/// A value, or a key, of a document.
#[derive(Clone, Copy, Debug)]
pub struct Item<'d> {
    document: &'d Document<'d>,
    index: usize,
}

impl<'t> Document<'t> {
    /// Reads a text as one JSON value; repeated keys are no error here.
    pub fn parse(text: &'t str) -> Result<Self, SyntaxError> {
        if u32::try_from(text.len()).is_err() {
            let message = "the text is longer than 4 GiB".to_owned();
            return Err(SyntaxError::new(text, Span::new(0, 0), message, ""));
        }
        Parser::new(text).parse()
    }

    /// The value that the text is.
    pub fn root(&self) -> Item<'_> {
        self.item(0)
    }

    /// Keys that an object has already: the first one and the repetition, in file order.
    pub fn duplicates(&self) -> impl Iterator<Item = (Item<'_>, Item<'_>)> {
        self.duplicates
            .iter()
            .map(|&(first, second)| (self.item(first), self.item(second)))
    }

    fn item(&self, index: usize) -> Item<'_> {
        Item {
            document: self,
            index,
        }
    }
}

impl<'d> Item<'d> {
    fn node(self) -> Node {
        self.document.nodes[self.index]
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Where it stands, with its quotes or brackets.
    pub fn span(self) -> Span {
        let node = self.node();
        Span::new(node.start as usize, node.end as usize)
    }

    /// How it is written: a string with its quotes and escapes, a number digit by digit.
    pub fn raw(self) -> &'d str {
        &self.document.text[self.span().range()]
    }

    /// The text that a string stands for; anything else as it is written.
    pub fn text(self) -> Cow<'d, str> {
        match self.kind() {
            Kind::String => {
                let raw = self.raw();
                let inner = &raw[1..raw.len() - 1];
                if self.node().is_escaped {
                    unescape(inner).into()
                } else {
                    inner.into()
                }
            }
            Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::Array | Kind::Object => {
                Cow::Borrowed(self.raw())
            }
        }
    }

    /// What an array holds; nothing for anything else.
    pub fn elements(self) -> impl Iterator<Item = Item<'d>> {
        let mut items = self.inner(Kind::Array);
        std::iter::from_fn(move || items.next())
    }

    /// The keys and values of an object; nothing for anything else.
    pub fn members(self) -> impl Iterator<Item = (Item<'d>, Item<'d>)> {
        let mut items = self.inner(Kind::Object);
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
    }

    fn inner(self, kind: Kind) -> Inner<'d> {
        let node = self.node();
        let next = self.index + 1;
        Inner {
            document: self.document,
            next,
            after: if node.kind == kind {
                node.after as usize
            } else {
                next
            },
        }
    }

    /// The value without its place. Of a repeated key the last value counts.
    pub fn to_value(self) -> Value {
        // Recursion is bounded by DEPTH_MAX.
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => Value::Number(self.raw().to_owned()),
            Kind::String => Value::String(self.text().into_owned()),
            Kind::Array => Value::Array(self.elements().map(Item::to_value).collect()),
            Kind::Object => Value::Object(map_of(
                self.members()
                    .map(|(key, value)| (key.text().into_owned(), value.to_value())),
            )),
        }
    }
}

struct Inner<'d> {
    document: &'d Document<'d>,
    next: usize,
    after: usize,
}

impl<'d> Inner<'d> {
    fn next(&mut self) -> Option<Item<'d>> {
        (self.next < self.after).then(|| {
            let item = self.document.item(self.next);
            self.next = item.node().after as usize;
            item
        })
    }
}

/// What a checked string's inside stands for.
fn unescape(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    pieces(inner, |_, piece| text.push_str(piece));
    text
}

/// The place in the file of a part of a string's text. `string` is the string with its quotes, `part`
/// counts bytes of the text that it stands for.
pub(super) fn span_within(file_text: &str, string: Span, part: std::ops::Range<usize>) -> Span {
    let inner = string.start() + 1..string.end().saturating_sub(1);
    let Some(inside) = file_text.get(inner.clone()) else {
        return string;
    };
    let place = |offset: usize| inner.start + written_offset(inside, offset);
    Span::new(place(part.start), place(part.end))
}

/// Where the byte `offset` of the text that a string's inside stands for is written in it.
fn written_offset(inside: &str, offset: usize) -> usize {
    if !inside.contains('\\') {
        return offset.min(inside.len());
    }
    let (mut decoded, mut found) = (0, inside.len());
    pieces(inside, |written, piece| {
        if (decoded..decoded + piece.len()).contains(&offset) {
            let plain = written.len() == piece.len();
            found = written.start + if plain { offset - decoded } else { 0 };
        }
        decoded += piece.len();
    });
    found
}

/// Calls `piece` with each run of plain text and each escape of a checked string's inside: where it is
/// written, and what it stands for.
fn pieces(inner: &str, mut piece: impl FnMut(std::ops::Range<usize>, &str)) {
    let mut at = 0;
    while at < inner.len() {
        let plain = inner[at..].find('\\').unwrap_or(inner.len() - at);
        if plain > 0 {
            piece(at..at + plain, &inner[at..at + plain]);
            at += plain;
            continue;
        }
        let mut bytes = [0; 4];
        let escape = inner.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let (character, length) = match escape {
            b'n' => ('\n', 2),
            b't' => ('\t', 2),
            b'r' => ('\r', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'u' => unicode_escape(&inner[at..]).unwrap_or(('\u{fffd}', 6)),
            other => (char::from(other), 2),
        };
        let length = length.min(inner.len() - at);
        piece(at..at + length, character.encode_utf8(&mut bytes));
        at += length;
    }
}

/// Whether a text is a number as RFC 8259 writes it.
pub(super) fn is_number(text: &str) -> bool {
    text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        && Document::parse(text).is_ok_and(|d| d.root().raw().len() == text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_string_is_found_among_its_escapes() {
        let text = r#"["a\n\u00e9b\ud83d\ude80c"]"#;
        let document = Document::parse(text).expect("JSON");
        let string = document.root().elements().next().expect("an element");
        assert_eq!(string.text(), "a\néb🚀c");
        let check = |part: &str, expect: &str| {
            let at = string.text().find(part).expect(part);
            let span = span_within(text, string.span(), at..at + part.len());
            assert_eq!(&text[span.range()], expect, "{part:?}");
        };
        check("a", "a");
        check("\n", r"\n");
        check("é", r"\u00e9");
        check("éb", r"\u00e9b");
        check("🚀", r"\ud83d\ude80");
        check("🚀c", r"\ud83d\ude80c");
        check("c", "c");
    }

    #[test]
    fn every_duplicate_is_listed() {
        let text = r#"{"a":1,"b":{"c":1,"c":2},"a":3,"a":4}"#;
        let document = Document::parse(text).expect("JSON");
        let found: Vec<String> = document
            .duplicates()
            .map(|(first, again)| {
                format!(
                    "{}@{}<{}",
                    again.text(),
                    first.span().start(),
                    again.span().start()
                )
            })
            .collect();
        assert_eq!(found, ["c@12<18", "a@1<25", "a@1<31"]);
    }
}
