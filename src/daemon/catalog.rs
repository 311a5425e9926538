//! Which DAGs there are: the compiled-in ones, and those in the DAG directories.
//!
//! A file that does not load is told and leaves the others alone. A file takes the place of a
//! compiled-in DAG of the same id; of two files with one id, the second by name is refused.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::zones::Zones;
use crate::dag::{self, DAG_FILE_BYTES_MAX, Dag, Diagnostic, Functions, Known};

/// Files of one directory that are looked at.
const FILES_MAX: usize = 1_000;

/// What a program offers, and what its DAG files are read with.
#[derive(Debug)]
pub struct Library {
    /// The functions that a DAG file may call.
    pub functions: Functions,
    /// The zones that it may name.
    pub zones: Zones,
}

/// Every DAG that there is, and every reason why one is not.
#[derive(Debug, Default)]
pub struct Catalog {
    /// By id.
    pub dags: BTreeMap<Arc<str>, Arc<Dag>>,
    /// What is wrong, each with its file.
    pub errors: Vec<Diagnostic>,
    /// How many files were looked at.
    pub files: usize,
}

impl Library {
    /// Reads one DAG file.
    pub fn read(&self, path: &Path) -> Result<Dag, Vec<Diagnostic>> {
        let name = path.display().to_string();
        let cannot =
            |error: &io::Error| vec![Diagnostic::new(format!("cannot read `{name}`: {error}"))];
        let bytes = read_file(path).map_err(|error| cannot(&error))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let at = error.valid_up_to();
            let line = bytes[..at].split(|byte| *byte == b'\n').count();
            let message = format!("`{name}` is not UTF-8: line {line}, byte {}", at + 1);
            vec![Diagnostic::new(message).help("save the file as UTF-8".to_owned())]
        })?;
        self.parse(&name, text)
    }

    /// Reads the text of a DAG file; `name` is what errors call it.
    pub fn parse(&self, name: &str, text: &str) -> Result<Dag, Vec<Diagnostic>> {
        let zone = |zone: &str| self.zones.get(zone);
        let zone_names = || self.zones.names();
        let known = Known {
            functions: &self.functions,
            zone: &zone,
            zone_names: &zone_names,
        };
        dag::load(name, text, &known)
    }
}

impl Catalog {
    /// Everything that `paths` (files and directories) hold, over `compiled_in`.
    pub fn load(library: &Library, compiled_in: &[Arc<Dag>], paths: &[PathBuf]) -> Self {
        let mut catalog = Self::default();
        for path in paths {
            if path.is_dir() {
                match files_of(path) {
                    Ok(files) => files.iter().for_each(|file| catalog.add(library, file)),
                    Err(error) => catalog.errors.push(Diagnostic::new(format!(
                        "cannot read directory `{}`: {error}",
                        path.display()
                    ))),
                }
            } else {
                catalog.add(library, path);
            }
        }
        for dag in compiled_in {
            catalog
                .dags
                .entry(dag.dag_id.clone())
                .or_insert_with(|| dag.clone());
        }
        catalog
    }

    fn add(&mut self, library: &Library, file: &Path) {
        self.files += 1;
        let dag = match library.read(file) {
            Ok(dag) => dag,
            Err(errors) => return self.errors.extend(errors),
        };
        if let Some(twin) = self.dags.get(&dag.dag_id) {
            let place = |dag: &Dag| match &dag.source {
                Some(path) => path.display().to_string(),
                None => String::new(),
            };
            let message = format!("two files have the dag_id `{}`", dag.dag_id);
            let help = "give one of them another `dag_id`; until then the first is used";
            self.errors.push(
                Diagnostic::new(message)
                    .note(format!("{} and {}", place(twin), place(&dag)))
                    .help(help.to_owned()),
            );
            return;
        }
        self.dags.insert(dag.dag_id.clone(), Arc::new(dag));
    }
}

/// The DAG files of a directory, ordered by name: `*.json`, but not the hidden ones.
fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && !is_hidden
        {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(io::Error::other(format!(
                "it has more than {FILES_MAX} DAG files"
            )));
        }
    }
    files.sort();
    Ok(files)
}

/// A regular file, or the beginning of one that is too large to be a DAG file.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(DAG_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
