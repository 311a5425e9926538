//! What a task prints: out of the pipe, into the log, and the last line for progress and XCom.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::log::TaskLog;
use super::mask::Masker;

/// The longest last line that is kept, in bytes: Airflow's limit for an XCom is of this order.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;
/// Read in one turn of the loop at most, so that one flooding task starves nobody.
const TURN_BYTES_MAX: usize = 256 * 1024;
/// As much as a pipe holds: one read empties it.
const READ_BYTES: usize = 64 * 1024;

/// The last line of what a task printed so far, without its line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastLine {
    /// Its bytes as they came, at most 64 KiB of them.
    pub bytes: Vec<u8>,
    /// It was longer than what is kept.
    pub is_cut: bool,
    pub(super) is_ended: bool,
}

impl LastLine {
    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.to_owned();
        Self {
            bytes,
            ..Self::default()
        }
    }

    fn follow(&mut self, chunk: &[u8]) {
        if chunk.is_empty() {
            return;
        }
        if self.is_ended {
            self.bytes.clear();
            self.is_cut = false;
        }
        self.is_ended = chunk.ends_with(b"\n");
        let body = &chunk[..chunk.len() - usize::from(self.is_ended)];
        let tail = match after_last_newline(body) {
            Some(tail) => {
                self.bytes.clear();
                self.is_cut = false;
                tail
            }
            None => body,
        };
        let room = LINE_BYTES_MAX - self.bytes.len();
        self.is_cut |= tail.len() > room;
        self.bytes.extend_from_slice(&tail[..tail.len().min(room)]);
        if self.is_ended && self.bytes.ends_with(b"\r") {
            self.bytes.pop();
        }
    }
}

/// `contains` is the standard library's fast byte search; a backward search byte by byte would cost a task
/// that prints one endless line as much as the copy itself.
fn after_last_newline(bytes: &[u8]) -> Option<&[u8]> {
    let mut end = bytes.len();
    for block in bytes.rchunks(1024) {
        let start = end - block.len();
        if block.contains(&b'\n') {
            let place = block.iter().rposition(|byte| *byte == b'\n')?;
            return Some(&bytes[start + place + 1..]);
        }
        end = start;
    }
    None
}

/// How a turn of reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// The pipe is empty for now.
    Empty,
    /// There may be more, but others have their turn first.
    More,
    /// Nobody holds the other end any more.
    Closed,
}

/// Where a task's output goes, and what is known of it.
pub(super) struct Output {
    pub(super) log: TaskLog,
    pub(super) masker: Option<Masker>,
    pub(super) last_line: LastLine,
    pub(super) bytes: u64,
}

impl Output {
    /// Takes what is in the pipe, within the bounds of one turn.
    pub(super) fn pump(&mut self, pipe: impl AsFd) -> Pumped {
        let mut taken = 0;
        #[expect(
            clippy::large_stack_arrays,
            reason = "one pipe's worth, shared by all tasks and never zeroed"
        )]
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        while taken < TURN_BYTES_MAX {
            match rustix::io::read(&pipe, &mut buffer) {
                Ok(([], _)) => return Pumped::Closed,
                Ok((chunk, _)) => {
                    taken += chunk.len();
                    self.bytes += chunk.len() as u64;
                    let chunk = match &mut self.masker {
                        Some(masker) => masker.pass(chunk),
                        None => chunk,
                    };
                    self.last_line.follow(chunk);
                    self.log.write(chunk);
                }
                Err(Errno::AGAIN) => return Pumped::Empty,
                Err(Errno::INTR) => {}
                // A pipe has no other error; if it had one, there would be nothing more to read.
                Err(_) => return Pumped::Closed,
            }
        }
        Pumped::More
    }

    /// Keeps what the masker has held back, when nothing more will come.
    pub(super) fn finish(&mut self) {
        if let Some(masker) = &mut self.masker {
            let rest = masker.finish();
            self.last_line.follow(rest);
            self.log.write(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_does_not_depend_on_how_the_bytes_are_cut() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"", b""),
            (b"one", b"one"),
            (b"one\n", b"one"),
            (b"one\r\n", b"one"),
            (b"one\ntwo", b"two"),
            (b"one\ntwo\n", b"two"),
            (b"one\n\n", b""),
            (b"\xff\xfe\n\x00", b"\x00"),
            (b"10 %\r20 %\n", b"10 %\r20 %"),
        ];
        for (printed, expected) in cases {
            for size in 1..=printed.len().max(1) {
                let mut line = LastLine::default();
                printed.chunks(size).for_each(|chunk| line.follow(chunk));
                assert_eq!(line.bytes, expected, "{printed:?} by {size}");
                assert!(!line.is_cut);
            }
        }
    }

    #[test]
    fn a_line_of_any_length_takes_64_kib() {
        let mut line = LastLine::default();
        for _ in 0..100 {
            line.follow(&[b'x'; 5000]);
        }
        assert_eq!((line.bytes.len(), line.is_cut), (LINE_BYTES_MAX, true));
        line.follow(b"\nshort");
        assert_eq!((line.bytes.as_slice(), line.is_cut), (&b"short"[..], false));
    }

    #[test]
    fn the_last_newline_is_found_wherever_it_is() {
        for place in [0, 1, 1023, 1024, 1025, 2999] {
            let mut bytes = vec![b'x'; 3000];
            bytes[place] = b'\n';
            assert_eq!(
                after_last_newline(&bytes).map(<[u8]>::len),
                Some(2999 - place)
            );
        }
        assert_eq!(after_last_newline(&[b'x'; 3000]), None);
    }
}
