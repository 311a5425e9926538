//! What people have asked for and was done: `eventLogs`.
//!
//! The latest [`KEPT`] are in memory and, a line of JSON each, in [`FILE`] of the state directory: who paused a DAG
//! is still known after a restart. They are appended and not synced: the journal knows what happened, and what the
//! power takes of this is missed by nobody. A line that cannot be read is left out; a file that has grown too long
//! is written anew with what is kept.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::request::Request;
use super::routes::{self, ROUTES};
use super::view::{date, number, object, text};
use crate::dag::Value;
use crate::timetable::Timestamp;

/// In the state directory.
const FILE: &str = "changes.log";
/// So many are remembered.
const KEPT: usize = 200;
/// A longer file is written anew. No more of it is read, either.
const BYTES_MAX: u64 = 256 << 10;

/// Something that somebody asked for, and that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audit {
    pub number: u64,
    pub at: Timestamp,
    pub who: String,
    /// The name of the route.
    pub event: &'static str,
    /// The parts of the path.
    pub path: Vec<String>,
}

impl Audit {
    /// What stands in the path behind a word.
    pub fn after(&self, word: &str) -> Option<&str> {
        let at = self.path.iter().position(|part| part == word)?;
        self.path.get(at + 1).map(String::as_str)
    }

    fn line(&self) -> String {
        let path = self.path.iter().map(text).collect();
        let line = object([
            ("number", number(self.number)),
            ("at", date(Some(self.at))),
            ("who", text(&*self.who)),
            ("event", text(self.event)),
            ("path", Value::Array(path)),
        ]);
        format!("{line}\n")
    }

    fn of(line: &str) -> Option<Self> {
        let line = Value::parse(line).ok()?;
        let event = line.get("event")?.as_str()?;
        let part = |part: &Value| part.as_str().map(str::to_owned);
        Some(Self {
            number: u64::try_from(line.get("number")?.as_i64()?).ok()?,
            at: Timestamp::parse(line.get("at")?.as_str()?).ok()?,
            who: line.get("who")?.as_str()?.to_owned(),
            event: ROUTES.iter().find(|route| route.name == event)?.name,
            path: line
                .get("path")?
                .as_array()?
                .iter()
                .map(part)
                .collect::<Option<_>>()?,
        })
    }
}

/// The latest of them, oldest first.
pub(crate) struct Audits {
    file: PathBuf,
    bytes: Cell<u64>,
    kept: RefCell<VecDeque<Audit>>,
    is_told: Cell<bool>,
}

impl Audits {
    /// Those of the programs before this one, too.
    pub fn open(state: &Path) -> Self {
        let audits = Self {
            file: state.join(FILE),
            bytes: Cell::new(0),
            kept: RefCell::default(),
            is_told: Cell::new(false),
        };
        match audits.read() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("`{}`: {error}", audits.file.display()),
        }
        audits
    }

    fn read(&self) -> io::Result<()> {
        let mut file = File::open(&self.file)?;
        let length = file.metadata()?.len();
        self.bytes.set(length);
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes)?;
        if !bytes.ends_with(b"\n") {
            // Nothing is appended to a torn line.
            self.bytes.set(BYTES_MAX);
        }
        let lines = String::from_utf8_lossy(&bytes);
        lines
            .lines()
            .filter_map(Audit::of)
            .for_each(|audit| self.keep(audit));
        Ok(())
    }

    /// The latest, oldest first.
    pub fn all(&self) -> Vec<Audit> {
        self.kept.borrow().iter().cloned().collect()
    }

    pub fn add(&self, request: &Request, who: &str, at: Timestamp) {
        let last = self.kept.borrow().back().map_or(0, |last| last.number);
        let audit = Audit {
            number: last + 1,
            at,
            who: who.to_owned(),
            event: routes::name(request),
            path: request.path.clone(),
        };
        let line = audit.line();
        self.keep(audit);
        match self.write(&line) {
            Ok(()) => self.is_told.set(false),
            Err(error) if !self.is_told.replace(true) => {
                log::warn!(
                    "what people change is forgotten at the next start: `{}`: {error}",
                    self.file.display()
                );
            }
            Err(_) => {}
        }
    }

    fn keep(&self, audit: Audit) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(audit);
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).mode(0o600);
        let length = line.len() as u64;
        if self.bytes.get() + length <= BYTES_MAX {
            let mut file = options.append(true).open(&self.file)?;
            file.write_all(line.as_bytes())?;
            self.bytes.set(self.bytes.get() + length);
            return Ok(());
        }
        let lines: String = self.kept.borrow().iter().map(Audit::line).collect();
        let fresh = self.file.with_extension("new");
        let mut file = options.write(true).truncate(true).open(&fresh)?;
        file.write_all(lines.as_bytes())?;
        fs::rename(&fresh, &self.file)?;
        self.bytes.set(lines.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Method;

    fn place(test: &str) -> PathBuf {
        let place =
            std::env::temp_dir().join(format!("mini-dag-audit-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        place
    }

    fn add(audits: &Audits, dag_id: &str) {
        let path = format!("/api/v2/dags/{dag_id}");
        let request = Request::new(Method::PATCH, (&path, None), "", b"").unwrap();
        audits.add(&request, "anna \"the\" admin", Timestamp::from_secs(7));
    }

    #[test]
    fn what_people_did_outlives_the_program_and_a_torn_line() {
        let place = place("torn");
        let audits = Audits::open(&place);
        add(&audits, "one");
        add(&audits, "two");
        let mut file = OpenOptions::new()
            .append(true)
            .open(place.join(FILE))
            .unwrap();
        file.write_all(b"\xff\n{\"number\":3,\"at\":").unwrap();
        let again = Audits::open(&place);
        assert_eq!(again.all(), audits.all());
        add(&again, "three");
        let dags: Vec<_> = Audits::open(&place).all();
        let dags = dags.iter().map(|audit| {
            (
                audit.number,
                audit.after("dags").unwrap_or_default().to_owned(),
            )
        });
        let expected = [(1, "one"), (2, "two"), (3, "three")].map(|(n, id)| (n, id.to_owned()));
        assert_eq!(dags.collect::<Vec<_>>(), expected);
        assert_eq!(again.all()[0].event, "patch_dag");
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn the_file_and_the_memory_are_bounded() {
        let place = place("bounded");
        let audits = Audits::open(&place);
        for number in 0..4_000 {
            add(&audits, &format!("dag_{number}"));
            assert!(fs::metadata(place.join(FILE)).unwrap().len() <= BYTES_MAX);
        }
        assert_eq!(audits.all().len(), KEPT);
        let again = Audits::open(&place).all();
        assert_eq!(again, audits.all());
        assert_eq!(again.last().unwrap().number, 4_000);
        fs::remove_dir_all(place).unwrap();
    }
}
