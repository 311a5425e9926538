//! Which DAGs there are: the compiled-in ones, and those in the DAG directories.
//!
//! A file that does not load is told and leaves the others alone. A file takes the place of a
//! compiled-in DAG of the same id; of two files with one id, the second by name is refused.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hygiene::{self, Unread};
use super::zones::Zones;
use crate::dag::{self, DAG_FILE_BYTES_MAX, Dag, Diagnostic, Functions, Known, Pools};
use crate::timetable::{Lines, Zone};

mod after;

/// Files of one directory that are looked at.
const FILES_MAX: usize = 1_000;

/// What a program offers, and what its DAG files are read with.
#[derive(Debug)]
pub struct Library {
    /// The functions that a DAG file may call.
    pub functions: Functions,
    /// The zones that it may name.
    pub zones: Zones,
    /// The zone of DAGs that name none, unless it is the host's.
    pub timezone: Option<Zone>,
    /// The pools that tasks may name; `None` if nobody knows which there are.
    pub pools: Option<Pools>,
    /// The crontab lines that it has read.
    pub lines: Lines,
}

/// Every DAG that there is, and every reason why one is not.
#[derive(Debug, Default)]
pub struct Catalog {
    /// By id.
    pub dags: BTreeMap<Arc<str>, Arc<Dag>>,
    /// What is wrong, each with its file.
    pub errors: Vec<Diagnostic>,
    files: BTreeMap<PathBuf, Loaded>,
}

/// What became of a file.
#[derive(Clone, Debug)]
struct Loaded {
    fingerprint: u64,
    /// The DAG, or its last good version.
    dag: Option<Arc<Dag>>,
    errors: Vec<Diagnostic>,
}

/// How a daemon reads its DAGs again.
#[derive(Clone, Copy, Debug)]
pub struct Again<'c> {
    /// What it has read before.
    pub before: &'c Catalog,
    /// Read files again even if they have not changed: what they depend on may have.
    pub all: bool,
}

impl Library {
    /// Reads one DAG file.
    pub fn read(&self, path: &Path) -> Result<Dag, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let bytes = hygiene::read_any(path)
            .map_err(|error| vec![Diagnostic::new(format!("cannot read `{name}`: {error}"))])?;
        self.decode(&name, &bytes, &self.zone())
    }

    fn decode(&self, name: &str, bytes: &[u8], zone: &Zone) -> Result<Dag, Vec<Diagnostic>> {
        if bytes.len() > DAG_FILE_BYTES_MAX {
            // Too long, and cut anywhere: the loader says so of any text of this length.
            return self.parse(name, &" ".repeat(bytes.len()), zone);
        }
        self.parse(name, text_of(name, bytes)?, zone)
    }

    /// Reads the text of a DAG file; `name` is what errors call it, `zone` that of a DAG that names none.
    pub fn parse(&self, name: &str, text: &str, zone: &Zone) -> Result<Dag, Vec<Diagnostic>> {
        let mut dag = self.with_known(|known| dag::load(name, text, known))?;
        dag.timezone.get_or_insert_with(|| zone.clone());
        Ok(dag)
    }

    /// The zone of DAGs that name none.
    pub fn zone(&self) -> Zone {
        let zone = self.timezone.clone();
        zone.unwrap_or_else(|| self.zones.local())
    }

    /// Compiled-in DAGs with a zone each.
    pub fn zoned(&self, dags: &[Arc<Dag>]) -> Vec<Arc<Dag>> {
        let zone = self.zone();
        let zoned = |dag: &Arc<Dag>| match dag.timezone {
            Some(_) => dag.clone(),
            None => Arc::new(Dag {
                timezone: Some(zone.clone()),
                ..(**dag).clone()
            }),
        };
        dags.iter().map(zoned).collect()
    }

    /// Lends what files are read with.
    pub(super) fn with_known<T>(&self, read: impl FnOnce(&Known<'_>) -> T) -> T {
        read(&Known {
            functions: &self.functions,
            pools: self.pools.as_ref(),
            zone: &|zone| self.zones.get(zone),
            zone_names: &|| self.zones.names(),
            lines: &self.lines,
        })
    }
}

