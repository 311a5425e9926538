//! The unit of systemd and its drop-ins, as `systemd-analyze` judges them. Without that program nothing is judged, and
//! the test says so.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test starts programs, has failed if it cannot go on, and says what it passes over"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The unit in a directory of its own, with one of the drop-ins; `/usr/bin/mini-dag` is the program of this test.
fn unit(of: &str, drop_in: Option<&str>) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "unit-{of}-{}-{}",
        std::process::id(),
        drop_in.unwrap_or("plain")
    ));
    let unit = place.join("mini-dag.service");
    fs::create_dir_all(place.join("mini-dag.service.d")).unwrap();
    let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let text = fs::read_to_string(systemd.join("mini-dag.service")).unwrap();
    let program = env!("CARGO_BIN_EXE_mini-dag");
    fs::write(&unit, text.replace("/usr/bin/mini-dag", program)).unwrap();
    if let Some(name) = drop_in {
        let copy = place.join("mini-dag.service.d").join(name);
        fs::copy(systemd.join(name), copy).unwrap();
    }
    unit
}

/// What `systemd-analyze` prints, both streams, and whether it is content. `None` without it.
fn analyze(args: &[&str], unit: &Path) -> Option<(String, bool)> {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output();
    let Ok(output) = output else {
        println!("SKIPPED: there is no systemd-analyze");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((String::from_utf8(text).unwrap(), output.status.success()))
}

/// From 0, nothing to reach, to 10; in tenths.
fn exposure(drop_in: Option<&str>) -> Option<u32> {
    let unit = unit("exposure", drop_in);
    let (text, _) = analyze(&["security", "--offline=true", "--no-pager"], &unit)?;
    let level = text
        .rsplit_once("Overall exposure level for mini-dag.service: ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let level = level.unwrap_or_else(|| panic!("no level in:\n{text}"));
    fs::remove_dir_all(unit.parent().unwrap()).unwrap();
    Some(level.replace('.', "").parse().unwrap())
}

#[test]
fn little_is_exposed_and_less_in_lockdown() {
    for (drop_in, most) in [(None, 16), (Some("lockdown.conf"), 10)] {
        if let Some(level) = exposure(drop_in) {
            assert!(level <= most, "{drop_in:?}: {level} tenths, not {most}");
        }
    }
}

#[test]
fn systemd_finds_nothing_to_say_against_the_unit() {
    for drop_in in [None, Some("lockdown.conf"), Some("devices.conf")] {
        let unit = unit("verify", drop_in);
        if let Some(said) = analyze(&["verify", "--man=no"], &unit) {
            assert_eq!(said, (String::new(), true), "{drop_in:?}");
        }
        fs::remove_dir_all(unit.parent().unwrap()).unwrap();
    }
}
