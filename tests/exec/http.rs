//! The HTTP worker against servers that mean well and servers that do not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use mini_dag::dag::Value;
use mini_dag::exec::Exit;
use mini_dag::exec::worker::{Body, HttpRequest, Work};

use crate::attempt::{Attempt, Ended, memory_peak_of_this_program};
use crate::worker::{printed, worker};

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n";

/// Answers every request with what `answer` writes; returns where. The thread ends with the test program.
fn server(answer: impl Fn(&mut TcpStream, &str) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&mut stream);
            answer(&mut stream, &request);
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return request;
        }
    }
    let length = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}

/// Something that takes this long without ever happening.
fn nothing_for(duration: Duration) {
    let (_open, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(duration);
}

pub(crate) fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest {
        url: url.into(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: Body::None,
        save_to: None,
        expect_status: Vec::new(),
        timeout: Duration::from_secs(10),
        bytes_max: 1 << 20,
    }
}

pub(crate) fn attempt(request: &HttpRequest) -> Attempt {
    worker(&Work::Http(request.clone()))
}

/// The request fails with this reason as its last line, after the request's method and address.
#[track_caller]
fn check_fails(request: &HttpRequest, reason: &str) -> Ended {
    let ended = attempt(request).run();
    assert_eq!(ended.ending.exit, Exit::Code(1), "{}", ended.log);
    let last = printed(&ended).lines().last().unwrap_or_default();
    assert_eq!(
        last,
        format!("error: {} {}: {reason}", request.method, request.url)
    );
    ended
}

#[test]
fn the_answer_is_the_output() {
    let address = server(|stream, request| {
        let first = request.lines().next().unwrap();
        write!(stream, "{OK}\r\n{first}\n").unwrap();
    });
    let ended = attempt(&get(format!("http://{address}/a?b=c"))).run();
    assert_eq!(
        (ended.ending.exit, printed(&ended)),
        (Exit::Code(0), "GET /a?b=c HTTP/1.1\n")
    );
}

#[test]
fn method_headers_and_body_arrive() {
    let address = server(|stream, request| write!(stream, "{OK}\r\n{request}").unwrap());
    let mut request = get(format!("http://{address}/"));
    request.method = "POST".to_owned();
    request.headers = vec![("X-Station".to_owned(), "7 ü".to_owned())];
    request.body = Body::Json(Value::from([("temperature", Value::from(21))]));
    let ended = attempt(&request).run();
    let seen = printed(&ended).to_ascii_lowercase();
    for expected in [
        "post / http/1.1\r\n",
        "x-station: 7 ü\r\n",
        "content-type: application/json\r\n",
        "user-agent: mini-dag/",
        "\r\n\r\n{\"temperature\":21}",
    ] {
        assert!(seen.contains(expected), "{expected} not in {seen}");
    }
    request.method = "DELETE".to_owned();
    request.headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    request.body = Body::Text("all".to_owned());
    let ended = attempt(&request).run();
    assert!(
        printed(&ended).starts_with("DELETE / ") && printed(&ended).ends_with("\r\n\r\nall"),
        "{}",
        ended.log
    );
}

#[test]
fn the_answer_is_saved_whole_or_not_at_all() {
    let address = server(|stream, request| {
        let length = if request.starts_with("GET /short") {
            100
        } else {
            5
        };
        write!(stream, "{OK}Content-Length: {length}\r\n\r\nhello").unwrap();
    });
    let mut request = get(format!("http://{address}/"));
    request.save_to = Some("saved.txt".to_owned());
    let ended = attempt(&request).run();
    assert_eq!(
        printed(&ended),
        format!("GET http://{address}/: status 200 OK, 5 bytes\nsaved.txt\n")
    );
    assert_eq!(
        fs::read_to_string(ended.directory.0.join("saved.txt")).unwrap(),
        "hello"
    );
    assert_eq!(files(&ended), ["logs", "saved.txt"]);

    request.url = format!("http://{address}/short");
    let mut short = attempt(&request);
    short.directory.file("saved.txt", "as before");
    short.launch.output_bytes_max = 4096;
    let ended = short.run();
    assert_eq!(ended.ending.exit, Exit::Code(1));
    assert_eq!(
        fs::read_to_string(ended.directory.0.join("saved.txt")).unwrap(),
        "as before"
    );
    assert_eq!(files(&ended), ["logs", "saved.txt"]);

    request.save_to = Some("absent/saved.txt".to_owned());
    check_fails(
        &request,
        "cannot write `absent/saved.txt`: No such file or directory (os error 2)",
    );
    request.save_to = Some("/".to_owned());
    check_fails(&request, "cannot write `/`: is a directory");
    request.url = format!("http://{address}/");
    request.save_to = Some("/dev/null".to_owned());
    assert_eq!(attempt(&request).run().ending.exit, Exit::Code(0));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

fn files(ended: &Ended) -> Vec<String> {
    let entries = fs::read_dir(&ended.directory.0).unwrap();
    let mut names: Vec<String> = entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn an_unexpected_status_is_a_failure_that_names_it() {
    let address = server(|stream, _| {
        write!(
            stream,
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\ncome back in an hour\n"
        )
        .unwrap();
    });
    let mut request = get(format!("http://{address}/"));
    let ended = check_fails(
        &request,
        "status 503 Service Unavailable; expected 200 to 299",
    );
    assert!(
        printed(&ended).starts_with("come back in an hour\nerror: "),
        "{}",
        ended.log
    );
    request.expect_status = vec![200, 204];
    check_fails(
        &request,
        "status 503 Service Unavailable; expected 200, 204",
    );
    request.expect_status = vec![200, 503];
    assert_eq!(attempt(&request).run().ending.exit, Exit::Code(0));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut request = get(format!("http://{}/", listener.local_addr().unwrap()));
    request.timeout = Duration::from_millis(500);
    let ended = check_fails(&request, "no complete answer within 500ms");
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
}

#[test]
fn a_server_that_drips_is_given_up() {
    let address = server(|stream, request| {
        let start = if request.starts_with("GET /header") {
            "HTTP/1.1 200 OK\r\nX-Slow: ".to_owned()
        } else {
            format!("{OK}\r\n")
        };
        stream.write_all(start.as_bytes()).unwrap();
        while stream.write_all(b"x").is_ok() {
            nothing_for(Duration::from_millis(100));
        }
    });
    for path in ["header", "body"] {
        let mut request = get(format!("http://{address}/{path}"));
        request.timeout = Duration::from_secs(1);
        let ended = check_fails(&request, "no complete answer within 1s");
        assert!(
            ended.took >= request.timeout && ended.took < Duration::from_secs(6),
            "{:?}",
            ended.took
        );
    }
}

#[test]
fn redirects_for_ever_end_after_ten() {
    let (count, counted) = mpsc::channel();
    let address = server(move |stream, _| {
        count.send(()).unwrap();
        write!(stream, "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    });
    check_fails(&get(format!("http://{address}/")), "more than 10 redirects");
    assert_eq!(counted.try_iter().count(), 11);
}

#[test]
fn an_answer_that_is_too_long_is_cut_off() {
    let address = server(|stream, request| {
        let length = if request.starts_with("GET /announced") {
            "Content-Length: 10000000000\r\n"
        } else {
            ""
        };
        let _ = write!(stream, "{OK}{length}\r\n");
        while stream.write_all(&[b'x'; 16384]).is_ok() {}
    });
    for path in ["announced", "endless"] {
        let mut request = get(format!("http://{address}/{path}"));
        request.bytes_max = 300_000;
        request.save_to = Some("saved".to_owned());
        let ended = check_fails(&request, "the answer is longer than 300000 bytes");
        assert_eq!(files(&ended), ["logs"]);
        let memory_bytes = ended.ending.memory_peak_bytes;
        assert!(
            memory_bytes < memory_peak_of_this_program() + (32 << 20),
            "{:?}",
            ended.ending
        );
    }
}

#[test]
fn an_answer_that_breaks_off_or_is_none_is_a_failure() {
    let address = server(|stream, request| {
        let answer = match request.split(' ').nth(1).unwrap() {
            "/early" => format!("{OK}Content-Length: 100\r\n\r\nhello"),
            "/chunk" => format!("{OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
            "/headers" => "HTTP/1.1 200 OK\r\nA: b".to_owned(),
            "/garbage" => "\x00\x01garbage\r\n\r\n".to_owned(),
            _ => format!("{OK}X: {}\r\n\r\n", "y".repeat(1 << 20)),
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    for path in ["early", "chunk"] {
        check_fails(
            &get(format!("http://{address}/{path}")),
            "the connection was closed before the answer was complete",
        );
    }
    for path in ["headers", "garbage", "long"] {
        let ended = attempt(&get(format!("http://{address}/{path}"))).run();
        assert_eq!(ended.ending.exit, Exit::Code(1));
        let start = format!("error: GET http://{address}/{path}: ");
        assert!(printed(&ended).starts_with(&start), "{}", ended.log);
    }
}

#[test]
fn an_address_that_leads_nowhere_is_named() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    check_fails(&get(format!("http://{closed}/")), "connection refused");
    let unknown = "http://host.invalid/";
    let ended = attempt(&get(unknown)).run();
    let start = format!("error: GET {unknown}: the host name does not resolve");
    assert!(printed(&ended).starts_with(&start), "{}", ended.log);
    check_fails(
        &get("not a url"),
        "not a valid request: invalid uri character",
    );
    check_fails(
        &get("http://[::1"),
        "not a valid request: invalid authority",
    );
    check_fails(
        &get("ftp://localhost/"),
        "not a valid address: unknown scheme: ftp",
    );
    for url in ["", "http://", "/path"] {
        let ended = attempt(&get(url)).run();
        assert_eq!(ended.ending.exit, Exit::Code(1), "{url}");
        let start = format!("error: GET {url}: not a valid ");
        assert!(printed(&ended).starts_with(&start), "{}", ended.log);
    }
}

#[test]
fn a_password_in_the_address_is_not_logged() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = attempt(&get(format!("http://me:secret@{closed}/a@b"))).run();
    assert_eq!(
        printed(&ended),
        format!("error: GET http://***@{closed}/a@b: connection refused\n")
    );
}

#[test]
fn a_proxy_is_used_only_if_the_task_names_one() {
    let address = server(|stream, _| write!(stream, "{OK}\r\ndirect").unwrap());
    let request = get(format!("http://{address}/"));
    assert_eq!(printed(&attempt(&request).run()), "direct");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut through_proxy = attempt(&request);
    through_proxy
        .launch
        .env
        .push(("http_proxy".into(), format!("http://{closed}").into()));
    assert_eq!(through_proxy.run().ending.exit, Exit::Code(1));
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_https_is_refused_clearly() {
    check_fails(
        &get("https://localhost/"),
        "this mini-dag was built without TLS and cannot speak https",
    );
}
