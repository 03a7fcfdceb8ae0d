//! How what outlives the daemon is laid out, as numbers: of the state directory as a whole, in [`FILE`], and of each database
//! in it, its `user_version`. One rule for all of them: a version of Reveille takes what an older one has left one step
//! forward after the other, and each step counts once it is done, so that a kill between two of them costs nothing. What a
//! newer one has written is refused, and left as it is.
//!
//! The tables of a database are its own business. A step of the directory is for what goes beyond one file: a file that has
//! another name, place or meaning.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::crash;
use crate::state_dir::write_private;

/// Says which layout a state directory has.
pub(crate) const FILE: &str = "layout.json";

/// Why a state directory is not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    /// It is beyond us.
    #[error(
        "the state directory {dir} was written by a newer Reveille ({version}, layout {there}; this is {own}, which knows layouts \
         up to {known}). Nothing in it was changed. Start that version again, restore a copy of the directory from before the \
         upgrade, or choose another directory with --state-dir",
        own = env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// Its layout.
        there: usize,
        /// Who wrote it.
        version: String,
        /// The last layout that we know.
        known: usize,
    },
    /// What the file says is no layout.
    #[error(
        "{path} does not say which layout the state directory has ({why}). Nothing was changed. Restore the file from a copy of \
         the directory; if this version of Reveille was the last one that worked in it, remove the file"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A step failed, and is taken again by the next start.
    #[error(
        "the state directory {dir} cannot be brought from layout {there} to {next}: {source}. What was there is kept; mend that, \
         and start the daemon again"
    )]
    Stuck {
        /// The directory.
        dir: PathBuf,
        /// Its layout.
        there: usize,
        /// The one that it was to have.
        next: usize,
        /// What the system said.
        source: io::Error,
    },
}

/// Brings a directory one layout forward. A kill may come at any moment of it: taken again, it must lead to the same end,
/// whatever of it was done. On an empty directory it does nothing.
type Step = fn(&Path) -> io::Result<()>;

/// `STEPS[n]` leads from layout n to n + 1. Never change one that was released; append.
const STEPS: &[Step] = &[take_over];

