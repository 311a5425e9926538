//! Who is asking, and whether they are who they say.
//!
//! By TCP nobody is believed without one of: a token (`Authorization: Bearer`), a session of the page (a cookie), or
//! a name and a password (`Authorization: Basic`). Passwords are verified in a helper thread, one at a time, and a
//! wrong one makes the next take longer. The users' file is looked at with every request: who was removed, or has
//! another password, is out at once.

mod encoding;
mod password;
mod sessions;
mod throttle;
mod token;
mod users;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap};
use ring::hmac;
use smol::lock::Mutex;

use super::caller::Caller;
use super::problem::Problem;
use crate::daemon::aside::aside;
use crate::daemon::clock;
use encoding::from_base64;
use sessions::Sessions;
use throttle::Throttle;
use token::Claims;
use users::{Stamp, generated_password, stamp};

pub use users::{PASSWORD_BYTES_MAX, PASSWORD_MIN, User, Users};

/// How long a token for programs holds, in seconds: as Airflow's.
const TOKEN_S: i64 = 24 * 60 * 60;
/// How long one for the command line holds.
const CLI_TOKEN_S: i64 = 60 * 60;
/// Basic credentials that were right a moment ago are not verified again.
const REMEMBERED_MAX: usize = 8;

/// What somebody has shown who came by TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// For how long they are believed.
    claims: Claims,
    /// Their session of the page.
    session: Option<String>,
}

impl Pass {
    /// Whether a browser shows it by itself, with everything that it sends.
    pub(super) fn is_session(&self) -> bool {
        self.session.is_some()
    }
}

/// What a right password is exchanged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Token,
    CliToken,
    Session,
}

/// The users' file as it was read last.
struct Known {
    stamp: Stamp,
    users: Option<Rc<Users>>,
}

/// The one who decides who comes in.
pub struct Gate {
    state: PathBuf,
    known: RefCell<Known>,
    sessions: RefCell<Sessions>,
    throttle: RefCell<Throttle>,
    remembered: RefCell<VecDeque<(hmac::Tag, Claims)>>,
    turn: Mutex<()>,
}

impl Gate {
    /// That of a state directory. If it has no user yet, `admin` gets a password, and that is said.
    pub fn new(state: &Path) -> Self {
        match users::first_admin(state) {
            Ok(None) => {}
            Ok(Some(password)) => log::info!(
                "first start: log in as `admin` with the password {password} (kept in {}; `mini-dag user passwd admin` changes it)",
                state.join("admin_password").display()
            ),
            Err(why) => log::error!("nobody can log in: {why}"),
        }
        Self {
            state: state.to_owned(),
            known: RefCell::new(Known {
                stamp: None,
                users: None,
            }),
            sessions: RefCell::default(),
            throttle: RefCell::default(),
            remembered: RefCell::default(),
            turn: Mutex::new(()),
        }
    }

    /// Everybody who may come in, as the file says now. A file that cannot be read lets nobody in.
    pub fn users(&self) -> Option<Rc<Users>> {
        let now = stamp(&self.state);
        let mut known = self.known.borrow_mut();
        if known.stamp != now || known.users.is_none() {
            let users = Users::read(&self.state).unwrap_or_else(|error| {
                log::error!("users cannot be read, nobody can log in: {error}");
                None
            });
            known.stamp = now;
            known.users = users.map(Rc::new);
        }
        known.users.clone()
    }

    /// How to log in, for people.
    pub(super) fn hint(&self) -> String {
        match generated_password(&self.state) {
            Some(path) => format!("log in as `admin`, the password is in {}", path.display()),
            None => "log in with a name of `mini-dag user list`".to_owned(),
        }
    }

    /// Whether a person chose a password: without, nobody is let in from other hosts.
    pub(super) fn has_chosen_password(&self) -> bool {
        let users = self.users();
        users.is_some_and(|users| users.list.iter().any(|user| !user.is_generated))
    }

