//! Which ends of its direct upstreams let a task run.
//!
//! What each rule decides is the scheduler's business; here they only have names. A task without
//! upstreams runs under every rule.

/// Airflow's trigger rules. "Failed" means `failed` or `upstream_failed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TriggerRule {
    /// All have succeeded.
    #[default]
    AllSuccess,
    /// All have failed.
    AllFailed,
    /// All have ended, however.
    AllDone,
    /// All were skipped.
    AllSkipped,
    /// One has succeeded; the others need not have ended.
    OneSuccess,
    /// One has failed; the others need not have ended.
    OneFailed,
    /// One has run and succeeded or failed; the others need not have ended.
    OneDone,
    /// All have ended and none has failed.
    NoneFailed,
    /// All have ended and none was skipped.
    NoneSkipped,
    /// All have ended, none has failed, one has succeeded: how branches join.
    NoneFailedMinOneSuccess,
    /// At once.
    Always,
}

/// What a DAG file and Airflow call them; the order is that of [`ALL`].
pub(super) const WORDS: &[&str] = &{
    let mut words = [""; ALL.len()];
    let mut index = 0;
    while index < ALL.len() {
        words[index] = ALL[index].name();
        index += 1;
    }
    words
};

/// All of them.
pub const ALL: [TriggerRule; 11] = [
    TriggerRule::AllSuccess,
    TriggerRule::AllFailed,
    TriggerRule::AllDone,
    TriggerRule::AllSkipped,
    TriggerRule::OneSuccess,
    TriggerRule::OneFailed,
    TriggerRule::OneDone,
    TriggerRule::NoneFailed,
    TriggerRule::NoneSkipped,
    TriggerRule::NoneFailedMinOneSuccess,
    TriggerRule::Always,
];

impl TriggerRule {
    /// The rule that Airflow and a DAG file call `word`.
    pub fn parse(word: &str) -> Option<Self> {
        ALL.into_iter().find(|rule| rule.name() == word)
    }

    /// What Airflow and a DAG file call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllSuccess => "all_success",
            Self::AllFailed => "all_failed",
            Self::AllDone => "all_done",
            Self::AllSkipped => "all_skipped",
            Self::OneSuccess => "one_success",
            Self::OneFailed => "one_failed",
            Self::OneDone => "one_done",
            Self::NoneFailed => "none_failed",
            Self::NoneSkipped => "none_skipped",
            Self::NoneFailedMinOneSuccess => "none_failed_min_one_success",
            Self::Always => "always",
        }
    }
}

impl std::fmt::Display for TriggerRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_read_by_the_name_it_is_written_with() {
        for (rule, word) in ALL.into_iter().zip(WORDS) {
            assert_eq!(TriggerRule::parse(word), Some(rule));
        }
        assert_eq!(
            WORDS
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            11
        );
        assert_eq!(TriggerRule::parse("All_success"), None);
    }
}
