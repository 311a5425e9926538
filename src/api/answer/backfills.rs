//! Backfills: list, one, create, pause, unpause, cancel, and what one would create.

use std::collections::BTreeMap;

use hyper::StatusCode;

use crate::api::lookup;
use crate::api::problem::Problem;
use crate::api::request::Request;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, collection, date, object, text};
use crate::daemon::clock;
use crate::daemon::service::Service;
use crate::dag::{Moment, Value};
use crate::journal::{Directory, dates};
use crate::scheduler::{
    Answer, Backfill, BackfillChange, BackfillFacts, BackfillNumber, Command, NewBackfill,
    PastDate, Refusal, Reprocess, backfill_timetable, is_wanted, next_date,
};
use crate::timetable::Timestamp;

/// Dates that a dry run names; all of them are counted.
const DATES_SHOWN: usize = 1_000;
/// Dates that a dry run looks at.
const DATES_MAX: usize = 1_000_000;
/// Unless the request says otherwise, as in Airflow.
const MAX_ACTIVE_RUNS: u32 = 10;

pub(crate) fn list(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (offset, limit) = call.request.page()?;
    let dag_id = call.request.query("dag_id");
    let of_it = |(_, backfill): &(_, &Backfill)| dag_id.is_none_or(|id| *backfill.dag_id == *id);
    let backfills: Vec<_> = service.state().backfills().filter(of_it).collect();
    let page = backfills.iter().skip(offset).take(limit);
    let entries = page.map(|(number, backfill)| view::backfill(*number, backfill));
    Ok(Reply::json(collection("backfills", entries, backfills.len())).into())
}

pub(crate) fn get(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (number, backfill) = named(service, call)?;
    Ok(view::backfill(number, backfill).into())
}

/// How far it has come, which Airflow has no words for.
pub(crate) fn progress(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let (number, backfill) = named(service, call)?;
    Ok(view::backfill_progress(number, backfill).into())
}

pub(crate) fn create(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let new = new(service, call.request)?;
    Ok(Outcome::Ask(Command::Backfill(new), answered))
}

pub(crate) fn pause(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    change(service, call, BackfillChange::Pause)
}

pub(crate) fn unpause(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    change(service, call, BackfillChange::Unpause)
}

pub(crate) fn cancel(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    change(service, call, BackfillChange::Cancel)
}

fn change(service: &Service, call: &Call<'_>, to: BackfillChange) -> Result<Outcome, Problem> {
    let (number, _) = named(service, call)?;
    Ok(Outcome::Ask(Command::ChangeBackfill(number, to), answered))
}

fn answered(service: &Service, _: &Call<'_>, answer: &Answer) -> Result<Reply, Problem> {
    let Answer::Backfill(number) = answer else {
        return Err(Problem::not_found("there is no such backfill"));
    };
    let backfill = service.state().backfill(*number);
    let backfill = backfill.ok_or(Refusal::NoBackfill(*number))?;
    Ok(view::backfill(*number, backfill).into())
}

/// The dates that a backfill would create a run for. What the journal knows of them is read aside.
pub(crate) fn dry_run(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let NewBackfill { dag_id, facts } = new(service, call.request)?;
    let now = clock::now().wall;
    let known = lookup::dag(service, &dag_id)?;
    let timetable = backfill_timetable(known, now).ok_or(Refusal::NoDates(dag_id.clone()))?;
    if facts.from > facts.to || facts.to > now {
        return Err(Refusal::BadSpan("it ends before it begins, or in the future").into());
    }
    let kind = known.dag.timetable;
    let journal = service.places().state.join("journal");
    Ok(Outcome::Aside(Box::new(move || {
        let past = dates(&Directory::new(&journal), &dag_id, facts.from, facts.to);
        let past = past
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let state = |logical_date| {
            let found =
                past.binary_search_by_key(&logical_date, |past: &PastDate| past.logical_date);
            found.ok().map(|at| past[at].state)
        };
        let mut cursor = None;
        let mut shown = Vec::new();
        let mut total = 0;
        for _ in 0..DATES_MAX {
            let Some(next) = next_date(&timetable, kind, &facts, cursor, now) else {
                break;
            };
            cursor = Some(next.data_interval.1);
            if is_wanted(facts.reprocess, state(next.logical_date)) {
                total += 1;
                if shown.len() < DATES_SHOWN {
                    shown.push(next.logical_date);
                }
            }
        }
        let entry = |logical_date| {
            object([
                ("logical_date", date(Some(logical_date))),
                ("partition_key", Value::Null),
                ("partition_date", Value::Null),
            ])
        };
        let entries = shown.into_iter().map(entry);
        Ok(collection("backfills", entries, total))
    })))
}

