//! The sample `download_rocket_launches`: what it makes of good and of bad input.

use std::collections::BTreeMap;
use std::fs;

use crate::place::{Ended, Place, files, has_curl, names};
use crate::server::{DEAD_URL, Server, picture};

#[test]
fn rocket_launches_in_json_and_in_rust_make_the_same_files_and_say_the_same() {
    if !has_curl("download_rocket_launches") {
        return;
    }
    let server = Server::start();
    let mut made = Vec::new();
    for dag in ["download_rocket_launches.json", "download_rocket_launches"] {
        let place = Place::new(dag);
        let (api, dir) = (server.url("/launches"), place.text("not there/yet"));
        let ended = place.run(dag, &[("api", &api), ("dir", &dir)]).succeeded();
        check(&server, &ended, &dir);
        assert_eq!(names(&place.path("empty")), [""; 0], "{dag}");
        made.push(files(dir.as_ref()));
    }
    assert_eq!(made[0], made[1]);

    let fetched = server
        .seen()
        .into_iter()
        .find(|it| it.target == "/launches");
    assert_eq!(fetched.unwrap().method, "GET");
    let pictures = ["falcon.png", "%EB%88%84%EB%A6%AC.jpg", "ariane.png"];
    let mut expected: BTreeMap<String, Vec<u8>> = pictures
        .map(|name| {
            (
                format!("images/{name}"),
                picture(&format!("/images/{name}")),
            )
        })
        .into();
    expected.insert("images/".to_owned(), Vec::new());
    let launches = made[0].get("launches.json").unwrap().clone();
    assert!(launches.starts_with(b"{\"count\": 6"));
    expected.insert("launches.json".to_owned(), launches);
    assert_eq!(made[0], expected);
}

fn check(server: &Server, ended: &Ended, dir: &str) {
    let downloaded = |name: &str| {
        let url = server.url(&format!("/images/{name}"));
        format!("Downloaded {url} to {dir}/images/{name}\n")
    };
    let expected = [
        downloaded("falcon.png"),
        "falcon-without-a-scheme.png appears to be an invalid URL.\n".to_owned(),
        downloaded("%EB%88%84%EB%A6%AC.jpg"),
        format!("Could not connect to {DEAD_URL}.\n"),
        format!(
            "Could not download {}: http status: 404.\n",
            server.url("/images/gone.png")
        ),
        downloaded("ariane.png"),
    ];
    assert_eq!(ended.log("get_pictures").unwrap(), expected.concat());
    assert_eq!(ended.log("notify").unwrap(), "There are now 3 images.\n");
}

#[test]
fn no_name_of_a_picture_leads_out_of_its_directory() {
    if !has_curl("download_rocket_launches") {
        return;
    }
    let server = Server::start();
    let place = Place::new("hostile");
    let dir = place.text("a/b/c");
    fs::create_dir_all(place.path("a/b/c/images")).unwrap();
    fs::write(place.path("victim"), "precious").unwrap();
    std::os::unix::fs::symlink(
        place.path("victim"),
        place.path("a/b/c/images/q.png?size=1"),
    )
    .unwrap();
    let ended = place.run(
        "download_rocket_launches.json",
        &[("api", &server.url("/launches-hostile")), ("dir", &dir)],
    );
    let ended = ended.succeeded();

    let longest = format!("c/images/{}.png", "n".repeat(251));
    assert_eq!(
        names(&place.path("a/b")),
        [
            "c/",
            "c/images/",
            "c/images/%2e%2e%2fescaped",
            "c/images/..\\escaped",
            "c/images/escaped",
            &longest,
            "c/images/q.png?size=1",
            "c/launches.json"
        ]
    );
    assert_eq!(names(&place.path("a"))[0], "b/");
    assert_eq!(fs::read(place.path("victim")).unwrap(), b"precious");
    let log = ended.log("get_pictures").unwrap();
    let nameless = |target: &str| format!("{} names no file.\n", server.url(target));
    assert_eq!(
        log.lines().count(),
        12,
        "a line for each launch, whatever is in its URL:\n{log}"
    );
    assert!(
        log.starts_with(&(nameless("/images/..") + &nameless("/images/a/../../.."))),
        "{log}"
    );
    assert!(
        log.contains("http://a b/\u{fffd}Success appears to be an invalid URL.\n"),
        "{log}"
    );
    assert!(
        log.contains("file:///etc/passwd appears to be an invalid URL.\n"),
        "{log}"
    );
    let huge = server.url("/images/huge.png");
    assert!(
        log.contains(&format!("Could not download {huge}: ")),
        "{log}"
    );
    assert!(log.ends_with("\n appears to be an invalid URL.\n"), "{log}");
}

#[test]
fn an_answer_that_is_no_list_of_launches_fails_and_is_named() {
    if !has_curl("download_rocket_launches") {
        return;
    }
    let server = Server::start();
    let place = Place::new("no-launches");
    let dir = place.text("out");
    let run = |target: &str| {
        let api = server.url(target);
        let ended = place.run(
            "download_rocket_launches.json",
            &[("api", &api), ("dir", &dir)],
        );
        assert_eq!(ended.log("notify"), None);
        ended.failed().log("get_pictures").unwrap()
    };
    assert!(run("/weather").contains("`launches.json` has no array `results`"));
    let log = run("/weather-broken");
    assert!(log.contains("launches.json` is not JSON: 1:1: "), "{log}");
}