impl Catalog {
    /// Everything that `paths` (files and directories) hold, over `compiled_in`.
    ///
    /// A daemon reads `again`: it refuses files that others could have written, and a file that no longer
    /// loads keeps its last good version. Without it, somebody has named these paths for this once.
    pub fn load(
        library: &Library,
        compiled_in: &[Arc<Dag>],
        paths: &[PathBuf],
        again: Option<Again<'_>>,
    ) -> Self {
        let mut catalog = Self::default();
        // Looked up once: a thousand DAGs share it.
        let zone = library.zone();
        for path in paths {
            if !path.is_dir() {
                catalog.add(library, &zone, path, again);
                continue;
            }
            let refused = again.and_then(|_| hygiene::refuse_directory(path));
            let files = match refused {
                Some(reason) => Err(io::Error::other(reason)),
                None => files_of(path),
            };
            match files {
                Ok(files) => files
                    .iter()
                    .for_each(|file| catalog.add(library, &zone, file, again)),
                Err(error) => catalog.errors.push(Diagnostic::new(format!(
                    "cannot read directory `{}`: {error}",
                    path.display()
                ))),
            }
        }
        for dag in compiled_in {
            if catalog.dags.contains_key(&dag.dag_id) {
                continue;
            }
            let faults = library.pools.as_ref().map(|pools| pools.faults(dag));
            let faults = faults.unwrap_or_default();
            let was_good = again.is_some_and(|again| again.before.dags.contains_key(&dag.dag_id));
            if faults.is_empty() || was_good {
                catalog.dags.insert(dag.dag_id.clone(), dag.clone());
            }
            catalog.errors.extend(faults);
        }
        // Of files that are named one by one, the others may be anywhere.
        let is_whole = again.is_some() || paths.iter().any(|path| path.is_dir());
        let errors = after::check(&catalog.dags, is_whole);
        catalog.errors.extend(errors);
        catalog
    }

    /// How many files were looked at.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Whether the file of a DAG does not say what it said in an earlier catalog.
    pub fn is_news(&self, dag: &Dag, before: &Self) -> bool {
        let of = |catalog: &Self| {
            let file = catalog.files.get(dag.source.as_ref()?)?;
            Some(file.fingerprint)
        };
        of(self) != of(before)
    }

    fn add(&mut self, library: &Library, zone: &Zone, file: &Path, again: Option<Again<'_>>) {
        let Entry::Vacant(place) = self.files.entry(file.to_owned()) else {
            return;
        };
        let loaded = load(library, zone, file, again);
        self.errors.extend(loaded.errors.iter().cloned());
        if let Some(dag) = &loaded.dag {
            match self.dags.get(&dag.dag_id) {
                None => {
                    self.dags.insert(dag.dag_id.clone(), dag.clone());
                }
                Some(twin) => self.errors.push(twins(twin, file)),
            }
        }
        place.insert(loaded);
    }
}

fn load(library: &Library, zone: &Zone, file: &Path, again: Option<Again<'_>>) -> Loaded {
    let before = again.and_then(|again| again.before.files.get(file));
    let last_good = before.and_then(|loaded| loaded.dag.clone());
    let name = file.display();
    let read = match again {
        Some(_) => hygiene::read(file, file.parent()),
        None => hygiene::read_any(file).map_err(Unread::Io),
    };
    let bytes = read.map_err(|unread| unread.of(&name));
    let fingerprint = fingerprint(&bytes);
    if let Some(before) = before
        && before.fingerprint == fingerprint
        && again.is_some_and(|again| !again.all)
    {
        return before.clone();
    }
    let read = match bytes {
        Ok(bytes) => library.decode(&name.to_string(), &bytes, zone),
        Err(message) => Err(vec![Diagnostic::new(message)]),
    };
    match read {
        Ok(dag) => Loaded {
            fingerprint,
            dag: Some(Arc::new(dag)),
            errors: Vec::new(),
        },
        Err(mut errors) => {
            if let (Some(error), Some(dag)) = (errors.last_mut(), &last_good) {
                error
                    .notes
                    .push(format!("the last good version of `{}` is used", dag.dag_id));
            }
            Loaded {
                fingerprint,
                dag: last_good,
                errors,
            }
        }
    }
}

/// Tells one content (or error) from another, within one process.
fn fingerprint(content: &Result<Vec<u8>, String>) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

fn twins(twin: &Dag, file: &Path) -> Diagnostic {
    let first = twin.source.as_deref().unwrap_or(Path::new("?"));
    Diagnostic::new(format!("two files have the dag_id `{}`", twin.dag_id))
        .note(format!(
            "{} is used, {} is not",
            first.display(),
            file.display()
        ))
        .help("give one of them another `dag_id`".to_owned())
}

/// The DAG files of a directory, ordered by name: `*.json`, but not the hidden ones.
fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.ends_with(b".json") && !bytes.starts_with(b".") {
            names.push(name);
        }
        if names.len() > FILES_MAX {
            return Err(io::Error::other(format!(
                "it has more than {FILES_MAX} DAG files"
            )));
        }
    }
    names.sort();
    Ok(names.iter().map(|name| directory.join(name)).collect())
}

/// What a file holds, as text.
pub(super) fn text_of<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = bytes[..at].split(|byte| *byte == b'\n').count();
        let message = format!("`{name}` is not UTF-8: line {line}, byte {}", at + 1);
        vec![Diagnostic::new(message).help("save the file as UTF-8".to_owned())]
    })
}
