//! Heads of requests to the proxy, read before anything is done about them.

use std::io;

use http::Uri;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::host::{Destination, Host};

/// Most lines of a head; as many as hyper takes.
const LINES_MAX: usize = 100;

/// There is no head.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeadError {
    /// The other side has closed.
    #[error("the connection was closed")]
    Closed,
    /// It is longer than allowed.
    #[error("the head is too long")]
    TooLong,
    /// It is not HTTP.
    #[error("{0}")]
    Malformed(&'static str),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads up to the empty line that ends a head, and no byte more.
///
/// # Errors
/// There is none.
pub(crate) async fn read_head(from: &mut (impl AsyncBufRead + Unpin), most: usize) -> Result<Vec<u8>, HeadError> {
    let mut head = Vec::new();
    loop {
        let chunk = from.fill_buf().await?;
        if chunk.is_empty() {
            return Err(HeadError::Closed);
        }
        let mut taken = 0;
        let mut is_whole = false;
        for byte in chunk {
            taken += 1;
            head.push(*byte);
            // Readers do not agree on what a line feed alone means.
            if *byte == b'\n' && !head.ends_with(b"\r\n") {
                return Err(HeadError::Malformed("a line ends without a carriage return"));
            }
            is_whole = head.ends_with(b"\r\n\r\n");
            if is_whole || head.len() >= most {
                break;
            }
        }
        from.consume(taken);
        if is_whole {
            return Ok(head);
        }
        if head.len() >= most {
            return Err(HeadError::TooLong);
        }
    }
}

/// What a child asks of the proxy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Bytes to and fro.
    Tunnel(Destination),
    /// One request of HTTP.
    Request(Destination),
}

impl Asked {
    /// Reads a head.
    ///
    /// # Errors
    /// It asks for nothing that a proxy does, or can be understood in two ways.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, HeadError> {
        use HeadError::Malformed;
        let mut lines = [httparse::EMPTY_HEADER; LINES_MAX];
        let mut request = httparse::Request::new(&mut lines);
        match request.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLong),
            _ => return Err(Malformed("that is no head of HTTP/1.1")),
        }
        let target = request.path.unwrap_or_default();
        if request.method == Some("CONNECT") {
            return Destination::parse(target).map(Self::Tunnel).map_err(Malformed);
        }
        is_framed_once(request.headers, request.version == Some(1))?;
        let uri = target
            .parse::<Uri>()
            .map_err(|_| Malformed("the address cannot be read"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => {
                return Err(Malformed(
                    "only http:// is asked for like that; other addresses need CONNECT",
                ));
            }
            None => {
                return Err(Malformed(
                    "this is a proxy: the whole address is needed, as in GET http://host/path",
                ));
            }
        }
        let authority = uri.authority().ok_or(Malformed("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(Malformed("an address here holds no user"));
        }
        let to = if authority.as_str() == authority.host() {
            Host::parse(authority.host()).map(|host| Destination { host, port: 80 })
        } else {
            Destination::parse(authority.as_str())
        };
        to.map(Self::Request).map_err(Malformed)
    }
}

/// A body has one length that all readers agree on.
fn is_framed_once(lines: &[httparse::Header<'_>], is_http_11: bool) -> Result<(), HeadError> {
    let all = |name: &'static str| lines.iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
    let (lengths, codings) = (all("content-length").count(), all("transfer-encoding").count());
    let is_chunked = |line: &httparse::Header<'_>| line.value.eq_ignore_ascii_case(b"chunked");
    let reason = match (lengths, codings) {
        (0 | 1, 0) => return Ok(()),
        (0, 1) if is_http_11 && all("transfer-encoding").all(is_chunked) => return Ok(()),
        (0, _) => "the only Transfer-Encoding is one chunked, in HTTP/1.1",
        (_, 0) => "there is more than one Content-Length",
        _ => "Content-Length and Transfer-Encoding exclude each other",
    };
    Err(HeadError::Malformed(reason))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn asked(head: &str) -> Result<String, String> {
        match Asked::parse(head.as_bytes()) {
            Ok(Asked::Tunnel(to)) => Ok(format!("tunnel {to}")),
            Ok(Asked::Request(to)) => Ok(format!("request {to}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn what_is_asked_for() {
        for (line, meant) in [
            ("CONNECT Example.com.:443", "tunnel example.com:443"),
            ("CONNECT [::ffff:127.0.0.1]:80", "tunnel 127.0.0.1:80"),
            ("GET http://example.com", "request example.com:80"),
            ("GET http://0x7f.1:1939/x", "request 127.0.0.1:1939"),
            ("GET http://[::1]/", "request [::1]:80"),
            ("OPTIONS HTTP://EXAMPLE.com:80", "request example.com:80"),
        ] {
            let head = format!("{line} HTTP/1.1\r\nHost: other\r\n\r\n");
            assert_eq!(asked(&head), Ok(meant.to_owned()), "{line}");
        }
        for line in [
            "CONNECT example.com",
            "CONNECT example.com:0",
            "CONNECT user@example.com:443",
            "CONNECT http://example.com:443",
            "CONNECT example.com:443/",
            "CONNECT a%2eb:443",
            "GET /path",
            "GET https://example.com/",
            "GET http://user:pw@example.com/",
            "GET http:///path",
            "GET http://example.com:/",
            "GET http://example.com:99999/",
            "GET http://exa mple.com/",
            "GET *",
        ] {
            let head = format!("{line} HTTP/1.1\r\nHost: example.com\r\n\r\n");
            assert!(asked(&head).is_err(), "{line} is {:?}", asked(&head));
        }
        assert!(asked("PRI * HTTP/2.0\r\n\r\n").is_err());
    }

    #[test]
    fn a_body_has_one_length() {
        let asked = |version: &str, lines: &str| asked(&format!("POST http://a.test/ HTTP/{version}\r\n{lines}\r\n"));
        for lines in ["", "Content-Length: 3\r\n", "Transfer-Encoding: Chunked\r\n"] {
            assert!(asked("1.1", lines).is_ok(), "{lines}");
        }
        for (version, lines) in [
            ("1.1", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
            ("1.1", "transfer-encoding: chunked\r\ncontent-length: 3\r\n"),
            ("1.1", "Content-Length: 3\r\nContent-Length: 3\r\n"),
            ("1.1", "Content-Length: 3\r\nContent-Length: 4\r\n"),
            ("1.1", "Transfer-Encoding: gzip, chunked\r\n"),
            ("1.1", "Transfer-Encoding: xchunked\r\n"),
            ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            ("1.1", "Transfer-Encoding : chunked\r\n"),
            ("1.1", "X: a\r\n Transfer-Encoding: chunked\r\n"),
            ("1.0", "Transfer-Encoding: chunked\r\n"),
        ] {
            assert!(asked(version, lines).is_err(), "{lines}");
        }
    }

    #[tokio::test]
    async fn a_head_ends_where_it_ends() {
        let mut from = &b"GET / HTTP/1.1\r\n\r\nbody"[..];
        assert_eq!(read_head(&mut from, 100).await.unwrap(), b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(from, b"body");
        let failed = async |mut bytes: &[u8]| read_head(&mut bytes, 18).await.unwrap_err().to_string();
        assert_eq!(
            failed(b"GET / HTTP/1.1\n\n").await,
            "a line ends without a carriage return"
        );
        assert_eq!(failed(b"GET / HTTP/1.1\r\n").await, "the connection was closed");
        assert_eq!(failed(b"GET /long HTTP/1.1\r\n\r\n").await, "the head is too long");
    }
}
