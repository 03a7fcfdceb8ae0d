//! The reading of a child's output, for the fuzz targets alone.

use std::future::Future as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use uuid::Uuid;

use super::lines::{Line, Lines};
use super::redact::Redactor;
use super::stream::Stream;
use super::verdict::{Finished, verdict};
use crate::turn::{Event, Usage, Verdict};

/// What was made of an output.
#[derive(Debug, PartialEq)]
pub struct Heard {
    /// In their order.
    pub events: Vec<Event>,
    /// Lines that were passed over because of their length.
    pub too_long: usize,
    /// The session that has begun.
    pub session: Option<Uuid>,
    /// Of all results.
    pub usage: Usage,
    /// US dollars.
    pub cost_usd: f64,
    /// What a turn with this output came to.
    pub verdict: Verdict,
}

/// Reads an output that comes in pieces of at most `piece` bytes; lines have at most `limit` bytes.
#[must_use]
pub fn hear(output: &[u8], piece: usize, limit: usize) -> Heard {
    let reader = Pieces { rest: output, piece };
    let read = pin!(async {
        let (mut stream, mut events, mut too_long) = (Stream::default(), Vec::new(), 0);
        let mut lines = Lines::new(reader, limit);
        while let Ok(Some(line)) = lines.next().await {
            match line {
                Line::Whole(line) => {
                    stream.line(&line, &mut |event| events.push(event));
                }
                Line::TooLong => too_long += 1,
            }
        }
        (stream, events, too_long)
    });
    let Poll::Ready((stream, events, too_long)) = read.poll(&mut Context::from_waker(Waker::noop())) else {
        unreachable!("what is in memory is there at once")
    };
    let (session, usage, cost_usd) = (stream.session, stream.usage, stream.cost_usd);
    let end = Finished {
        stream,
        exit: None,
        ending: None,
        stderr: String::new(),
    };
    Heard {
        events,
        too_long,
        session,
        usage,
        cost_usd,
        verdict: verdict(&end, &Redactor::new()),
    }
}

struct Pieces<'o> {
    rest: &'o [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.rest.len().min(self.piece.max(1)).min(buffer.remaining());
        let (now, rest) = self.rest.split_at(length);
        buffer.put_slice(now);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}
