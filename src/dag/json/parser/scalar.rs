//! Texts and numbers: what may stand in them, and where each ends.

use super::{Kind, Parser, SyntaxError};

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

impl Parser<'_> {
    pub(super) fn string(&mut self) -> Result<(), SyntaxError> {
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

    pub(super) fn number(&mut self) -> Result<(), SyntaxError> {
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
}

/// The character that `\uXXXX`, or a pair of them, at the beginning of `text` stands for, and how many
/// bytes they take. None for a lone surrogate or anything but four hexadecimal digits.
pub(in super::super) fn unicode_escape(text: &str) -> Option<(char, usize)> {
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
