//! Bytes as text: hexadecimal for files, base64 for HTTP.

use std::fmt::Write as _;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let pairs = digits?;
    let (pairs, rest) = pairs.as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| u8::try_from(high * 16 + low).ok());
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}

/// Base64 for URLs, without padding, as tokens have it (RFC 7515).
pub(super) fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for sextet in 0..=chunk.len() {
            let value = word >> (18 - 6 * sextet) & 63;
            text.push(match STANDARD[value as usize] {
                b'+' => '-',
                b'/' => '_',
                letter => char::from(letter),
            });
        }
    }
    text
}

/// Of either alphabet, with or without padding.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'-' => 62,
            b'_' => 63,
            letter => STANDARD.iter().position(|known| *known == letter)?,
        };
        word = word << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 0xff).ok()?);
        }
    }
    // What is left over is nothing: of each sequence of bytes there is one text.
    (bits < 6 && word & ((1 << bits) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_their_text() {
        for length in 0..20 {
            let bytes: Vec<u8> = (0..length).map(|n: u8| n.wrapping_mul(37) ^ 0xfb).collect();
            assert_eq!(from_hex(&hex(&bytes)).unwrap(), bytes);
            assert_eq!(from_base64(&base64url(&bytes)).unwrap(), bytes);
        }
        assert_eq!(base64url(b"f\xff\xfe"), "Zv_-");
        assert_eq!(from_base64("YTpi").unwrap(), b"a:b");
        assert_eq!(from_base64("YTo=").unwrap(), b"a:");
    }

    #[test]
    fn what_is_no_such_text_gives_nothing() {
        for text in ["a", "a b=", "YTo*", "YR", "가"] {
            assert_eq!(from_base64(text), None, "{text}");
        }
        for text in ["a", "0g", "+1"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }
}
