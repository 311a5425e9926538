//! Trigger rules: whether a task may start, given how the tasks directly before it ended.
//!
//! A rule sees only counts, so that one more finished upstream costs O(1) however wide the join.
//! Source: Airflow 2.11's `TriggerRuleDep`, whose answers stand in `tests/data/airflow_trigger_rules.json`.

use crate::dag::TriggerRule;

/// How the direct upstreams of a task have ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamCounts {
    /// Ended in `success`.
    pub success: u32,
    /// Ended in `failed`.
    pub failed: u32,
    /// Ended in `upstream_failed`.
    pub upstream_failed: u32,
    /// Ended in `skipped`.
    pub skipped: u32,
}

impl UpstreamCounts {
    fn done(self) -> u32 {
        self.success + self.failed + self.upstream_failed + self.skipped
    }
}

/// What a trigger rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Not yet decided.
    Wait,
    /// The task may start.
    Run,
    /// The task ends as `skipped`.
    Skip,
    /// The task ends as `upstream_failed`.
    UpstreamFailed,
}

/// What becomes of a task with `upstreams` direct upstreams of which these have ended.
/// Without upstreams it always runs. Once all have ended the answer is never `Wait`.
pub fn decide(rule: TriggerRule, ended: UpstreamCounts, upstreams: u32) -> Decision {
    use Decision::{Run, Skip, UpstreamFailed, Wait};
    let UpstreamCounts {
        success, skipped, ..
    } = ended;
    let failed = ended.failed + ended.upstream_failed;
    let all_done = ended.done() == upstreams;
    if upstreams == 0 {
        return Run;
    }
    match rule {
        TriggerRule::Always => Run,
        TriggerRule::AllSuccess
        | TriggerRule::NoneFailed
        | TriggerRule::NoneFailedMinOneSuccess
            if failed > 0 =>
        {
            UpstreamFailed
        }
        TriggerRule::AllSuccess | TriggerRule::NoneSkipped if skipped > 0 => Skip,
        TriggerRule::AllFailed if success + skipped > 0 => Skip,
        TriggerRule::AllSkipped if success + failed > 0 => Skip,
        TriggerRule::OneSuccess if success > 0 => Run,
        TriggerRule::OneFailed if failed > 0 => Run,
        // Of upstreams that were not run, neither kind counts.
        TriggerRule::OneDone if success + ended.failed > 0 => Run,
        _ if !all_done => Wait,
        TriggerRule::OneSuccess if failed > 0 => UpstreamFailed,
        TriggerRule::OneSuccess | TriggerRule::OneFailed | TriggerRule::OneDone => Skip,
        TriggerRule::NoneFailedMinOneSuccess if success == 0 => Skip,
        TriggerRule::AllSuccess
        | TriggerRule::AllFailed
        | TriggerRule::AllDone
        | TriggerRule::AllSkipped
        | TriggerRule::NoneFailed
        | TriggerRule::NoneSkipped
        | TriggerRule::NoneFailedMinOneSuccess => Run,
    }
}
