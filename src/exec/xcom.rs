//! What a task leaves for others: the last line that it printed, or what its function returned.
//!
//! A line is text, without the white space at its end; a byte that is not UTF-8, and NUL, stand in it as
//! `\xff`, as in Airflow. What a function returned is a JSON value, which the worker prints last, marked by
//! [`RETURNED`].

use super::output::{LINE_BYTES_MAX, LastLine};
use crate::dag::Value;

/// How the worker begins the line that tells what a function returned.
pub(super) const RETURNED: &str = "returned ";

/// What is left. None if there is nothing; an error says why it is not.
pub fn xcom(line: &LastLine, is_call: bool) -> Result<Option<Value>, String> {
    let too_long =
        || format!("its last line is longer than {LINE_BYTES_MAX} bytes: no XCom is kept");
    if line.is_cut {
        return Err(too_long());
    }
    let text = text(&line.bytes);
    let returned = text.strip_prefix(RETURNED).filter(|_| is_call);
    if let Some(value) = returned.and_then(|value| Value::parse(value).ok()) {
        return Ok(Some(value));
    }
    let text = text.trim_end();
    if text.len() > LINE_BYTES_MAX {
        return Err(too_long());
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

fn text(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\0', "\\x00"));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes: &[u8], is_call: bool) -> Option<Value> {
        let line = LastLine::of(bytes);
        xcom(&line, is_call).unwrap()
    }

    #[test]
    fn a_line_is_its_text_without_the_blanks_at_its_end() {
        for (bytes, text) in [
            (&b"two words \t\r"[..], "two words"),
            (b"  42", "  42"),
            (b"{\"a\": 1}", "{\"a\": 1}"),
            ("\u{1b}[1m한글\u{202e}".as_bytes(), "\u{1b}[1m한글\u{202e}"),
            (b"caf\xe9 \xff\x00!", "caf\\xe9 \\xff\\x00!"),
            (b"returned 5", "returned 5"),
        ] {
            assert_eq!(left(bytes, false), Some(text.into()));
        }
        assert_eq!(left(b"", false), None);
        assert_eq!(left(b" \t", false), None);
    }

    #[test]
    fn what_a_function_returned_keeps_its_type() {
        assert_eq!(left(b"returned 5", true), Some(5.into()));
        assert_eq!(left(b"returned \"5\"", true), Some("5".into()));
        assert_eq!(left(b"returned \"a\\u0000b\"", true), Some("a\0b".into()));
        assert_eq!(
            left(b"returned to sender", true),
            Some("returned to sender".into())
        );
        assert_eq!(left(b"5", true), Some("5".into()));
    }

    #[test]
    fn what_is_too_long_is_told_and_not_cut() {
        let longest = vec![b'x'; LINE_BYTES_MAX];
        assert!(left(&longest, false).is_some());
        let mut line = LastLine::of(&longest);
        line.is_cut = true;
        assert!(xcom(&line, false).is_err());
        // Four letters for each byte.
        assert!(xcom(&LastLine::of(&vec![0xff; LINE_BYTES_MAX / 2]), false).is_err());
    }
}
