//! Keeps secrets out of what is kept of a task's output: each becomes `***`, wherever the bytes are cut.
//!
//! The secrets are one automaton (Aho and Corasick, 1975), so that a task that floods costs one look at each
//! byte, whatever the secrets are. What is held back is the longest end of the output that may be the
//! beginning of a secret, and never more than the longest secret; the rest is passed on at once.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use crate::dag::Value;

/// A shorter secret is none: it would be found in every other line, and guessed in no time.
pub const SECRET_BYTES_MIN: usize = 5;
/// The secrets of one attempt together: memory for the automaton is bounded by this.
pub const SECRETS_BYTES_MAX: usize = 64 << 10;
/// What stands for a secret.
pub const MASK: &str = "***";

/// What must not be seen in an attempt's output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<Vec<u8>>);

/// How many, and no more than that.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Adds a secret: as it is, as it stands in JSON, and each of its lines, since programs print lines.
    pub fn add(&mut self, secret: &[u8]) {
        let mut add = |text: &[u8]| {
            if text.len() >= SECRET_BYTES_MIN && !self.0.iter().any(|other| other == text) {
                self.0.push(text.to_owned());
            }
        };
        add(secret);
        for line in secret.split(|byte| *byte == b'\n') {
            add(line.strip_suffix(b"\r").unwrap_or(line));
        }
        if let Ok(text) = std::str::from_utf8(secret) {
            let quoted = Value::from(text).to_string();
            add(&quoted.as_bytes()[1..quoted.len() - 1]);
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The text without the secrets.
    pub fn mask(&self, text: &str) -> String {
        let Some(mut masker) = Masker::new(self) else {
            return text.to_owned();
        };
        let mut out = masker.pass(text.as_bytes()).to_vec();
        out.extend_from_slice(masker.finish());
        // A secret may begin in the middle of a character; then its rest is shown as what it is no more.
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// A beginning of a secret.
#[derive(Clone, Copy, Default)]
struct Node {
    byte: u8,
    /// The first of those that are one byte longer, and the next of those that are as long.
    child: u32,
    sibling: u32,
    /// The longest other beginning that this one ends with.
    fail: u32,
    depth: u32,
    /// The length of the longest secret that this ends with; 0 for none.
    secret: u32,
}

const ROOT: u32 = 0;

/// What a masker holds back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The secrets in them.
    pub found: Vec<Range<usize>>,
    /// The mask of the one that begins with the first of them was passed on already.
    pub is_begun: bool,
}

/// Masks a stream of bytes.
pub(super) struct Masker {
    /// What it was made of, for a program that goes on with it.
    pub(super) secrets: Secrets,
    nodes: Vec<Node>,
    /// What the bytes with which secrets begin lead to.
    first: Box<[u32; 256]>,
    at: u32,
    /// What has not been passed on yet.
    held: Vec<u8>,
    /// The secrets in it, from left to right; those that overlap are one.
    found: Vec<Range<usize>>,
    /// The mask of the one that begins with the first held byte was passed on already.
    is_begun: bool,
    out: Vec<u8>,
}

impl Masker {
    /// `None` without secrets.
    pub(super) fn new(secrets: &Secrets) -> Option<Self> {
        if secrets.0.is_empty() {
            return None;
        }
        let mut masker = Self {
            secrets: secrets.clone(),
            nodes: vec![Node::default()],
            first: Box::new([ROOT; 256]),
            at: ROOT,
            held: Vec::new(),
            found: Vec::new(),
            is_begun: false,
            out: Vec::new(),
        };
        for secret in &secrets.0 {
            masker.insert(secret);
        }
        masker.connect();
        Some(masker)
    }

    /// One that goes on where another was.
    pub(super) fn go_on(secrets: &Secrets, held: Held) -> Option<Self> {
        let mut masker = Self::new(secrets)?;
        // What is held back is the way from the root to where the other one was.
        for byte in &held.bytes {
            masker.at = masker.step(masker.at, *byte);
        }
        (masker.held, masker.found, masker.is_begun) = (held.bytes, held.found, held.is_begun);
        Some(masker)
    }

    /// What one that goes on has to know.
    pub(super) fn held(&self) -> Held {
        Held {
            bytes: self.held.clone(),
            found: self.found.clone(),
            is_begun: self.is_begun,
        }
    }

    fn insert(&mut self, secret: &[u8]) {
        let mut at = ROOT;
        for byte in secret {
            at = match self.child(at, *byte) {
                ROOT => self.grow(at, *byte),
                child => child,
            };
        }
        let node = &mut self.nodes[at as usize];
        node.secret = node.depth;
    }

    fn grow(&mut self, parent: u32, byte: u8) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(ROOT);
        let of = &mut self.nodes[parent as usize];
        let node = Node {
            byte,
            sibling: of.child,
            depth: of.depth + 1,
            ..Node::default()
        };
        of.child = new;
        self.nodes.push(node);
        if parent == ROOT {
            self.first[usize::from(byte)] = new;
        }
        new
    }

    /// The beginning that is one byte longer, if there is one; else the root.
    fn child(&self, at: u32, byte: u8) -> u32 {
        if at == ROOT {
            return self.first[usize::from(byte)];
        }
        let mut child = self.nodes[at as usize].child;
        while child != ROOT && self.nodes[child as usize].byte != byte {
            child = self.nodes[child as usize].sibling;
        }
        child
    }

    /// Finds what each beginning ends with, the short ones first.
    fn connect(&mut self) {
        let mut to_do = VecDeque::from([ROOT]);
        while let Some(at) = to_do.pop_front() {
            let mut child = self.nodes[at as usize].child;
            while child != ROOT {
                let node = self.nodes[child as usize];
                let fail = if at == ROOT {
                    ROOT
                } else {
                    self.step(self.nodes[at as usize].fail, node.byte)
                };
                let inherited = self.nodes[fail as usize].secret;
                let node = &mut self.nodes[child as usize];
                node.fail = fail;
                node.secret = node.secret.max(inherited);
                to_do.push_back(child);
                child = node.sibling;
            }
        }
    }

    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            match self.child(at, byte) {
                ROOT if at != ROOT => at = self.nodes[at as usize].fail,
                next => return next,
            }
        }
    }

    /// Takes what was printed, and returns what may be kept.
    pub(super) fn pass(&mut self, chunk: &[u8]) -> &[u8] {
        let mut at = self.held.len();
        self.held.extend_from_slice(chunk);
        while at < self.held.len() {
            if self.at == ROOT {
                let first = &self.first;
                let begins = |byte: &u8| first[usize::from(*byte)] != ROOT;
                match self.held[at..].iter().position(begins) {
                    Some(plain) => at += plain,
                    None => break,
                }
            }
            self.at = self.step(self.at, self.held[at]);
            at += 1;
            let secret = self.nodes[self.at as usize].secret as usize;
            if secret > 0 {
                self.find(at - secret..at);
            }
        }
        let open = self.nodes[self.at as usize].depth as usize;
        self.release(self.held.len() - open)
    }

    /// Nothing more will come: the beginning of a secret that did not go on is none.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.at = ROOT;
        self.release(self.held.len())
    }

    fn find(&mut self, mut new: Range<usize>) {
        while let Some(last) = self.found.last().filter(|last| last.end > new.start) {
            new.start = new.start.min(last.start);
            self.found.pop();
        }
        self.found.push(new);
    }

    /// Passes on the first bytes that are held, and a mask for each secret that begins among them.
    fn release(&mut self, bytes: usize) -> &[u8] {
        self.out.clear();
        let mut at = 0;
        for secret in &self.found {
            if secret.start >= bytes {
                break;
            }
            self.out.extend_from_slice(&self.held[at..secret.start]);
            if !(self.is_begun && secret.start == 0) {
                self.out.extend_from_slice(MASK.as_bytes());
            }
            at = secret.end;
        }
        self.out.extend_from_slice(&self.held[at.min(bytes)..bytes]);
        self.is_begun = bytes > 0 && at > bytes || bytes == 0 && self.is_begun;
        self.held.drain(..bytes);
        self.found.retain(|secret| secret.end > bytes);
        for secret in &mut self.found {
            *secret = secret.start.saturating_sub(bytes)..secret.end - bytes;
        }
        &self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(of: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        for secret in of {
            secrets.add(secret.as_bytes());
        }
        secrets
    }

    fn masked(secrets: &Secrets, printed: &[u8], size: usize) -> Vec<u8> {
        let mut masker = Masker::new(secrets).unwrap();
        let mut out = Vec::new();
        for chunk in printed.chunks(size) {
            out.extend_from_slice(masker.pass(chunk));
        }
        out.extend_from_slice(masker.finish());
        out
    }

    #[test]
    fn a_secret_is_masked_however_the_bytes_are_cut() {
        let hidden = secrets(&[
            "hunter2!",
            "hunting",
            "aaaaab",
            "line one\nline two\r\nx",
            "say \"hi\"",
        ]);
        let cases = [
            ("nothing to hide", "nothing to hide"),
            ("hunter2!", "***"),
            ("my hunter2! is hunter2!", "my *** is ***"),
            ("hunter2!hunter2!", "******"),
            ("hunhunter2!ter2!", "hun***ter2!"),
            ("hunte", "hunte"),
            ("huntinghunter2", "***hunter2"),
            ("aaaaaaaab", "aaa***"),
            ("aaaaab aaaaaab", "*** a***"),
            ("a line one\nand line two", "a ***\nand ***"),
            ("line one\nline two\r\nx", "***"),
            ("line one\nline two\r\ny", "***\n***\r\ny"),
            (r#"{"a":"say \"hi\""}"#, r#"{"a":"***"}"#),
        ];
        for (printed, expected) in cases {
            for size in 1..=printed.len() {
                let out = masked(&hidden, printed.as_bytes(), size);
                assert_eq!(
                    String::from_utf8_lossy(&out),
                    expected,
                    "{printed:?} by {size}"
                );
            }
            assert_eq!(hidden.mask(printed), expected);
        }
    }

    /// Every place of every secret, by the plain definition, in random texts of few letters.
    #[test]
    fn exactly_the_bytes_of_secrets_are_masked() {
        let mut seed = 1_u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..2_000 {
            let mut word = |bytes| -> Vec<u8> {
                (0..bytes)
                    .map(|_| b'a' + u8::try_from(random(2)).unwrap())
                    .collect()
            };
            let hidden = [word(5), word(6), word(9)];
            let printed = word(60);
            let mut covered = vec![false; printed.len()];
            let mut begins = vec![false; printed.len()];
            let mut until = 0;
            for start in 0..printed.len() {
                let found = hidden
                    .iter()
                    .filter(|it| printed[start..].starts_with(it))
                    .map(Vec::len);
                if let Some(length) = found.max() {
                    begins[start] = start >= until;
                    until = until.max(start + length);
                    covered[start..start + length].fill(true);
                }
            }
            let mut expected = Vec::new();
            for (index, byte) in printed.iter().enumerate() {
                if begins[index] {
                    expected.extend_from_slice(b"***");
                }
                if !covered[index] {
                    expected.push(*byte);
                }
            }
            let mut secrets = Secrets::default();
            for secret in &hidden {
                secrets.add(secret);
            }
            for size in [1, 2, 3, 7, 60] {
                assert_eq!(masked(&secrets, &printed, size), expected);
            }
        }
    }

    #[test]
    fn another_masker_goes_on_at_any_byte() {
        let hidden = secrets(&["hunter2!", "ter2!ab", "aaaaab"]);
        let printed = b"x hunter2!ab hunhunter2!aaaaaaab hunte";
        let whole = masked(&hidden, printed, printed.len());
        for cut in 0..printed.len() {
            let mut first = Masker::new(&hidden).unwrap();
            let mut out = first.pass(&printed[..cut]).to_vec();
            let mut second = Masker::go_on(&first.secrets, first.held()).unwrap();
            out.extend_from_slice(second.pass(&printed[cut..]));
            out.extend_from_slice(second.finish());
            assert_eq!(
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(&whole),
                "at {cut}"
            );
        }
    }

    #[test]
    fn no_more_is_held_back_than_may_be_a_secret() {
        let mut masker = Masker::new(&secrets(&["hunter2!"])).unwrap();
        assert_eq!(masker.pass(b"the password is hunt"), b"the password is ");
        assert_eq!(masker.pass(b"ed"), b"hunted");
        assert_eq!(masker.held.len(), 0);
        let mut long = Masker::new(&secrets(&[&"x".repeat(1000)])).unwrap();
        for _ in 0..100 {
            long.pass(&[b'x'; 4096]);
            assert!(long.held.len() <= 1000 && long.found.len() <= 1);
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", secrets(&["hunter2!"])), "Secrets(1)");
        assert!(Masker::new(&secrets(&["four"])).is_none());
    }
}
