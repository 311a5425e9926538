//! The sample `sensor_log`: what it makes of good and of bad input.

use std::fs;

use crate::place::{DEFAULT, Place, names};

const HEADER: &str = "time,temperature_c,load_1m,memory_free_kib,disk_free_kib";

fn rows(place: &Place) -> Vec<String> {
    let log = fs::read_to_string(place.path("out/sensor_log.csv")).unwrap();
    assert!(log.ends_with('\n'));
    let mut lines = log.lines().map(str::to_owned);
    assert_eq!(lines.next().as_deref(), Some(HEADER));
    lines.collect()
}

#[test]
fn a_run_without_a_name_is_the_sensor_log_and_adds_a_row() {
    let place = Place::new("sensors");
    let dir = place.text("out");
    for (runs, dag) in ["sensor_log.json", DEFAULT].into_iter().enumerate() {
        let ended = place.run(dag, &[("dir", &dir)]).succeeded();
        let rows = rows(&place);
        assert_eq!(rows.len(), runs + 1);
        let row = rows.last().unwrap();
        assert_eq!(ended.log("append_row").unwrap(), format!("{row}\n"));
        let told = format!("{} rows in {dir}/sensor_log.csv\n", runs + 1);
        assert_eq!(ended.log("trim_log").unwrap(), told);
        let cells: Vec<&str> = row.split(',').collect();
        let [time, temperature, load, memory, disk] = cells[..] else {
            panic!("{row}");
        };
        assert_eq!(
            (time.len(), &time[10..11], &time[19..]),
            (20, "T", "Z"),
            "{row}"
        );
        let temperature: f64 = temperature.parse().unwrap_or(20.0);
        assert!((-60.0..150.0).contains(&temperature), "{row}");
        assert!(load.parse::<f64>().unwrap() >= 0.0, "{row}");
        assert!(memory.parse::<u64>().unwrap() > 0, "{row}");
        assert!(disk.parse::<u64>().unwrap() > 0, "{row}");
    }
}

#[test]
fn a_run_that_is_told_nothing_logs_in_the_home_directory() {
    let place = Place::new("stranger");
    place.run(DEFAULT, &[]).succeeded();
    let log = fs::read_to_string(place.path("home/sensor_log/sensor_log.csv")).unwrap();
    assert!(log.starts_with(HEADER), "{log}");
    assert_eq!(log.lines().count(), 2, "{log}");
}

#[test]
fn the_temperature_is_that_of_the_hottest_zone_and_empty_where_there_is_none() {
    let check = |test: &str, zones: &[&str], expected: &str| {
        let place = Place::new(test);
        for (number, zone) in zones.iter().enumerate() {
            let zone_dir = place.path(&format!("thermal/thermal_zone{number}"));
            fs::create_dir_all(&zone_dir).unwrap();
            fs::write(zone_dir.join("temp"), zone).unwrap();
        }
        let (dir, thermal) = (place.text("out"), place.text("thermal"));
        place
            .run("sensor_log.json", &[("dir", &dir), ("thermal", &thermal)])
            .succeeded();
        let rows = rows(&place);
        assert_eq!(rows[0].split(',').nth(1), Some(expected), "{zones:?}");
        assert!(!place.path("out/pwned").exists(), "{zones:?}");
    };
    check("none", &[], "");
    check("pi", &["48312\n"], "48.312");
    check("three", &["9000\n", "48012\n", "-1000\n"], "48.012");
    check("cold", &["-500\n", "-12005\n"], "-0.500");
    check(
        "unreadable",
        &["a[$(touch \"$dir/pwned\")]\n", "", "51000\n"],
        "51.000",
    );
}

#[test]
fn the_log_keeps_no_more_rows_than_it_should() {
    let place = Place::new("bounded");
    let dir = place.text("out");
    fs::create_dir_all(place.path("out")).unwrap();
    let old: Vec<String> = (1..=20).map(|row| format!("row {row}\n")).collect();
    fs::write(
        place.path("out/sensor_log.csv"),
        format!("{HEADER}\n{}", old.concat()),
    )
    .unwrap();
    let run = |keep: &str| place.run("sensor_log.json", &[("dir", &dir), ("keep", keep)]);

    run("21").succeeded();
    assert_eq!(rows(&place).len(), 21);
    run("21").succeeded();
    // 22 are too many: the oldest tenth of 21 goes with the one.
    assert_eq!((rows(&place).len(), &*rows(&place)[0]), (19, "row 4"));
    run("3").succeeded();
    assert_eq!(rows(&place).len(), 3);
    run("1").succeeded();
    assert_eq!(rows(&place).len(), 1);
    assert_eq!(names(&place.path("out"))[0], "reading/");
    for keep in [
        "0",
        "-1",
        "\"\"",
        r#""a[$(touch \"$dir/pwned\")]""#,
        "99999999999999999999",
    ] {
        let ended = run(keep).failed();
        assert!(
            ended.told.contains("parameter `keep` cannot be"),
            "{keep}: {}",
            ended.told
        );
    }
    assert_eq!(
        names(&place.path("out")).len(),
        6,
        "{:?}",
        names(&place.path("out"))
    );
}
