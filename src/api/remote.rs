//! Who comes by TCP, what they have to show, and what that gets them. (Without the feature `tcp`: `no_remote.rs`.)

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::rc::Rc;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use smol::Async;
use smol::net::TcpStream;

use super::Api;
use super::answer::login;
use super::auth::Means;
use super::caller::Caller;
use super::connection::{Stream, Visitor, is_harmless};
use super::guard::{self, Names};
use super::problem::Problem;
use super::request::Request;
use super::router::Reply;
use super::routes;
use super::site;
use crate::daemon::config::Listen;

pub(super) use super::auth::{Gate, Pass};

/// Somebody by TCP.
#[derive(Clone)]
pub(super) struct Remote {
    peer: SocketAddr,
    local: SocketAddr,
    names: Rc<Names>,
}

/// What is asked of the gate.
pub(super) enum Errand {
    /// Verify a name and a password, and give something for them.
    LogIn(Means, String, String),
    /// End the caller's session.
    LogOut,
}

/// A TCP socket, and the names of this host there.
pub(super) struct Listener {
    socket: Async<TcpListener>,
    names: Rc<Names>,
}

/// Listens where it is said. What cannot be is logged; the daemon goes on without.
pub(super) fn listen(listen: Option<Listen>, host_names: &[String], api: &Api) -> Vec<Listener> {
    let bound = open(listen.unwrap_or_default(), api).unwrap_or_else(|error| {
        log::warn!("no web page and no API by TCP: {error}; the schedule goes on");
        Vec::new()
    });
    let address = bound.first().map(|(_, address)| *address);
    if let Some(address) = address {
        let what = if site::HAS_PAGE { "web page" } else { "API" };
        log::info!("{what}: http://{address}/ ; {}", api.gate.hint());
    }
    let names = Rc::new(names(address, host_names));
    let listener = |(socket, _): Bound| Listener {
        socket,
        names: names.clone(),
    };
    bound.into_iter().map(listener).collect()
}

type Bound = (Async<TcpListener>, SocketAddr);

/// Listens there, and, if that is 127.0.0.1, at `[::1]` of the same port too, where there is IPv6.
fn open(listen: Listen, api: &Api) -> io::Result<Vec<Bound>> {
    let Listen::At(address) = listen else {
        return Ok(Vec::new());
    };
    if !address.ip().is_loopback() && !api.gate.has_chosen_password() {
        let why = format!(
            "`{address}` can be reached from other hosts, and no user has a password of their own; choose one with `mini-dag user passwd admin` and restart"
        );
        return Err(io::Error::other(why));
    }
    let bind = |address: SocketAddr| {
        let named = |error: io::Error| {
            let kind = error.kind();
            io::Error::new(kind, format!("cannot listen at {address}: {error}"))
        };
        let listener = Async::<TcpListener>::bind(address).map_err(named)?;
        let address = listener.get_ref().local_addr()?;
        Ok::<_, io::Error>((listener, address))
    };
    let first = bind(address)?;
    let mut bound = Vec::new();
    if first.1.is_ipv4() && first.1.ip().is_loopback() {
        let twin = SocketAddr::from((Ipv6Addr::LOCALHOST, first.1.port()));
        bound.extend(bind(twin).inspect_err(|error| log::debug!("{error}")));
    }
    bound.insert(0, first);
    Ok(bound)
}

/// The names of this host: `localhost`, and, where others can reach it, its own.
fn names(address: Option<SocketAddr>, configured: &[String]) -> Names {
    let mut own = vec!["localhost".to_owned()];
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        own.push(format!("{host}.local"));
        own.push(host);
    }
    Names::new(own, configured.to_vec())
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Remote)> {
        let (stream, peer) = self.socket.accept().await?;
        let local = stream.get_ref().local_addr()?;
        stream.get_ref().set_nodelay(true)?;
        let names = self.names.clone();
        let remote = Remote { peer, local, names };
        Ok((Box::new(TcpStream::from(stream)), remote))
    }
}

impl Remote {
    pub(super) fn address(&self) -> IpAddr {
        self.peer.ip()
    }

    /// What counts as one source: an address, or all addresses of an IPv6 network.
    pub(super) fn source(&self) -> IpAddr {
        match self.peer.ip() {
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => ip.into(),
                None => IpAddr::from((ip.to_bits() >> 64 << 64).to_be_bytes()),
            },
            ip @ IpAddr::V4(_) => ip,
        }
    }

    /// Who that is, nobody in particular at a route for everybody; or what they get without being asked.
    pub(super) async fn admit(
        &self,
        head: &Parts,
        api: &Api,
    ) -> Result<ControlFlow<Reply, Option<Caller>>, Problem> {
        // The page's own files are for everybody who asks for this host, from wherever they come.
        let guarded = guard::check(&head.headers, &self.names, self.local);
        let is_foreign = guarded
            .as_ref()
            .is_err_and(|problem| problem.status == StatusCode::FORBIDDEN);
        if (guarded.is_ok() || is_foreign)
            && let Some(reply) = site::find(&head.method, head.uri.path(), &head.headers)
        {
            return Ok(ControlFlow::Break(reply));
        }
        guarded.map_err(Problem::closing)?;
        let is_public = is_public(&head.method, head.uri.path());
        let cookie = cookie(self.local.port());
        let source = Some(self.source());
        let caller = api.gate.caller(&head.headers, &cookie, source).await;
        match caller {
            Ok(Some(caller)) => {
                let is_meant = !caller.pass.as_ref().is_some_and(Pass::is_session)
                    || is_harmless(&head.method)
                    || guard::is_own_page(&head.headers);
                if !is_meant {
                    let detail = "a session of the page holds for requests of the page: `Origin` or `Sec-Fetch-Site` is missing";
                    return Err(Problem::new(StatusCode::FORBIDDEN, detail).closing());
                }
                Ok(ControlFlow::Continue(Some(caller)))
            }
            Ok(None) | Err(_) if is_public => Ok(ControlFlow::Continue(None)),
            Ok(None) => {
                let problem = Problem::new(StatusCode::UNAUTHORIZED, "Not authenticated");
                Err(problem.closing())
            }
            Err(problem) => Err(problem.closing()),
        }
    }
}

/// Whether a request is for everybody, known before its body is read. Deny by default: what is not found here
/// is for people who have said who they are.
fn is_public(method: &Method, path: &str) -> bool {
    let request = Request::new(method.clone(), (path, None), "", b"");
    request.is_ok_and(|request| routes::find(&request).is_ok_and(|route| route.role.is_none()))
}

/// The cookie of a session: cookies do not tell ports apart, so the name does.
fn cookie(port: u16) -> String {
    format!("mini_dag_{port}")
}

/// Does what is asked of the gate, for whoever may also have come by the control socket.
pub(super) async fn run(
    errand: Errand,
    api: &Api,
    caller: Option<&Caller>,
    visitor: &Visitor,
) -> Result<Reply, Problem> {
    let cookie = cookie(match visitor {
        Visitor::Local(_) => 0,
        Visitor::Remote(remote) => remote.local.port(),
    });
    match errand {
        Errand::LogIn(means, name, password) => {
            let (caller, given) = api
                .gate
                .log_in((&name, &password), means, visitor.source())
                .await?;
            Ok(login::reply(means, &caller, given, &cookie))
        }
        Errand::LogOut => {
            if let Some(caller) = caller {
                api.gate.log_out(caller);
            }
            Ok(login::gone(&cookie))
        }
    }
}
