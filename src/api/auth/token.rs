//! API tokens: JSON Web Tokens signed with HMAC-SHA256, as Airflow's are.
//!
//! Nothing of a token is believed before its signature is verified, and no token chooses how that is done.
//! It names its user and the user's epoch: a password that changes ends every token before it.

use ring::hmac;

use super::encoding::{base64url, from_base64};
use crate::api::view::{number, object, text};
use crate::dag::Value;
use crate::timetable::Timestamp;

/// Longer is none of ours.
const BYTES_MAX: usize = 1_024;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) user: String,
    pub(super) epoch: i64,
}

/// A token for a user, from now on for so many seconds.
pub(super) fn issue(key: &hmac::Key, claims: &Claims, now: Timestamp, seconds: i64) -> String {
    let now = now.millis().div_euclid(1000);
    let body = object([
        ("sub", text(&*claims.user)),
        ("epoch", number(claims.epoch)),
        ("iat", number(now)),
        ("nbf", number(now)),
        ("exp", number(now + seconds)),
    ]);
    let signed = format!("{}.{}", header(), base64url(body.to_string().as_bytes()));
    let signature = hmac::sign(key, signed.as_bytes());
    format!("{signed}.{}", base64url(signature.as_ref()))
}

/// What it says, if it is one of ours and its time has not passed.
pub(super) fn read(key: &hmac::Key, token: &str, now: Timestamp) -> Option<Claims> {
    let (signed, signature) = token
        .rsplit_once('.')
        .filter(|_| token.len() <= BYTES_MAX)?;
    hmac::verify(key, signed.as_bytes(), &from_base64(signature)?).ok()?;
    let body = signed.strip_prefix(&header())?.strip_prefix('.')?;
    let body = String::from_utf8(from_base64(body)?).ok()?;
    let body = Value::parse(&body).ok()?;
    let expires = body.get("exp")?.as_i64()?;
    let is_valid = now.millis().div_euclid(1000) < expires;
    let claims = Claims {
        user: body.get("sub")?.as_str()?.to_owned(),
        epoch: body.get("epoch")?.as_i64()?,
    };
    is_valid.then_some(claims)
}

fn header() -> String {
    base64url(br#"{"alg":"HS256","typ":"JWT"}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    fn claims() -> Claims {
        Claims {
            user: "anna".to_owned(),
            epoch: 3,
        }
    }

    fn later(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_334_488_160 + seconds * 1000)
    }

    #[test]
    fn a_token_holds_until_its_time_has_passed() {
        let token = issue(&key(1), &claims(), later(0), 60);
        assert_eq!(read(&key(1), &token, later(0)), Some(claims()));
        assert_eq!(read(&key(1), &token, later(59)), Some(claims()));
        assert_eq!(read(&key(1), &token, later(60)), None);
        assert_eq!(
            read(&key(2), &token, later(0)),
            None,
            "of another installation"
        );
    }

    #[test]
    fn no_changed_token_is_believed() {
        let token = issue(&key(1), &claims(), later(0), 60);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(read(&key(1), &changed, later(0)), None, "{at}: {changed}");
            assert_eq!(read(&key(1), &token[..at], later(0)), None, "{at}");
        }
    }

    /// "none" and its kin: the token says how it is to be verified, and the verifier listens.
    #[test]
    fn a_token_does_not_choose_its_algorithm() {
        let token = issue(&key(1), &claims(), later(0), 60);
        let body = token.split('.').nth(1).unwrap();
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#] {
            let signed = format!("{}.{body}", base64url(header.as_bytes()));
            let signature = base64url(hmac::sign(&key(1), signed.as_bytes()).as_ref());
            assert_eq!(
                read(&key(1), &format!("{signed}.{signature}"), later(0)),
                None
            );
            assert_eq!(read(&key(1), &format!("{signed}."), later(0)), None);
        }
    }
}
