use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

/// The points at which a debug build of the daemon can be made to die, as its sources name them.
///
/// # Errors
/// When the sources cannot be read.
pub fn fail_points() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    search(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/src"), &mut found)?;
    Ok(found)
}

fn search(dir: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path)?;
            let named = source.split("crash::point(\"").skip(1);
            found.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    Ok(())
}
