//! The served chat page: the files that npm builds from `app/`, embedded into the binary with their compressed twins.
//!
//! This crate owns the page's sources, its files and the content security policy that they need. It never opens a socket and
//! knows no HTTP library: the daemon turns an [`Asset`] into a response.
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "../build/npm.rs"]
#[expect(dead_code, reason = "the build script runs it; here only its tests run")]
mod npm;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Value of the `Content-Security-Policy` header for every asset: nothing but our own files and our own API, no inline
/// script or style, and HTML strings only through the sanitiser (`dompurify` is the name of its Trusted Types policy). Pictures
/// may also be what the page itself has fetched (`blob:`), for tabs that show a token, which no `<img>` does.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types dompurify";

struct File {
    /// Relative to the page, with `/`.
    path: &'static str,
    content_type: &'static str,
    immutable: bool,
    identity: Variant,
    /// Best first.
    encoded: &'static [Variant],
}

impl File {
    fn identity(&'static self) -> Asset {
        Asset::new(self, &self.identity)
    }
}

struct Variant {
    encoding: Option<&'static str>,
    etag: &'static str,
    bytes: &'static [u8],
}

/// One file of the page in one encoding.
#[derive(Clone, Copy)]
pub struct Asset {
    /// The body, as it goes over the wire in [`encoding`](Self::encoding).
    pub bytes: &'static [u8],
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Content-Encoding`; `None` is no header.
    pub encoding: Option<&'static str>,
    /// `ETag`, a strong validator with its quotes, different for each encoding.
    pub etag: &'static str,
    /// Whether the name holds a hash of the content, so that the bytes behind it never change.
    pub immutable: bool,
    file: &'static File,
}

impl Asset {
    fn new(file: &'static File, variant: &'static Variant) -> Self {
        let File {
            content_type,
            immutable,
            ..
        } = *file;
        let Variant { bytes, encoding, etag } = *variant;
        Self {
            bytes,
            content_type,
            encoding,
            etag,
            immutable,
            file,
        }
    }

    /// The same file in the best encoding that this `Accept-Encoding` value allows. The response then needs
    /// `Vary: Accept-Encoding`.
    #[must_use]
    pub fn accepting(self, accept_encoding: &str) -> Self {
        let allowed = |variant: &&Variant| {
            variant
                .encoding
                .is_some_and(|encoding| accepts(accept_encoding, encoding))
        };
        let best = self.file.encoded.iter().find(allowed).unwrap_or(&self.file.identity);
        Self::new(self.file, best)
    }

    /// `Cache-Control`: names with a hash are kept for a year, everything else is asked for again each time.
    #[must_use]
    pub fn cache_control(&self) -> &'static str {
        if self.immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }
    }

    /// Whether this `If-None-Match` value names the asset, so that the answer is 304.
    #[must_use]
    pub fn matches(&self, if_none_match: &str) -> bool {
        let mut candidates = if_none_match.split(',').map(str::trim);
        candidates.any(|candidate| candidate == "*" || candidate.trim_start_matches("W/") == self.etag)
    }
}

/// The file at `path` below the page, such as `/assets/index-BFmjhpn_.js` or `/favicon.svg`, not encoded. The first slash may
/// be left out. `None` for a path that the page does not have.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    FILES.iter().find(|file| file.path == path).map(File::identity)
}

/// The page itself, not encoded.
#[must_use]
pub fn index() -> Asset {
    INDEX.identity()
}

/// Why the page was not built into this binary, as a sentence; `None` when it was.
#[must_use]
pub const fn missing() -> Option<&'static str> {
    MISSING
}

/// Whether an `Accept-Encoding` value names `encoding` (or `*`) without `q=0`.
fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let name = name.trim();
        let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        (name.eq_ignore_ascii_case(encoding) || name == "*") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    /// What the page's HTML names with `attribute="./PATH"`.
    fn linked(html: &str) -> Vec<&str> {
        let rest = html.split("\"./").skip(1);
        rest.filter_map(|rest| rest.split_once('"').map(|(path, _)| path))
            .collect()
    }

    #[test]
    fn the_page_and_everything_it_links_to_is_embedded() {
        let page = index();
        let html = std::str::from_utf8(page.bytes).unwrap();
        assert_eq!(
            (page.content_type, page.encoding, page.cache_control()),
            ("text/html; charset=utf-8", None, "no-cache")
        );
        let absent: Vec<_> = linked(html).into_iter().filter(|path| asset(path).is_none()).collect();
        assert_eq!(absent, Vec::<&str>::new());
        assert!(
            missing().is_some() || linked(html).iter().any(|path| path.ends_with(".js")),
            "{html}"
        );
    }

    #[test]
    fn hashed_names_are_kept_and_other_names_asked_for_again() {
        let kept: Vec<_> = FILES
            .iter()
            .filter(|file| file.immutable)
            .map(|file| file.path)
            .collect();
        let hashed: Vec<_> = FILES
            .iter()
            .map(|file| file.path)
            .filter(|path| path.starts_with("assets/"))
            .collect();
        assert_eq!(kept, hashed);
    }

    #[test]
    fn only_paths_of_the_page_are_found() {
        let paths = [
            "",
            "/",
            "/index.html",
            "index.html",
            "//index.html",
            "/../Cargo.toml",
            "/assets",
            "/assets/",
            "/INDEX.html",
        ];
        assert_eq!(
            paths.map(|path| asset(path).is_some()),
            [false, false, true, true, false, false, false, false, false]
        );
    }

    static SAMPLE: File = File {
        path: "assets/sample.js",
        content_type: "text/javascript; charset=utf-8",
        immutable: true,
        identity: Variant {
            encoding: None,
            etag: "\"1\"",
            bytes: b"plain",
        },
        encoded: &[
            Variant {
                encoding: Some("br"),
                etag: "\"1-br\"",
                bytes: b"br",
            },
            Variant {
                encoding: Some("gzip"),
                etag: "\"1-gzip\"",
                bytes: b"gzip",
            },
        ],
    };

    #[test]
    fn the_best_accepted_encoding_is_chosen() {
        let headers = [
            "",
            "gzip, deflate, br, zstd",
            "gzip",
            "br;q=0, GZIP ; q=0.5",
            "*",
            "deflate",
            "br;q=x",
        ];
        assert_eq!(
            headers.map(|header| SAMPLE.identity().accepting(header).encoding),
            [None, Some("br"), Some("gzip"), Some("gzip"), Some("br"), None, None]
        );
        let gzip = SAMPLE.identity().accepting("gzip");
        assert_eq!(
            (gzip.bytes, gzip.etag, gzip.accepting("").bytes),
            (&b"gzip"[..], "\"1-gzip\"", &b"plain"[..])
        );
    }

    #[test]
    fn a_kept_copy_is_recognised() {
        let asset = SAMPLE.identity();
        let headers = ["\"1\"", "\"0\", W/\"1\"", "*", "\"1-br\"", "1", ""];
        assert_eq!(
            headers.map(|header| asset.matches(header)),
            [true, true, true, false, false, false]
        );
    }
}
