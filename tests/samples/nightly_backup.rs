//! The sample `nightly_backup`: what it makes of good and of bad input.

use std::fs;
use std::path::Path;
use std::process::Command;

use mini_dag::Value;

use crate::place::{Ended, Place, files, names};

/// A directory whose names a careless script would trip over.
fn source(place: &Place) -> String {
    let source = place.path("a source");
    fs::create_dir_all(source.join("-rf/deeper dir")).unwrap();
    for name in [
        "plain",
        "two  blanks",
        "new\nline",
        "-rf/deeper dir/*",
        "누리호",
        "$(touch pwned)",
    ] {
        fs::write(source.join(name), format!("what is in {name}")).unwrap();
    }
    source.display().to_string()
}

fn backup(place: &Place, source: &str, keep: &str) -> Ended {
    let dir = place.text("the backups");
    place.run(
        "nightly_backup.json",
        &[("source", source), ("dir", &dir), ("keep", keep)],
    )
}

fn backups(place: &Place) -> Vec<String> {
    names(&place.path("the backups"))
}

#[test]
fn a_backup_holds_what_the_source_holds_and_only_the_newest_are_kept() {
    let place = Place::new("backup");
    let source = source(&place);
    let dir = place.path("the backups");
    fs::create_dir_all(&dir).unwrap();
    // Left by an interrupted backup, and by somebody else.
    fs::write(dir.join(".partial.tar.gz"), "half").unwrap();
    fs::write(dir.join("backup_of_mine.txt"), "mine").unwrap();
    fs::write(dir.join("backup_20000101T000000Z.tar.gz"), "old").unwrap();
    fs::write(dir.join("backup_20000102T000000Z.tar.gz"), "newer").unwrap();

    backup(&place, &source, "3").succeeded();
    let kept = backups(&place);
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert_eq!(kept[0], "backup_20000101T000000Z.tar.gz");
    let ended = backup(&place, &source, "2").succeeded();
    let kept = backups(&place);
    assert_eq!(
        (kept.len(), &*kept[2]),
        (3, "backup_of_mine.txt"),
        "{kept:?}"
    );
    assert!(ended.log("prune").unwrap().ends_with("\n2 kept\n"));
    let newest = ended.log("verify").unwrap();
    assert_eq!(newest.trim_end(), dir.join(&kept[1]).display().to_string());

    let restored = place.path("restored");
    fs::create_dir_all(&restored).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(dir.join(&kept[1]))
        .arg("-C")
        .arg(&restored);
    assert!(tar.status().unwrap().success());
    assert_eq!(files(&restored), files(Path::new(&source)));
}

/// A DAG file that names a pool which the config does not have does not load.
#[test]
fn the_configs_that_come_along_have_the_pools_of_the_samples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| Value::parse(&fs::read_to_string(path).unwrap()).unwrap();
    let configs = ["mini-dag.json", "systemd/mini-dag.json"].map(|name| read(&root.join(name)));
    let mut named = 0;
    for entry in fs::read_dir(root.join("dags")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let dag = read(&path);
        for task in dag.get("tasks").and_then(Value::as_array).unwrap() {
            let Some(pool) = task.get("pool").and_then(Value::as_str) else {
                continue;
            };
            named += 1;
            for config in &configs {
                let slots = config.get("pools").and_then(|pools| pools.get(pool));
                assert!(slots.is_some(), "{} names `{pool}`", path.display());
            }
        }
    }
    assert!(named > 0);
}

#[test]
fn what_cannot_be_read_back_is_no_backup() {
    let place = Place::new("torn");
    let source = source(&place);
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/dags/nightly_backup.json");
    let sample = fs::read_to_string(sample).unwrap();
    // Half of what tar makes, as if its process had been killed there.
    let tar = r#"tar -czf - -C \"$source\" ."#;
    let torn = format!("{tar} | head -c 100");
    let torn = sample.replace(tar, &torn);
    assert_ne!(torn, sample);
    fs::write(place.path("nightly_backup.json"), torn).unwrap();
    let dir = place.text("the backups");
    let ended = place.run(
        &place.text("nightly_backup.json"),
        &[("source", &source), ("dir", &dir), ("keep", "1")],
    );
    let ended = ended.failed();
    assert_eq!(backups(&place), [".partial.tar.gz"]);
    assert_eq!(ended.log("prune"), None);
    // The next one takes its place.
    backup(&place, &source, "1").succeeded();
    assert_eq!(backups(&place).len(), 1);
    assert!(backups(&place)[0].starts_with("backup_2"));
}

#[test]
fn a_backup_does_not_hold_backups() {
    let place = Place::new("within");
    let source = source(&place);
    let run = |dir: &str| {
        let params = [("source", &*source), ("dir", dir)];
        place.run("nightly_backup.json", &params)
    };
    std::os::unix::fs::symlink(&source, place.path("elsewhere")).unwrap();
    for within in [
        source.clone(),
        format!("{source}/-rf/backups"),
        place.text("elsewhere/backups"),
    ] {
        let log = run(&within).failed().log("make_dir").unwrap();
        assert!(log.contains("must not be inside source"), "{within}: {log}");
    }
    // A name that only begins alike is another directory.
    run(&format!("{source} 2")).succeeded();
}

#[test]
fn no_value_of_keep_is_code_or_removes_everything() {
    let place = Place::new("keep");
    let source = source(&place);
    backup(&place, &source, "5").succeeded();
    for keep in [
        "0",
        "-1",
        "\"\"",
        "\" 1\"",
        "1.5",
        r#""a[$(touch \"$dir/pwned\")]""#,
        "99999999999999999999",
    ] {
        let ended = backup(&place, &source, keep).failed();
        assert!(
            ended.told.contains("parameter `keep` cannot be"),
            "{keep}: {}",
            ended.told
        );
    }
    assert_eq!(backups(&place).len(), 1, "none of them began");
    // A whole number, but not as a shell writes it.
    let ended = backup(&place, &source, "5.0").failed();
    let log = ended.log("prune").unwrap();
    assert!(log.starts_with("keep must be a whole number"), "{log}");
    assert_eq!(backups(&place).len(), 2);
}
