//! Lines back into records: frame and checksum first, then JSON, then meaning.
//!
//! Never panics, hangs or recurses, whatever the bytes: nanoserde, which does on malformed text, sees
//! only text that `dag::json` has accepted. It reads the first line of a segment; records, of which a
//! start may have a hundred thousand, are read from the checked tree, by the types of their fields.

#![expect(clippy::question_mark, reason = "what nanoserde derives")]

mod record;

use nanoserde::DeJson;

use self::record::Fields;
use super::Crc;
use super::crc::crc32c_hex;
use super::encode::{Header, UNSYNCED};
use super::fields::Read;
use crate::dag::json::Document;
use crate::scheduler::Record;
use crate::timetable::Timestamp;

/// Beyond this a number of a line is not believed.
const NUMBER_MAX: u64 = 1 << 53;

/// A line whose frame and checksum are right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked<'l> {
    pub seq: u64,
    pub crc: Crc,
    pub text: &'l str,
}

/// What a line says.
#[derive(Debug)]
pub(super) enum Entry {
    Header(Header),
    Record(Record),
    /// Lines up to this number were lost and given up.
    Repaired(u64),
}

/// Why a line is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not the frame of a line.
    Frame,
    /// The checksum says that it has changed.
    Crc,
    /// The checksum is right, but it is not a record, and why.
    Content(String),
    /// Written by a newer program.
    Version(u64),
}

/// Checks a line, without its newline.
pub(super) fn check(line: &[u8]) -> Result<Checked<'_>, Flaw> {
    let (before, crc) = (|| {
        let rest = line.strip_suffix(b"\"}")?;
        let (rest, crc) = rest.split_last_chunk::<8>()?;
        Some((rest.strip_suffix(b",\"crc\":\"")?, *crc))
    })()
    .ok_or(Flaw::Frame)?;
    if crc32c_hex(before) != crc {
        return Err(Flaw::Crc);
    }
    let text = std::str::from_utf8(line).map_err(|_| Flaw::Frame)?;
    let seq = text.strip_prefix("{\"seq\":").and_then(|rest| {
        let (digits, _) = rest.split_once(',')?;
        digits.parse().ok()
    });
    let seq = seq.filter(|seq| *seq < NUMBER_MAX).ok_or(Flaw::Frame)?;
    Ok(Checked { seq, crc, text })
}

/// Whether a line, with its newline, says that the clock was not synchronised. A string cannot end so.
pub(super) fn is_unsynced(raw: &[u8]) -> bool {
    let frame = ",\"crc\":\"00000000\"}\n".len();
    let body = raw.split_at_checked(raw.len().saturating_sub(frame));
    body.is_some_and(|(body, _)| body.ends_with(UNSYNCED.as_bytes()))
}

/// Reads what a checked line says.
pub(super) fn decode(line: Checked) -> Result<Entry, Flaw> {
    let content = |why: &str| Flaw::Content(why.to_owned());
    let document =
        Document::parse(line.text).map_err(|error| Flaw::Content(error.message.clone()))?;
    if document.duplicates().next().is_some() {
        return Err(content("a key stands there twice"));
    }
    let mut members = document.root().members();
    let event = members.find(|(key, _)| key.text() == "ev");
    // Before anything else is believed: another version may write it otherwise.
    if event.is_some_and(|(_, event)| event.text() == "segment") {
        let fields = SegmentFields::deserialize_json(line.text);
        let fields = fields.map_err(|_| content("wrong fields"))?;
        if fields.version != Some(super::VERSION) {
            return Err(Flaw::Version(fields.version.unwrap_or(0)));
        }
        let header = fields.header(line.seq).ok_or(content("wrong fields"))?;
        return Ok(Entry::Header(header));
    }
    let fields = Fields::read(document.root()).ok_or_else(|| content("wrong fields"))?;
    fields
        .entry()
        .ok_or_else(|| content("not a record that this version knows"))
}

/// The fields of a segment's first line.
#[derive(DeJson)]
struct SegmentFields {
    at: String,
    runs_created: Option<u64>,
    version: Option<u64>,
    number: Option<u64>,
    boot: Option<String>,
    prev: Option<String>,
    snapshot: Option<u64>,
    synced_at: Option<String>,
    held: Option<bool>,
}

impl SegmentFields {
    fn header(self, seq: u64) -> Option<Header> {
        let prev = match self.prev {
            Some(text) => Some(text.as_bytes().try_into().ok()?),
            None => None,
        };
        let moment = self.synced_at.as_deref().map(Timestamp::parse);
        Some(Header {
            seq,
            at: Timestamp::parse(&self.at).ok()?,
            number: bounded(self.number)?,
            boot_id: self.boot.unwrap_or_default(),
            prev,
            snapshot: self.snapshot,
            runs_created: bounded(self.runs_created)?,
            synced_at: moment.transpose().ok()?,
            held: self.held.unwrap_or(false),
        })
    }
}

/// The number, 0 if there is none, `None` if it cannot be true.
fn bounded(number: Option<u64>) -> Option<u64> {
    Some(number.unwrap_or(0)).filter(|number| *number < NUMBER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::encode::seal;

    #[test]
    fn a_line_with_any_bit_flipped_is_refused() {
        let bodies = [
            r#""at":"2026-11-22T08:01:28.160Z","ev":"start","run":"sensor_log/17","task":"read""#,
            r#""at":"2026-11-22T08:01:28.160Z","ev":"paused","dag":"ABCDEFabcdef""#,
        ];
        for seq in 0..50 {
            for body in bodies {
                let mut line = String::new();
                seal(&mut line, seq, body);
                let mut bytes = line.trim_end().as_bytes().to_vec();
                assert_eq!(check(&bytes).unwrap().seq, seq);
                for bit in 0..bytes.len() * 8 {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    assert!(check(&bytes).is_err(), "bit {bit} of {line}");
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            }
        }
    }
}
