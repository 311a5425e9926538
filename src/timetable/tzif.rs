//! Local time in the file format of the tz database.
//!
//! Source: RFC 8536, versions 1 to 4. From version 2 on the second, 64-bit block and the footer count; "slim" files hold
//! everything after 2007 or so in the footer alone. Leap-second files (`right/…`) are refused: a [`super::Timestamp`] counts
//! no leap seconds. Nothing that a file says is believed before it is checked: no byte sequence panics, and memory stays
//! within a small multiple of the bytes given.

use super::posix::PosixRules;
use super::zone::{LocalTime, OFFSETS_S, ZoneError};

/// What a file holds. Transitions ascend strictly, and name existing local times; there is at least one local time.
#[derive(Debug)]
pub(super) struct Tzif {
    pub(super) local_times: Vec<LocalTime>,
    /// From this second on, this local time. Before the first: the local time 0.
    pub(super) transitions: Vec<(i64, u8)>,
    /// After the last transition.
    pub(super) footer: Option<PosixRules>,
}

/// More than any zone has (about 250), and few enough to walk through.
const TRANSITIONS_MAX: usize = 4_000;

/// The range that RFC 8536 recommends for times; what is outside would overflow sums.
const TIMES: std::ops::RangeInclusive<i64> = -(1 << 59)..=1 << 59;

impl Tzif {
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Self, ZoneError> {
        let mut reader = Reader { name, bytes, at: 0 };
        let header = reader.header()?;
        if header.version < b'2' {
            return reader.block(&header, 4, false);
        }
        reader.take(header.block_len(4))?;
        let header = reader.header()?;
        reader.block(&header, 8, true)
    }
}

/// The numbers of things in a block, in the file's order.
struct Header {
    version: u8,
    ut_indicators: u32,
    standard_indicators: u32,
    leap_seconds: u32,
    transitions: u32,
    local_times: u32,
    abbreviation_bytes: u32,
}

impl Header {
    fn block_len(&self, time_len: u64) -> u64 {
        u64::from(self.transitions) * (time_len + 1)
            + u64::from(self.local_times) * 6
            + u64::from(self.abbreviation_bytes)
            + u64::from(self.leap_seconds) * (time_len + 4)
            + u64::from(self.standard_indicators)
            + u64::from(self.ut_indicators)
    }
}

struct Reader<'a> {
    name: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail(&self, label: &str) -> ZoneError {
        ZoneError {
            message: format!(
                "the zone file of `{}` cannot be used",
                super::duration::excerpt(self.name)
            ),
            span: self.at..self.at,
            label: label.to_owned(),
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ZoneError> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.bytes[self.at..].get(..length))
            .ok_or_else(|| self.fail("it is cut short"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn header(&mut self) -> Result<Header, ZoneError> {
        if !self.bytes[self.at..].starts_with(b"TZif") {
            return Err(self.fail("it does not begin with `TZif`"));
        }
        let version = self.take(20)?[4];
        let mut count = || -> Result<u32, ZoneError> {
            let bytes = self.take(4)?;
            Ok(bytes
                .iter()
                .fold(0, |count, byte| count << 8 | u32::from(*byte)))
        };
        Ok(Header {
            version,
            ut_indicators: count()?,
            standard_indicators: count()?,
            leap_seconds: count()?,
            transitions: count()?,
            local_times: count()?,
            abbreviation_bytes: count()?,
        })
    }

    fn block(
        &mut self,
        header: &Header,
        time_len: usize,
        has_footer: bool,
    ) -> Result<Tzif, ZoneError> {
        if header.leap_seconds > 0 {
            return Err(self.fail("it counts leap seconds; use the zone without `right/`"));
        }
        if header.transitions as usize > TRANSITIONS_MAX {
            return Err(self.fail("it has more than 4000 transitions"));
        }
        let times = self.take(u64::from(header.transitions) * time_len as u64)?;
        let indices = self.take(header.transitions.into())?;
        let local_times = self.take(u64::from(header.local_times) * 6)?;
        let abbreviations = self.take(header.abbreviation_bytes.into())?;
        self.take(u64::from(header.standard_indicators) + u64::from(header.ut_indicators))?;

        let local_times = local_times
            .chunks_exact(6)
            .map(|record| self.local_time(record, abbreviations))
            .collect::<Result<Vec<_>, _>>()?;
        if local_times.is_empty() {
            return Err(self.fail("it has no local time"));
        }
        let mut transitions: Vec<(i64, u8)> = Vec::with_capacity(indices.len());
        for (time, &index) in times.chunks_exact(time_len).zip(indices) {
            let time = signed(time);
            if !TIMES.contains(&time) || transitions.last().is_some_and(|last| last.0 >= time) {
                return Err(self.fail("its transitions do not ascend"));
            }
            if usize::from(index) >= local_times.len() {
                return Err(self.fail("a transition leads to a local time that it does not have"));
            }
            transitions.push((time, index));
        }
        Ok(Tzif {
            local_times,
            transitions,
            footer: if has_footer { self.footer()? } else { None },
        })
    }

    fn local_time(&self, record: &[u8], abbreviations: &[u8]) -> Result<LocalTime, ZoneError> {
        let offset_s = signed(&record[..4]);
        let abbreviation = abbreviations
            .get(usize::from(record[5])..)
            .and_then(|rest| rest.split(|byte| *byte == 0).next())
            .and_then(|name| std::str::from_utf8(name).ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| self.fail("a local time has no readable abbreviation"))?;
        i32::try_from(offset_s)
            .ok()
            .filter(|offset_s| OFFSETS_S.contains(offset_s))
            .map(|offset_s| LocalTime {
                offset_s,
                abbreviation: abbreviation.into(),
            })
            .ok_or_else(|| self.fail("a local time is more than a day from UTC"))
    }

    /// A line of its own; an empty one says nothing about the time after the last transition.
    fn footer(&mut self) -> Result<Option<PosixRules>, ZoneError> {
        let line = self.bytes[self.at..]
            .strip_prefix(b"\n")
            .and_then(|rest| rest.split_last_chunk::<1>())
            .filter(|(_, end)| *end == b"\n")
            .and_then(|(line, _)| std::str::from_utf8(line).ok())
            .ok_or_else(|| self.fail("its last line is missing"))?;
        if line.is_empty() {
            return Ok(None);
        }
        PosixRules::parse(line)
            .map(Some)
            .map_err(|error| self.fail(&format!("its last line: {error}")))
    }
}

/// A big-endian number of up to eight bytes.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes
        .iter()
        .fold(if negative { -1 } else { 0 }, |number, byte| {
            number << 8 | i64::from(*byte)
        })
}
