//! From text to the flat tree of a [`Document`], one character after the other, and every way to be no JSON.

mod scalar;
mod wrong;

use std::borrow::Cow;

pub(super) use self::scalar::unicode_escape;
use super::{DEPTH_MAX, Document, Kind, Node, SyntaxError, unescape};

/// So many keys are compared each with each; more are sorted.
const FEW_KEYS: usize = 16;

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
            keys: Vec::with_capacity(FEW_KEYS),
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
