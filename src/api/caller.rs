//! Who asks, and what they may do.

use super::remote::Pass;

/// What somebody may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See everything.
    Viewer,
    /// And trigger, clear, mark, cancel, pause and delete.
    Op,
    /// And have the DAG files and the config read again.
    Admin,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Op, Self::Admin];

    /// As in Airflow.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Op => "Op",
            Self::Admin => "Admin",
        }
    }

    /// The role of this name, in any case of letters.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.name().eq_ignore_ascii_case(name))
    }
}

/// Somebody who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// As in the log: a user, or the process at the other end of the control socket.
    pub(super) name: String,
    /// What they may do.
    pub(super) role: Role,
    /// What they have shown. Whoever comes by the socket shows nothing, and is believed for as long as it is open.
    pub(super) pass: Option<Pass>,
}
