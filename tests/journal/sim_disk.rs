//! A disk that forgets what was not synced, and fails when it is told to.
//!
//! After a crash a file has what was synced, then some of what was not: cut off at any byte, and
//! followed by nothing, NULs or garbage. Names that were given or taken since the directory was synced
//! may be as before, from any moment on. After a failed sync what was not synced stays readable but never
//! reaches the disk, whatever later syncs say, as on Linux.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::{Arc, Mutex};

use mini_dag::journal::{Disk, DiskFile};

use crate::rng::Rng;

/// What an operation is, for errors that only some of them meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Sync,
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// At the n-th operation, from 1.
    pub at: u64,
    /// And at all later ones.
    pub for_ever: bool,
    pub error: ErrorKind,
    /// Half of a write is done before it fails.
    pub is_short: bool,
}

#[derive(Clone, Default)]
struct Inode {
    data: Vec<u8>,
    synced: Vec<u8>,
    /// From here on nothing reaches the disk any more.
    lost_from: Option<usize>,
}

#[derive(Default)]
struct Inner {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    /// How the directory was after each change since it was synced; the first is what is on the disk.
    past_names: Vec<BTreeMap<String, usize>>,
    operations: u64,
    fault: Option<Fault>,
    fired: u64,
    space: Option<usize>,
    /// The power goes at this operation: nothing after it happens.
    crash_at: Option<u64>,
}

#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    Torn,
    Zeroed,
    Garbage,
    /// All of it is there: only the process has ended.
    Kept,
}

impl SimDisk {
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut inner = self.0.lock().unwrap();
        inner.operations = 0;
        inner.fired = 0;
        inner.fault = fault;
    }

    /// How often the fault has struck.
    pub fn fired(&self) -> u64 {
        self.0.lock().unwrap().fired
    }

    pub fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// Bytes that all files together may have.
    pub fn set_space(&self, space: Option<usize>) {
        self.0.lock().unwrap().space = space;
    }

    pub fn crash_at(&self, operation: u64) {
        let mut inner = self.0.lock().unwrap();
        inner.operations = 0;
        inner.crash_at = Some(operation);
    }

    pub fn has_crashed(&self) -> bool {
        let inner = self.0.lock().unwrap();
        inner.crash_at.is_some_and(|at| inner.operations >= at)
    }

    /// The disk as it is found after the power, or only the process, has gone.
    pub fn after_crash(&self, tail: Tail, rng: &mut Rng) -> SimDisk {
        let inner = self.0.lock().unwrap();
        let mut after = Inner::default();
        let mut moments = inner.past_names.clone();
        moments.push(inner.names.clone());
        let moment = match tail {
            Tail::Kept => moments.len() - 1,
            Tail::Torn | Tail::Zeroed | Tail::Garbage => rng.below(moments.len()),
        };
        for (name, inode) in &moments[moment] {
            let inode = &inner.inodes[*inode];
            let data = if tail == Tail::Kept {
                inode.data.clone()
            } else {
                inode.remains(tail, rng)
            };
            after.inodes.push(Inode {
                synced: data.clone(),
                data,
                lost_from: None,
            });
            after.names.insert(name.clone(), after.inodes.len() - 1);
        }
        SimDisk(Arc::new(Mutex::new(after)))
    }

    pub fn copy(&self) -> SimDisk {
        self.after_crash(Tail::Kept, &mut Rng::new(0))
    }

    pub fn files(&self) -> Vec<String> {
        self.0.lock().unwrap().names.keys().cloned().collect()
    }

    pub fn contents(&self, name: &str) -> Vec<u8> {
        let inner = self.0.lock().unwrap();
        inner.inodes[inner.names[name]].data.clone()
    }

    pub fn put(&self, name: &str, data: &[u8]) {
        let mut inner = self.0.lock().unwrap();
        inner.inodes.push(Inode {
            data: data.to_vec(),
            synced: data.to_vec(),
            lost_from: None,
        });
        let inode = inner.inodes.len() - 1;
        inner.names.insert(name.to_owned(), inode);
    }
}

