//! Which runs a clear or a mark takes in: the one that is named; with it those before and after it by logical
//! date (`include_past`, `include_future`); or, if none is named, those between two dates.
//!
//! No more than [`RUNS_MAX`] at once: each of them is in memory from then on until it is over again.

use hyper::StatusCode;

use super::lookup::{self, Known};
use super::past::Past;
use super::problem::Problem;
use super::router::Call;
use crate::daemon::service::Service;
use crate::timetable::Timestamp;

/// Runs that one request may change.
pub const RUNS_MAX: usize = 100;

/// The first logical date and the last, both included.
pub type Dates = (Timestamp, Timestamp);

/// What a request says of it.
pub struct Span<'c> {
    /// By the path, or by the body.
    pub run_id: Option<&'c str>,
    /// Those around the named one.
    pub around: Around,
    dates: Dates,
}

/// Which side of a run is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    past: bool,
    future: bool,
}

impl Around {
    /// The dates, and all before them, and all after them, if they are taken in.
    pub fn dates(self, (from, to): Dates) -> Dates {
        let from = if self.past { Timestamp::MIN } else { from };
        let to = if self.future { Timestamp::MAX } else { to };
        (from, to)
    }
}

impl<'c> Span<'c> {
    pub fn of(call: &'c Call<'_>) -> Result<Self, Problem> {
        let request = call.request;
        let flag = |name| Ok::<_, Problem>(request.field_bool(name)?.unwrap_or(false));
        let run_id = match call.id("run_id") {
            "" => request.field_text("dag_run_id")?,
            run_id => Some(run_id),
        };
        let from = request.field_date("start_date")?;
        let to = request.field_date("end_date")?;
        Ok(Self {
            run_id,
            around: Around {
                past: flag("include_past")?,
                future: flag("include_future")?,
            },
            dates: (from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX)),
        })
    }

    /// No run but the named one.
    pub fn is_one(&self) -> bool {
        let is_alone = Around {
            past: false,
            future: false,
        };
        self.run_id.is_some() && self.around == is_alone
    }

    /// All of them, if this is the logical date of the named one.
    pub fn dates(&self, named: Option<Timestamp>) -> Dates {
        let dates = named.map_or(self.dates, |date| (date, date));
        self.around.dates(dates)
    }

    /// The runs, oldest first.
    pub fn runs<'s>(
        &self,
        service: &'s Service,
        past: &'s Past,
        dag_id: &str,
    ) -> Result<Vec<Known<'s>>, Problem> {
        let named = self.run_id.map(|id| lookup::run(service, past, dag_id, id));
        let named = named.transpose()?;
        if let Some(named) = named.filter(|_| self.is_one()) {
            return Ok(vec![named]);
        }
        let (from, to) = self.dates(named.map(|(_, run)| run.facts.logical_date));
        lookup::dag(service, dag_id)?;
        let mut runs = lookup::runs(service, past, dag_id)?;
        runs.retain(|(_, run)| (from..=to).contains(&run.facts.logical_date));
        if runs.len() > RUNS_MAX {
            let detail = format!(
                "these are more than {RUNS_MAX} runs, as many as one request may change: give `start_date` and `end_date`"
            );
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        Ok(runs)
    }
}
