//! What a browser may be made to send, and must not get through: requests of other sites' pages.
//!
//! - `Host` has to be a name of this server. A page of another site that points its own name at this address
//!   (DNS rebinding) is answered with 421.
//! - `Origin`, where a browser sends it, has to be that host, and `Sec-Fetch-Site` has to say so.
//! - What changes something on the word of a cookie has to come with one of the two.

use std::net::SocketAddr;

use hyper::StatusCode;
use hyper::header::{HOST, HeaderMap, ORIGIN};

use super::problem::Problem;

/// The names under which this server is asked.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// With the port of the connection: `localhost`, this host's own names.
    own: Vec<String>,
    /// As they are in `host_names` of the config: with a port, or with any.
    configured: Vec<String>,
}

impl Names {
    pub(super) fn new(own: Vec<String>, configured: Vec<String>) -> Self {
        Self { own, configured }
    }

    /// Whether `host` is a name of the server that was reached at `local`.
    fn have(&self, host: &str, local: SocketAddr) -> bool {
        let (name, port) = split(host);
        let is_same = |known: &str| known.eq_ignore_ascii_case(name);
        let is_configured = self.configured.iter().any(|known| {
            let (known, wanted) = split(known);
            is_same(known) && (wanted.is_empty() || wanted == port)
        });
        let port = if port.is_empty() { "80" } else { port };
        let address = match local {
            SocketAddr::V4(local) => local.ip().to_string(),
            SocketAddr::V6(local) => match local.ip().to_ipv4_mapped() {
                Some(ip) => ip.to_string(),
                None => format!("[{}]", local.ip()),
            },
        };
        let is_own = is_same(&address) || self.own.iter().any(|known| is_same(known));
        is_configured || (is_own && port == local.port().to_string())
    }
}

/// A host and its port; the port is empty if there is none.
fn split(host: &str) -> (&str, &str) {
    let after_address = host.rfind(']').map_or(0, |at| at + 1);
    match host[after_address..].rfind(':') {
        Some(at) => (&host[..after_address + at], &host[after_address + at + 1..]),
        None => (host, ""),
    }
}

/// Refuses what did not ask for this server, or comes from another site's page.
pub(super) fn check(headers: &HeaderMap, names: &Names, local: SocketAddr) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).into_iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let host = host.filter(|host| names.have(host, local) && hosts.next().is_none());
    let Some(host) = host else {
        let detail =
            "this is not the host that was asked for; `host_names` in mini-dag's config adds names";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    };
    let is_same = |origin: &str| {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    let origin = headers
        .get(ORIGIN)
        .map(|origin| origin.to_str().unwrap_or(""));
    let is_foreign = origin.is_some_and(|origin| !is_same(origin))
        || !matches!(site(headers), None | Some("same-origin" | "none"));
    if is_foreign {
        let detail = "this request comes from another site's page";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

/// Whether a browser says that the request comes from a page of this server. After [`check`].
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || site(headers) == Some("same-origin")
}

fn site(headers: &HeaderMap) -> Option<&str> {
    let site = headers.get("sec-fetch-site")?;
    Some(site.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let names = Names::new(
            vec!["localhost".to_owned()],
            vec!["pi.example".to_owned(), "tunnel:9090".to_owned()],
        );
        let local = "127.0.0.1:8080".parse().unwrap();
        check(&map, &names, local).map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_this_servers_names_are_answered_to() {
        let cases = [
            ("localhost:8080", 200),
            ("LOCALHOST:8080", 200),
            ("127.0.0.1:8080", 200),
            ("pi.example", 200),
            ("pi.example:443", 200),
            ("tunnel:9090", 200),
            ("tunnel:9091", 421),
            ("tunnel", 421),
            ("localhost", 421),
            ("localhost:80", 421),
            ("127.0.0.2:8080", 421),
            ("[::1]:8080", 421),
            ("evil.example:8080", 421),
            ("localhost.evil.example:8080", 421),
            ("", 421),
            ("]:8080", 421),
        ];
        for (host, status) in cases {
            assert_eq!(checked(&[("host", host)]), status, "{host}");
        }
        assert_eq!(checked(&[]), 421);
        let two = [("host", "localhost:8080"), ("host", "localhost:8080")];
        assert_eq!(checked(&two), 421);
    }

    #[test]
    fn requests_of_other_sites_pages_are_refused() {
        let cases = [
            ("origin", "http://localhost:8080", 200),
            ("origin", "https://localhost:8080", 200),
            ("origin", "http://localhost:3000", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
        ];
        for (name, value, status) in cases {
            let headers = [("host", "localhost:8080"), (name, value)];
            assert_eq!(checked(&headers), status, "{name}: {value}");
        }
    }
}
