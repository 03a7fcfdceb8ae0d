//! Maps in `tests/cases`: tables that say for each row of a list which tests show it, or why none does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Names of tests.
    By(Vec<String>),
    /// None, and why.
    LeftOut(String),
}

impl Shown {
    fn read(says: &str) -> Result<Self> {
        if let Some(reason) = says.strip_prefix("left out: ") {
            ensure!(reason.len() > 4, "this is no reason: {reason}");
            return Ok(Self::LeftOut(reason.to_owned()));
        }
        let Some(names) = says.strip_prefix("covered by ") else {
            bail!("neither tests nor a reason: {says}");
        };
        let names = names.split_once(" – ").map_or(names, |(names, _)| names);
        Ok(Self::By(names.split(", ").map(str::to_owned).collect()))
    }

    /// The tests that it names.
    #[must_use]
    pub fn tests(&self) -> &[String] {
        match self {
            Self::By(names) => names,
            Self::LeftOut(_) => &[],
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a map in `tests/cases` says of each row, in the order of the file. Lines that begin with `#` are words about it.
///
/// # Errors
/// When it cannot be read, or a row says neither tests nor a reason.
pub fn read(file: &str) -> Result<Vec<(String, Shown)>> {
    let text = std::fs::read_to_string(root().join("tests/cases").join(file)).with_context(|| file.to_owned())?;
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| -> Result<(String, Shown)> {
        let (row, says) = line.split_once(' ').context("a row says something")?;
        Ok((row.to_owned(), Shown::read(says)?))
    };
    rows.map(|line| read(line).with_context(|| line.to_owned())).collect()
}

/// The tests that rows name and that there are not, each with its row.
#[must_use]
pub fn missing<'a, R>(table: &'a [(R, Shown)], tests: &BTreeSet<String>) -> Vec<(&'a R, &'a str)> {
    let named = table
        .iter()
        .flat_map(|(row, shown)| shown.tests().iter().map(move |name| (row, name.as_str())));
    named.filter(|(_, name)| !tests.contains(*name)).collect()
}

/// All Rust sources of the workspace.
fn sources() -> Result<Vec<String>> {
    let (mut found, mut directories) = (Vec::new(), vec![root()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                directories.push(path);
            } else if name.ends_with(".rs") {
                found.push(std::fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

/// The names of all tests of the workspace: functions that are marked as tests, those that a macro makes of a listed name, and
/// the entries (`tc_sp_1_x: …`) of a macro that makes the function too.
///
/// # Errors
/// When the sources cannot be read.
pub fn tests() -> Result<BTreeSet<String>> {
    let (mut marked, mut unmarked, mut listed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for source in sources()? {
        let mut attributes: Vec<&str> = Vec::new();
        for line in source.lines().map(str::trim) {
            if line.starts_with("#[") {
                attributes.push(line);
                continue;
            }
            let names = match Line::read(line) {
                Some(Line::Function(name)) if attributes.iter().any(|line| is_test(line)) => Some((&mut marked, name)),
                Some(Line::Function(name)) => Some((&mut unmarked, name)),
                Some(Line::Made(name)) => Some((&mut marked, name)),
                Some(Line::Listed(name)) => Some((&mut listed, name)),
                None => None,
            };
            if let Some((names, name)) = names {
                names.insert(name.to_owned());
            }
            attributes.clear();
        }
    }
    marked.extend(unmarked.intersection(&listed).cloned());
    Ok(marked)
}

fn is_test(attribute: &str) -> bool {
    ["#[test]", "#[tokio::test", "#[rstest"]
        .iter()
        .any(|mark| attribute.starts_with(mark))
}

/// What a line of a source says of the name of a test.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// It begins the function of that name.
    Function(&'a str),
    /// An entry `name: …` out of which a macro makes a test.
    Made(&'a str),
    /// An entry `name,` of a list, perhaps of functions out of which a macro makes tests.
    Listed(&'a str),
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let rest = ["pub(crate) ", "pub ", "async "]
            .iter()
            .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        let (rest, is_function) = match rest.strip_prefix("fn ") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_');
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let is_case = ["ac_", "tc_"].iter().any(|begin| name.starts_with(begin));
        match behind {
            _ if !name.contains('_') => None,
            _ if is_function => Some(Self::Function(name)),
            "" | "," => Some(Self::Listed(name)),
            _ if is_case && behind.starts_with(':') => Some(Self::Made(name)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn lines_say_what_tests_there_are() {
        for (line, expected) in [
            ("async fn ac_1_x() -> Result<()> {", Some(Line::Function("ac_1_x"))),
            ("pub(crate) async fn a_b<F: X>() {", Some(Line::Function("a_b"))),
            ("fn main() {", None),
            ("// fn ac_1_x()", None),
            ("ac_1_x,", Some(Line::Listed("ac_1_x"))),
            ("ac_1_x", Some(Line::Listed("ac_1_x"))),
            ("tc_sp_1_x: (1, 2),", Some(Line::Made("tc_sp_1_x"))),
            ("some_field: 7,", None),
            ("a_call(7),", None),
        ] {
            assert_eq!(Line::read(line), expected, "{line}");
        }
    }

    #[test]
    fn rows_say_tests_or_a_reason() {
        let by = |names: &[&str]| Shown::By(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(
            Shown::read("covered by a_b, c_d – in part").unwrap(),
            by(&["a_b", "c_d"])
        );
        let reason = Shown::LeftOut("there is none".to_owned());
        assert_eq!(Shown::read("left out: there is none").unwrap(), reason);
        assert!(Shown::read("left out: no").is_err() && Shown::read("todo").is_err());
    }

    #[test]
    fn tests_that_are_not_there_are_missing() {
        let table = [
            (1, Shown::By(vec!["a_b".into(), "c_d".into()])),
            (2, Shown::LeftOut(String::new())),
        ];
        assert_eq!(missing(&table, &BTreeSet::from(["a_b".into()])), [(&1, "c_d")]);
        assert!(super::tests().unwrap().contains("tests_that_are_not_there_are_missing"));
    }
}
