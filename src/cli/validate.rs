//! `mini-dag validate`: everything that is wrong with DAG files, all in one go.

use std::path::PathBuf;

use clap::ArgMatches;

use super::{Context, Failure, terminal};
use crate::daemon::catalog::Catalog;

pub(super) fn validate(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = matches
        .get_many("path")
        .map(|paths| paths.cloned().collect())
        .unwrap_or_default();
    let catalog = Catalog::load(&context.library, &[], &paths, None);
    let (files, dags, errors) = (catalog.files(), catalog.dags.len(), catalog.errors.len());
    let count = |count: usize, noun: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {noun}{plural}")
    };
    if matches.get_flag("json") {
        terminal::print(&format!(
            "{{\"files\":{files},\"dags\":{dags},\"errors\":{errors}}}\n"
        ))?;
    } else {
        let (files, dags) = (count(files, "file"), count(dags, "DAG"));
        terminal::print(&format!("{files}, {dags}, {}\n", count(errors, "error")))?;
    }
    if catalog.errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Diagnostics(catalog.errors))
    }
}
