//! Walking along the lines of segments, and telling a torn tail from a damaged middle.
//!
//! [`walk`] hands every line that counts to a visitor, in order and once. Files are streamed: memory is
//! that of the longest line.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use super::Crc;
use super::decode::{Checked, Entry, Flaw, check, decode};
use super::disk::Disk;
use super::encode::Header;

/// A longer line is not one of ours.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Places of damage that are told one by one.
const DAMAGE_MAX: usize = 1_000;

/// Why a journal cannot be opened at all. Nothing was touched.
#[derive(Debug)]
pub enum OpenError {
    /// A segment of a version that this program does not know.
    Version {
        /// Its file.
        file: String,
        /// Its version.
        version: u64,
    },
    /// The disk refuses.
    Disk(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { file, version } => write!(
                f,
                "{file} is of format version {version}; this program knows version {}",
                super::VERSION
            ),
            Self::Disk(error) => write!(f, "the journal: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A place where lines were lost, with valid lines after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The number of the segment.
    pub segment: u64,
    /// Where in it, in bytes.
    pub byte: u64,
    /// How many bytes there are no lines.
    pub bytes: u64,
    /// How many lines are missing, by their numbers. 0 where something is there that should not be.
    pub lines: u64,
    /// What is wrong there.
    pub what: String,
}

/// The end of a segment that was being written when everything ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The number of the segment.
    pub segment: u64,
    /// Where in it, in bytes.
    pub byte: u64,
    /// How much.
    pub bytes: u64,
}

/// What was found in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that count.
    pub lines: u64,
    /// Bytes of lines whose place newer lines have taken, after an I/O error or a rotation.
    pub superseded_bytes: u64,
    /// Places of damage, the first 1,000.
    pub damage: Vec<Damage>,
    /// All of them.
    pub damage_count: u64,
    /// Torn tails.
    pub torn: Vec<TornTail>,
    /// Damage was found, now or before, and has not been repaired: any DAG may be affected.
    pub held: bool,
    /// Records of DAGs that have changed since and have no place any more, and of damaged runs: the
    /// first 1,000, as DAG and reason.
    pub refused: Vec<(String, String)>,
}

impl Report {
    pub(super) fn add_damage(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damage.len() < DAMAGE_MAX {
            self.damage.push(damage);
        }
    }
}

/// A segment's file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub number: u64,
    pub file: String,
    pub bytes: u64,
    /// Its first line; `None` if that is not one.
    pub header: Option<Header>,
    /// The disk did not give it.
    pub is_unreadable: bool,
}

/// The segments, oldest first. Refuses those of another version.
pub(super) fn list(disk: &dyn Disk) -> Result<Vec<Segment>, OpenError> {
    let mut segments = Vec::new();
    for (file, bytes) in disk.list()? {
        let digits = file.strip_suffix(".jsonl").filter(|name| name.len() == 10);
        let Some(number) = digits.and_then(|digits| digits.parse().ok()) else {
            continue;
        };
        let line = first_line(disk, &file);
        let header = match line.as_deref().map(header_of) {
            Ok(Ok(header)) => header,
            Ok(Err(Flaw::Version(version))) => return Err(OpenError::Version { file, version }),
            Ok(Err(Flaw::Frame | Flaw::Crc | Flaw::Content(_))) | Err(_) => None,
        };
        segments.push(Segment {
            number,
            file,
            bytes,
            header,
            is_unreadable: line.is_err(),
        });
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

fn first_line(disk: &dyn Disk, file: &str) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut input = BufReader::with_capacity(4096, disk.read(file)?.take(4096));
    input.read_until(b'\n', &mut line)?;
    Ok(line)
}

fn header_of(line: &[u8]) -> Result<Option<Header>, Flaw> {
    let line = line.strip_suffix(b"\n").ok_or(Flaw::Frame)?;
    Ok(match decode(check(line)?)? {
        Entry::Header(header) => Some(header),
        Entry::Record(_) | Entry::Repaired(_) => None,
    })
}

/// The line number at which later segments take the place of what `segments[index]` has.
pub(super) fn limit(segments: &[Segment], index: usize) -> u64 {
    let later = segments.iter().skip(index + 1);
    let firsts = later.filter_map(|segment| Some(segment.header.as_ref()?.seq));
    firsts.min().unwrap_or(u64::MAX)
}

/// A stretch of a file: a line, or what stands where one should be.
pub(super) struct Stretch<'l> {
    pub byte: u64,
    /// With its newline.
    pub raw: &'l [u8],
    pub line: Result<Checked<'l>, &'static str>,
}

