//! The HTTP worker and certificates, with `openssl` as the server; where there is no openssl nothing is shown.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use mini_dag::exec::Exit;

use crate::attempt::{Directory, in_time, until};
use crate::http::{attempt, get};
use crate::worker::printed;

#[test]
fn a_certificate_must_be_vouched_for() {
    let directory = Directory::new();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&directory.0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn()
    };
    let Ok(mut making) = openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
    ) else {
        return;
    };
    assert!(making.wait().unwrap().success());
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut server = openssl(&format!(
        "s_server -accept {free} -key key.pem -cert cert.pem -www"
    ))
    .unwrap();
    in_time(until(|| TcpStream::connect(free).is_ok()));

    let request = |host: &str| get(format!("https://{host}:{}/", free.port()));
    let trusting = |host: &str| {
        let mut attempt = attempt(&request(host));
        let certificate = directory.0.join("cert.pem");
        attempt
            .launch
            .env
            .push(("SSL_CERT_FILE".into(), certificate.into()));
        attempt.run()
    };
    let (stranger, trusted, misnamed) = (
        attempt(&request("localhost")).run(),
        trusting("localhost"),
        trusting("127.0.0.1"),
    );
    server.kill().unwrap();
    server.wait().unwrap();

    let reason = "invalid peer certificate: UnknownIssuer";
    assert_eq!(
        printed(&stranger),
        format!("error: GET {}: {reason}\n", request("localhost").url)
    );
    assert_eq!(trusted.ending.exit, Exit::Code(0), "{}", trusted.log);
    let reason = format!(
        "error: GET {}: invalid peer certificate: ",
        request("127.0.0.1").url
    );
    assert!(printed(&misnamed).starts_with(&reason), "{}", misnamed.log);
}
