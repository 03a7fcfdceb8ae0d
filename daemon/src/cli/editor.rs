//! A text in the hands of a person, in the editor of their choice.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempPath;

use super::CliError;
use super::output::note;

/// Begins a line that the daemon wrote above a text; it is no part of the text.
const REMARK: &str = "#! ";

/// How an edit ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edited {
    /// It was taken; what to tell.
    Taken(String),
    /// It was left as it was, or emptied.
    Left,
}

/// The editor that the person has chosen.
pub(super) fn chosen(instead: &str) -> Result<String, CliError> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty()); // silent-ok: then the next
    set("VISUAL")
        .or_else(|| set("EDITOR"))
        .ok_or_else(|| CliError::Usage(format!("no editor is set: set VISUAL or EDITOR, or {instead}")))
}

/// Has `text` edited until `submit` takes it. What it refuses as wrong is opened again with the problems above; without a
/// terminal there is nobody to open it for. Whatever is not taken is kept in a file; `again` says how to go on from there.
pub(super) async fn edit(
    editor: &str,
    name: &str,
    text: String,
    again: impl Fn(&Path) -> String,
    mut submit: impl AsyncFnMut(&str) -> Result<String, CliError>,
) -> Result<Edited, CliError> {
    let file = make(name, &text)?;
    let mut offered = text;
    let mut refused: Option<CliError> = None;
    loop {
        let opened = open(editor, &file).await;
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => return Err(keep(file, unusable(&error), &again)),
        };
        let untouched = text == offered && refused.is_none();
        match opened {
            Err(error) if untouched => return Err(error),
            Err(error) => return Err(keep(file, error, &again)),
            Ok(()) => {}
        }
        let bare = without_remarks(&text);
        if untouched || bare.trim().is_empty() {
            return Ok(Edited::Left);
        }
        // Opened again, and given up.
        if text == offered
            && let Some(error) = refused
        {
            return Err(keep(file, error, &again));
        }
        match submit(&bare).await {
            Ok(told) => return Ok(Edited::Taken(told)),
            Err(CliError::Invalid { message, problems }) => {
                offered = with_remarks(&problems, &bare);
                let written = std::fs::write(&file, &offered);
                let error = CliError::Invalid { message, problems };
                if written.is_err() || !std::io::stdin().is_terminal() {
                    return Err(keep(file, error, &again));
                }
                note(&format!("reveille: {error}"));
                note("It is opened again with the problems above; leave it as it is to give up.");
                refused = Some(error);
            }
            Err(error) => return Err(keep(file, error, &again)),
        }
    }
}

fn unusable(error: &std::io::Error) -> CliError {
    CliError::Failed(format!("the text cannot be read: {error}"))
}

/// A file for the text; only its owner can read it.
fn make(name: &str, text: &str) -> Result<TempPath, CliError> {
    let prefix = format!("reveille-{}-", reveille_vault::agent::slug(name));
    let file = tempfile::Builder::new().prefix(&prefix).suffix(".md").tempfile();
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        Ok(file.into_temp_path())
    });
    written.map_err(|error| CliError::Failed(format!("no file can be made for the editor: {error}")))
}

/// Leaves the file where it is, and says so.
fn keep(file: TempPath, error: CliError, again: impl Fn(&Path) -> String) -> CliError {
    let told = match file.keep() {
        Ok(path) => format!("Your text is kept in {0}; {1}", path.display(), again(&path)),
        Err(failure) => format!("Your text could not be kept: {failure}"),
    };
    let with = |message: String| format!("{message}\n{told}");
    match error {
        CliError::Failed(message) => CliError::Failed(with(message)),
        CliError::Unreachable(message) => CliError::Unreachable(with(message)),
        CliError::Refused { message } => CliError::Refused { message: with(message) },
        CliError::Invalid { message, problems } => CliError::Invalid {
            message: with(message),
            problems,
        },
        CliError::Usage(message) => CliError::Usage(with(message)),
        CliError::Ended(code) => CliError::Ended(code),
    }
}

/// Runs the editor on a file. Its variable may hold arguments, so a shell reads it, as for every program that honours it.
async fn open(editor: &str, file: &Path) -> Result<(), CliError> {
    let status = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file)
        .stdin(Stdio::inherit())
        .status()
        .await
        .map_err(|error| CliError::Failed(format!("the editor {editor:?} cannot be started: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(CliError::Failed(format!("the editor {editor:?} ended with {status}"))),
    }
}

fn is_remark(line: &str) -> bool {
    line.starts_with(REMARK.trim_end())
}

/// A text without what was written above it. Only lines of the front matter are.
pub(super) fn without_remarks(text: &str) -> String {
    let mut inside = 0;
    let mut bare = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if inside < 2 && is_remark(line) {
            continue;
        }
        if line.trim_end() == "---" {
            inside += 1;
        }
        bare.push_str(line);
    }
    bare
}

/// A text with problems in its front matter, where they are comments.
fn with_remarks(problems: &[String], text: &str) -> String {
    let mut remarks = format!("{REMARK}Nothing was saved:\n");
    for line in problems.iter().flat_map(|problem| problem.lines()) {
        remarks.push_str(&format!("{REMARK}  {line}\n"));
    }
    match text.strip_prefix("---\n") {
        Some(rest) => format!("---\n{remarks}{rest}"),
        None => format!("---\n{remarks}---\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn remarks_stand_in_the_front_matter_and_go_away_again() {
        let problems = vec!["mode: \"x\" is not known".to_owned(), "name: two\nlines".to_owned()];
        let text = "---\nname: a\n# own\n---\n#! in the role\n";
        let told = with_remarks(&problems, text);
        assert!(
            told.starts_with(
                "---\n#! Nothing was saved:\n#!   mode: \"x\" is not known\n#!   name: two\n#!   lines\nname: a\n"
            ),
            "{told}"
        );
        assert_eq!(without_remarks(&told), text);
        let told = with_remarks(&problems, "no front matter");
        assert_eq!(without_remarks(&told), "---\n---\nno front matter");
    }
}