/// Hands every stretch of a file to `each`, in order.
pub(super) fn stretches(
    disk: &dyn Disk,
    file: &str,
    each: &mut dyn FnMut(Stretch<'_>) -> bool,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(64 << 10, disk.read(file)?);
    let mut raw = Vec::new();
    let mut byte = 0;
    loop {
        raw.clear();
        // A part of a longer line is a bad line of its own.
        let mut bounded = (&mut input).take(LINE_BYTES_MAX as u64);
        bounded.read_until(b'\n', &mut raw)?;
        if raw.is_empty() {
            return Ok(());
        }
        let length = raw.len() as u64;
        let Some(line) = raw.strip_suffix(b"\n") else {
            if !each(Stretch {
                byte,
                raw: &raw,
                line: Err("a line without its end"),
            }) {
                return Ok(());
            }
            byte += length;
            continue;
        };
        let go_on = match check(line) {
            Ok(checked) => each(Stretch {
                byte,
                raw: &raw,
                line: Ok(checked),
            }),
            Err(flaw) => bad_line(byte, &raw, &flaw, each),
        };
        if !go_on {
            return Ok(());
        }
        byte += length;
    }
}

/// A line that a torn one or NULs stand before, without a newline between, is still good.
fn bad_line(byte: u64, raw: &[u8], flaw: &Flaw, each: &mut dyn FnMut(Stretch<'_>) -> bool) -> bool {
    let what = match flaw {
        Flaw::Crc => "the checksum does not match",
        Flaw::Frame | Flaw::Content(_) | Flaw::Version(_) => "not a line of a journal",
    };
    let start = b"{\"seq\":";
    let glued = raw.windows(start.len()).rposition(|bytes| bytes == start);
    if let Some(at) = glued.filter(|at| *at > 0) {
        let (before, after) = raw.split_at(at);
        if let Ok(checked) = check(&after[..after.len() - 1]) {
            let bad = Stretch {
                byte,
                raw: before,
                line: Err(what),
            };
            let good = Stretch {
                byte: byte + at as u64,
                raw: after,
                line: Ok(checked),
            };
            return each(bad) && each(good);
        }
    }
    each(Stretch {
        byte,
        raw,
        line: Err(what),
    })
}

/// A line that counts.
pub(super) struct Line<'l> {
    pub segment: &'l Segment,
    /// With its newline.
    pub raw: &'l [u8],
    pub seq: u64,
    /// Lines before it that are lost.
    pub missing: u64,
    /// It repeats what earlier lines say: part of the snapshot of a segment that replay did not begin at.
    pub is_snapshot: bool,
    pub entry: Entry,
}

/// Where a walk ended.
#[derive(Debug)]
pub(super) struct Walked {
    pub report: Report,
    /// The number that the next line gets.
    pub next_seq: u64,
    /// The checksum of the last line.
    pub crc: Option<Crc>,
    /// The disk did not give all of it: a segment was deleted meanwhile, or an error came up.
    pub is_partial: bool,
}

/// What is wrong since the last good line.
#[derive(Default)]
struct Pending {
    stretches: Vec<TornTail>,
    what: String,
}

struct Walk<'v> {
    walked: Walked,
    expected: Option<u64>,
    /// The last line stands for lost ones.
    after_repair: bool,
    pending: Pending,
    visit: &'v mut dyn FnMut(Line<'_>),
}

