//! Gives back the memory of code while there is nothing to do.
//!
//! What has run once stays mapped, sixteen pages at a time, until the kernel is short of memory; of a
//! daemon that waits for tomorrow that is most of what it has. Given back, it is the page cache's again,
//! and whatever runs next is mapped again from there, in some microseconds.

#![expect(unsafe_code, reason = "madvise takes addresses")]

use std::fs;
use std::path::Path;

use rustix::mm::{Advice, madvise};

/// Where the program's own code is.
pub struct Code(Vec<(usize, usize)>);

impl Code {
    /// Nowhere, if the kernel does not say.
    pub fn find() -> Self {
        let program = fs::read_link("/proc/self/exe").unwrap_or_default();
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self(
            maps.lines()
                .filter_map(|line| code_of(line, &program))
                .collect(),
        )
    }

    /// Unmaps it until it runs again.
    pub fn give_back(&self) {
        for (start, end) in &self.0 {
            // SAFETY: this is a mapping of a file that nobody can have written to, so it holds what the file
            // holds, and at the next access the kernel reads that again.
            let _ = unsafe { madvise(*start as *mut _, end - start, Advice::LinuxDontNeed) };
        }
    }
}

/// Where a line of `/proc/self/maps` says that code of `program` is, if it does.
fn code_of(line: &str, program: &Path) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let path = words.nth(3)?;
    let (start, end) = range.split_once('-')?;
    let is_code = rights == "r-xp" && Path::new(path) == program;
    let address = |text| usize::from_str_radix(text, 16).ok();
    is_code.then_some((address(start)?, address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_itself_is_given_back() {
        let program = Path::new("/usr/bin/mini-dag");
        let check = |line, expect| assert_eq!(code_of(line, program), expect, "{line}");
        let code = "00401000-004ff000 r-xp 00001000 fe:00 42   /usr/bin/mini-dag";
        check(code, Some((0x40_1000, 0x4f_f000)));
        check(
            "00400000-00401000 r--p 00000000 fe:00 42 /usr/bin/mini-dag",
            None,
        );
        check(
            "004ff000-00500000 rw-p 000ff000 fe:00 42 /usr/bin/mini-dag",
            None,
        );
        check(
            "00500000-00600000 rwxp 00001000 fe:00 42 /usr/bin/mini-dag",
            None,
        );
        check(
            "7f000000-7f100000 r-xp 00001000 fe:00 43 /lib/libc.so.6",
            None,
        );
        check("7f200000-7f201000 r-xp 00000000 00:00 0", None);
        check("", None);
    }

    #[test]
    fn a_program_runs_on_without_its_code() {
        let code = Code::find();
        assert_eq!(code.0.len(), 1);
        code.give_back();
        assert_eq!(Code::find().0, code.0);
    }
}
