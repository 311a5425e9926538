//! Passwords, as `pbkdf2-sha256$iterations$salt$hash` with salt and hash in hexadecimal.
//!
//! [`verify`] takes as long for a user that nobody knows as for one that there is, and as long for a fast
//! hash as for the slowest of the file: how long an answer takes says nothing about names.

use std::num::NonZero;

use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use ring::rand::SecureRandom;

use super::encoding::{from_hex, hex};
use crate::daemon::clock;

/// A password that a person chose is hashed at least so often.
const ITERATIONS_MIN: u32 = 100_000;
/// A password of [`generate`] cannot be guessed at any speed.
pub(super) const ITERATIONS_OF_GENERATED: u32 = 1_000;
/// More than a file may ask for: some 10 s.
const ITERATIONS_MAX: u32 = 20_000_000;
/// How long one guess shall take on this host.
const TARGET_MS: u64 = 250;
/// Hashed to see how fast the host is.
const SAMPLE: u32 = 20_000;
const LENGTH: usize = 32;

/// Letters and digits that nobody confuses.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A stored password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) iterations: NonZero<u32>,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Hashed {
    pub(super) fn new(password: &str, iterations: NonZero<u32>) -> Self {
        let salt = random::<16>().to_vec();
        let mut hash = vec![0; LENGTH];
        let password = password.as_bytes();
        pbkdf2::derive(PBKDF2_HMAC_SHA256, iterations, &salt, password, &mut hash);
        Self {
            iterations,
            salt,
            hash,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("pbkdf2-sha256$")?.split('$');
        let iterations: NonZero<u32> = parts.next()?.parse().ok()?;
        let hashed = Self {
            iterations,
            salt: from_hex(parts.next()?)?,
            hash: from_hex(parts.next()?)?,
        };
        let is_whole = parts.next().is_none() && hashed.hash.len() == LENGTH;
        (is_whole && iterations.get() <= ITERATIONS_MAX).then_some(hashed)
    }

    pub(super) fn to_text(&self) -> String {
        let (salt, hash) = (hex(&self.salt), hex(&self.hash));
        format!("pbkdf2-sha256${}${salt}${hash}", self.iterations)
    }
}

/// Whether the password is that of `stored`, in the time that `slowest` iterations take. Nobody's password
/// is right.
pub(super) fn verify(password: &str, stored: Option<&Hashed>, slowest: NonZero<u32>) -> bool {
    let nobody = Hashed {
        iterations: slowest,
        salt: vec![0; 16],
        hash: vec![0; LENGTH],
    };
    let asked = stored.unwrap_or(&nobody);
    let Hashed {
        iterations,
        salt,
        hash,
    } = asked;
    let password = password.as_bytes();
    let is_right = pbkdf2::verify(PBKDF2_HMAC_SHA256, *iterations, salt, password, hash).is_ok();
    if let Some(left) = NonZero::new(slowest.get().saturating_sub(iterations.get())) {
        let mut waste = [0; LENGTH];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, left, salt, password, &mut waste);
        std::hint::black_box(waste);
    }
    is_right && stored.is_some()
}

/// How many iterations take [`TARGET_MS`] here. Takes a moment itself.
pub(super) fn calibrate() -> NonZero<u32> {
    let sample = NonZero::new(SAMPLE).unwrap_or(NonZero::<u32>::MIN);
    let begun = clock::now().monotonic;
    std::hint::black_box(Hashed::new("calibrate", sample));
    let took = clock::now().monotonic.since(begun).as_millis().max(1);
    let took = u64::try_from(took).unwrap_or(u64::MAX);
    let wanted = u64::from(SAMPLE) * TARGET_MS / took;
    let wanted = u32::try_from(wanted).unwrap_or(ITERATIONS_MAX);
    NonZero::new(wanted.clamp(ITERATIONS_MIN, ITERATIONS_MAX)).unwrap_or(sample)
}

/// A password that nobody can guess and a person can type: six groups of four, 120 bits.
pub(super) fn generate() -> String {
    let letters = random::<24>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join("-")
}

/// Bytes that nobody can foretell.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.expect("the kernel gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: u32) -> NonZero<u32> {
        NonZero::new(count).unwrap()
    }

    #[test]
    fn a_password_is_verified_against_what_was_stored_of_it() {
        let hashed = Hashed::new("correct horse", times(10));
        assert!(verify("correct horse", Some(&hashed), times(10)));
        assert!(verify("correct horse", Some(&hashed), times(30)));
        assert!(!verify("correct horsf", Some(&hashed), times(10)));
        assert!(!verify("", Some(&hashed), times(10)));
        assert!(!verify("correct horse", None, times(10)));
        assert_ne!(hashed, Hashed::new("correct horse", times(10)), "salted");
        assert_eq!(Hashed::parse(&hashed.to_text()), Some(hashed));
    }

    /// The hash that Python's `hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 4096)` gives: RFC 7914's
    /// sibling vectors.
    #[test]
    fn the_hash_is_that_of_other_programs() {
        let stored = "pbkdf2-sha256$4096$73616c74$c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a";
        let hashed = Hashed::parse(stored).unwrap();
        assert!(verify("password", Some(&hashed), times(1)));
    }

    #[test]
    fn what_is_not_a_hash_is_not_read() {
        let whole = Hashed::new("x", times(1)).to_text();
        for cut in 0..whole.len() {
            assert_eq!(Hashed::parse(&whole[..cut]), None, "{cut}");
        }
        for other in [
            "pbkdf2-sha256$0$00$00",
            "pbkdf2-sha256$-1$00$00",
            "bcrypt$1$00$00",
        ] {
            assert_eq!(Hashed::parse(other), None);
        }
        assert_eq!(Hashed::parse(&whole.replace("$1$", "$4000000000$")), None);
    }

    #[test]
    fn generated_passwords_differ_and_can_be_typed() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.len(), 29);
        assert!(
            one.bytes().all(|b| b == b'-' || ALPHABET.contains(&b)),
            "{one}"
        );
    }
}