/// Hands every line that counts, from the beginning of the first segment, to `visit`.
pub(super) fn walk(
    disk: &dyn Disk,
    segments: &[Segment],
    visit: &mut dyn FnMut(Line<'_>),
) -> Walked {
    let mut walk = Walk {
        walked: Walked {
            report: Report::default(),
            next_seq: 1,
            crc: None,
            is_partial: false,
        },
        expected: None,
        after_repair: false,
        pending: Pending::default(),
        visit,
    };
    for (index, segment) in segments.iter().enumerate() {
        let limit = limit(segments, index);
        walk.walked.is_partial |= segment.is_unreadable;
        let mut snapshot_until = 0;
        let result = stretches(disk, &segment.file, &mut |stretch| {
            walk.stretch(segment, limit, index, &mut snapshot_until, &stretch);
            true
        });
        if let Err(error) = result {
            walk.walked.is_partial = true;
            // Nobody knows what it has: that is damage even if nothing follows.
            walk.walked.report.add_damage(Damage {
                segment: segment.number,
                byte: 0,
                bytes: segment.bytes,
                lines: 0,
                what: format!("it cannot be read: {error}"),
            });
        }
    }
    let mut walked = walk.walked;
    walked.report.torn = walk.pending.stretches;
    walked.report.held |= walked.report.damage_count > 0;
    walked
}

impl Walk<'_> {
    fn stretch(
        &mut self,
        segment: &Segment,
        limit: u64,
        index: usize,
        snapshot_until: &mut u64,
        stretch: &Stretch<'_>,
    ) {
        let length = stretch.raw.len() as u64;
        let is_complete = self.expected.is_some_and(|expected| expected >= limit);
        let what = match stretch.line {
            Ok(line) if line.seq >= limit => {
                self.walked.report.superseded_bytes += length;
                return;
            }
            Err(_) if is_complete => {
                self.walked.report.superseded_bytes += length;
                return;
            }
            Ok(line) if self.expected.is_some_and(|expected| line.seq < expected) => {
                "a line that was there before".to_owned()
            }
            Ok(line) => match decode(line) {
                Ok(entry) => {
                    let missing = line.seq - self.expected.unwrap_or(line.seq);
                    let is_header = matches!(entry, Entry::Header(_));
                    if let Entry::Header(header) = &entry {
                        self.header(segment, stretch.byte, header, missing);
                        *snapshot_until = line.seq + header.snapshot.unwrap_or(0);
                    }
                    self.settle(segment, stretch.byte, missing);
                    let next = match &entry {
                        Entry::Repaired(last) => (*last).max(line.seq) + 1,
                        Entry::Header(_) | Entry::Record(_) => line.seq + 1,
                    };
                    self.after_repair = matches!(entry, Entry::Repaired(_));
                    self.expected = Some(next);
                    self.walked.next_seq = next;
                    self.walked.crc = Some(line.crc);
                    self.walked.report.lines += 1;
                    (self.visit)(Line {
                        segment,
                        raw: stretch.raw,
                        seq: line.seq,
                        missing,
                        is_snapshot: index > 0 && !is_header && line.seq <= *snapshot_until,
                        entry,
                    });
                    return;
                }
                Err(Flaw::Content(why)) => format!("not a record: {why}"),
                Err(Flaw::Version(version)) => format!("a line of format version {version}"),
                Err(Flaw::Frame | Flaw::Crc) => "not a line of a journal".to_owned(),
            },
            Err(what) => what.to_owned(),
        };
        let pending = &mut self.pending;
        match pending.stretches.last_mut() {
            Some(last)
                if last.segment == segment.number && last.byte + last.bytes == stretch.byte =>
            {
                last.bytes += length;
            }
            Some(_) | None => pending.stretches.push(TornTail {
                segment: segment.number,
                byte: stretch.byte,
                bytes: length,
            }),
        }
        if pending.what.is_empty() {
            pending.what = what;
        }
    }

    /// A good line has come: what is wrong before it is no torn tail.
    fn settle(&mut self, segment: &Segment, byte: u64, missing: u64) {
        let pending = std::mem::take(&mut self.pending);
        let mut lines = missing;
        for stretch in pending.stretches {
            self.walked.report.add_damage(Damage {
                segment: stretch.segment,
                byte: stretch.byte,
                bytes: stretch.bytes,
                lines: std::mem::take(&mut lines),
                what: pending.what.clone(),
            });
        }
        if lines > 0 {
            self.walked.report.add_damage(Damage {
                segment: segment.number,
                byte,
                bytes: 0,
                lines,
                what: "lines are missing before this".to_owned(),
            });
        }
    }

    fn header(&mut self, segment: &Segment, byte: u64, header: &Header, missing: u64) {
        self.walked.report.held |= header.held;
        let is_told = self.expected.is_none() || missing > 0 || self.after_repair;
        let follows = is_told || header.prev == self.walked.crc;
        if !follows || header.number != segment.number || byte > 0 {
            self.walked.report.add_damage(Damage {
                segment: segment.number,
                byte,
                bytes: 0,
                lines: 0,
                what: "the segment does not follow the one before it".to_owned(),
            });
        }
    }
}
