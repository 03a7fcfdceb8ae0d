//! Events as they are sent. They are made ready for the wire once, and the same bytes go to everybody who gets them.

use bytes::Bytes;

/// Whole events as one chunk of HTTP/1.1: its size in hexadecimal digits, the events, each part with a line end.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    framed: Bytes,
    /// Bytes of the size and its line end.
    head: usize,
}

const LINE_END: &[u8] = b"\r\n";

impl Chunk {
    /// Texts that follow each other. Without any it would be the end of an answer, so there must be some.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let bytes: usize = texts.clone().map(<[u8]>::len).sum();
        let size = format!("{bytes:x}\r\n");
        let mut framed = Vec::with_capacity(size.len() + bytes + LINE_END.len());
        framed.extend_from_slice(size.as_bytes());
        texts.for_each(|text| framed.extend_from_slice(text));
        framed.extend_from_slice(LINE_END);
        Self {
            head: size.len(),
            framed: framed.into(),
        }
    }

    /// As it goes over the wire.
    pub(crate) fn framed(&self) -> &[u8] {
        &self.framed
    }

    /// The events alone.
    #[must_use]
    pub(crate) fn text(&self) -> Bytes {
        self.framed.slice(self.head..self.framed.len() - LINE_END.len())
    }

    pub(super) fn len(&self) -> usize {
        self.framed.len() - LINE_END.len() - self.head
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.framed[self.head..self.framed.len() - LINE_END.len()]
    }
}

impl From<&[u8]> for Chunk {
    fn from(text: &[u8]) -> Self {
        Self::of(std::iter::once(text))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn texts_go_as_one_chunk() {
        let chunk = Chunk::of([&b"data: 1\n\n"[..], b"data: 2\n\n"].into_iter());
        assert_eq!(chunk.framed(), b"12\r\ndata: 1\n\ndata: 2\n\n\r\n");
        assert_eq!(chunk.text(), "data: 1\n\ndata: 2\n\n");
        assert_eq!((chunk.len(), chunk.bytes()), (18, &*chunk.text()));
    }
}
