//! One connection: HTTP/1.1 with limits, from a request's bytes to its answer's.
//!
//! Every connection is bounded in time and in size: the head of a request, its body, the answer to a slow reader.
//! Nothing is routed before it is known who asks, and what is refused without its body being read closes the
//! connection.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use smol::io::{AsyncRead, AsyncWrite};
use smol::{Timer, future};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::Api;
use super::body::{Busy, Content, Sending};
use super::caller::Caller;
use super::peer::Peer;
use super::problem::Problem;
use super::remote::Remote;
use super::request::Request;
use super::router::{self, Reply};
use crate::daemon::{clock, pages};
use crate::scheduler::Monotonic;

const TARGET_BYTES_MAX: usize = 4 << 10;
const HEAD_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: usize = 64 << 10;
/// For the head of a request, from the end of the one before.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// For a request and its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket, of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// Who is at the other end.
#[derive(Clone)]
pub(super) enum Visitor {
    /// A process of this host, at the control socket.
    Local(Peer),
    /// Somebody by TCP.
    Remote(Remote),
}

impl Visitor {
    /// Where they come from, if that is another end of a network.
    fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(remote.address()),
        }
    }

    /// What counts as one source of connections; the processes of this host are none.
    pub(super) fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(remote.source()),
        }
    }
}

/// Serves a connection to its end. `busy` counts the answers that are being made or sent.
pub(super) async fn serve(
    stream: Box<dyn Stream>,
    visitor: Visitor,
    api: Rc<Api>,
    busy: Rc<Cell<u32>>,
) {
    // Requests of one connection follow each other.
    let until = Cell::new(clock::now().monotonic.after(PATIENCE));
    let keep_alive = matches!(visitor, Visitor::Remote(_));
    let handle = service_fn(|request| {
        let (api, visitor, until) = (&api, &visitor, &until);
        let working = Busy::new(&busy);
        async move {
            until.set(clock::now().monotonic.after(PATIENCE));
            let reply = take(request, api, visitor).await;
            pages::rest();
            let endless = matches!(reply.content, Content::Events(_));
            if endless {
                until.set(Monotonic(u64::MAX));
            }
            Ok::<_, Infallible>(response(reply, working))
        }
    });
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(keep_alive)
        .serve_connection(FuturesIo::new(stream), handle);
    let served = async {
        if let Err(error) = connection.await {
            log::debug!("connection: {error}");
        }
    };
    let late = async {
        loop {
            let left = until.get().since(clock::now().monotonic);
            if left.is_zero() {
                return;
            }
            Timer::after(left.min(PATIENCE)).await;
        }
    };
    future::or(served, late).await;
}

/// From a request to its answer.
async fn take(request: hyper::Request<Incoming>, api: &Rc<Api>, visitor: &Visitor) -> Reply {
    let answer = try_take(request, api, visitor).await;
    answer.unwrap_or_else(Reply::from)
}

async fn try_take(
    request: hyper::Request<Incoming>,
    api: &Rc<Api>,
    visitor: &Visitor,
) -> Result<Reply, Problem> {
    let (head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    if target.len() > TARGET_BYTES_MAX {
        let detail = format!("a request line has at most {TARGET_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, detail).closing());
    }
    let caller = match visitor {
        Visitor::Local(peer) => Some(peer.caller(&api.socket)?),
        Visitor::Remote(remote) => match remote.admit(&head, api).await? {
            ControlFlow::Continue(caller) => caller,
            ControlFlow::Break(reply) => return Ok(reply),
        },
    };
    let request = read(&head, body).await.map_err(Problem::closing)?;
    let reply = router::answer(api, &request, caller.as_ref(), visitor).await;
    if !is_harmless(&request.method) {
        audit(api, &request, caller.as_ref(), visitor, &reply);
    }
    Ok(reply)
}

/// Whether a request of this method changes nothing.
pub(super) fn is_harmless(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Everything that changes something, or tried to, is in the log.
fn audit(api: &Api, request: &Request, caller: Option<&Caller>, visitor: &Visitor, reply: &Reply) {
    let who = caller.map_or("nobody", |caller| &caller.name);
    let from = visitor.address().map(|address| format!(" from={address}"));
    let from = from.unwrap_or_default();
    let (method, path) = (&request.method, request.path.join("/"));
    let status = reply.status.as_u16();
    log::info!("{method} path={path:?} {who}{from} status={status}");
    if reply.status.is_success() {
        api.audits.add(request, who, clock::now().wall);
    }
}

async fn read(head: &hyper::http::request::Parts, body: Incoming) -> Result<Request, Problem> {
    let length = body_length(&head.headers)?;
    let late = async {
        Timer::after(BODY_PATIENCE).await;
        let detail = "the body did not arrive in time";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    };
    let body = future::or(collect(body, length), late).await?;
    let text = |name| {
        let value: Option<&HeaderValue> = head.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    };
    let target = (head.uri.path(), head.uri.query());
    let mut request = Request::new(
        head.method.clone(),
        target,
        text(header::ACCEPT.as_str()),
        &body,
    )?;
    text("last-event-id").clone_into(&mut request.last_event);
    Ok(request)
}

/// What `Content-Length` says; 0 without. Bodies that do not say how long they are are refused.
fn body_length(headers: &HeaderMap) -> Result<usize, Problem> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        let detail = "a body has to come with Content-Length";
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, detail));
    }
    let Some(value) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(0);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    let length: usize = length
        .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "Content-Length is not a number"))?;
    if length > BODY_BYTES_MAX {
        let detail = format!("a body has at most {BODY_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(length)
}

async fn collect(mut body: Incoming, length: usize) -> Result<Vec<u8>, Problem> {
    let broken = || Problem::new(StatusCode::BAD_REQUEST, "the body is not complete");
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| broken())?;
        let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
        if bytes.len() + data.len() > length {
            return Err(broken());
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

fn response(reply: Reply, busy: Busy) -> Response<Sending> {
    let mut response = Response::new(Sending::new(reply.content, busy));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(reply.content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    // What is no page is none even if a browser shows it as one.
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}
