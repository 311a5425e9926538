//! `mini-dag list`: the DAGs there are, and the files that do not load.

use std::fmt::Write;

use clap::ArgMatches;

use super::{Context, Failure, terminal};
use crate::api::{self, Standing};
use crate::daemon::config;
use crate::dag::Value;
use crate::dag::diagnostic::printable;

pub(super) fn list(context: &Context, matches: &ArgMatches) -> Result<(), Failure> {
    let catalog = context.catalog(matches);
    let mut text = String::new();
    if matches.get_flag("json") {
        let dags = catalog.dags.values();
        let dags = dags
            .map(|dag| api::dag_summary(dag, &Standing::offline(dag, config::cpus())))
            .collect();
        let total = Value::Number(catalog.dags.len().to_string());
        let members = [
            ("dags".to_owned(), Value::Array(dags)),
            ("total_entries".to_owned(), total),
        ];
        let _ = writeln!(text, "{}", Value::Object(members.into()));
    } else {
        let rows: Vec<[String; 4]> = catalog
            .dags
            .values()
            .map(|dag| {
                let schedule = dag
                    .schedule
                    .as_ref()
                    .map_or("by hand".to_owned(), ToString::to_string);
                let tasks = dag.tasks().len().to_string();
                [
                    dag.dag_id.to_string(),
                    schedule,
                    tasks,
                    printable(&dag.description),
                ]
            })
            .collect();
        let header = ["DAG", "SCHEDULE", "TASKS", "DESCRIPTION"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths = [0, 1, 2].map(|column| width(column).unwrap_or(0));
        for [dag_id, schedule, tasks, description] in &rows {
            let [a, b, c] = widths;
            let line = format!("{dag_id:a$}  {schedule:b$}  {tasks:>c$}  {description}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    terminal::print(&text)?;
    if catalog.errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Diagnostics(catalog.errors))
    }
}