fn named<'s>(
    service: &'s Service,
    call: &Call<'_>,
) -> Result<(BackfillNumber, &'s Backfill), Problem> {
    let id = call.id("backfill_id");
    let number = id.parse().map(BackfillNumber).map_err(|_| {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        Problem::invalid("int_parsing", &["path", "backfill_id"], msg, text(id))
    })?;
    let backfill = service.state().backfill(number);
    let backfill = backfill.ok_or(Refusal::NoBackfill(number))?;
    Ok((number, backfill))
}

/// What a request asks for.
fn new(service: &Service, request: &Request) -> Result<NewBackfill, Problem> {
    request.only_fields(&[
        "dag_id",
        "from_date",
        "to_date",
        "run_backwards",
        "dag_run_conf",
        "reprocess_behavior",
        "max_active_runs",
        "run_on_latest_version",
    ])?;
    let missing = |name: &'static str| {
        let body = request.body.clone();
        Problem::invalid("missing", &["body", name], "Field required", body)
    };
    let dag_id = request
        .field_text("dag_id")?
        .ok_or_else(|| missing("dag_id"))?;
    let dag = &lookup::dag(service, dag_id)?.dag;
    let zone = dag.timezone.clone().unwrap_or_else(|| service.timezone());
    let moment = |name: &'static str| {
        let given = request.field_text(name)?.ok_or_else(|| missing(name))?;
        // Without an offset it is in the DAG's zone; a day is its first moment.
        let local = |error| {
            let moment = Moment::parse(given).map(|moment| moment.instant(&zone));
            moment.ok_or(error)
        };
        Timestamp::parse(given).or_else(local).map_err(|error| {
            let msg = format!("Input should be a valid datetime: it is {error}");
            let loc = ["body", name];
            Problem::invalid("datetime_from_date_parsing", &loc, &msg, text(given))
        })
    };
    let params = match request.field("dag_run_conf") {
        None => BTreeMap::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(other) => {
            let (loc, input) = (["body", "dag_run_conf"], other.clone());
            let msg = "Input should be a valid dictionary";
            return Err(Problem::invalid("dict_type", &loc, msg, input));
        }
    };
    let reprocess = match request.field_text("reprocess_behavior")? {
        None => Reprocess::None,
        Some(name) => Reprocess::of(name).ok_or_else(|| {
            let (loc, msg) = (
                ["body", "reprocess_behavior"],
                "Input should be 'failed', 'completed' or 'none'",
            );
            Problem::invalid("enum", &loc, msg, text(name))
        })?,
    };
    let max_active_runs = match request.field("max_active_runs") {
        None => MAX_ACTIVE_RUNS,
        Some(value) => {
            let number = value.as_i64().and_then(|number| u32::try_from(number).ok());
            number.filter(|number| *number > 0).ok_or_else(|| {
                let loc = ["body", "max_active_runs"];
                let msg = "Input should be greater than or equal to 1";
                Problem::invalid("greater_than_equal", &loc, msg, value.clone())
            })?
        }
    };
    Ok(NewBackfill {
        dag_id: dag_id.to_owned(),
        facts: BackfillFacts {
            from: moment("from_date")?,
            to: moment("to_date")?,
            reprocess,
            newest_first: request.field_bool("run_backwards")?.unwrap_or(false),
            max_active_runs,
            params,
        },
    })
}
