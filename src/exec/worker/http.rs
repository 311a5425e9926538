//! One HTTP exchange, bounded in time, length and redirects.
//!
//! A proxy is used only if the task's own environment names one (`http_proxy`, `https_proxy`, `all_proxy`,
//! `no_proxy`). `SSL_CERT_FILE` in the task's environment replaces the compiled-in list of certificate
//! authorities.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use rustix::io::Errno;
use ureq::http::{Method, Request, Response, header};
use ureq::{Agent, Error, Proxy};

use super::{Body, HttpRequest};

const REDIRECTS_MAX: u32 = 10;
/// Of an answer with an unexpected status, for the log: services say there what is wrong.
const EXCERPT_BYTES_MAX: u64 = 1024;

/// Does it. The error is one line that names the method, the address and the reason.
pub(super) fn run(
    request: &HttpRequest,
    out: &mut impl Write,
    log: &mut impl Write,
) -> Result<(), String> {
    let named = |reason: String| {
        format!(
            "{} {}: {reason}",
            request.method,
            without_password(&request.url)
        )
    };
    exchange(request, out, log).map_err(named)
}

fn exchange(
    request: &HttpRequest,
    out: &mut impl Write,
    log: &mut impl Write,
) -> Result<(), String> {
    let explain = |error| explain(error, request);
    let mut response = send(request, &agent(request)?).map_err(explain)?;
    let status = response.status();
    let is_expected = if request.expect_status.is_empty() {
        status.is_success()
    } else {
        request.expect_status.contains(&status.as_u16())
    };
    if !is_expected {
        let mut excerpt = Vec::new();
        let body = response.body_mut().as_reader().take(EXCERPT_BYTES_MAX);
        if { body }.read_to_end(&mut excerpt).is_ok() && !excerpt.is_empty() {
            let _ = writeln!(log, "{}", String::from_utf8_lossy(&excerpt).trim_end());
        }
        let expected: Vec<String> = request.expect_status.iter().map(u16::to_string).collect();
        let expected = if expected.is_empty() {
            "200 to 299".to_owned()
        } else {
            expected.join(", ")
        };
        return Err(format!("status {status}; expected {expected}"));
    }
    let Some(path) = &request.save_to else {
        let copied = copy(&mut response, request, out, "standard output");
        if copied.is_err() {
            // The reason gets a line of its own.
            let _ = writeln!(out);
        }
        let flushed = out
            .flush()
            .map_err(|error| format!("cannot write to standard output: {error}"));
        return copied.and(flushed);
    };
    let cannot = |error: io::Error| format!("cannot write `{path}`: {error}");
    let mut target = Target::create(Path::new(path)).map_err(cannot)?;
    let bytes = copy(&mut response, request, &mut target.file, path)?;
    target.publish().map_err(cannot)?;
    let _ = writeln!(
        log,
        "{} {}: status {status}, {bytes} bytes",
        request.method,
        without_password(&request.url)
    );
    // The last line is the task's XCom.
    let _ = writeln!(out, "{path}").and_then(|()| out.flush());
    Ok(())
}

fn agent(request: &HttpRequest) -> Result<Agent, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(request.timeout))
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(REDIRECTS_MAX)
        .max_redirects_will_error(true)
        .proxy(Proxy::try_from_env())
        .user_agent(concat!("mini-dag/", env!("CARGO_PKG_VERSION")))
        .input_buffer_size(16 * 1024)
        .output_buffer_size(8 * 1024);
    #[cfg(feature = "tls")]
    let config = config.tls_config(tls()?);
    #[cfg(not(feature = "tls"))]
    if request
        .url
        .get(..6)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    {
        return Err(WITHOUT_TLS.to_owned());
    }
    Ok(config.build().new_agent())
}

/// How std begins the text of a name lookup's error, which has no kind of its own.
const LOOKUP_FAILED: &str = "failed to lookup address information: ";
const WITHOUT_TLS: &str = "this mini-dag was built without TLS and cannot speak https";

#[cfg(feature = "tls")]
fn tls() -> Result<ureq::tls::TlsConfig, String> {
    use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
    let config = TlsConfig::builder();
    let Some(path) = std::env::var_os("SSL_CERT_FILE") else {
        return Ok(config.root_certs(RootCerts::WebPki).build());
    };
    let shown = Path::new(&path).display();
    let pem =
        fs::read(&path).map_err(|error| format!("cannot read SSL_CERT_FILE `{shown}`: {error}"))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(format!("SSL_CERT_FILE `{shown}` holds no certificate"));
    }
    Ok(config
        .root_certs(RootCerts::new_with_certs(&certificates))
        .build())
}

