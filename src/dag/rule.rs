//! Trigger rules: when a task may start, given how the tasks directly before it ended.
//!
//! The rule sees only counts, so that one more finished upstream costs O(1) however wide the join.
//! Source: Airflow 2.11's `TriggerRuleDep`, whose answers stand in `tests/data/airflow_trigger_rules.json`.

/// When a task may start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TriggerRule {
    /// Every upstream succeeded.
    #[default]
    AllSuccess,
    /// Every upstream failed, or was not run because one before it had failed.
    AllFailed,
    /// Every upstream has ended, whatever way.
    AllDone,
    /// Every upstream was skipped.
    AllSkipped,
    /// One upstream succeeded; does not wait for the others.
    OneSuccess,
    /// One upstream failed; does not wait for the others.
    OneFailed,
    /// One upstream succeeded or failed; does not wait for the others.
    OneDone,
    /// Every upstream has ended and none failed.
    NoneFailed,
    /// Every upstream has ended and none was skipped.
    NoneSkipped,
    /// Every upstream has ended, none failed, and one succeeded: the rule to join branches with.
    NoneFailedMinOneSuccess,
    /// At once.
    Always,
}

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

impl TriggerRule {
    /// Every rule, with the name it has in a DAG file.
    pub const ALL: [(&'static str, Self); 11] = [
        ("all_success", Self::AllSuccess),
        ("all_failed", Self::AllFailed),
        ("all_done", Self::AllDone),
        ("all_skipped", Self::AllSkipped),
        ("one_success", Self::OneSuccess),
        ("one_failed", Self::OneFailed),
        ("one_done", Self::OneDone),
        ("none_failed", Self::NoneFailed),
        ("none_skipped", Self::NoneSkipped),
        ("none_failed_min_one_success", Self::NoneFailedMinOneSuccess),
        ("always", Self::Always),
    ];

    /// The name in a DAG file.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, rule)| *rule == self)
            .map_or("", |(name, _)| name)
    }

    /// What becomes of a task with `upstreams` direct upstreams of which these have ended.
    /// Without upstreams it always runs. Once all have ended the answer is never `Wait`.
    pub fn decide(self, ended: UpstreamCounts, upstreams: u32) -> Decision {
        use Decision::{Run, Skip, UpstreamFailed, Wait};
        let UpstreamCounts {
            success, skipped, ..
        } = ended;
        let failed = ended.failed + ended.upstream_failed;
        let all_done = ended.done() == upstreams;
        if upstreams == 0 {
            return Run;
        }
        match self {
            Self::Always => Run,
            Self::AllSuccess | Self::NoneFailed | Self::NoneFailedMinOneSuccess if failed > 0 => {
                UpstreamFailed
            }
            Self::AllSuccess | Self::NoneSkipped if skipped > 0 => Skip,
            Self::AllFailed if success + skipped > 0 => Skip,
            Self::AllSkipped if success + failed > 0 => Skip,
            Self::OneSuccess if success > 0 => Run,
            Self::OneFailed if failed > 0 => Run,
            Self::OneDone if success + failed > 0 => Run,
            _ if !all_done => Wait,
            Self::OneSuccess if failed > 0 => UpstreamFailed,
            Self::OneSuccess | Self::OneFailed | Self::OneDone => Skip,
            Self::NoneFailedMinOneSuccess if success == 0 => Skip,
            Self::AllSuccess
            | Self::AllFailed
            | Self::AllDone
            | Self::AllSkipped
            | Self::NoneFailed
            | Self::NoneSkipped
            | Self::NoneFailedMinOneSuccess => Run,
        }
    }
}