/// What versions have left that wrote no [`FILE`] is the first layout as it is.
fn take_over(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// What is in [`FILE`].
#[derive(Debug, Serialize, Deserialize)]
struct Layout {
    layout: usize,
    /// The version that brought the directory there.
    version: String,
}

/// Answers the layout of a directory; 0: it is empty, or of a version that wrote none. Writes nothing.
///
/// # Errors
/// [`LayoutError::Newer`] and [`LayoutError::Unreadable`]: it must not be used.
pub(crate) fn look(dir: &Path) -> Result<usize, LayoutError> {
    look_among(dir, STEPS.len())
}

fn look_among(dir: &Path, known: usize) -> Result<usize, LayoutError> {
    let path = dir.join(FILE);
    let unreadable = |why: String| LayoutError::Unreadable {
        path: path.clone(),
        why,
    };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let found: Layout = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
    match found.layout {
        0 => Err(unreadable("0 is none".into())),
        there if there > known => Err(LayoutError::Newer {
            dir: dir.to_owned(),
            there,
            version: found.version,
            known,
        }),
        there => Ok(there),
    }
}

/// Brings a directory, whose lock the caller holds, to the present layout.
///
/// # Errors
/// [`LayoutError`].
pub(crate) fn bring_forward(dir: &Path) -> Result<(), LayoutError> {
    take(dir, STEPS)
}

fn take(dir: &Path, steps: &[Step]) -> Result<(), LayoutError> {
    let there = look_among(dir, steps.len())?;
    for (from, step) in steps.iter().enumerate().skip(there) {
        let stuck = |source| LayoutError::Stuck {
            dir: dir.to_owned(),
            there: from,
            next: from + 1,
            source,
        };
        step(dir).map_err(stuck)?;
        crash::point("layout.taken");
        let reached = Layout {
            layout: from + 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let text = serde_json::to_vec(&reached).map_err(|error| stuck(error.into()))?;
        write_private(&dir.join(FILE), &text).map_err(stuck)?;
        crash::point("layout.written");
    }
    Ok(())
}

/// Brings a database to its present tables: `migrations[n]` leads from `user_version` n to n + 1.
///
/// # Errors
/// A newer version wrote it, or a step failed; the steps before it count.
pub(crate) fn bring_database_forward(db: &mut Connection, migrations: &[&str]) -> anyhow::Result<()> {
    let version: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let there = usize::try_from(version)?;
    anyhow::ensure!(
        there <= migrations.len(),
        "a newer version of Reveille wrote it (layout {there}, this one knows up to {}), and it was left as it is: start that \
         version again",
        migrations.len()
    );
    for (next, sql) in (version + 1..).zip(&migrations[there..]) {
        let transaction = db.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn rename(dir: &Path, from: &str, to: &str) -> io::Result<()> {
        match std::fs::rename(dir.join(from), dir.join(to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn first(_: &Path) -> io::Result<()> {
        Ok(())
    }

    fn second(dir: &Path) -> io::Result<()> {
        rename(dir, "a", "b")
    }

    /// Moves the file on, and cannot put down the mark behind it while something is in its way.
    fn third(dir: &Path) -> io::Result<()> {
        rename(dir, "b", "c")?;
        std::fs::write(dir.join("mark"), "")
    }

    fn forth(dir: &Path) -> io::Result<()> {
        rename(dir, "c", "d")
    }

    const ALL: &[Step] = &[first, second, third, forth];

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn steps_that_were_cut_off_are_taken_again_and_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        std::fs::write(dir.join("a"), "kept").unwrap();
        std::fs::create_dir(dir.join("mark")).unwrap();
        let stuck = take(dir, ALL).unwrap_err().to_string();
        assert!(
            stuck.contains("from layout 2 to 3") && stuck.contains("is kept"),
            "{stuck}"
        );
        assert_eq!(look_among(dir, ALL.len()).unwrap(), 2);
        assert_eq!(names(dir), ["c", FILE, "mark"]);
        std::fs::remove_dir(dir.join("mark")).unwrap();
        take(dir, ALL).unwrap();
        assert_eq!(look_among(dir, ALL.len()).unwrap(), 4);
        assert_eq!(std::fs::read_to_string(dir.join("d")).unwrap(), "kept");
        // One that was done before is not done to what came later.
        std::fs::write(dir.join("a"), "new").unwrap();
        take(dir, ALL).unwrap();
        assert_eq!(names(dir), ["a", "d", FILE, "mark"]);
    }

    #[test]
    fn a_newer_layout_and_one_that_cannot_be_read_are_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for (text, expected) in [
            (
                r#"{"layout":5,"version":"9.1.0","more":1}"#,
                "newer Reveille (9.1.0, layout 5;",
            ),
            (r#"{"layout":0,"version":"1"}"#, "does not say which layout"),
            ("", "does not say which layout"),
        ] {
            std::fs::write(dir.join(FILE), text).unwrap();
            std::fs::write(dir.join("a"), "kept").unwrap();
            let refused = take(dir, ALL).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
            assert_eq!(std::fs::read_to_string(dir.join(FILE)).unwrap(), text);
            assert_eq!(names(dir), ["a", FILE]);
        }
    }

    #[test]
    fn tables_of_a_newer_version_are_refused_and_left_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y", "nonsense"];
        bring_database_forward(&mut db, &steps[..1]).unwrap();
        bring_database_forward(&mut db, &steps).unwrap_err();
        let version = |db: &Connection| db.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
        assert_eq!(version(&db).unwrap(), 2);
        let refused = bring_database_forward(&mut db, &steps[..1]).unwrap_err().to_string();
        assert!(refused.contains("layout 2, this one knows up to 1"), "{refused}");
        assert_eq!(version(&db).unwrap(), 2);
    }
}
