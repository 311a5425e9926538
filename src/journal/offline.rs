//! Looking after a journal while no daemon writes it: verify, repair, compact, cat.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::decode::Entry;
use super::disk::{Disk, write_all};
use super::encode::{self, Header, seal};
use super::health::Health;
use super::open::Opening;
use super::scan::{Line, OpenError, Report, Segment, list, walk};
use super::writer::{Journal, Options};
use super::{Crc, file_name};
use crate::dag::Dag;
use crate::scheduler::Now;

/// What one segment has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its number.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// Lines that count.
    pub lines: u64,
    /// Replay can begin here.
    pub has_snapshot: bool,
}

/// What a whole journal has, history included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
    /// What is wrong.
    pub report: Report,
}

impl Verified {
    /// Nothing was lost. (A torn tail is none of the loss that this is about: it was never promised.)
    pub fn is_sound(&self) -> bool {
        self.report.damage_count == 0 && !self.report.held
    }
}

/// Checks every line of every segment. Changes nothing.
pub fn verify(disk: &dyn Disk) -> Result<Verified, OpenError> {
    let segments = list(disk)?;
    let mut lines: BTreeMap<u64, u64> = BTreeMap::new();
    let walked = walk(disk, &segments, &mut |line| {
        *lines.entry(line.segment.number).or_default() += 1;
    });
    let report_of = |segment: &Segment| SegmentReport {
        number: segment.number,
        bytes: segment.bytes,
        lines: lines.get(&segment.number).copied().unwrap_or(0),
        has_snapshot: segment
            .header
            .as_ref()
            .is_some_and(|header| header.snapshot.is_some()),
    };
    let mut report = walked.report;
    // An old hold that a newer segment no longer has was lifted by a repair.
    let newest = segments
        .iter()
        .rev()
        .find_map(|segment| segment.header.as_ref());
    report.held = report.damage_count > 0 || newest.is_some_and(|header| header.held);
    Ok(Verified {
        segments: segments.iter().map(report_of).collect(),
        report,
    })
}

/// Hands every line that verifies to `each`, oldest first, without its newline.
pub fn cat(disk: &dyn Disk, each: &mut dyn FnMut(&str)) -> Result<Report, OpenError> {
    let segments = list(disk)?;
    let walked = walk(disk, &segments, &mut |line| {
        each(String::from_utf8_lossy(line.raw).trim_end_matches('\n'));
    });
    Ok(walked.report)
}

/// Begins a new segment with a snapshot now, and deletes history beyond the retention.
pub fn compact(
    disk: Arc<dyn Disk>,
    options: Options,
    dags: impl IntoIterator<Item = Arc<Dag>>,
    now: Now,
) -> Result<(), OpenError> {
    let (journal, _) = Journal::open_as(Opening::Compact, disk, options, dags, now)?;
    is_done(&journal)
}

/// A daemon would try again later; here somebody waits for the answer.
fn is_done(journal: &Journal) -> Result<(), OpenError> {
    match journal.health() {
        Health::Healthy => Ok(()),
        Health::Degraded { why, .. } => Err(io::Error::other(why.clone()).into()),
    }
}

