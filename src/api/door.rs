//! The two doors: the control socket, and TCP. Behind both is the same router.
//!
//! At each door there are at most [`CONNECTIONS_MAX`] connections, and by TCP at most [`OF_ONE_SOURCE_MAX`] of one
//! source: whoever comes then takes the place of the one of the same kind that has been silent for longest. So
//! nobody who may connect can keep others out, and none of them costs more than its buffers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use smol::net::unix::UnixStream;
use smol::{Async, LocalExecutor, Task, Timer};

use super::connection::{self, Stream, Visitor};
use super::peer::Peer;
use super::{Api, remote, socket};
use crate::daemon::config::Listen;
use crate::daemon::service::Shared;

/// Connections that are open at once at one door.
const CONNECTIONS_MAX: usize = 32;
/// Of these, from one address.
const OF_ONE_SOURCE_MAX: usize = 8;
/// Before the next try when no connection can be accepted, for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open doors; they close when this is dropped.
pub struct Doors {
    socket: Option<PathBuf>,
    _accepting: Vec<Task<()>>,
}

impl Drop for Doors {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Serves the control socket and what `listen` says on `executor`. A door that cannot be opened stays shut, and
/// that is logged; the daemon goes on without.
pub fn listen(
    service: &Shared,
    executor: &Rc<LocalExecutor<'static>>,
    listen: Option<Listen>,
    host_names: &[String],
) -> Doors {
    let api = Rc::new(Api::new(service.clone(), executor.clone()));
    let mut accepting = Vec::new();
    let path = api.socket.clone();
    let bound = socket::bind(&path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Async::new(listener)
    });
    let socket = match bound {
        Ok(listener) => {
            let door = Door::new(Listener::Unix(listener), Rc::default());
            accepting.push(executor.spawn(door.accept(api.clone())));
            Some(path)
        }
        Err(error) => {
            log::error!(
                "no control socket at `{}`: {error}; `mini-dag status` and other commands cannot reach this daemon",
                path.display()
            );
            None
        }
    };
    let guests = Rc::default();
    for listener in remote::listen(listen, host_names, &api) {
        let door = Door::new(Listener::Tcp(listener), Rc::clone(&guests));
        accepting.push(executor.spawn(door.accept(api.clone())));
    }
    Doors {
        socket,
        _accepting: accepting,
    }
}

/// A connection that is open. Dropping it closes it.
struct Connection {
    /// How many answers are being made or sent.
    busy: Rc<Cell<u32>>,
    source: Option<IpAddr>,
    task: Task<()>,
}

enum Listener {
    Unix(Async<UnixListener>),
    Tcp(remote::Listener),
}

struct Door {
    listener: Listener,
    /// Those who are in, longest first; by TCP the same for all addresses.
    guests: Rc<RefCell<VecDeque<Connection>>>,
}

impl Door {
    fn new(listener: Listener, guests: Rc<RefCell<VecDeque<Connection>>>) -> Self {
        Self { listener, guests }
    }

    async fn accept(self, api: Rc<Api>) {
        loop {
            let (stream, visitor) = match self.next().await {
                Ok(next) => next,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    log::warn!("no connection can be accepted: {error}");
                    Timer::after(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let source = visitor.source();
            if !self.make_room(source) {
                continue;
            }
            let busy = Rc::new(Cell::new(0));
            let serve = connection::serve(stream, visitor, api.clone(), busy.clone());
            let task = api.executor.spawn(serve);
            self.guests
                .borrow_mut()
                .push_back(Connection { busy, source, task });
        }
    }

    async fn next(&self) -> io::Result<(Box<dyn Stream>, Visitor)> {
        match &self.listener {
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer::of(&stream)?;
                Ok((Box::new(UnixStream::from(stream)), Visitor::Local(peer)))
            }
            Listener::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                Ok((stream, Visitor::Remote(remote)))
            }
        }
    }

    /// Whether one more from there may come in; if need be, a silent one has gone for it.
    fn make_room(&self, source: Option<IpAddr>) -> bool {
        let mut guests = self.guests.borrow_mut();
        guests.retain(|connection| !connection.task.is_finished());
        let own = guests
            .iter()
            .filter(|connection| connection.source == source);
        let is_crowd = source.is_some() && own.count() >= OF_ONE_SOURCE_MAX;
        if !is_crowd && guests.len() < CONNECTIONS_MAX {
            return true;
        }
        let may_go = |connection: &Connection| {
            connection.busy.get() == 0 && (!is_crowd || connection.source == source)
        };
        let silent = guests.iter().position(may_go);
        silent.is_some_and(|at| guests.remove(at).is_some())
    }
}