impl Inode {
    fn remains(&self, tail: Tail, rng: &mut Rng) -> Vec<u8> {
        let mut data = self.synced.clone();
        // A file that was cut off and not synced may still be as it was.
        let common = data.iter().zip(&self.data).take_while(|(a, b)| a == b);
        if common.count() < data.len() {
            return if rng.one_in(2) {
                data
            } else {
                self.data.clone()
            };
        }
        let reaches = self.lost_from.unwrap_or(self.data.len()).max(data.len());
        let kept = data.len() + rng.below(reaches - data.len() + 1);
        let length = kept + rng.below(self.data.len().saturating_sub(kept) + 1);
        data.extend(&self.data[data.len()..kept]);
        match tail {
            Tail::Torn | Tail::Kept => {}
            Tail::Zeroed => data.resize(length, 0),
            Tail::Garbage => {
                data.extend((kept..length).map(|_| u8::try_from(rng.below(256)).unwrap()));
            }
        }
        data
    }
}

impl Inner {
    /// Counts an operation; fails if it is its turn. `Ok(true)`: it is to be done in half.
    fn operation(&mut self, kind: Kind) -> io::Result<bool> {
        self.operations += 1;
        if self.crash_at.is_some_and(|at| self.operations >= at) {
            return Err(io::Error::other("the power has gone"));
        }
        let Some(fault) = self.fault else {
            return Ok(false);
        };
        // Reading a full or a read-only disk is no problem, nor is syncing it.
        let is_for_writes = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem];
        let is_met = kind == Kind::Write || !is_for_writes.contains(&fault.error);
        let is_due = self.operations == fault.at || fault.for_ever && self.operations > fault.at;
        if !is_due || !is_met {
            return Ok(false);
        }
        self.fired += 1;
        if fault.is_short {
            return Ok(true);
        }
        Err(fault.error.into())
    }

    fn rename_undone(&mut self) {
        let names = self.names.clone();
        self.past_names.push(names);
    }

    fn used(&self) -> usize {
        let inodes = self.names.values();
        inodes.map(|inode| self.inodes[*inode].data.len()).sum()
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Read)?;
        let files = inner.names.iter();
        let files =
            files.map(|(name, inode)| (name.clone(), inner.inodes[*inode].data.len() as u64));
        Ok(files.collect())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Read)?;
        let inode = *inner.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(inner.inodes[inode].data.clone())))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Write)?;
        inner.rename_undone();
        inner.inodes.push(Inode::default());
        let inode = inner.inodes.len() - 1;
        inner.names.insert(name.to_owned(), inode);
        Ok(Arc::new(SimFile(self.clone(), inode)))
    }

    fn append(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Write)?;
        let inode = *inner.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile(self.clone(), inode)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Write)?;
        inner.rename_undone();
        let inode = inner.names.remove(from).ok_or(ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Write)?;
        inner.rename_undone();
        inner.names.remove(name).ok_or(ErrorKind::NotFound)?;
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.operation(Kind::Sync)?;
        inner.past_names.clear();
        Ok(())
    }
}

struct SimFile(SimDisk, usize);

impl DiskFile for SimFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.0.lock().unwrap();
        let is_short = inner.operation(Kind::Write)?;
        let mut count = bytes.len();
        if is_short {
            count = count.div_ceil(2);
        }
        if let Some(space) = inner.space {
            count = count.min(space.saturating_sub(inner.used()));
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        inner.inodes[self.1].data.extend(&bytes[..count]);
        Ok(count)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut inner = self.0.0.lock().unwrap();
        inner.operation(Kind::Write)?;
        inner.inodes[self.1]
            .data
            .truncate(usize::try_from(bytes).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.0.0.lock().unwrap();
        let result = inner.operation(Kind::Sync);
        let inode = &mut inner.inodes[self.1];
        if result.is_err() {
            inode.lost_from.get_or_insert(inode.synced.len());
        }
        result?;
        let reaches = inode.lost_from.unwrap_or(inode.data.len());
        inode.synced = inode.data[..reaches.min(inode.data.len())].to_vec();
        Ok(())
    }
}