    /// Who sends these headers. `None` is nobody in particular; wrong credentials are an error.
    pub(super) async fn caller(
        &self,
        headers: &HeaderMap,
        cookie: &str,
        source: Option<IpAddr>,
    ) -> Result<Option<Caller>, Problem> {
        let Some(given) = headers.get(AUTHORIZATION) else {
            let session = session_of(headers, cookie);
            return Ok(session.and_then(|id| self.of_session(id)));
        };
        let bad = || Problem::new(StatusCode::FORBIDDEN, "Invalid JWT token");
        let given = given.to_str().map_err(|_| bad())?;
        let (scheme, credentials) = given.split_once(' ').ok_or_else(bad)?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            return self.of_basic(credentials, source).await.map(Some);
        }
        let users = self.users().ok_or_else(bad)?;
        let claims = token::read(&key(&users), credentials, clock::now().wall);
        let claims = claims.filter(|_| scheme.eq_ignore_ascii_case("bearer"));
        self.believe(claims.ok_or_else(bad)?)
            .ok_or_else(bad)
            .map(Some)
    }

    fn of_session(&self, id: &str) -> Option<Caller> {
        let now = clock::now().monotonic;
        let claims = self.sessions.borrow().find(id, now)?.clone();
        let mut caller = self.believe(claims)?;
        if let Some(pass) = &mut caller.pass {
            pass.session = Some(id.to_owned());
        }
        Some(caller)
    }

    async fn of_basic(&self, given: &str, source: Option<IpAddr>) -> Result<Caller, Problem> {
        let bad = || Problem::new(StatusCode::UNAUTHORIZED, "Invalid credentials");
        let users = self.users().ok_or_else(bad)?;
        let tag = hmac::sign(&key(&users), given.as_bytes());
        let is_it = |(known, _): &&(hmac::Tag, Claims)| {
            // Tags of what clients send, under a key that they do not know, tell them nothing.
            known.as_ref() == tag.as_ref()
        };
        let known = self
            .remembered
            .borrow()
            .iter()
            .find(is_it)
            .map(|(_, claims)| claims.clone());
        if let Some(caller) = known.and_then(|claims| self.believe(claims)) {
            return Ok(caller);
        }
        let pair = from_base64(given).and_then(|pair| String::from_utf8(pair).ok());
        let pair = pair.as_deref().and_then(|pair| pair.split_once(':'));
        let (name, password) = pair.ok_or_else(bad)?;
        let claims = self.verify(name, password, source).await?;
        let mut remembered = self.remembered.borrow_mut();
        remembered.retain(|(_, known)| *known != claims);
        remembered.truncate(REMEMBERED_MAX - 1);
        remembered.push_front((tag, claims.clone()));
        drop(remembered);
        self.believe(claims).ok_or_else(bad)
    }

    /// Who the claims speak of, if they still hold.
    fn believe(&self, claims: Claims) -> Option<Caller> {
        let users = self.users()?;
        let user = users
            .find(&claims.user)
            .filter(|user| user.epoch == claims.epoch)?;
        Some(Caller {
            name: user.name.clone(),
            role: user.role,
            pass: Some(Pass {
                claims,
                session: None,
            }),
        })
    }

    /// Whether somebody who was let in a while ago still would be.
    pub(super) fn is_still(&self, caller: &Caller) -> bool {
        let Some(pass) = &caller.pass else {
            return true;
        };
        let is_open = pass.session.as_ref().is_none_or(|id| {
            let now = clock::now().monotonic;
            self.sessions.borrow().find(id, now).is_some()
        });
        is_open && self.believe(pass.claims.clone()).is_some()
    }

    /// Verifies a password, one at a time.
    async fn verify(
        &self,
        name: &str,
        password: &str,
        source: Option<IpAddr>,
    ) -> Result<Claims, Problem> {
        let _turn = self.turn.lock().await;
        let wait = self.throttle.borrow().wait(source, clock::now().monotonic);
        if !wait.is_zero() {
            let seconds = wait.as_secs() + 1;
            let detail = format!("too many wrong passwords; try again in {seconds} s");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        }
        let users = self.users();
        let bad = || Problem::new(StatusCode::UNAUTHORIZED, "Invalid credentials");
        let slowest = users.as_ref().ok_or_else(bad)?.slowest();
        let user = users.as_ref().and_then(|users| users.find(name));
        let claims = user.map(|user| Claims {
            user: user.name.clone(),
            epoch: user.epoch,
        });
        let stored = user.map(|user| user.password.clone());
        let given = password.to_owned();
        let is_short = given.len() <= PASSWORD_BYTES_MAX;
        let is_right = aside(move || password::verify(&given, stored.as_ref(), slowest)).await;
        if let Some(claims) = claims.filter(|_| is_right && is_short) {
            self.throttle.borrow_mut().succeeded(source);
            return Ok(claims);
        }
        let now = clock::now().monotonic;
        self.throttle.borrow_mut().failed(source, now);
        log::warn!("a wrong name or password, from {}", from(source));
        Err(bad())
    }

    /// Exchanges a name and a password for a token, or for the id of a new session.
    pub(super) async fn log_in(
        &self,
        (name, password): (&str, &str),
        means: Means,
        source: Option<IpAddr>,
    ) -> Result<(Caller, String), Problem> {
        let claims = self.verify(name, password, source).await?;
        let bad = || Problem::new(StatusCode::UNAUTHORIZED, "Invalid credentials");
        let users = self.users().ok_or_else(bad)?;
        let caller = self.believe(claims.clone()).ok_or_else(bad)?;
        let now = clock::now();
        let given = match means {
            Means::Token => token::issue(&key(&users), &claims, now.wall, TOKEN_S),
            Means::CliToken => token::issue(&key(&users), &claims, now.wall, CLI_TOKEN_S),
            Means::Session => self.sessions.borrow_mut().begin(claims, now.monotonic),
        };
        log::info!("{} logged in, from {}", caller.name, from(source));
        Ok((caller, given))
    }

    /// Ends the session that a caller has, if it is one.
    pub(super) fn log_out(&self, caller: &Caller) {
        let pass = caller.pass.as_ref();
        if let Some(id) = pass.and_then(|pass| pass.session.as_ref()) {
            self.sessions.borrow_mut().end(id);
        }
    }
}

fn from(source: Option<IpAddr>) -> String {
    source.map_or("the control socket".to_owned(), |source| source.to_string())
}

fn key(users: &Users) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &users.secret)
}

fn session_of<'h>(headers: &'h HeaderMap, cookie: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut own = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name.trim() == cookie).then(|| value.trim())
    });
    own.next()
}
