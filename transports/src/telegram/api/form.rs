//! A form with a file, as `multipart/form-data` (RFC 7578).

use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;

/// A file to send.
pub(crate) struct Upload<'a> {
    /// The field that takes it: `photo`, `voice` or `document`.
    pub(crate) field: &'static str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its media type.
    pub(crate) mime: &'a str,
    /// All of it.
    pub(crate) content: &'a [u8],
}

/// The body of a form, and its `Content-Type`.
pub(super) fn form(fields: &[(&str, String)], file: &Upload<'_>) -> (String, Bytes) {
    // Keyed by the system's random numbers, so nobody can put the line into a file on purpose.
    let keys = [RandomState::new(), RandomState::new()];
    let boundary: String = keys
        .iter()
        .map(|key| format!("{:016x}", key.hash_one(file.content)))
        .collect();
    let mut body = Vec::with_capacity(file.content.len() + 1024);
    for (name, value) in fields {
        let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let field = file.field;
    let name = plain(file.name, "\"\\");
    let mime = plain(file.mime, "");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: {mime}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file.content);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

/// Nothing that ends a header or a quoted word.
fn plain(text: &str, also: &str) -> String {
    let keep = |character: char| !character.is_control() && !also.contains(character);
    text.chars()
        .map(|character| if keep(character) { character } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place() {
        let file = Upload {
            field: "document",
            name: "a\"\r\nX: y.txt",
            mime: "text/plain\r\nX: y",
            content: b"hello",
        };
        let (kind, body) = form(&[("chat_id", "1".into())], &file);
        let body = String::from_utf8(body.to_vec()).unwrap();
        let boundary = kind.rsplit_once('=').unwrap().1;
        assert!(!body.contains("\r\nX:"), "{body}");
        assert!(body.contains("filename=\"a___X: y.txt\"\r\nContent-Type: text/plain__X: y\r\n\r\nhello\r\n"));
        assert_eq!(body.matches(boundary).count(), 3);
    }
}
