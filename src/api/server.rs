//! HTTP/1.1 at the control socket. One connection is one request.
//!
//! Every connection is bounded in time and in size, and there are at most [`CONNECTIONS_MAX`]: whoever
//! comes then takes the place of the one that has been silent for longest. So nobody who may connect can
//! keep others out, and none of them costs more than its buffers.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use smol::net::unix::UnixStream;
use smol::{Async, LocalExecutor, Task, Timer, future};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::peer::Peer;
use super::problem::Problem;
use super::request::Request;
use super::router::{self, Reply, Role};
use super::socket;
use crate::daemon::service::Shared;

/// Connections that are open at once.
const CONNECTIONS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: usize = 64 << 10;
const HEADER_PATIENCE: Duration = Duration::from_secs(5);
const BODY_PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// Before the next try when no connection can be accepted, for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The control socket; it goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    _accepting: Task<()>,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves the control socket on `executor`. If it cannot be opened, that is logged, and the daemon goes on
/// without.
pub fn listen(service: &Shared, executor: &Rc<LocalExecutor<'static>>) -> Option<ControlSocket> {
    let path = service.borrow().places().socket.clone();
    let bound = socket::bind(&path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Async::new(listener)
    });
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => {
            log::error!(
                "no control socket at `{}`: {error}; `mini-dag status` and other commands cannot reach this daemon",
                path.display()
            );
            return None;
        }
    };
    let accepting = accept(listener, path.clone(), service.clone(), executor.clone());
    Some(ControlSocket {
        path,
        _accepting: executor.spawn(accepting),
    })
}

/// A connection that is open. Dropping it closes it.
struct Connection {
    /// Its request has arrived and is being answered.
    is_busy: Rc<Cell<bool>>,
    task: Task<()>,
}

async fn accept(
    listener: Async<UnixListener>,
    path: PathBuf,
    service: Shared,
    executor: Rc<LocalExecutor<'static>>,
) {
    let mut open: VecDeque<Connection> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => UnixStream::from(stream),
            Err(error) => {
                log::warn!("the control socket cannot accept: {error}");
                Timer::after(ACCEPT_PAUSE).await;
                continue;
            }
        };
        open.retain(|connection| !connection.task.is_finished());
        if open.len() >= CONNECTIONS_MAX {
            let silent = open.iter().position(|connection| !connection.is_busy.get());
            match silent {
                Some(at) => drop(open.remove(at)),
                None => continue,
            }
        }
        let is_busy = Rc::new(Cell::new(false));
        let serve = serve(stream, path.clone(), service.clone(), is_busy.clone());
        let task = executor.spawn(serve);
        open.push_back(Connection { is_busy, task });
    }
}

async fn serve(stream: UnixStream, path: PathBuf, service: Shared, is_busy: Rc<Cell<bool>>) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => return log::warn!("a connection does not say whose it is: {error}"),
    };
    let handle = service_fn(|request| {
        let (service, is_busy, path) = (&service, &is_busy, &path);
        async move {
            let reply = take(request, service, peer, path, is_busy).await;
            Ok::<_, Infallible>(response(reply))
        }
    });
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_header_size(HEADER_BYTES_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(FuturesIo::new(stream), handle);
    let served = async {
        if let Err(error) = connection.await {
            log::debug!("connection of uid={} pid={}: {error}", peer.uid, peer.pid);
        }
    };
    let late = async {
        Timer::after(PATIENCE).await;
    };
    future::or(served, late).await;
}

/// From a request to its answer.
async fn take(
    request: hyper::Request<Incoming>,
    service: &Shared,
    peer: Peer,
    path: &Path,
    is_busy: &Cell<bool>,
) -> Reply {
    let Some(role) = peer.role(path) else {
        log::warn!("refused uid={} pid={}", peer.uid, peer.pid);
        let detail = "the control socket is for root, the daemon's user, and the socket's group";
        return Problem::new(StatusCode::FORBIDDEN, detail).into();
    };
    match read(request).await {
        Ok(request) => {
            is_busy.set(true);
            answer(service, &request, peer, role).await
        }
        Err(problem) => problem.into(),
    }
}

async fn answer(service: &Shared, request: &Request, peer: Peer, role: Role) -> Reply {
    let reply = router::answer(service, request, role).await;
    if request.method != Method::GET {
        let (uid, pid) = (peer.uid, peer.pid);
        let (method, path) = (&request.method, request.path.join("/"));
        let status = reply.status.as_u16();
        log::info!("{method} path={path:?} uid={uid} pid={pid} status={status}");
    }
    reply
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Problem> {
    let (head, body) = request.into_parts();
    let length = body_length(&head.headers)?;
    let late = async {
        Timer::after(BODY_PATIENCE).await;
        let detail = "the body did not arrive in time";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    };
    let body = future::or(collect(body, length), late).await?;
    let accept = head.headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    let target = (head.uri.path(), head.uri.query());
    Request::new(head.method, target, accept, &body)
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
    let mut bytes = Vec::with_capacity(length);
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

fn response(reply: Reply) -> Response<String> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(reply.content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let token = reply.continuation.map(HeaderValue::try_from);
    if let Some(Ok(token)) = token {
        headers.insert("airflow-continuation-token", token);
    }
    response
}
