//! Logging in: a token for programs, a session for the page; and out again.

use hyper::StatusCode;
use hyper::header::SET_COOKIE;

use super::rest::who;
use crate::api::auth::Means;
use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::api::remote::Errand;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{object, text};
use crate::daemon::service::Service;
use crate::dag::Value;

pub(crate) fn token(_: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    log_in(call, Means::Token)
}

pub(crate) fn cli_token(_: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    log_in(call, Means::CliToken)
}

/// A session: its id comes as a cookie that no script can read, and no other site can have sent.
pub(crate) fn page(_: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    log_in(call, Means::Session)
}

fn log_in(call: &Call<'_>, means: Means) -> Result<Outcome, Problem> {
    let request = call.request;
    request.only_fields(&["username", "password"])?;
    let required = |name: &str| {
        let given = request.field_text(name)?;
        given.map(str::to_owned).ok_or_else(|| {
            let msg = "Field required";
            Problem::invalid("missing", &["body", name], msg, Value::Null)
        })
    };
    let (name, password) = (required("username")?, required("password")?);
    Ok(Errand::LogIn(means, name, password).into())
}

/// What a right password is answered with.
pub(crate) fn reply(means: Means, caller: &Caller, given: String, cookie: &str) -> Reply {
    match means {
        Means::Token | Means::CliToken => {
            let mut reply = Reply::from(object([("access_token", text(given))]));
            reply.status = StatusCode::CREATED;
            reply
        }
        Means::Session => {
            let mut reply = Reply::from(who(Some(caller)));
            let cookie = format!("{cookie}={given}; HttpOnly; SameSite=Strict; Path=/");
            reply.headers.push((SET_COOKIE, cookie));
            reply
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn out(_: &Service, _: &Call<'_>) -> Result<Outcome, Problem> {
    Ok(Errand::LogOut.into())
}

/// The session is over, and its cookie goes.
pub(crate) fn gone(cookie: &str) -> Reply {
    let mut reply = Reply::from(who(None));
    let cookie = format!("{cookie}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    reply.headers.push((SET_COOKIE, cookie));
    reply
}
