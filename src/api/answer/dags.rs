//! DAGs: list, one, its tasks, its source; pause and unpause.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Read;

use crate::api::lookup;
use crate::api::problem::Problem;
use crate::api::router::{Call, Outcome, Reply};
use crate::api::view::{self, Standing, collection, number, object, text};
use crate::daemon::service::Service;
use crate::dag::{DAG_FILE_BYTES_MAX, Value};
use crate::scheduler::{Answer, Command, DagState, RunState};

/// What is known of a DAG beside its definition.
pub(super) fn standing(service: &Service, known: &DagState) -> Standing {
    let next_interval = service.scheduler().next_interval_of(&known.dag.dag_id);
    Standing {
        is_paused: known.is_paused,
        slots: service.scheduler().limits().pools.parallelism(),
        loaded_at: Some(service.loaded_at()),
        has_import_errors: has_import_errors(service, known),
        next_run: service.next_run(&known.dag.dag_id),
        next_interval,
        active_runs: known.active_runs,
    }
}

/// Its file has changed since it was read, and no longer loads.
pub(super) fn has_import_errors(service: &Service, known: &DagState) -> bool {
    let errors = service.catalog().errors.iter();
    let mut places = errors.filter_map(|error| error.place.as_ref());
    places.any(|place| {
        let source = known.dag.source.as_ref();
        source.is_some_and(|path| *path.to_string_lossy() == *place.file)
    })
}

fn summary(service: &Service, known: &DagState) -> String {
    view::summary(&known.dag, &standing(service, known)).finish()
}

pub(crate) fn list(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let request = call.request;
    let (offset, limit) = request.page()?;
    let mut dags = wanted(service, call)?;
    order(
        service,
        &mut dags,
        request.query("order_by").unwrap_or("dag_id"),
    )?;
    let page = dags.iter().skip(offset).take(limit);
    let entries = page.map(|known| summary(service, known));
    Ok(Reply::json(collection("dags", entries, dags.len())).into())
}

/// The DAGs that the query asks for, ordered by id.
pub(super) fn wanted<'s>(
    service: &'s Service,
    call: &Call<'_>,
) -> Result<Vec<&'s DagState>, Problem> {
    let request = call.request;
    let paused = request.query_bool("paused")?;
    let patterns = ["dag_id_pattern", "dag_display_name_pattern"];
    let patterns = patterns.map(|name| request.query(name).unwrap_or(""));
    let tags: Vec<_> = request.query_all("tags").collect();
    let all_tags = request.query("tags_match_mode") == Some("all");
    let owners: Vec<_> = request.query_all("owners").collect();
    let state = request.query("last_dag_run_state");
    let is_wanted = |known: &&DagState| {
        let has = |tag: &&str| known.dag.tags.iter().any(|own| own == tag);
        let has_tags = if all_tags {
            tags.iter().all(has)
        } else {
            tags.iter().any(has)
        };
        paused.is_none_or(|paused| known.is_paused == paused)
            && patterns
                .iter()
                .all(|pattern| contains_like(&known.dag.dag_id, pattern))
            && (tags.is_empty() || has_tags)
            && (owners.is_empty() || owners.contains(&view::owner(&known.dag)))
            && state.is_none_or(|state| last_state(service, known) == Some(state))
    };
    Ok(service.state().dags().filter(is_wanted).collect())
}

/// The state of the latest run in memory: the latest that is over stays there.
fn last_state(service: &Service, known: &DagState) -> Option<&'static str> {
    let latest = known.runs.values().max()?;
    Some(service.state().run(*latest)?.state.name())
}

