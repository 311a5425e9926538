//! A control group (cgroup v2) for each attempt, where this process may make them.
//!
//! systemd's `Delegate=` (or a container that gives its first process a cgroup of its own) hands over a subtree.
//! The kernel wants processes in its leaves only, so this process moves into a leaf, [`LEAF`], and each attempt
//! gets a leaf beside it. There a limit of memory holds for the whole tree of an attempt's processes, and a
//! process cannot leave, whatever it does to its group, session, environment and parent.
//!
//! Nobody else's cgroup is touched: without a subtree in which this process is alone there is none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid};

/// Where this process goes.
const LEAF: &str = "mini-dag.daemon";
/// What the names of attempts' cgroups begin with.
const ATTEMPT: &str = "mini-dag.attempt-";

/// The subtree that was handed over.
#[derive(Clone, Debug)]
pub struct Cgroups {
    root: PathBuf,
    has_memory: bool,
}

/// One attempt's cgroup.
#[derive(Clone, Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    has_memory: bool,
}

impl Cgroups {
    /// Takes over the subtree that was delegated to this process; or says why there is none.
    pub fn claim() -> Result<Self, String> {
        let own = own_cgroup()?;
        let is_leaf = own.file_name().is_some_and(|name| name == LEAF);
        let root = match own.parent() {
            Some(parent) if is_leaf => parent.to_owned(),
            Some(_) | None => own,
        };
        let here = root.display();
        let alone = processes(&root.join("cgroup.procs"))
            .map_err(|error| format!("cannot read cgroup `{here}`: {error}"))?;
        if alone.iter().any(|pid| *pid != getpid()) {
            return Err(format!("cgroup `{here}` has other processes in it"));
        }
        if !root.join("cgroup.type").exists() {
            return Err(format!("`{here}` is the host's own cgroup"));
        }
        let leaf = root.join(LEAF);
        let moved = match fs::create_dir(&leaf) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => fs::write(leaf.join("cgroup.procs"), "0"),
        };
        moved.map_err(|error| format!("cgroup `{here}` is not delegated: {error}"))?;
        // A kernel without the controller, or a parent that keeps it: then there is no limit, and it is said.
        let _ = fs::write(root.join("cgroup.subtree_control"), "+memory");
        let enabled = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
        let has_memory = enabled.split_whitespace().any(|name| name == "memory");
        let cgroups = Self { root, has_memory };
        cgroups.sweep();
        Ok(cgroups)
    }

    /// Whether limits of memory hold.
    pub fn has_memory(&self) -> bool {
        self.has_memory
    }

    /// Removes what attempts of an earlier process have left; one that is not empty stays.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(ATTEMPT.as_bytes()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// The one that another program has made for an attempt, if it has.
    pub(super) fn find(&self, mark: &str) -> Option<Cgroup> {
        let path = self.root.join(format!("{ATTEMPT}{mark}"));
        path.exists().then_some(Cgroup {
            path,
            has_memory: self.has_memory,
        })
    }

    /// Makes a cgroup for an attempt, limited before there is a process in it.
    pub(super) fn create(&self, mark: &str, memory_bytes: Option<u64>) -> io::Result<Cgroup> {
        let cgroup = Cgroup {
            path: self.root.join(format!("{ATTEMPT}{mark}")),
            has_memory: self.has_memory,
        };
        fs::create_dir(&cgroup.path)?;
        if let (Some(bytes), true) = (memory_bytes, self.has_memory) {
            cgroup.write("memory.max", &bytes.to_string())?;
            // All of it or nothing: half of a tree is of no use to anybody.
            cgroup.write("memory.oom.group", "1")?;
            // A kernel without swap has no such file.
            let _ = cgroup.write("memory.swap.max", "0");
        }
        Ok(cgroup)
    }
}

impl Cgroup {
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.path.join(file), text)
    }

    /// Takes a process in; the children that it will have follow. Fails only for one that has ended.
    pub(super) fn add(&self, pid: Pid) {
        let _ = self.write("cgroup.procs", &pid.as_raw_pid().to_string());
    }

    /// Everything that lives in it.
    pub(super) fn members(&self) -> Vec<Pid> {
        processes(&self.path.join("cgroup.procs")).unwrap_or_default()
    }

    /// Kills everything in it at once, also what is being forked. Linux 5.14 or newer.
    pub(super) fn kill(&self) {
        let _ = self.write("cgroup.kill", "1");
    }

    /// Whether the kernel has killed something in it because it took too much memory.
    pub(super) fn is_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let mut events = events.lines().filter_map(|line| line.split_once(' '));
        self.has_memory && events.any(|(name, count)| name == "oom_kill" && count != "0")
    }

    /// Removes it. What could not be killed keeps it until the next start.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }
}

fn processes(file: &Path) -> io::Result<Vec<Pid>> {
    let text = fs::read_to_string(file)?;
    let pids = text.lines().filter_map(|line| line.parse().ok());
    Ok(pids.filter_map(Pid::from_raw).collect())
}

/// The directory of the cgroup that this process is in.
fn own_cgroup() -> Result<PathBuf, String> {
    let read = |path| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let mounts = read("/proc/self/mountinfo")?;
    let own = read("/proc/self/cgroup")?;
    place(&mounts, &own).ok_or_else(|| "there is no cgroup v2".to_owned())
}

/// Where the cgroup of `/proc/self/cgroup` is, by `/proc/self/mountinfo`.
fn place(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        (after.split(' ').next() == Some("cgroup2")).then(|| Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_is_found_where_it_is_mounted() {
        let plain = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let hybrid = "36 25 0:31 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755\n\
                      37 36 0:32 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw";
        let bound = "99 1 0:22 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw";
        let v1 = "37 36 0:32 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory";
        let service = "4:memory:/x\n0::/system.slice/mini-dag.service\n";
        let cases = [
            (
                plain,
                service,
                Some("/sys/fs/cgroup/system.slice/mini-dag.service"),
            ),
            (plain, "0::/\n", Some("/sys/fs/cgroup")),
            (hybrid, "0::/a", Some("/sys/fs/cgroup/unified/a")),
            (bound, "0::/docker/x/y", Some("/sys/fs/cgroup/y")),
            (bound, "0::/elsewhere", None),
            (v1, service, None),
            (plain, "4:memory:/x\n", None),
        ];
        for (mounts, own, expected) in cases {
            assert_eq!(place(mounts, own), expected.map(PathBuf::from), "{own}");
        }
    }
}
