//! Gives back the memory of code while there is nothing to do.
//!
//! What has run once stays mapped, sixteen pages at a time, until the kernel is short of memory; of a
//! daemon that waits for tomorrow that is most of what it has. Given back, it is the page cache's again,
//! and whatever runs next is mapped again from there, in some microseconds.
//!
//! A thread of its own does that when the others have gone to sleep: the way to sleep is a megabyte of code, too.

#![expect(unsafe_code, reason = "madvise takes addresses")]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::mm::{Advice, madvise};

/// Nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(500);
/// It needs next to none.
const STACK_BYTES: usize = 64 << 10;

/// Nothing has happened since it was given back.
const NONE: u8 = 0;
/// Something has.
const WAITING: u8 = 1;
/// Something has, since the thread began to wait.
const AGAIN: u8 = 2;

static STAGE: AtomicU8 = AtomicU8::new(NONE);
/// None if there can be none. It stays, asleep: its end would be more code than its sleep.
static THREAD: OnceLock<Option<Thread>> = OnceLock::new();

/// Something has happened, and may have been the last for a while. Cheap, so that everything may say so.
pub fn rest() {
    if STAGE.swap(AGAIN, Ordering::Relaxed) != NONE {
        return;
    }
    let begin = || {
        let code = Code::find();
        let thread = thread::Builder::new().name("rest".to_owned());
        let thread = thread.stack_size(STACK_BYTES).spawn(move || wait(&code));
        thread.ok().map(|handle| handle.thread().clone())
    };
    if let Some(thread) = THREAD.get_or_init(begin) {
        thread.unpark();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread that waits for nothing but time"
)]
fn wait(code: &Code) -> ! {
    let order = Ordering::Relaxed;
    loop {
        while STAGE.load(order) == NONE {
            thread::park();
        }
        STAGE.store(WAITING, order);
        thread::sleep(QUIET);
        if STAGE.compare_exchange(WAITING, NONE, order, order).is_ok() {
            code.give_back();
        }
    }
}

/// Where the program's own code is, and what it never writes.
struct Code(Vec<(usize, usize)>);

impl Code {
    /// Nowhere, if the kernel does not say.
    fn find() -> Self {
        let program = fs::read_link("/proc/self/exe").unwrap_or_default();
        let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        Self(unwritten(&maps, &program))
    }

    /// Unmaps it until it is needed again.
    fn give_back(&self) {
        for (start, end) in &self.0 {
            // SAFETY: this is a mapping of a file that nobody has written to, nor can, so it holds what the file
            // holds, and at the next access the kernel reads that again.
            let _ = unsafe { madvise(*start as *mut _, end - start, Advice::LinuxDontNeed) };
        }
    }
}

/// The mappings of `program` in `/proc/self/smaps` that cannot be written to, and have not been: those that the
/// dynamic linker has changed, and then protected, have pages of their own.
fn unwritten(maps: &str, program: &Path) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("Anonymous:"), Some("0")) => found.extend(candidate.take()),
            (Some(name), _) if name.ends_with(':') => {}
            (Some(range), Some("r--p" | "r-xp"))
                if words.nth(3).map(Path::new) == Some(program) =>
            {
                candidate = addresses(range);
            }
            _ => candidate = None,
        }
    }
    found
}

fn addresses(range: &str) -> Option<(usize, usize)> {
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some((address(start)?, address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_has_written_to_is_given_back() {
        let check = |mapping: &str, anonymous: &str, expect: &[(usize, usize)]| {
            let maps =
                format!("{mapping}\nSize: 8 kB\nRss: 8 kB\nAnonymous: {anonymous} kB\nKSM: 0 kB\n");
            let found = unwritten(&maps, Path::new("/usr/bin/mini-dag"));
            assert_eq!(found, expect, "{mapping}");
        };
        let program =
            |rights| format!("00401000-004ff000 {rights} 00001000 fe:00 42   /usr/bin/mini-dag");
        check(&program("r-xp"), "0", &[(0x40_1000, 0x4f_f000)]);
        check(&program("r--p"), "0", &[(0x40_1000, 0x4f_f000)]);
        check(&program("r--p"), "4", &[]);
        check(&program("rw-p"), "0", &[]);
        check(&program("rwxp"), "0", &[]);
        check(
            "7f000000-7f100000 r-xp 00000000 fe:00 43 /lib/libc.so.6",
            "0",
            &[],
        );
        check("7f200000-7f201000 r-xp 00000000 00:00 0", "0", &[]);
        check("", "0", &[]);
        let both = format!(
            "{}\nAnonymous: 8 kB\n{}\nAnonymous: 0 kB\n",
            program("r--p"),
            program("rw-p")
        );
        assert_eq!(unwritten(&both, Path::new("/usr/bin/mini-dag")), []);
    }

    /// What is mapped of these, in kB.
    fn resident(code: &Code) -> usize {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut is_ours, mut sum) = (false, 0);
        for line in maps.lines() {
            let mut words = line.split_ascii_whitespace();
            let first = words.next().unwrap_or_default();
            if !first.ends_with(':') {
                is_ours = addresses(first).is_some_and(|range| code.0.contains(&range));
            } else if first == "Rss:" && is_ours {
                sum += words.next().unwrap().parse::<usize>().unwrap();
            }
        }
        sum
    }

    #[test]
    fn a_program_runs_on_without_its_code() {
        let code = Code::find();
        assert!(code.0.len() >= 2, "code, and what is only read");
        let before = resident(&code);
        code.give_back();
        let after = resident(&code);
        assert!(after < before, "{after} kB of {before}");
    }
}
