//! Lines of any length and any bytes, in bounded memory.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line that is kept. The CLI writes lines of several megabytes (a tool's output is one line).
pub(super) const LINE_LIMIT: usize = 32 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Its bytes.
    Whole(Vec<u8>),
    /// It was longer than the limit and is lost.
    TooLong,
}

/// Reads lines. What has been read stays in here, so a dropped [`Lines::next`] loses nothing.
pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    start: usize,
    /// Up to where `buffer` holds no line end.
    searched: usize,
    skipping: bool,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            limit,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            skipping: false,
            ended: false,
        }
    }

    /// The next line; `None` at the end. A last line without an end counts.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(self.take_rest());
            }
            self.make_room();
            self.ended = self.reader.read_buf(&mut self.buffer).await? == 0;
        }
    }

    fn take_line(&mut self) -> Option<Line> {
        let end = self.buffer[self.searched..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|at| self.searched + at);
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = if self.skipping || end - self.start > self.limit {
            Line::TooLong
        } else {
            Line::Whole(self.buffer[self.start..end].to_vec())
        };
        self.skipping = false;
        self.start = end + 1;
        self.searched = self.start;
        Some(line)
    }

    fn take_rest(&mut self) -> Option<Line> {
        if self.skipping {
            self.skipping = false;
            return Some(Line::TooLong);
        }
        let rest = self.buffer.split_off(self.start);
        self.buffer = Vec::new();
        (self.start, self.searched) = (0, 0);
        (!rest.is_empty()).then_some(Line::Whole(rest))
    }

    fn make_room(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() > self.limit {
            self.skipping = true;
        }
        if self.skipping {
            self.buffer = Vec::new();
        }
        self.searched = self.buffer.len();
        self.buffer.reserve(CHUNK);
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    async fn all(chunks: &[&[u8]], limit: usize) -> Vec<Line> {
        let mut mock = tokio::io::join(std::io::Cursor::new(chunks.concat()), tokio::io::sink());
        let mut lines = Lines::new(&mut mock, limit);
        let mut got = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            got.push(line);
        }
        got
    }

    #[tokio::test]
    async fn keeps_the_unended_last_line_and_drops_long_ones() {
        let got = all(&[b"one\n", b"\n", b"muchtoolong\n", b"\xff\xfe\n", b"tail"], 5).await;
        let whole = |bytes: &[u8]| Line::Whole(bytes.to_vec());
        assert_eq!(
            got,
            [
                whole(b"one"),
                whole(b""),
                Line::TooLong,
                whole(b"\xff\xfe"),
                whole(b"tail")
            ]
        );
    }

    #[tokio::test]
    async fn a_long_line_takes_bounded_memory() {
        let long = vec![b'x'; 40 * CHUNK];
        let mut bytes = long.clone();
        bytes.extend_from_slice(b"\nnext\n");
        let mut lines = Lines::new(std::io::Cursor::new(bytes), CHUNK);
        assert_eq!(lines.next().await.unwrap(), Some(Line::TooLong));
        assert!(
            lines.buffer.capacity() <= 4 * CHUNK,
            "{} bytes",
            lines.buffer.capacity()
        );
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole(b"next".to_vec())));
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_dropped_read_loses_nothing() {
        use tokio::io::AsyncWriteExt;
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader, 100);
        writer.write_all(b"half a").await.unwrap();
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(5), lines.next())
                .await
                .is_err()
        );
        writer.write_all(b" line\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole(b"half a line".to_vec())));
    }
}
