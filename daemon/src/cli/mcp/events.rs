//! Messages in a stream of server-sent events.

use reqwest::Response;
use serde_json::Value;

/// The messages of an answer, one after the other.
pub(super) struct Messages {
    response: Response,
    buffer: Vec<u8>,
    /// Up to where there is no line end in it.
    seen: usize,
    data: String,
}

impl Messages {
    pub(super) fn of(response: Response) -> Self {
        Self {
            response,
            buffer: Vec::new(),
            seen: 0,
            data: String::new(),
        }
    }

    /// The next message; `None` at the end. What is no message is passed over.
    ///
    /// # Errors
    /// The stream broke off.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, reqwest::Error> {
        loop {
            while let Some(line) = self.line() {
                if let Some(message) = self.take(&line) {
                    return Ok(Some(message));
                }
            }
            match self.response.chunk().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let Some(end) = self.buffer[self.seen..].iter().position(|byte| *byte == b'\n') else {
            self.seen = self.buffer.len();
            return None;
        };
        let line: Vec<u8> = self.buffer.drain(..=self.seen + end).collect();
        self.seen = 0;
        Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// A message is whole at an empty line.
    fn take(&mut self, line: &str) -> Option<Value> {
        if let Some(data) = line.strip_prefix("data:") {
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            return None;
        }
        if !line.is_empty() {
            return None;
        }
        // silent-ok: an event without data keeps the stream open and says nothing.
        serde_json::from_str(&std::mem::take(&mut self.data)).ok()
    }
}
