//! Who is at the other end of the control socket, and what they may do.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use hyper::StatusCode;

use super::caller::{Caller, Role};
use super::problem::Problem;

/// The process that connected, as the kernel saw it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) pid: i32,
    pub(super) uid: u32,
    gid: u32,
}

impl Peer {
    pub(super) fn of(stream: impl AsFd) -> rustix::io::Result<Self> {
        let credentials = socket_peercred(stream)?;
        Ok(Self {
            pid: credentials.pid.as_raw_nonzero().get(),
            uid: credentials.uid.as_raw(),
            gid: credentials.gid.as_raw(),
        })
    }

    /// Who that is, for the control socket at this path.
    pub(super) fn caller(self, socket: &Path) -> Result<Caller, Problem> {
        let name = format!("uid={} pid={}", self.uid, self.pid);
        let Some(role) = self.role(socket) else {
            log::warn!("refused {name}");
            let detail =
                "the control socket is for root, the daemon's user, and the socket's group";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        };
        Ok(Caller {
            name,
            role,
            pass: None,
        })
    }

    /// Root and the daemon's user may do all, the members of the socket's group operate. `None` for
    /// others: the socket's mode keeps them out already, unless somebody has changed it.
    pub(super) fn role(self, socket: &Path) -> Option<Role> {
        if self.uid == 0 || self.uid == geteuid().as_raw() {
            return Some(Role::Admin);
        }
        let metadata = fs::symlink_metadata(socket).ok()?;
        let (group, is_for_others) = (metadata.gid(), metadata.mode() & 0o007 != 0);
        let status = || fs::read_to_string(format!("/proc/{}/status", self.pid)).ok();
        let is_member = self.gid == group
            || match status() {
                Some(status) => groups(&status).any(|member| member == group),
                // Hidden from us, as by ProtectProc=; the kernel has looked at the socket's mode, and let it in.
                None => !is_for_others,
            };
        is_member.then_some(Role::Op)
    }
}

/// The supplementary groups in `/proc/<pid>/status`; the kernel hands over only the first group itself.
fn groups(status: &str) -> impl Iterator<Item = u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    let words = line.unwrap_or("").split_ascii_whitespace();
    words.filter_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supplementary_groups_are_read() {
        let status =
            "Name:\tsh\nUid:\t1000\t1000\t1000\t1000\nGroups:\t4 27 1000 \nVmPeak:\t 27 kB\n";
        assert_eq!(groups(status).collect::<Vec<_>>(), [4, 27, 1000]);
        assert_eq!(groups("Groups:\t\n").count(), 0);
        assert_eq!(groups("").count(), 0);
    }

    #[test]
    fn a_stranger_may_do_nothing() {
        let file = Path::new("/proc/self/status");
        let stranger = |uid, gid| Peer { pid: 1, uid, gid }.role(file);
        assert_eq!(stranger(0, 4321), Some(Role::Admin));
        let own = fs::symlink_metadata(file).unwrap().gid();
        assert_eq!(stranger(4321, own), Some(Role::Op));
        // Process 1 may be in our group; one that does not exist is in none.
        let nobody = Peer {
            pid: i32::MAX,
            uid: 4321,
            gid: own + 1,
        };
        assert_eq!(nobody.role(file), None);
        assert_eq!(nobody.role(Path::new("/nowhere")), None);
    }
}
