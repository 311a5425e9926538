//! Somebody who comes by TCP, and says who they are.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use mini_dag::Value;

use crate::daemon::{CHAIN, Daemon, PATIENCE, SLOW, status, text};

/// Somebody who asks by TCP.
pub struct Visitor {
    pub address: String,
}

/// The head and the body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        Value::parse(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

impl Visitor {
    pub fn of(daemon: &Daemon) -> Self {
        Self {
            address: daemon.address(),
        }
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let (host, length) = (&self.address, body.len());
        let host = if headers.contains("Host: ") {
            String::new()
        } else {
            format!("Host: {host}\r\n")
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        Answer {
            status: status(head),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub fn log_in(&self, path: &str, name: &str, password: &str) -> Answer {
        let body = Value::from([("username", name), ("password", password)]);
        self.ask("POST", path, "", &body.to_string())
    }

    /// The header that says who is asking, by a token.
    pub fn bearer(&self, name: &str, password: &str) -> String {
        let answer = self.log_in("/auth/token", name, password);
        assert_eq!(answer.status, 201, "{answer:?}");
        format!(
            "Authorization: Bearer {}\r\n",
            text(&answer.json(), "access_token")
        )
    }

    /// The header with the cookie of a new session.
    pub fn cookie(&self, name: &str, password: &str) -> String {
        let answer = self.log_in("/mini-dag/v1/login", name, password);
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap();
        assert!(
            cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"),
            "{cookie}"
        );
        format!("Cookie: other=1; {}\r\n", cookie.split(';').next().unwrap())
    }
}

/// Adds a user, or changes a password.
pub fn user(daemon: &Daemon, args: &[&str], password: &str) {
    let mut command = daemon.command(&[&["user"], args].concat());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{password}\n").as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{args:?}");
}

pub fn dags() -> [(&'static str, &'static str); 2] {
    [("chain.json", CHAIN), ("slow.json", SLOW)]
}

pub fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let at = |index: usize| u32::from(*chunk.get(index).unwrap_or(&0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = char::from(LETTERS[(word >> (18 - 6 * place) & 63) as usize]);
            encoded.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    encoded
}
