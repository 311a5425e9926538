//! Doing it: starts the processes of tasks, follows them to their end, and stops them.
//!
//! This room decides nothing: when an attempt has run for too long, and whether it is repeated, is the
//! scheduler's to say. What a reader may rely on:
//!
//! - A task is a process in a group of its own, started without copying this program's memory, with
//!   descriptors 0, 1 and 2 and with exactly the environment that its [`Launch`] names.
//! - An attempt is over when its main process is. When [`Running::wait`] returns, nothing that the task started
//!   is left running, as far as the kernel lets us find and kill it, and nothing is left to reap.
//! - What a task prints cannot fill the disk, the memory or the loop's time, and never blocks the task.
//! - No process is signalled by its bare number: the number is either held by an unreaped child, or checked
//!   through a pidfd and the start time.

mod base_env;
mod cgroup;
mod handover;
mod log;
mod mask;
mod output;
mod prepare;
mod proc;
mod running;
mod spawn;
mod strays;
mod sys;
mod tree;
pub mod worker;
mod xcom;

pub use base_env::base_env;
pub use cgroup::Cgroups;
pub use handover::{Handed, adopt, inherit, keep_on_exec};
pub use log::{Kept, TaskLog};
pub use mask::{Held, MASK, SECRET_BYTES_MIN, SECRETS_BYTES_MAX, Secrets};
pub use output::LastLine;
pub use prepare::prepare;
pub use running::{Ending, Exit, Over, Process, Running, Signal};
pub use spawn::{CPU_GRACE_S, Launch, LaunchError, Limits, Stdin, spawn};
pub use strays::kill_strays;
pub use xcom::xcom;
