//! Runs that only the journal has any more, read back for one request.
//!
//! Memory has every run that is not over and the latest that are. What else a request is about is read
//! before its handler is asked, outside the loop: an SD card may take seconds for it. One request reads at
//! a time, and at most [`RUNS_MAX`] runs, so that memory is bounded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::StatusCode;
use smol::lock::Mutex;

use super::answer::runs;
use super::lookup::{self, EVERY_DAG, EVERY_RUN};
use super::problem::Problem;
use super::router::{Call, guarded};
use super::span::{self, Around, Dates, Span};
use crate::daemon::aside::aside;
use crate::daemon::service::Service;
use crate::dag::Dag;
use crate::dag::map_of;
use crate::journal::{Directory, Filter, OpenError, PastAttempt, history};
use crate::scheduler::{Run, RunNumber, RunState};

/// Runs that are read back for one request, at most: the latest.
pub const RUNS_MAX: usize = 1_000;

/// What a route may need that memory does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Nothing.
    None,
    /// The run that the path or the body names.
    Run,
    /// A run that has the name or the logical date that the body asks for.
    Twin,
    /// That run, and those before and after it, or between two dates, that the body takes in.
    Span,
    /// That run with all its attempts, which memory never has.
    Attempts,
    /// The runs of a DAG.
    Runs,
}

/// What was read.
pub type Past = BTreeMap<RunNumber, Recalled>;

/// A run of the past, for its DAG as it is now.
pub struct Recalled {
    pub run: Run,
    /// Every attempt at its tasks, in the order they began.
    pub attempts: Vec<PastAttempt>,
}

/// What is to be read.
pub struct Question {
    journal: PathBuf,
    dags: BTreeMap<Arc<str>, Arc<Dag>>,
    dag_id: Option<String>,
    run_id: Option<String>,
    logical_dates: Option<Dates>,
    /// Of the run that is found, those around it, too.
    around: Option<Around>,
    limit: usize,
}

impl Question {
    /// What has to be read before a request can be answered; none if memory is enough.
    pub fn of(service: &Service, call: &Call<'_>) -> Result<Option<Self>, Problem> {
        let dag_id = call.id("dag_id");
        if dag_id != EVERY_DAG && service.state().dag(dag_id).is_none() {
            return Ok(None);
        }
        let (mut logical_dates, mut around) = (None, None);
        let (run_id, limit) = match call.route.history {
            History::None => return Ok(None),
            History::Run | History::Attempts => {
                // Task instances of many runs are those of the runs in memory.
                let Some(run_id) = run_id(call)?.filter(|run_id| *run_id != EVERY_RUN) else {
                    return Ok(None);
                };
                let is_held = service.state().find_run(dag_id, run_id).is_some();
                if is_held && call.route.history == History::Run {
                    return Ok(None);
                }
                (Some(run_id.to_owned()), 1)
            }
            History::Twin => {
                let (run_id, logical_date) = runs::identity(call.request)?;
                if run_id.is_none() && logical_date.is_none() {
                    return Ok(None);
                }
                logical_dates = logical_date.map(|date| (date, date));
                (run_id, 1)
            }
            History::Span => {
                let span = Span::of(call)?;
                let held = span.run_id.map(|id| service.state().find_run(dag_id, id));
                match held {
                    Some(Some(_)) if span.is_one() => return Ok(None),
                    Some(None) => {
                        around = Some(span.around).filter(|_| !span.is_one());
                        (span.run_id.map(str::to_owned), 1)
                    }
                    Some(Some((_, run))) => {
                        logical_dates = Some(span.dates(Some(run.facts.logical_date)));
                        (None, span::RUNS_MAX + 1)
                    }
                    None => {
                        logical_dates = Some(span.dates(None));
                        (None, span::RUNS_MAX + 1)
                    }
                }
            }
            History::Runs => match runs_missing(service, call)? {
                Some(limit) => (None, limit),
                None => return Ok(None),
            },
        };
        let dags = service.state().dags().map(|known| &known.dag);
        Ok(Some(Self {
            journal: service.places().state.join("journal"),
            dags: map_of(dags.map(|dag| (dag.dag_id.clone(), dag.clone()))),
            dag_id: (dag_id != EVERY_DAG).then(|| dag_id.to_owned()),
            run_id,
            logical_dates,
            around,
            limit,
        }))
    }

    /// Reads it, one reader at a time, even if whoever asked has gone away meanwhile.
    pub async fn read(self) -> Result<Past, Problem> {
        static READER: Mutex<()> = Mutex::new(());
        let turn = READER.lock().await;
        let read = move || {
            let _turn = turn;
            guarded(|| self.read_now())
        };
        aside(read).await
    }

    /// Reads it. Blocks.
    pub fn read_now(&self) -> Result<Past, Problem> {
        self.runs()
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    fn runs(&self) -> Result<Past, OpenError> {
        let mut past = Past::new();
        let wanted = Filter {
            dag_id: self.dag_id.as_deref(),
            run_id: self.run_id.as_deref(),
            logical_dates: self.logical_dates,
            limit: self.limit,
        };
        self.add(&mut past, wanted)?;
        let found = past.values().next().map(|past| past.run.facts.logical_date);
        if let (Some(around), Some(date)) = (self.around, found) {
            let beside = Filter {
                run_id: None,
                logical_dates: Some(around.dates((date, date))),
                limit: span::RUNS_MAX + 1,
                ..wanted
            };
            self.add(&mut past, beside)?;
        }
        Ok(past)
    }

    fn add(&self, past: &mut Past, filter: Filter<'_>) -> Result<(), OpenError> {
        for run in history(&Directory::new(&self.journal), filter)? {
            let Some(dag) = self.dags.get(&run.dag_id) else {
                continue;
            };
            let Some(image) = run.image(dag) else {
                continue;
            };
            let recalled = Recalled {
                run: Run::restore(dag.clone(), &image),
                attempts: run.attempts,
            };
            past.insert(run.number, recalled);
        }
        Ok(())
    }
}

/// The run that a request is about, by its path or its body.
fn run_id<'c>(call: &'c Call<'_>) -> Result<Option<&'c str>, Problem> {
    match call.id("run_id") {
        "" => call.request.field_text("dag_run_id"),
        run_id => Ok(Some(run_id)),
    }
}

/// How many of the latest runs have to be read for a list; none if memory has what it shows.
///
/// A list of the latest needs what it shows, and one more, so that it can be seen that there are more. Any
/// other order, or a filter, needs all there are.
fn runs_missing(service: &Service, call: &Call<'_>) -> Result<Option<usize>, Problem> {
    let request = call.request;
    let (offset, limit) = request.page()?;
    let live = [RunState::Queued, RunState::Running].map(RunState::name);
    let mut states = request.query_all("state").peekable();
    let is_filter = |name: &str| !["limit", "offset", "order_by"].contains(&name);
    let mut query = request.query.iter();
    let is_filtered = query.any(|(name, value)| is_filter(name) && !value.is_empty());
    if states.peek().is_some() && states.all(|state| live.contains(&state)) {
        return Ok(None);
    }
    let order_by = request.query("order_by").unwrap_or("id");
    let is_latest = ["-id", "-dag_run_id", "-run_id"].contains(&order_by);
    if is_filtered || !is_latest {
        return Ok(Some(RUNS_MAX));
    }
    let wanted = offset.saturating_add(limit).saturating_add(1);
    let held = lookup::held(service, call.id("dag_id"))?.len();
    Ok((wanted > held).then(|| wanted.min(RUNS_MAX)))
}