fn order(service: &Service, dags: &mut [&DagState], by: &str) -> Result<(), Problem> {
    let (key, is_descending) = match by.strip_prefix('-') {
        Some(key) => (key, true),
        None => (by, false),
    };
    let latest = |known: &DagState| {
        let latest = known.runs.values().max()?;
        service.state().run(*latest)
    };
    // One sort for all keys: each brings its code along.
    let compare: &dyn Fn(&DagState, &DagState) -> Ordering = match key {
        "dag_id" | "dag_display_name" => &|_, _| Ordering::Equal,
        "is_paused" => &|one, other| one.is_paused.cmp(&other.is_paused),
        "next_dagrun" | "next_dagrun_run_after" => &|one, other| {
            let next = |known: &DagState| service.next_run(&known.dag.dag_id);
            next(one).cmp(&next(other))
        },
        "last_run_state" => &|one, other| {
            let state = |known| latest(known).map(|run| run.state);
            state(one).cmp(&state(other))
        },
        "last_run_start_date" | "last_run_run_after" => &|one, other| {
            let started = |known| latest(known).and_then(|run| run.started_at);
            started(one).cmp(&started(other))
        },
        _ => return Err(cannot_order(by)),
    };
    dags.sort_by(|one, other| compare(one, other));
    if is_descending {
        dags.reverse();
    }
    Ok(())
}

pub(super) fn cannot_order(by: &str) -> Problem {
    let msg = "Ordering by this is not supported";
    Problem::invalid("value_error", &["query", "order_by"], msg, text(by))
}

pub(crate) fn get(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let known = lookup::dag(service, call.id("dag_id"))?;
    Ok(Reply::json(summary(service, known)).into())
}

pub(crate) fn details(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let known = lookup::dag(service, call.id("dag_id"))?;
    let details = view::dag_details(&known.dag, &standing(service, known));
    Ok(Reply::json(details).into())
}

pub(crate) fn tasks(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dag = &lookup::dag(service, call.id("dag_id"))?.dag;
    let tasks = dag.tasks().iter().map(|task| view::task(dag, task));
    Ok(Reply::json(collection("tasks", tasks, dag.tasks().len())).into())
}

pub(crate) fn task(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dag = &lookup::dag(service, call.id("dag_id"))?.dag;
    let index = lookup::task(dag, call.id("task_id"))?;
    Ok(view::task(dag, dag.task(index)).into())
}

/// Pauses or unpauses every DAG that the query asks for.
pub(crate) fn pause_all(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let is_paused = is_paused(call)?;
    let command = |known: &DagState| Command::Pause {
        dag_id: known.dag.dag_id.to_string(),
        is_paused,
    };
    let dags = wanted(service, call)?;
    let commands = dags.into_iter().map(command).collect();
    Ok(Outcome::AskAll(commands, Box::new(list_all)))
}

/// The same DAGs, whatever of them is paused now.
fn list_all(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dags = service.state().dags();
    let pattern = call.request.query("dag_id_pattern").unwrap_or("");
    let dags: Vec<_> = dags
        .filter(|known| contains_like(&known.dag.dag_id, pattern))
        .collect();
    let (offset, limit) = call.request.page()?;
    let page = dags.iter().skip(offset).take(limit);
    let entries = page.map(|known| summary(service, known));
    Ok(Reply::json(collection("dags", entries, dags.len())).into())
}

pub(crate) fn pause(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let known = lookup::dag(service, call.id("dag_id"))?;
    let is_paused = is_paused(call)?;
    let dag_id = known.dag.dag_id.to_string();
    Ok(Outcome::Ask(Command::Pause { dag_id, is_paused }, paused))
}

fn is_paused(call: &Call<'_>) -> Result<bool, Problem> {
    call.request.only_fields(&["is_paused"])?;
    call.request.field_bool("is_paused")?.ok_or_else(|| {
        let body = call.request.body.clone();
        Problem::invalid("missing", &["body", "is_paused"], "Field required", body)
    })
}

fn paused(service: &Service, call: &Call<'_>, _: &Answer) -> Result<Reply, Problem> {
    let known = lookup::dag(service, call.id("dag_id"))?;
    Ok(Reply::json(summary(service, known)))
}

