//! A directory for one test, the program that is run there, and the tasks of its DAGs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mini_dag::Value;

pub struct Place(pub PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
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
