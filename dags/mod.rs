//! The sample DAGs, written as a user's own crate would write them: with the public API of `mini_dag` alone.
//!
//! The JSON files beside this one are the same kind of thing without a compiler; what they `call` is in
//! [`functions`]. A DAG file takes the place of a compiled-in DAG of the same id.

#[cfg(feature = "http")]
mod download_rocket_launches;
mod unscheduled;
mod weather_dashboard;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use mini_dag::dag::function::Error;
use mini_dag::{Context, DagBuilder, Functions, Result, Value};

/// The compiled-in DAGs.
pub(crate) fn dags() -> Vec<DagBuilder> {
    vec![
        #[cfg(feature = "http")]
        download_rocket_launches::dag(),
    ]
}

/// What a DAG file may `call`.
pub(crate) fn functions() -> Functions {
    let functions = Functions::new();
    #[cfg(feature = "http")]
    let functions = functions.with("get_pictures", download_rocket_launches::get_pictures);
    functions
        .with("calculate_stats", unscheduled::calculate_stats)
        .with("clean_forecast", weather_dashboard::clean_forecast)
}

/// The longest JSON file that a function reads.
const JSON_BYTES_MAX: u64 = 16 << 20;

/// An argument that must be a text.
fn text_arg<'c>(context: &'c Context, name: &str) -> Result<&'c str> {
    let text = context.args.get(name).and_then(Value::as_str);
    text.ok_or_else(|| format!("`args` has no text `{name}`").into())
}

/// A JSON file.
fn read_json(path: &Path) -> Result<Value> {
    let shown = path.display();
    let cannot =
        |error: std::io::Error| -> Error { format!("cannot read `{shown}`: {error}").into() };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(cannot)?;
    file.take(JSON_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > JSON_BYTES_MAX {
        return Err(format!("`{shown}` is longer than {JSON_BYTES_MAX} bytes").into());
    }
    Value::parse(&text).map_err(|error| format!("`{shown}` is not JSON: {error}").into())
}

/// Writes a file that appears whole under its name, or not at all. A symbolic link under that name is replaced, not
/// followed.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_file_name(".mini-dag.part");
    let write = || {
        // What an interrupted attempt left behind.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&part)?;
        file.write_all(bytes)?;
        fs::rename(&part, path)
    };
    write().map_err(|error| format!("cannot write `{}`: {error}", path.display()).into())
}

#[cfg(feature = "http")]
#[cfg(test)]
mod tests {
    use super::*;
    use mini_dag::dag::{Dag, Known, load};
    use mini_dag::timetable::Zone;

    fn loaded(file: &str) -> Dag {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("dags")
            .join(file);
        let known = Known {
            functions: &functions(),
            pools: None,
            zone: &|_| Some(Zone::utc()),
            zone_names: &Vec::new,
            lines: &mini_dag::timetable::Lines::default(),
        };
        let loaded = load(file, &fs::read_to_string(path).unwrap(), &known);
        loaded.unwrap_or_else(|errors| panic!("{file}: {errors:?}"))
    }

    #[test]
    fn every_sample_is_valid_and_named_after_its_file() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("dags");
        let names = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| Path::new(name).extension().is_some_and(|it| it == "json"));
        names.sort();
        let ids = names.iter().map(|name| loaded(name).dag_id.to_string());
        assert_eq!(
            ids.collect::<Vec<_>>(),
            [
                "download_rocket_launches",
                "nightly_backup",
                "sensor_log",
                "unscheduled",
                "weather_dashboard"
            ]
        );
    }

    #[test]
    fn the_compiled_in_rocket_launches_do_what_the_file_does() {
        let built: Vec<Dag> = dags()
            .into_iter()
            .map(|dag| dag.finish().unwrap())
            .collect();
        let [built] = &built[..] else {
            panic!("one compiled-in DAG");
        };
        let file = loaded("download_rocket_launches.json");
        assert_eq!(
            format!("{:#?}", built.tasks()),
            format!("{:#?}", file.tasks())
        );
        assert_eq!(built.dag_id, file.dag_id);
        assert_eq!(built.params, file.params);
        assert_eq!(built.env, file.env);
        assert_eq!(built.start_date, file.start_date);
        assert!(built.schedule.is_none() && file.schedule.is_none());
    }
}
