//! DAGs, tasks, runs and task instances as Airflow's clients know them.
//!
//! Every object has all the fields that Airflow's has, so that a client's model takes it.

mod backfill;
mod dag;
mod members;
mod rendered;
mod run;

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::dag::Value;
use crate::timetable::Timestamp;

pub(crate) use backfill::{backfill, backfill_progress};
pub use dag::{Standing, dag_summary, params, task};
pub(crate) use dag::{dag_details, owner, summary, version};
pub(crate) use members::{Members, Raw};
pub(crate) use rendered::rendered_fields;
pub(crate) use run::{attempt, run_after, task_state};
pub use run::{dag_run, task_instance};

/// A JSON object.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::from(members)
}

/// A JSON string.
pub fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// A JSON number.
pub fn number(number: impl fmt::Display) -> Value {
    Value::Number(number.to_string())
}

/// RFC 3339 in UTC, or null.
pub fn date(moment: Option<Timestamp>) -> Value {
    moment.map_or(Value::Null, |moment| text(moment.to_string()))
}

/// The objects, with what else `object` has.
pub(super) fn with<const N: usize>(object: Value, members: [(&str, Value); N]) -> Value {
    let Value::Object(mut all) = object else {
        return object;
    };
    all.extend(members.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(all)
}

/// The JSON of a collection, and how many entries there are without its page's bounds. Each entry is
/// written and forgotten before the next is made: a large collection costs its text and no more.
pub fn collection<T: fmt::Display>(
    name: &str,
    entries: impl IntoIterator<Item = T>,
    total: usize,
) -> String {
    write(name, entries, total, "")
}

/// [`collection`], where Airflow's also has a place for cursors.
pub fn cursor_collection<T: fmt::Display>(
    name: &str,
    entries: impl IntoIterator<Item = T>,
    total: usize,
) -> String {
    let cursors = ",\"total_entries_limit\":null,\"next_cursor\":null,\"previous_cursor\":null";
    write(name, entries, total, cursors)
}

fn write<T: fmt::Display>(
    name: &str,
    entries: impl IntoIterator<Item = T>,
    total: usize,
    rest: &str,
) -> String {
    let mut json = format!("{{{}:[", text(name));
    for (at, entry) in entries.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(json, "{comma}{entry}");
    }
    let _ = write!(json, "],\"total_entries\":{total}{rest}}}");
    json
}

/// Airflow's null for what was left out.
fn text_or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        Value::String(text.to_owned())
    }
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> Value {
    number(format!(
        "{}.{:03}",
        duration.as_secs(),
        duration.subsec_millis()
    ))
}

/// How long something took; null before its end.
pub(super) fn took(started_at: Option<Timestamp>, ended_at: Option<Timestamp>) -> Value {
    match (started_at, ended_at) {
        (Some(start), Some(end)) => seconds(end.since(start)),
        _ => Value::Null,
    }
}

/// A UUID made of names: the same names are always the same UUID (RFC 9562, version 8).
fn uuid(names: &[&str]) -> String {
    // FNV-1a: nobody's secret hangs on it.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in names.join("\0").bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let hash = hash & !(0xf << 76) | (0x8 << 76);
    let hash = hash & !(0x3 << 62) | (0x2 << 62);
    let hex = format!("{hash:032x}");
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn a_uuid_follows_from_its_names() {
        let id = uuid(&["a", "b"]);
        assert_eq!(id, uuid(&["a", "b"]));
        assert_ne!(id, uuid(&["ab", ""]));
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "8");
        assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
    }
}
