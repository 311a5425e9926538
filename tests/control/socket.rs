//! The socket as a file: whose it is, what may be in its place, and what is left of it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use crate::daemon::{CHAIN, Daemon};

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_its_daemon() {
    let mut daemon = Daemon::with("mode", &[]);
    let metadata = fs::symlink_metadata(daemon.socket()).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let state = fs::read_dir(daemon.root.join("state")).unwrap();
    let names: Vec<_> = state.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| !name.as_encoded_bytes().starts_with(b".s")),
        "{names:?}"
    );
    daemon.stop();
    assert!(!daemon.socket().exists());
}

#[test]
fn a_stale_socket_is_replaced() {
    let mut daemon = Daemon::with("stale", &[("chain.json", CHAIN)]);
    daemon.kill();
    assert!(
        daemon.socket().exists(),
        "a killed daemon leaves its socket"
    );
    assert!(daemon.run(&["status"]).err.contains("no daemon runs on"));
    daemon.start();
    daemon.wait_for("an answer", |daemon| daemon.get("/api/v2/version").0 == 200);
    daemon.ok(&["trigger", "chain", "--param", "name=/", "--wait"]);
}

#[test]
fn a_second_daemon_on_one_state_directory_is_refused_and_harms_nothing() {
    let daemon = Daemon::with("two", &[]);
    let said = daemon.run(&["daemon", "--dags", "dags"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("another mini-dag is using"),
        "{}",
        said.err
    );
    daemon.ok(&["status"]);
}

#[test]
fn a_file_in_the_place_of_the_socket_stays_and_the_daemon_runs_without() {
    let mut daemon = Daemon::place("taken");
    fs::write(daemon.socket(), "mine").unwrap();
    daemon.start();
    let lock = daemon.root.join("state/lock");
    daemon.wait_for("lock", |_| {
        fs::read_to_string(&lock).is_ok_and(|text| text.ends_with('\n'))
    });
    let said = daemon.run(&["status"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("is not the daemon's socket"),
        "{}",
        said.err
    );
    daemon.stop();
    assert_eq!(fs::read_to_string(daemon.socket()).unwrap(), "mine");
}
