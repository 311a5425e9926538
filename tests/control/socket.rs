//! The socket as a file: whose it is, what may be in its place, and what is left of it.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use crate::daemon::{CHAIN, Daemon};

/// Nobody's user and group.
const NOBODY: u32 = 65_534;
/// A group that the daemon's user need not be in.
const GROUP: u32 = 54_321;

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
    assert!(daemon.run(&["status"]).err.contains("no daemon runs"));
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

/// A socket whose mode somebody has opened up still asks who is there.
#[test]
fn members_of_the_group_operate_and_strangers_do_nothing() {
    if !rustix::process::geteuid().is_root() {
        let what = "*** SKIPPED: only root can ask as somebody else ***";
        _ = writeln!(std::io::stderr(), "\n{what}\n");
        return;
    }
    let daemon = Daemon::in_public("peer", &[("chain.json", CHAIN)]);
    let said = |gid, args: &[&str]| {
        let mut command = daemon.command(args);
        let output = command.uid(NOBODY).gid(gid).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = said(NOBODY, &["status"]);
    assert_eq!(code, Some(1), "the mode keeps strangers out: {text}");
    assert!(text.contains("cannot reach the daemon"), "{text}");

    fs::set_permissions(daemon.socket(), Permissions::from_mode(0o666)).unwrap();
    let (code, text) = said(NOBODY, &["status"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the control socket is for root"), "{text}");

    chown(daemon.socket(), None, Some(GROUP)).unwrap();
    assert_eq!(said(GROUP, &["pause", "chain"]).0, Some(0));
    let (code, text) = said(GROUP, &["reload"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("only the daemon's own user"), "{text}");
}
