//! Builds the page with npm into `OUT_DIR` and writes the table of its files that `src/lib.rs` embeds.
//!
//! The source tree is only read. A `dist/` beside this file is a ready-built page and needs no node. Where node, npm or the
//! package registry are missing, the crate still builds, with one page that says so; `REVEILLE_WEB_UI=required` makes that an
//! error, for releases. An error in our own sources always fails the build.

#[path = "build/embed.rs"]
mod embed;
#[path = "build/npm.rs"]
mod npm;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use npm::NoPage;

/// Everything that the page is made of. Directories are copied whole.
const SOURCES: [&str; 9] = [
    "app",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.app.json",
    "vite.config.ts",
    "licences.ts",
];

fn main() {
    if let Err(message) = run() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<(), String> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(|error| format!("CARGO_MANIFEST_DIR: {error}"))?);
    let out_dir = PathBuf::from(env::var("OUT_DIR").map_err(|error| format!("OUT_DIR: {error}"))?);
    watch(&source);

    let ready_built = source.join("dist");
    let (page, missing) = if ready_built.join("index.html").is_file() {
        (ready_built, None)
    } else {
        let page = out_dir.join("page");
        match build(&source, &out_dir.join("work"), &page) {
            Ok(()) => (page, None),
            Err(NoPage::Broken(text)) => return Err(text),
            Err(NoPage::Missing { reason, remedy }) => {
                let summary = format!("the web page was not built. {reason} To get it, {remedy}.");
                if env::var_os("REVEILLE_WEB_UI").is_some_and(|value| value == "required") {
                    return Err(format!("{summary} (REVEILLE_WEB_UI=required)"));
                }
                println!("cargo::warning={summary} Then: cargo clean -p reveille-web-ui");
                let fallback = out_dir.join("fallback");
                write_fallback(&source, &fallback, &reason, remedy)
                    .map_err(|error| format!("{}: {error}", fallback.display()))?;
                (fallback, Some(reason))
            }
        }
    };
    let table = embed::table(&page, missing.as_deref()).map_err(|error| format!("{}: {error}", page.display()))?;
    fs::write(out_dir.join("files.rs"), table).map_err(|error| format!("files.rs: {error}"))
}

/// Names what a rebuild depends on. Only what exists: cargo takes an absent path for a changed one, each time.
fn watch(source: &Path) {
    println!("cargo::rerun-if-env-changed=REVEILLE_WEB_UI");
    for name in SOURCES.iter().chain(&["build.rs", "build", "fallback", "dist"]) {
        if source.join(name).exists() {
            println!("cargo::rerun-if-changed={name}");
        }
    }
}

fn build(source: &Path, work: &Path, page: &Path) -> Result<(), NoPage> {
    let broken = |what: &Path, error: &io::Error| NoPage::Broken(format!("{}: {error}", what.display()));
    npm::check_tools()?;
    fs::create_dir_all(work).map_err(|error| broken(work, &error))?;
    for name in SOURCES {
        let to = work.join(name);
        remove(&to)
            .and_then(|()| copy(&source.join(name), &to))
            .map_err(|error| broken(&to, &error))?;
    }
    install_if_changed(work)?;
    npm::bundle(work, page)
}

/// The stamp is written last, so it tells a complete `node_modules` of these very versions.
fn install_if_changed(work: &Path) -> Result<(), NoPage> {
    let broken = |error: io::Error| NoPage::Broken(format!("{}: {error}", work.display()));
    let stamp = work.join("installed");
    let mut wanted = fs::read(work.join("package.json")).map_err(broken)?;
    wanted.extend(fs::read(work.join("package-lock.json")).map_err(broken)?);
    if fs::read(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    npm::install(work)?;
    fs::write(&stamp, &wanted).map_err(broken)
}

fn write_fallback(source: &Path, to: &Path, reason: &str, remedy: &str) -> io::Result<()> {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let page = fs::read_to_string(source.join("fallback/index.html"))?;
    let page = page
        .replace("{{reason}}", &escape(reason))
        .replace("{{remedy}}", &escape(remedy));
    fs::create_dir_all(to)?;
    fs::write(to.join("index.html"), page)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        // Not fs::copy, which would carry over the mode of a read-only source tree.
        return fs::write(to, fs::read(from)?);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
