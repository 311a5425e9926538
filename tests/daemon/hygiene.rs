//! Files that a daemon must not take orders from, and files that are wrong: each is named, none disturbs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::place::Place;

const ONCE: &str = r#"{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{"task_id": "ran",
    "bash": "echo $MINI_DAG_DAG_ID >> DIR/said"}]}"#;

#[test]
fn fifty_broken_files_and_every_kind_of_refused_one_stand_beside_a_good_one_that_runs() {
    let place = Place::new("hygiene");
    let file = |name: &str| place.path("dags").join(name);
    for at in 0..50 {
        place.dag(&format!("broken{at}.json"), &"{\"tasks\": [".repeat(at + 1));
    }
    place.dag("everybody.json", ONCE);
    fs::set_permissions(file("everybody.json"), Permissions::from_mode(0o666)).unwrap();
    mknodat(CWD, file("fifo.json"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::write(place.path("outside.json"), ONCE).unwrap();
    symlink(place.path("outside.json"), file("link.json")).unwrap();
    symlink(place.path("nowhere.json"), file("dangling.json")).unwrap();
    place.dag("long.json", &format!("{ONCE}{}", " ".repeat(1 << 20)));
    let mut expected = vec![
        ("everybody.json", "everybody may write to it"),
        ("fifo.json", "it is not a regular file"),
        ("link.json", "it is a link that leaves"),
        ("dangling.json", "No such file"),
        ("long.json", "it is longer than 1048576 bytes"),
    ];
    place.dag("foreign.json", ONCE);
    if rustix::process::geteuid().is_root() {
        chown(file("foreign.json"), Some(12345), None).unwrap();
        expected.push(("foreign.json", "it belongs to user 12345"));
    } else {
        fs::remove_file(file("foreign.json")).unwrap();
    }
    place.dag("good.json", ONCE);

    let daemon = place.daemon();
    place.has_recorded("run_success", "good", 1);
    let log = daemon.log();
    let tells = |name: &str, why: &str| {
        let name = format!("dags/{name}");
        assert!(
            log.lines()
                .any(|line| line.contains(&name) && line.contains(why)),
            "nothing tells that {name}: {why} in\n{log}"
        );
    };
    for at in 0..50 {
        tells(&format!("broken{at}.json"), "");
    }
    for (name, why) in expected {
        tells(name, why);
    }
    daemon.stop();
    assert_eq!(place.lines("said"), ["good"]);
}

#[test]
fn a_link_that_is_named_alone_is_followed_within_its_directory() {
    let place = Place::new("alone");
    place.dag("good.json", ONCE);
    symlink("dags/good.json", place.path("within.json")).unwrap();
    let daemon = place.daemon_on("within.json");
    place.has_recorded("run_success", "within", 1);
    daemon.stop();

    symlink("/proc/version", place.path("out.json")).unwrap();
    let daemon = place.daemon_on("out.json");
    daemon.tells("`out.json` is refused: it is a link that leaves `.`");
    daemon.stop();
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let place = Place::new("open");
    place.dag("good.json", ONCE);
    fs::set_permissions(place.path("dags"), Permissions::from_mode(0o777)).unwrap();
    let daemon = place.daemon();
    daemon.tells("everybody may write to it");
    daemon.stop();
    assert!(place.recorded("run_created", "good").is_empty());
    assert!(place.lines("said").is_empty());
}
