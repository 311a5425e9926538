//! From text to the flat tree of a [`Document`], one character after the other, and every way to be no JSON.

use std::borrow::Cow;

use super::{DEPTH_MAX, Document, Kind, Node, SyntaxError, line_and_column, unescape};
use crate::dag::diagnostic::Span;

/// So many keys are compared each with each; more are sorted.
const FEW_KEYS: usize = 16;

/// Whether a byte in a string stands for itself, and for nothing else.
static IS_PLAIN: [bool; 256] = {
    let mut is_plain = [true; 256];
    let mut control = 0;
    while control < 0x20 {
        is_plain[control] = false;
        control += 1;
    }
    is_plain[b'"' as usize] = false;
    is_plain[b'\\' as usize] = false;
    is_plain
};

/// Keeps its place in an array of fixed size: nothing recurses along the text.
pub(super) struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    document: Document<'t>,
    /// The indices of the arrays and objects that are open, `depth` of them.
    open: [usize; DEPTH_MAX],
    depth: usize,
    /// Scratch space for looking for repeated keys: what they say, and which.
    keys: Vec<(Cow<'t, str>, usize)>,
}

impl<'t> Parser<'t> {
    /// `text` is at most 4 GiB long.
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            document: Document {
                text,
                // A line of a journal has some 12 bytes a node.
                nodes: Vec::with_capacity(text.len() / 12),
                duplicates: Vec::new(),
            },
            open: [0; DEPTH_MAX],
            depth: 0,
            keys: Vec::new(),
        }
    }

    pub(super) fn parse(mut self) -> Result<Document<'t>, SyntaxError> {
        self.run()?;
        Ok(self.document)
    }

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
        self.document.nodes.push(Node {
            start: offset(start),
            end: offset(self.at),
            after: offset(after),
            kind,
            is_escaped: false,
        });
    }

    fn find_duplicates(&mut self, object: usize) {
        let document = &self.document;
        self.keys.clear();
        for (key, _) in document.item(object).members() {
            let inner = &self.text[key.span().start() + 1..key.span().end() - 1];
            let is_escaped = document.nodes[key.index].is_escaped;
            let text = if is_escaped {
                unescape(inner).into()
            } else {
                inner.into()
            };
            self.keys.push((text, key.index));
        }
        let duplicates = &mut self.document.duplicates;
        if self.keys.len() <= FEW_KEYS {
            for (at, (text, index)) in self.keys.iter().enumerate() {
                let first = self.keys[..at].iter().find(|(before, _)| before == text);
                duplicates.extend(first.map(|(_, first)| (*first, *index)));
            }
            return;
        }
        self.keys.sort_unstable();
        for same in self.keys.chunk_by(|a, b| a.0 == b.0) {
            duplicates.extend(same[1..].iter().map(|again| (same[0].1, again.1)));
        }
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
        let mut is_escaped = false;
        self.at += 1;
        loop {
            while self.peek().is_some_and(|byte| IS_PLAIN[usize::from(byte)]) {
                self.at += 1;
            }
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => {
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
                None => {
                    let end = self.bytes.len();
                    return Err(self.error(start..end, "a string that does not end", "not closed"));
                }
            }
        }
        self.at += 1;
        self.push(Kind::String, start);
        if let Some(node) = self.document.nodes.last_mut() {
            node.is_escaped = is_escaped;
        }
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

/// The character that `\uXXXX`, or a pair of them, at the beginning of `text` stands for, and how many
/// bytes they take. None for a lone surrogate or anything but four hexadecimal digits.
pub(super) fn unicode_escape(text: &str) -> Option<(char, usize)> {
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

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("parse refuses texts that u32 cannot count")
}

#[cfg(test)]
mod tests {
    use crate::dag::json::parse;

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
}
