//! The services that the samples talk to, on 127.0.0.1: launches with pictures, events, a forecast, a dashboard.
//!
//! One connection after the other, each closed after its answer, none waited for longer than [`PATIENCE`]. It ends
//! when it is dropped.

pub mod events;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: u64 = 1 << 20;
/// A picture of this length is longer than `get_pictures` takes.
const HUGE_BYTES: usize = (16 << 20) + 1;
/// Nobody listens on port 1.
pub const DEAD_URL: &str = "http://127.0.0.1:1/dead.png";

pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    seen: Mutex<Vec<Request>>,
}

/// What a client sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub target: String,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.stopping.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away is its own affair.
                _ = stream.and_then(|stream| of_thread.serve(&stream, address));
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// What was posted to the dashboard so far.
    pub fn posted(&self) -> Vec<Request> {
        let mut seen = self.seen();
        seen.retain(|request| request.method == "POST" && request.target == "/dashboard");
        seen
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes `incoming`.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: &TcpStream, address: SocketAddr) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = Request::read(&mut BufReader::new(stream))?;
        self.seen.lock().unwrap().push(request.clone());
        let (status, body) = answer(&request, address);
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut reader = reader.take(BODY_BYTES_MAX);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            content_type: String::new(),
            body: Vec::new(),
        };
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            let (name, value) = line.trim().split_once(": ").unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "content-type" => value.clone_into(&mut request.content_type),
                _ => {}
            }
        }
        reader.take(length).read_to_end(&mut request.body)?;
        Ok(request)
    }
}

fn answer(request: &Request, address: SocketAddr) -> (&'static str, Vec<u8>) {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let body = match (request.method.as_str(), path) {
        ("GET", "/launches") => launches(address).into_bytes(),
        ("GET", "/launches-hostile") => hostile_launches(address).into_bytes(),
        ("GET", "/images/huge.png") => vec![0; HUGE_BYTES],
        ("GET", "/images/gone.png") => return ("404 Not Found", b"gone".into()),
        ("GET", image) if image.starts_with("/images/") => picture(&request.target),
        ("GET", "/events") => {
            let parameter = |name: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.to_owned())
            };
            events::json(
                parameter("start_date").as_deref(),
                parameter("end_date").as_deref(),
            )
            .into_bytes()
        }
        ("GET", "/weather") => WEATHER.into(),
        ("GET", "/weather-broken") => b"<html>We are down for maintenance</html>".into(),
        ("POST", "/dashboard") => b"{\"status\":\"ok\"}".into(),
        _ => return ("404 Not Found", b"nothing here".into()),
    };
    ("200 OK", body)
}

/// The bytes of the picture at a target; not text.
pub fn picture(target: &str) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\xff".to_vec();
    bytes.extend(target.bytes().cycle().take(3_000));
    bytes
}

/// Two good pictures, a malformed URL, an unreachable host, one that is gone, and one more good one.
fn launches(address: SocketAddr) -> String {
    let images = [
        format!("http://{address}/images/falcon.png"),
        "falcon-without-a-scheme.png".to_owned(),
        format!("http://{address}/images/%EB%88%84%EB%A6%AC.jpg"),
        DEAD_URL.to_owned(),
        format!("http://{address}/images/gone.png"),
        format!("http://{address}/images/ariane.png"),
    ];
    results(&images)
}

/// URLs whose names must not lead out of a directory, and one whose picture has no end worth waiting for.
fn hostile_launches(address: SocketAddr) -> String {
    let images = [
        format!("http://{address}/images/.."),
        format!("http://{address}/images/a/../../.."),
        format!("http://{address}/images/"),
        format!("http://{address}/images/x?to=/../../../escaped"),
        format!("http://{address}/images/%2e%2e%2fescaped"),
        format!("http://{address}/images/..\\escaped"),
        format!("http://{address}/images/{}.png", "n".repeat(300)),
        format!("http://{address}/images/q.png?size=1"),
        "http://a b/\nSuccess".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("http://{address}/images/huge.png"),
        String::new(),
    ];
    results(&images)
}

fn results(images: &[String]) -> String {
    let launches = images.iter().map(|image| {
        let image = image.replace('\\', "\\\\").replace('\n', "\\n");
        format!("{{\"name\": \"a launch\", \"image\": \"{image}\"}}")
    });
    let launches = launches.collect::<Vec<_>>().join(", ");
    format!("{{\"count\": {}, \"results\": [{launches}]}}", images.len())
}

/// Columns, as Open-Meteo sends them, with holes.
const WEATHER: &str = r#"{
  "latitude": 37.55, "longitude": 127.0, "hourly_units": {"time": "iso8601", "temperature_2m": "°C"},
  "hourly": {
    "time": ["2026-05-01T00:00", "2026-05-01T01:00", "2026-05-01T02:00", "2026-05-01T03:00"],
    "temperature_2m": [12.30, null, 11.0, 10.9],
    "precipitation": [0.0, 0.1, 0.2, null]
  }
}"#;
/// [`WEATHER`] without the hours that lack something.
pub const WEATHER_CLEAN: &str = concat!(
    r#"{"hourly":{"precipitation":[0.0,0.2],"temperature_2m":[12.30,11.0],"#,
    r#""time":["2026-05-01T00:00","2026-05-01T02:00"]},"#,
    r#""hourly_units":{"temperature_2m":"°C","time":"iso8601"},"latitude":37.55,"longitude":127.0}"#,
    "\n"
);
