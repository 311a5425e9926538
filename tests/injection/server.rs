//! A server that answers whatever it is asked, and keeps what was posted.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was posted, by its path.
pub type Posted = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Answers whatever is asked, and keeps what was posted.
pub fn serve(listener: TcpListener) -> Posted {
    let posted = Posted::default();
    let kept = posted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let kept = kept.clone();
            std::thread::spawn(move || answer(stream, &kept));
        }
    });
    posted
}

fn answer(mut stream: TcpStream, kept: &Posted) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let head = |seen: &[u8]| seen.windows(4).position(|four| four == b"\r\n\r\n");
    let wanted = |seen: &[u8]| {
        let end = head(seen)?;
        let text = String::from_utf8_lossy(&seen[..end]).to_lowercase();
        let length = text.split("content-length: ").nth(1);
        let length = length.map_or(Some(0), |rest| rest.lines().next()?.parse().ok());
        Some(end + 4 + length.unwrap_or(0))
    };
    while wanted(&seen).is_none_or(|bytes| seen.len() < bytes) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => seen.extend_from_slice(&buffer[..bytes]),
        }
    }
    let end = head(&seen).unwrap();
    let line = String::from_utf8_lossy(&seen[..end]).into_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    kept.lock().unwrap().insert(path, seen.split_off(end + 4));
    _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}
