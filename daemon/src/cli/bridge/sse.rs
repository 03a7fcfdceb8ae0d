//! Server-sent events out of bytes, however they are cut: lines may end with LF, CR or both, data may have several lines, and
//! comments count for nothing.

/// Longest event that is kept while it is not whole, in bytes. A longer one is passed over.
const MOST: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name; `message` when it says none.
    pub(super) name: String,
    /// Its data, with LF between the lines.
    pub(super) data: String,
}

/// What has come of a stream, and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    /// A CR ended the last line: an LF right after it belongs to that end.
    after_cr: bool,
    /// The event is too long.
    skips: bool,
}

impl Buffer {
    /// Takes the next bytes; answers the events that are whole now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => events.extend(self.end_line()),
                _ if self.line.len() < MOST => self.line.push(byte),
                _ => self.skips = true,
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), self.data.take());
            let skips = std::mem::take(&mut self.skips);
            let name = if name.is_empty() { "message".into() } else { name };
            return data.filter(|_| !skips).map(|data| Event { name, data });
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.data.as_ref().map_or(0, String::len) + value.len() > MOST {
                    self.skips = true;
                } else if let Some(data) = &mut self.data {
                    data.push('\n');
                    data.push_str(value);
                } else {
                    self.data = Some(value.to_owned());
                }
            }
            // A comment, or a field that means nothing here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const STREAM: &str = ": connected\n\nevent: message\r\ndata: {\"a\":\r\ndata: \"\u{e9}\"}\r\n\r\n: alive\n\nid: 4\nretry: 5\rdata:bare\r\revent: empty\n\nevent\ndata\n\ndata: cut";

    fn expected() -> Vec<Event> {
        let event = |name: &str, data: &str| Event {
            name: name.into(),
            data: data.into(),
        };
        vec![
            event("message", "{\"a\":\n\"\u{e9}\"}"),
            event("message", "bare"),
            event("message", ""),
        ]
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let bytes = STREAM.as_bytes();
        assert_eq!(Buffer::default().take(bytes), expected());
        for size in 1..bytes.len() {
            let mut buffer = Buffer::default();
            let events: Vec<Event> = bytes.chunks(size).flat_map(|chunk| buffer.take(chunk)).collect();
            assert_eq!(events, expected(), "pieces of {size}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_passed_over_and_the_next_one_counts() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.take(b"data: "), []);
        assert_eq!(buffer.take(&vec![b'x'; MOST + 1]), []);
        let events = buffer.take(b"\n\ndata: next\n\n");
        assert_eq!(
            events.iter().map(|event| event.data.as_str()).collect::<Vec<_>>(),
            ["next"]
        );
    }
}
