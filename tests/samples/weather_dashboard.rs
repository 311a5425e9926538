//! The sample `weather_dashboard`: what it makes of good and of bad input.

use std::fs;

use crate::place::{Place, has_curl, names};
use crate::server::{Server, WEATHER_CLEAN};

#[test]
fn the_dashboard_gets_the_clean_forecast_once_and_the_raw_one_is_archived() {
    if !has_curl("weather_dashboard") {
        return;
    }
    let server = Server::start();
    let place = Place::new("weather");
    let dir = place.text("not there/yet");
    let (api, dashboard) = (server.url("/weather"), server.url("/dashboard"));
    let archive = place.path("not there/yet/archive");
    fs::create_dir_all(&archive).unwrap();
    for day in 1..=31 {
        fs::write(archive.join(format!("2023-01-{day:02}.json")), "{}").unwrap();
    }
    let params = [("api", &*api), ("dashboard", &*dashboard), ("dir", &*dir)];
    let ended = place.run("weather_dashboard.json", &params).succeeded();

    let posted = server.posted();
    assert_eq!(posted.len(), 1);
    assert_eq!(String::from_utf8_lossy(&posted[0].body), WEATHER_CLEAN);
    assert_eq!(posted[0].content_type, "application/json");
    assert_eq!(
        ended.log("push_to_dashboard").unwrap(),
        "{\"status\":\"ok\"}"
    );
    assert_eq!(
        ended.log("clean_forecast").unwrap(),
        "Kept 2 rows, dropped 2\n"
    );
    let clean = fs::read(place.path("not there/yet/clean.json")).unwrap();
    assert_eq!(clean, posted[0].body);

    let kept = names(&archive);
    assert_eq!((kept.len(), &*kept[0]), (31, "2023-01-02.json"));
    assert_eq!(
        fs::read(archive.join(&kept[30])).unwrap(),
        fs::read(place.path("not there/yet/forecast.json")).unwrap()
    );
}

#[test]
fn nothing_is_pushed_before_the_forecast_is_clean() {
    let server = Server::start();
    let place = Place::new("weather-broken");
    let (api, dashboard) = (server.url("/weather-broken"), server.url("/dashboard"));
    // What an earlier run left must not be pushed again either.
    fs::create_dir_all(place.path("out")).unwrap();
    fs::write(place.path("out/clean.json"), "{}").unwrap();
    let dir = place.text("out");
    let params = [("api", &*api), ("dashboard", &*dashboard), ("dir", &*dir)];
    let ended = place.run("weather_dashboard.json", &params).failed();
    assert_eq!(server.posted().len(), 0);
    assert_eq!(ended.log("push_to_dashboard"), None);
    assert!(ended.log("clean_forecast").unwrap().contains("is not JSON"));
    // The branch beside it does not mind.
    assert_eq!(names(&place.path("out/archive")).len(), 1);
}
