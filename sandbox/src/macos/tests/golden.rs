//! Whole profiles. After a change: `REVEILLE_GOLDEN=write cargo test -p reveille-sandbox golden`, and read what it wrote.

use std::path::PathBuf;

use pretty_assertions::assert_eq;

use super::*;

fn same(name: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/macos/golden")
        .join(name);
    if std::env::var_os("REVEILLE_GOLDEN").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{name}");
}

#[test]
fn profiles_are_as_they_were() {
    same("workspace-ports.sb", &text(&usual(Filesystem::Workspace), &ports()));
    same("workspace-open.sb", &text(&usual(Filesystem::Workspace), &Ways::All));
    same("full-ports.sb", &text(&usual(Filesystem::Full), &ports()));
    same("full-open.sb", &text(&usual(Filesystem::Full), &Ways::All));
}
