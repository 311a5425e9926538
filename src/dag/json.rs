//! JSON text, strictly as RFC 8259 has it, into a flat tree that remembers where everything stood.
//!
//! After [`Document::parse`] returns Ok, the text is valid JSON nested at most [`DEPTH_MAX`] deep. Keys
//! that an object repeats are listed in [`Document::duplicates`], because whoever reads a file by hand
//! wants to hear of all of them; [`parse`] refuses them. Nothing recurses along the input: the parser
//! keeps its place in an array of fixed size, and the tree is one vector in document order.

use std::borrow::Cow;
use std::fmt;

use super::Value;
use super::diagnostic::Span;

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
    nodes: Vec<Item0>,
    duplicates: Vec<(usize, usize)>,
}

/// One value or key. What an array or object holds follows it directly, up to `after`.
#[derive(Clone, Copy, Debug)]
struct Item0 {
    start: u32,
    end: u32,
    after: u32,
    kind: Kind,
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
        let mut parser = Parser {
            text,
            bytes: text.as_bytes(),
            at: 0,
            document: Document {
                text,
                nodes: Vec::new(),
                duplicates: Vec::new(),
            },
            open: [0; DEPTH_MAX],
            depth: 0,
            keys: Vec::new(),
        };
        parser.run()?;
        Ok(parser.document)
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
    fn node(self) -> Item0 {
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
                unescape(&raw[1..raw.len() - 1])
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
            Kind::Object => Value::Object(
                self.members()
                    .map(|(key, value)| (key.text().into_owned(), value.to_value()))
                    .collect(),
            ),
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
fn unescape(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    pieces(inner, |_, piece| text.push_str(piece));
    Cow::Owned(text)
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

/// The character that `\uXXXX`, or a pair of them, at the beginning of `text` stands for, and how many
/// bytes they take. None for a lone surrogate or anything but four hexadecimal digits.
fn unicode_escape(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let escape = text.as_bytes().get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |value, &digit| {
            Some(value * 16 + char::from(digit).to_digit(16)?)
        })
    };
    let first = unit(0)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 6));
    }
    let second = unit(6)?;
    if (0xD800..0xDC00).contains(&first) && (0xDC00..0xE000).contains(&second) {
        let pair = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return Some((char::from_u32(pair)?, 12));
    }
    None
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    document: Document<'t>,
    /// The indices of the arrays and objects that are open, `depth` of them.
    open: [usize; DEPTH_MAX],
    depth: usize,
    /// Scratch space for looking for repeated keys.
    keys: Vec<usize>,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), SyntaxError> {
        if self.text.starts_with('\u{feff}') {
            return Err(self
                .error(0..3, "the text begins with a byte order mark", "not JSON")
                .help("save it as UTF-8 without BOM"));
        }
        loop {
            self.space();
            if self.value()? {
                continue;
            }
            // A value has ended; so may have what holds it.
            loop {
                self.space();
                if self.depth == 0 {
                    return self.end();
                }
                let holder = self.document.nodes[self.open[self.depth - 1]];
                let in_object = holder.kind == Kind::Object;
                match (self.peek(), in_object) {
                    (Some(b','), _) => {
                        let comma = self.at;
                        self.at += 1;
                        self.space();
                        if matches!(self.peek(), Some(b']' | b'}')) {
                            return Err(self
                                .error(comma..comma + 1, "a comma before a closing bracket", "")
                                .help("remove this comma: JSON has none after the last element"));
                        }
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => self.close(),
                    (_, true) => return Err(self.unexpected("expected `,` or `}`")),
                    (_, false) => return Err(self.unexpected("expected `,` or `]`")),
                }
            }
        }
    }

    /// Reads a scalar, an empty container, or the opening of one that is not empty: then true, and its
    /// first value comes next.
    fn value(&mut self) -> Result<bool, SyntaxError> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => {
                self.open(Kind::Object)?;
                if self.peek() == Some(b'}') {
                    self.close();
                    return Ok(false);
                }
                self.key()?;
                return Ok(true);
            }
            Some(b'[') => {
                self.open(Kind::Array)?;
                if self.peek() == Some(b']') {
                    self.close();
                    return Ok(false);
                }
                return Ok(true);
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.push(Kind::Number, start);
            }
            Some(_) => {
                let kind = match self.word() {
                    "null" => Kind::Null,
                    "true" => Kind::True,
                    "false" => Kind::False,
                    _ => return Err(self.unexpected("expected a value")),
                };
                self.at += self.word().len();
                self.push(kind, start);
            }
            None => return Err(self.unexpected("expected a value")),
        }
        Ok(false)
    }

    fn open(&mut self, kind: Kind) -> Result<(), SyntaxError> {
        let start = self.at;
        if self.depth == DEPTH_MAX {
            return Err(self.error(
                start..start + 1,
                "nested more than 64 deep",
                "the 65th bracket that is open",
            ));
        }
        self.at += 1;
        self.push(kind, start);
        self.open[self.depth] = self.document.nodes.len() - 1;
        self.depth += 1;
        self.space();
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
        let index = self.open[self.depth];
        let after = self.document.nodes.len();
        let node = &mut self.document.nodes[index];
        (node.end, node.after) = (offset(self.at), offset(after));
        if node.kind == Kind::Object {
            self.find_duplicates(index);
        }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let after = self.document.nodes.len() + 1;
        self.document.nodes.push(Item0 {
            start: offset(start),
            end: offset(self.at),
            after: offset(after),
            kind,
        });
    }

    fn find_duplicates(&mut self, object: usize) {
        let document = &self.document;
        self.keys.clear();
        self.keys
            .extend(document.item(object).members().map(|(key, _)| key.index));
        let text = |index: usize| document.item(index).text();
        // Stable, so that equal keys stay in file order.
        self.keys.sort_by(|&a, &b| text(a).cmp(&text(b)));
        let mut found = Vec::new();
        for same in self.keys.chunk_by(|&a, &b| text(a) == text(b)) {
            found.extend(same[1..].iter().map(|&again| (same[0], again)));
        }
        self.document.duplicates.append(&mut found);
    }

    fn key(&mut self) -> Result<(), SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("expected a key"));
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("expected `:`"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => {
                    let at = self.at;
                    let raw_end = self.bytes[at] == b'\n' || self.bytes[at] == b'\r';
                    return Err(if raw_end {
                        self.error(
                            start..at,
                            "a string that does not end",
                            "not closed on its line",
                        )
                        .help("a string ends with `\"`; a line break in it is written `\\n`")
                    } else {
                        self.error(at..at + 1, "a control character in a string", "")
                            .help("write it as an escape: `\\t`, `\\u0000`")
                    });
                }
                Some(_) => self.at += 1,
                None => {
                    let end = self.bytes.len();
                    return Err(self.error(start..end, "a string that does not end", "not closed"));
                }
            }
        }
        self.at += 1;
        self.push(Kind::String, start);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        let at = self.at;
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let Some((_, length)) = unicode_escape(&self.text[at..]) else {
                    let end = self.text[at..].char_indices().nth(6);
                    let end = end.map_or(self.text.len(), |(length, _)| at + length);
                    let digits = self.bytes.get(at + 2..at + 6);
                    let hexadecimal = digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
                    return Err(if hexadecimal {
                        self.error(
                            at..end,
                            "half of a surrogate pair",
                            "its other half is missing",
                        )
                        .help("write the character itself")
                    } else {
                        self.error(
                            at..at + 2,
                            "a bad escape",
                            "four hexadecimal digits follow `\\u`",
                        )
                    });
                };
                self.at += length;
            }
            _ => {
                let length = self.text[at + 1..].chars().next().map_or(0, char::len_utf8);
                return Err(self
                    .error(
                        at..at + 1 + length,
                        "a bad escape",
                        "JSON has no such escape",
                    )
                    .help("a backslash itself is written `\\\\`"));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if zero && digits > 1 {
            return Err(self.error(start..self.at, "a number that begins with 0", ""));
        }
        let mut complete = digits > 0;
        if complete && self.peek() == Some(b'.') {
            self.at += 1;
            complete = self.digits() > 0;
        }
        if complete && matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            complete = self.digits() > 0;
        }
        if complete {
            Ok(())
        } else if self.peek().is_none() {
            Err(self.unexpected("expected a digit"))
        } else {
            Err(self.error(start..self.at, "an incomplete number", "a digit is missing"))
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn end(&self) -> Result<(), SyntaxError> {
        if self.at < self.bytes.len() {
            return Err(self.unexpected("expected the end of the text"));
        }
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The letters, digits and signs that stand here, as many as a wrong word may reasonably have.
    fn word(&self) -> &str {
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

    fn error(&self, at: std::ops::Range<usize>, message: &str, label: &'static str) -> SyntaxError {
        let span = Span::new(at.start, at.end);
        SyntaxError::new(self.text, span, message.to_owned(), label)
    }

    /// The error for what stands here, where something else should.
    fn unexpected(&self, expected: &'static str) -> SyntaxError {
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

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("parse refuses texts that u32 cannot count")
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
    fn what_rfc_8259_allows_is_read() {
        for text in [
            "null",
            " \t\r\ntrue ",
            "-0",
            "0",
            "10.50",
            "1E+2",
            "-0.0e-0",
            "\"\"",
            "[]",
            "[ ]",
            "{}",
            "{ }",
            "[[],{},[{}]]",
            "{\"\":{\"\":null}}",
            "\"\\u0000\\uD83D\\uDE80\"",
            "\"\u{7f}\u{2028}\u{fffe}\"",
            "[1,\n2]",
        ] {
            assert!(parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn what_rfc_8259_does_not_allow_is_refused_where_it_stands() {
        for (text, at, message) in [
            ("", 1, "the text ends too early"),
            ("[1,]", 3, "a comma before a closing bracket"),
            ("{\"a\":1,}", 7, "a comma before a closing bracket"),
            ("[1 2]", 4, "unexpected `2`"),
            ("[1]]", 4, "unexpected `]`"),
            ("[1}", 3, "unexpected `}`"),
            ("{\"a\" 1}", 6, "unexpected `1`"),
            ("{a:1}", 2, "unexpected `a`"),
            ("{\"a\":}", 6, "unexpected `}`"),
            ("{\"a\"}", 5, "unexpected `}`"),
            ("[,1]", 2, "unexpected `,`"),
            ("+1", 1, "unexpected `+1`"),
            (".5", 1, "unexpected `.5`"),
            ("1.", 3, "the text ends too early"),
            ("[1.]", 2, "an incomplete number"),
            ("[-]", 2, "an incomplete number"),
            ("[1e]", 2, "an incomplete number"),
            ("007", 1, "a number that begins with 0"),
            ("0x10", 2, "unexpected `x10`"),
            ("1\0", 2, "unexpected `\0`"),
            ("NaN", 1, "unexpected `NaN`"),
            ("nul", 1, "unexpected `nul`"),
            ("nullx", 1, "unexpected `nullx`"),
            ("'a'", 1, "unexpected `'`"),
            ("/* */1", 1, "unexpected `/`"),
            ("\"a", 1, "a string that does not end"),
            ("\"a\n\"", 1, "a string that does not end"),
            ("\"\t\"", 2, "a control character in a string"),
            ("\"\\q\"", 2, "a bad escape"),
            ("\"\\u12G4\"", 2, "a bad escape"),
            ("\"\\", 2, "a bad escape"),
            ("\"\\ud83d\"", 2, "half of a surrogate pair"),
            ("\"\\ud83d\\ud83d\"", 2, "half of a surrogate pair"),
            ("\"\\ude80\"", 2, "half of a surrogate pair"),
            ("{\"a\":1,\"\\u0061\":2}", 8, "duplicate key `a`"),
            ("\u{feff}1", 1, "the text begins with a byte order mark"),
            ("1\u{a0}", 2, "unexpected `\u{a0}`"),
            ("{\"a\":1", 7, "the text ends too early"),
            ("[1,", 4, "the text ends too early"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(
                (error.column, error.message.as_str()),
                (at, message),
                "{text:?}"
            );
        }
    }

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
