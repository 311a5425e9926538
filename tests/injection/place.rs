//! A directory for one test, the program that is run there, and the tasks of its DAGs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mini_dag::Value;

pub struct Place(pub PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

impl Place {
    /// Runs a DAG of these tasks in the foreground, to its end.
    pub fn run(&self, dag_id: &str, params: BTreeMap<String, Value>, tasks: Vec<Value>) -> Output {
        let dag = Value::from([
            ("params", Value::Object(params)),
            ("cwd", self.0.join("work").to_str().unwrap().into()),
            ("tasks", Value::Array(tasks)),
        ]);
        let file = format!("{dag_id}.json");
        fs::write(self.0.join(&file), dag.to_string()).unwrap();
        Command::new(env!("CARGO_BIN_EXE_mini-dag"))
            .args(["run", &file, "--parallelism", "8", "--state", "state"])
            .current_dir(&self.0)
            .env("HOME", self.0.join("work"))
            .output()
            .unwrap()
    }
}

pub fn place(name: &str) -> Place {
    let name = format!("injection-{name}-{}", std::process::id());
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(place.join("work")).unwrap();
    Place(place)
}

pub fn task(id: &str, members: &[(&str, Value)]) -> Value {
    let mut all = BTreeMap::from([("task_id".to_owned(), Value::from(id))]);
    all.extend(
        members
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    Value::Object(all)
}
