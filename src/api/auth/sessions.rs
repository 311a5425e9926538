//! Who is logged in to the page: in memory only, at most [`SESSIONS_MAX`] of them, at most [`AGE_MAX`] long.
//!
//! The id of a session is 256 random bits, made at login and never taken from a client. What is kept is
//! its SHA-256, so that looking one up says nothing about the others.

use std::collections::VecDeque;
use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::encoding::hex;
use super::password::random;
use super::token::Claims;
use crate::scheduler::Monotonic;

const SESSIONS_MAX: usize = 16;
pub(super) const AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

#[derive(Debug)]
struct Session {
    key: Vec<u8>,
    claims: Claims,
    until: Monotonic,
}

#[derive(Debug, Default)]
pub(super) struct Sessions(VecDeque<Session>);

impl Sessions {
    /// Begins one and gives its id. If there are too many, the oldest ends.
    pub(super) fn begin(&mut self, claims: Claims, now: Monotonic) -> String {
        let id = hex(&random::<32>());
        self.0.retain(|session| session.until > now);
        if self.0.len() >= SESSIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Session {
            key: key(&id),
            claims,
            until: now.after(AGE_MAX),
        });
        id
    }

    pub(super) fn find(&self, id: &str, now: Monotonic) -> Option<&Claims> {
        let key = key(id);
        let mut own = self.0.iter().filter(|session| session.key == key);
        let session = own.next().filter(|session| session.until > now)?;
        Some(&session.claims)
    }

    pub(super) fn end(&mut self, id: &str) {
        let key = key(id);
        self.0.retain(|session| session.key != key);
    }
}

fn key(id: &str) -> Vec<u8> {
    digest(&SHA256, id.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(user: &str) -> Claims {
        Claims {
            user: user.to_owned(),
            epoch: 1,
        }
    }

    #[test]
    fn a_session_ends_when_it_is_told_to_and_when_its_time_has_passed() {
        let mut sessions = Sessions::default();
        let id = sessions.begin(claims("anna"), Monotonic(0));
        assert_eq!(sessions.find(&id, Monotonic(1)), Some(&claims("anna")));
        let end = Monotonic(0).after(AGE_MAX);
        assert_eq!(sessions.find(&id, end), None);
        assert_eq!(sessions.find("", Monotonic(1)), None);
        sessions.end(&id);
        assert_eq!(sessions.find(&id, Monotonic(1)), None);
    }

    #[test]
    fn every_login_has_an_id_of_its_own_and_the_oldest_gives_way() {
        let mut sessions = Sessions::default();
        let first = sessions.begin(claims("anna"), Monotonic(0));
        let rest: Vec<_> = (0..SESSIONS_MAX)
            .map(|_| sessions.begin(claims("b"), Monotonic(0)))
            .collect();
        assert_eq!(sessions.find(&first, Monotonic(1)), None);
        assert!(
            rest.iter()
                .all(|id| sessions.find(id, Monotonic(1)).is_some())
        );
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
    }
}
