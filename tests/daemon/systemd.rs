//! What a service manager hears of the daemon.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::place::Place;

const SHOW: &str = r#"{"schedule": "@once", "start_date": "2026-01-01", "tasks": [{"task_id": "show",
    "bash": "env > DIR/environment.new; mv DIR/environment.new DIR/environment"}]}"#;

/// What was sent next that is not the watchdog's food.
fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    loop {
        let length = manager.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text != "WATCHDOG=1" {
            return text;
        }
    }
}

#[test]
fn a_service_manager_hears_of_start_reload_and_stop_and_tasks_do_not_hear_of_it() {
    let place = Place::new("notify");
    place.dag("show.json", SHOW);
    let socket = place.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let env = [("NOTIFY_SOCKET", socket.to_str().unwrap())];
    let daemon = place.start_with("dags", &env);
    let starting = heard(&manager);
    assert!(starting.contains("EXTEND_TIMEOUT_USEC="), "{starting}");
    assert_eq!(heard(&manager), "READY=1\nSTATUS=2 DAGs");
    daemon.signal(Signal::HUP);
    let reloading = heard(&manager);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(heard(&manager), "READY=1\nSTATUS=2 DAGs");
    fs::write(place.path("bad.json"), "{").unwrap();
    fs::rename(place.path("bad.json"), place.path("dags/bad.json")).unwrap();
    assert_eq!(heard(&manager), "STATUS=2 DAGs; errors in files: 1");
    place.until("the task", || place.path("environment").exists());
    daemon.signal(Signal::TERM);
    let stopping = heard(&manager);
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    daemon.end();
    let environment = place.lines("environment").join("\n");
    assert!(environment.contains("MINI_DAG_TASK_ID=show"));
    assert!(!environment.contains("NOTIFY_SOCKET"), "{environment}");
}

#[test]
fn the_watchdog_is_fed_by_a_daemon_that_has_nothing_to_do() {
    let place = Place::new("watchdog");
    let socket = place.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let env = [
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
        ("WATCHDOG_USEC", "400000"),
    ];
    let daemon = place.start_with("dags", &env);
    let mut buffer = [0; 1024];
    let mut meals = 0;
    while meals < 5 {
        let length = manager.recv(&mut buffer).unwrap();
        meals += u32::from(&buffer[..length] == b"WATCHDOG=1");
    }
    daemon.stop();
}
