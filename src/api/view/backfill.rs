//! A backfill.

use super::{date, number, object, text, with};
use crate::dag::Value;
use crate::scheduler::{Backfill, BackfillNumber, RunState};

/// A backfill: `BackfillResponse`.
pub fn backfill(id: BackfillNumber, backfill: &Backfill) -> Value {
    let facts = &backfill.facts;
    object([
        ("id", number(id.0)),
        ("dag_id", text(&*backfill.dag_id)),
        ("dag_display_name", text(&*backfill.dag_id)),
        ("from_date", date(Some(facts.from))),
        ("to_date", date(Some(facts.to))),
        ("dag_run_conf", Value::Object(facts.params.clone())),
        ("is_paused", Value::Bool(backfill.is_paused)),
        ("reprocess_behavior", text(facts.reprocess.name())),
        ("max_active_runs", number(facts.max_active_runs)),
        ("created_at", date(Some(backfill.created_at))),
        ("completed_at", date(backfill.completed_at)),
        ("updated_at", date(Some(backfill.updated_at))),
    ])
}

/// The same, and how far it has come.
pub fn backfill_progress(id: BackfillNumber, of: &Backfill) -> Value {
    let runs = [
        RunState::Queued,
        RunState::Running,
        RunState::Success,
        RunState::Failed,
    ];
    let runs = runs.map(|state| (state.name(), number(of.count(state))));
    let progress = [
        ("is_cancelled", Value::Bool(of.is_cancelled)),
        ("runs", object(runs)),
        ("passed", number(of.passed)),
        ("reached", date(of.cursor)),
    ];
    with(backfill(id, of), progress)
}