fn send(request: &HttpRequest, agent: &Agent) -> Result<Response<ureq::Body>, Error> {
    let method =
        Method::from_bytes(request.method.as_bytes()).map_err(|error| Error::Http(error.into()))?;
    let mut parts = Request::builder().method(method).uri(&request.url);
    for (name, value) in &request.headers {
        parts = parts.header(name, value);
    }
    match &request.body {
        Body::None => agent.run(parts.body(())?),
        Body::Text(text) => agent.run(parts.body(text.as_str())?),
        Body::Json(value) => {
            if !parts
                .headers_ref()
                .is_some_and(|headers| headers.contains_key(header::CONTENT_TYPE))
            {
                parts = parts.header(header::CONTENT_TYPE, "application/json");
            }
            agent.run(parts.body(value.to_string())?)
        }
    }
}

/// Returns how many bytes there were.
fn copy(
    response: &mut Response<ureq::Body>,
    request: &HttpRequest,
    to: &mut impl Write,
    to_name: &str,
) -> Result<u64, String> {
    let too_long = || format!("the answer is longer than {} bytes", request.bytes_max);
    let announced = response.body().content_length();
    if announced.is_some_and(|bytes| bytes > request.bytes_max) {
        return Err(too_long());
    }
    let mut body = response.body_mut().as_reader();
    let mut buffer = [0; 16 * 1024];
    let mut bytes = 0;
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(explain(Error::from(error), request)),
        };
        bytes += read as u64;
        if bytes > request.bytes_max {
            return Err(too_long());
        }
        to.write_all(&buffer[..read])
            .map_err(|error| format!("cannot write to {to_name}: {error}"))?;
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "both enums are open, and their own words do for the rest"
)]
fn explain(error: Error, request: &HttpRequest) -> String {
    match error {
        Error::Timeout(_) => format!("no complete answer within {:?}", request.timeout),
        Error::HostNotFound => "the host name does not resolve".to_owned(),
        Error::Http(error) => format!("not a valid request: {error}"),
        Error::BadUri(reason) => format!("not a valid address: {reason}"),
        Error::TooManyRedirects => format!("more than {REDIRECTS_MAX} redirects"),
        Error::RedirectFailed => "redirected in a way that would send the body again".to_owned(),
        Error::TlsRequired => WITHOUT_TLS.to_owned(),
        Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::UnexpectedEof => {
                "the connection was closed before the answer was complete".to_owned()
            }
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            io::ErrorKind::TimedOut => format!("no complete answer within {:?}", request.timeout),
            _ => match error.to_string().strip_prefix(LOOKUP_FAILED) {
                Some(reason) => format!("the host name does not resolve: {reason}"),
                None => error.to_string(),
            },
        },
        other => other.to_string(),
    }
}

/// An address may carry `user:password@`, and a log is read by many.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// A file that appears whole under its name, or not at all.
struct Target {
    file: File,
    path: PathBuf,
    /// `None`: what was there before is no regular file (`/dev/null`, a FIFO) and is written to as it is.
    part: Option<Part>,
}

/// Where the bytes are until they are published.
enum Part {
    /// In a file without a name, which nothing can leave behind.
    Nameless,
    /// For file systems that do not know such files.
    Named(PathBuf),
}

impl Target {
    fn create(path: &Path) -> io::Result<Self> {
        let path = match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok(Self {
                    file,
                    path: path.to_owned(),
                    part: None,
                });
            }
            // Through symbolic links to the file that is to be replaced.
            Ok(_) => fs::canonicalize(path)?,
            Err(_) => path.to_owned(),
        };
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let (file, part) = match open(directory(&path), flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => (file.into(), Part::Nameless),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let name = part_name(&path);
                (
                    OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .open(&name)?,
                    Part::Named(name),
                )
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            file,
            path,
            part: Some(part),
        })
    }

    fn publish(mut self) -> io::Result<()> {
        self.file.flush()?;
        if let Some(Part::Nameless) = &self.part {
            let name = part_name(&self.path);
            let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            linkat(CWD, open, CWD, &name, AtFlags::SYMLINK_FOLLOW)?;
            self.part = Some(Part::Named(name));
        }
        if let Some(Part::Named(name)) = &self.part {
            fs::rename(name, &self.path)?;
            self.part = None;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(Part::Named(name)) = &self.part {
            let _ = fs::remove_file(name);
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn part_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    directory(path).join(format!(".{}.{}.part", name.display(), std::process::id()))
}
