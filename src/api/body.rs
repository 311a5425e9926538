//! What is sent back: something that is there as a whole, a text that is made while it is sent, or events without end.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use smol::Task;
use smol::channel::Receiver;
use smol::stream::Stream as _;

/// The body of an answer.
pub(super) enum Content {
    Whole(Bytes),
    /// One is made when the one before has gone: a slow reader costs one of them.
    Pieces(Pieces),
    Events(Events),
}

pub(super) type Pieces = Box<dyn Iterator<Item = String>>;

/// Pieces of an event stream, and the task that writes them; it ends with this.
pub(super) struct Events {
    pub(super) pieces: Pin<Box<Receiver<String>>>,
    pub(super) _writer: Task<()>,
}

impl Content {
    /// All of it, if it is a text.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Whole(bytes) => String::from_utf8(bytes.into()).unwrap_or_default(),
            Self::Pieces(pieces) => pieces.collect(),
            Self::Events(_) => String::new(),
        }
    }
}

/// A body on its way. Its connection is busy until it is gone.
pub(super) struct Sending {
    rest: Rest,
    _busy: Busy,
}

enum Rest {
    Whole(Option<Bytes>),
    Pieces(Pieces),
    Events(Events),
}

/// As long as one of these is there, the connection is not silent.
pub(super) struct Busy(Rc<Cell<u32>>);

impl Busy {
    pub(super) fn new(count: &Rc<Cell<u32>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Sending {
    pub(super) fn new(content: Content, busy: Busy) -> Self {
        let rest = match content {
            Content::Whole(bytes) => Rest::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Content::Pieces(pieces) => Rest::Pieces(pieces),
            Content::Events(events) => Rest::Events(events),
        };
        Self { rest, _busy: busy }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.rest {
            Rest::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Rest::Pieces(pieces) => {
                let next = pieces.next();
                Poll::Ready(next.map(|piece| Ok(Frame::data(piece.into()))))
            }
            Rest::Events(events) => {
                let next = events.pieces.as_mut().poll_next(context);
                next.map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Rest::Pieces(_) | Rest::Events(_) => SizeHint::default(),
        }
    }
}