/// How many runs of each DAG are in each state, those included that only the journal has any more.
#[expect(clippy::unnecessary_wraps, reason = "a handler")]
pub(crate) fn stats(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let wanted: Vec<_> = call.request.query_all("dag_ids").collect();
    let stat = |state: RunState, count: u64| {
        object([("state", text(state.name())), ("count", number(count))])
    };
    let dags = service.state().dags();
    let dags = dags.filter(|known| wanted.is_empty() || wanted.contains(&&*known.dag.dag_id));
    let entries = dags.map(|known| {
        let dag_id = &*known.dag.dag_id;
        let queued = known.queued.len() + known.backfill_queued.len();
        let running = known.active_runs + known.backfill_running;
        let stats = [
            stat(RunState::Queued, queued as u64),
            stat(RunState::Running, running.into()),
            stat(RunState::Success, known.over.success),
            stat(RunState::Failed, known.over.failed),
        ];
        object([
            ("dag_id", text(dag_id)),
            ("dag_display_name", text(dag_id)),
            ("stats", Value::Array(stats.into())),
        ])
    });
    let entries: Vec<_> = entries.collect();
    let total = entries.len();
    Ok(Reply::json(collection("dags", entries, total)).into())
}

/// There is one version of a DAG: the one that is there.
pub(crate) fn versions(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dag = &lookup::dag(service, call.id("dag_id"))?.dag;
    let version = view::version(dag, service.loaded_at());
    Ok(Reply::json(collection("dag_versions", [version], 1)).into())
}

pub(crate) fn version(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dag = &lookup::dag(service, call.id("dag_id"))?.dag;
    match call.id("version_number") {
        "1" => Ok(view::version(dag, service.loaded_at()).into()),
        other => Err(Problem::not_found(format!(
            "DAG `{}` has no version {other}; the one that is there is 1",
            dag.dag_id
        ))),
    }
}

/// The text of a DAG's file as it is now.
pub(crate) fn source(service: &Service, call: &Call<'_>) -> Result<Outcome, Problem> {
    let dag = &lookup::dag(service, call.id("dag_id"))?.dag;
    let Some(path) = &dag.source else {
        let detail = format!("DAG `{}` is compiled in and has no file", dag.dag_id);
        return Err(Problem::not_found(detail));
    };
    let mut content = Vec::new();
    let limit = u64::try_from(DAG_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut content))
        .map_err(|error| Problem::not_found(format!("cannot read its file: {error}")))?;
    let content = String::from_utf8_lossy(&content);
    let answer = object([
        ("content", text(content)),
        ("dag_id", text(&*dag.dag_id)),
        ("version_number", number(1)),
        ("dag_display_name", text(&*dag.dag_id)),
    ]);
    Ok(answer.into())
}

/// Whether SQL's `text ILIKE '%pattern%'` holds: `%` is anything, `_` any one character. O(text · pattern).
pub(super) fn contains_like(text: &str, pattern: &str) -> bool {
    let lower = |text: &str| {
        text.chars()
            .map(|c| c.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    let (text, pattern) = (lower(text), lower(&format!("%{pattern}%")));
    // Where the text may have come to when the pattern so far is used up.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for part in pattern {
        if part == '%' {
            let first = reached.iter().position(|is_reached| *is_reached);
            let first = first.unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for at in (0..text.len()).rev() {
                reached[at + 1] = reached[at] && (part == '_' || part == text[at]);
            }
            reached[0] = false;
        }
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::contains_like;

    #[test]
    fn patterns_are_those_of_sql() {
        let cases = [
            ("edge_bash", "", true),
            ("edge_bash", "edge%", true),
            ("edge_bash", "BASH", true),
            ("edge_bash", "e%b_sh", true),
            ("edge_bash", "b%e", false),
            ("edge_bash", "bush", false),
            ("edge_bash", "edge_bash_", false),
            ("", "_", false),
        ];
        for (text, pattern, is_like) in cases {
            assert_eq!(contains_like(text, pattern), is_like, "{text} {pattern}");
        }
    }
}
