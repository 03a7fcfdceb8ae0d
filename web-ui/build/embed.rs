//! Writes the Rust table of the built files.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// File name suffix and `Content-Encoding` of the compressed twins that the bundler writes, best first.
const ENCODINGS: [(&str, &str); 2] = [("br", "br"), ("gz", "gzip")];

/// Rust source of `FILES`, `INDEX` and `MISSING` for every file below `page`.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn table(page: &Path, missing: Option<&str>) -> io::Result<String> {
    let mut paths = Vec::new();
    list(page, &mut paths)?;
    paths.sort();
    let index = paths.iter().position(|path| *path == page.join("index.html"));
    let index = index.ok_or_else(|| io::Error::other("there is no index.html"))?;
    let mut rows = String::new();
    for path in &paths {
        rows.push_str(&row(page, path)?);
    }
    Ok(format!(
        "static FILES: &[File] = &[\n{rows}];\nstatic INDEX: &File = &FILES[{index}];\nconst MISSING: Option<&str> = {missing:?};\n"
    ))
}

fn list(dir: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, into)?;
        } else if !ENCODINGS
            .iter()
            .any(|(suffix, _)| path.extension().is_some_and(|found| found == *suffix))
        {
            into.push(path);
        }
    }
    Ok(())
}

fn row(page: &Path, path: &Path) -> io::Result<String> {
    let relative = path.strip_prefix(page).map_err(io::Error::other)?.to_string_lossy();
    let hash = Sha256::digest(fs::read(path)?)
        .iter()
        .take(8)
        .fold(String::new(), |mut hex, byte| {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    let variant = |encoding: Option<&str>, file: &Path| {
        // A strong validator names one representation, so each encoding has its own.
        let etag = encoding.map_or_else(|| format!("\"{hash}\""), |name| format!("\"{hash}-{name}\""));
        format!("Variant {{ encoding: {encoding:?}, etag: {etag:?}, bytes: include_bytes!({file:?}) }}")
    };
    let identity = variant(None, path);
    let mut encoded = String::new();
    for (suffix, encoding) in ENCODINGS {
        let twin = PathBuf::from(format!("{}.{suffix}", path.display()));
        if twin.is_file() {
            encoded.push_str(&variant(Some(encoding), &twin));
            encoded.push_str(", ");
        }
    }
    let content_type = content_type(path);
    // The bundler puts a hash of the content into the names there.
    let immutable = relative.starts_with("assets/");
    Ok(format!(
        "File {{ path: {relative:?}, content_type: {content_type:?}, immutable: {immutable}, identity: {identity}, encoded: &[{encoded}] }},\n"
    ))
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}
