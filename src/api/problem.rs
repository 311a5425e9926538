//! What is answered when the answer is no, in the shapes of Airflow's API.

use hyper::StatusCode;

use super::view::{object, text};
use crate::dag::Value;
use crate::scheduler::Refusal;

/// Why a request was not answered with what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// The rest of the request is not read, so nothing can follow it.
    pub(super) is_closing: bool,
}

impl Problem {
    /// `{"detail": …}`
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            body: object([("detail", text(detail))]),
            is_closing: false,
        }
    }

    /// The answer is the last of its connection.
    pub(super) fn closing(self) -> Self {
        Self {
            is_closing: true,
            ..self
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Airflow can do this, and this program cannot.
    pub(super) fn not_implemented(what: &str) -> Self {
        let detail = format!("mini-dag does not support {what}");
        Self::new(StatusCode::NOT_IMPLEMENTED, detail)
    }

    /// The request is understood and something in it is wrong; FastAPI's shape. `loc` is where: `body` or
    /// `query`, then the key.
    pub(super) fn invalid(kind: &str, loc: &[&str], msg: &str, input: Value) -> Self {
        let loc = loc.iter().map(|part| text(*part)).collect();
        let error = object([
            ("type", text(kind)),
            ("loc", Value::Array(loc)),
            ("msg", text(msg)),
            ("input", input),
        ]);
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            body: object([("detail", Value::Array(vec![error]))]),
            is_closing: false,
        }
    }

    /// There is such a thing already: the shape in which Airflow says so.
    pub(super) fn exists(message: &str) -> Self {
        let detail = object([
            ("reason", text("Unique constraint violation")),
            ("statement", text("hidden")),
            ("orig_error", text("hidden")),
            ("message", text(message)),
        ]);
        Self {
            status: StatusCode::CONFLICT,
            body: object([("detail", detail)]),
            is_closing: false,
        }
    }

    pub(super) fn no_route() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            body: object([("error", text("API route not found"))]),
            is_closing: false,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::NoDag(_) | Refusal::NoRun(_) | Refusal::NoTask(_) | Refusal::NoBackfill(_) => {
                StatusCode::NOT_FOUND
            }
            Refusal::RunExists(_)
            | Refusal::RunFinished(_)
            | Refusal::RunStopping(_)
            | Refusal::RunActive(_)
            | Refusal::AlreadySo(..)
            | Refusal::BackfillExists(..)
            | Refusal::BackfillOver(_) => StatusCode::CONFLICT,
            Refusal::LongNote
            | Refusal::BadRunId(_)
            | Refusal::NoDates(_)
            | Refusal::BadSpan(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::BadParams(_) => StatusCode::BAD_REQUEST,
            Refusal::TooManyQueued(_) => StatusCode::TOO_MANY_REQUESTS,
            Refusal::NotRecorded(_) | Refusal::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            // Not for a client that asks again after a 503: it might be done twice.
            Refusal::Unrecorded(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if let Refusal::RunExists(_) = refusal {
            return Self::exists(&refusal.to_string());
        }
        Self::new(status, refusal.to_string())
    }
}