/// Drops exactly the lines that are damaged, says in their place that they are lost, and begins a new
/// segment with a snapshot of what is known, so that nothing is held any more. A copy of each segment
/// that was damaged is kept as `*.broken`. Returns what was wrong.
pub fn repair(
    disk: Arc<dyn Disk>,
    options: Options,
    dags: impl IntoIterator<Item = Arc<Dag>>,
    now: Now,
) -> Result<Report, OpenError> {
    let segments = list(&*disk)?;
    let mut rewrite = Rewrite::default();
    let walked = walk(&*disk, &segments, &mut |line| {
        let mut seq = line.seq - line.missing;
        let is_header = matches!(line.entry, Entry::Header(_));
        let number = rewrite.place_of(&line, is_header);
        if !is_header && rewrite.begins(number) {
            // Its first line is lost, and with it, how much of a snapshot follows.
            let header = Header {
                seq: if line.missing > 0 {
                    seq
                } else {
                    seq.saturating_sub(1)
                },
                at: now.wall,
                number,
                boot_id: String::new(),
                prev: rewrite.crc,
                snapshot: None,
                runs_created: 0,
                synced_at: None,
                held: false,
            };
            rewrite.header(&header);
            seq = header.seq + 1;
        }
        if seq < line.seq {
            // What is lost before a header is told in the segment before it.
            rewrite.repaired(number, is_header, now, seq, line.seq - 1);
        }
        match line.entry {
            Entry::Header(header) => {
                let prev = rewrite.crc.filter(|_| header.prev.is_some());
                let header = Header {
                    prev: prev.or(header.prev),
                    number,
                    ..header
                };
                rewrite.header(&header);
            }
            Entry::Record(_) | Entry::Repaired(_) => rewrite.line(number, line.raw),
        }
    });
    let report = walked.report;
    let mut damaged: Vec<_> = report.damage.iter().map(|damage| damage.segment).collect();
    damaged.extend(rewrite.changed.iter().copied());
    damaged.sort_unstable();
    damaged.dedup();
    for number in damaged {
        if let Some(text) = rewrite.segments.get(&number) {
            replace(&*disk, number, text)?;
        } else {
            disk.rename(&file_name(number), &broken(number))?;
        }
    }
    disk.sync_directory()?;
    let (journal, _) = Journal::open_as(Opening::Repaired, disk, options, dags, now)?;
    is_done(&journal)?;
    Ok(report)
}

/// The good lines, by segment.
#[derive(Default)]
struct Rewrite {
    segments: BTreeMap<u64, Vec<u8>>,
    changed: Vec<u64>,
    crc: Option<Crc>,
}

impl Rewrite {
    /// Where a line goes: into its segment; into the one before it if its own has lost its first line and
    /// there is no number left for another.
    fn place_of(&mut self, line: &Line<'_>, is_header: bool) -> u64 {
        let number = line.segment.number;
        let newest = self.segments.keys().next_back().copied();
        if !is_header
            && self.begins(number)
            && line.missing == 0
            && let Some(newest) = newest
        {
            self.changed.push(newest);
            self.changed.push(number);
            return newest;
        }
        number
    }

    fn begins(&self, number: u64) -> bool {
        !self.segments.contains_key(&number)
    }

    fn sealed(&mut self, number: u64, seq: u64, body: &str) {
        let mut line = String::new();
        self.crc = Some(seal(&mut line, seq, body));
        let text = self.segments.entry(number).or_default();
        text.extend(line.as_bytes());
    }

    fn header(&mut self, header: &Header) {
        let mut body = String::new();
        encode::header(&mut body, header);
        self.sealed(header.number, header.seq, &body);
    }

    fn repaired(&mut self, number: u64, before: bool, now: Now, first: u64, last: u64) {
        let before = self.segments.keys().next_back().copied().filter(|_| before);
        let mut body = String::new();
        encode::repaired(&mut body, now.wall, last);
        let number = before.unwrap_or(number);
        self.changed.push(number);
        self.sealed(number, first, &body);
    }

    fn line(&mut self, number: u64, raw: &[u8]) {
        let end = raw.len().saturating_sub(3);
        self.crc = raw.get(..end).and_then(|raw| raw.last_chunk().copied());
        self.segments.entry(number).or_default().extend(raw);
    }
}

fn replace(disk: &dyn Disk, number: u64, text: &[u8]) -> io::Result<()> {
    let mut original = Vec::new();
    io::Read::read_to_end(&mut disk.read(&file_name(number))?, &mut original)?;
    for (name, bytes) in [(broken(number), &*original), (temporary(number), text)] {
        let file = disk.create(&name)?;
        write_all(&*file, bytes)?;
        file.sync()?;
    }
    disk.sync_directory()?;
    disk.rename(&temporary(number), &file_name(number))
}

fn broken(number: u64) -> String {
    format!("{number:010}.broken")
}

fn temporary(number: u64) -> String {
    format!("{number:010}.repair.tmp")
}
