//! `tests/cases/catalogue.txt` against the sources: every row of the catalogue has a test of its name, a test that is named for
//! it, or a reason why it has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use pretty_assertions::assert_eq;

/// How many rows the catalogue has.
const ROWS: u16 = 201;
const NONE: Vec<&str> = Vec::new();

/// What the table says of a row that no test is called after.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// Names of tests.
    By(Vec<String>),
    LeftOut(String),
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust sources of the workspace.
fn sources() -> Result<Vec<String>> {
    let (mut found, mut directories) = (Vec::new(), vec![root()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
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

/// What is called like a function at the beginning of a line: `fn name(`, and in lists and entries of macros `name,` or `name:`.
fn name_in(line: &str) -> Option<&str> {
    let mut rest = line.trim();
    for word in ["pub ", "pub(crate) ", "async ", "fn "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let end = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_');
    let name = &rest[..end.unwrap_or(rest.len())];
    name.contains('_').then_some(name)
}

fn is_test(attribute: &str) -> bool {
    ["#[test]", "#[tokio::test", "#[rstest"]
        .iter()
        .any(|mark| attribute.starts_with(mark))
}

/// Whether a name says which case or row it is of.
fn is_row(name: &str) -> bool {
    ["ac_", "tc_"].iter().any(|begin| name.starts_with(begin))
}

/// The names of all tests: functions that are marked as tests, those that a macro makes of a listed name, and the entries
/// (`tc_sp_1_x: …`) of a macro that makes the function too.
fn tests() -> Result<BTreeSet<String>> {
    let (mut marked, mut unmarked, mut listed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for source in sources()? {
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = name_in(line) else { continue };
            let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
            let names = match line.split_once("fn ") {
                Some(_) if attributes.any(|line| is_test(line)) => &mut marked,
                Some(_) => &mut unmarked,
                None if is_row(name) && line[name.len()..].starts_with(':') => &mut marked,
                None => &mut listed,
            };
            names.insert(name.to_owned());
        }
    }
    marked.extend(unmarked.intersection(&listed).cloned());
    Ok(marked)
}

/// The rows that a test is called after: `ac_119_120_…` is of AC-119 and AC-120. The numbers rise, so that one that belongs to
/// the words, as in `ac_145_500_notes`, is none of them.
fn rows_of(name: &str) -> BTreeSet<u16> {
    let words: Vec<&str> = name.split('_').collect();
    let mut found = BTreeSet::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| **word == "ac") {
        let mut last = 0;
        for word in words[at + 1..].iter().filter(|word| **word != "and") {
            match word.parse::<u16>() {
                Ok(number) if number > last && number <= ROWS => last = number,
                _ => break,
            }
            found.insert(last);
        }
    }
    found
}

fn table() -> Result<BTreeMap<u16, Shown>> {
    let text = std::fs::read_to_string(root().join("tests/cases/catalogue.txt"))?;
    let mut table = BTreeMap::new();
    let mut last = 0;
    for line in text.lines().filter(|line| line.starts_with("AC-")) {
        let (row, says) = line[3..].split_once(' ').with_context(|| line.to_owned())?;
        let row: u16 = row.parse().with_context(|| line.to_owned())?;
        ensure!(row > last && row <= ROWS, "the rows stand in order: {line}");
        last = row;
        let shown = if let Some(reason) = says.strip_prefix("left out: ") {
            ensure!(reason.len() > 4, "a reason: {line}");
            Shown::LeftOut(reason.to_owned())
        } else if let Some(names) = says.strip_prefix("covered by ") {
            let names = names.split_once(" – ").map_or(names, |(names, _)| names);
            Shown::By(names.split(", ").map(str::to_owned).collect())
        } else {
            bail!("neither a reason nor tests: {line}")
        };
        table.insert(row, shown);
    }
    Ok(table)
}

#[test]
fn every_row_of_the_catalogue_has_a_test_or_a_reason() -> Result<()> {
    let (table, tests) = (table()?, tests()?);
    let named: BTreeSet<u16> = tests.iter().flat_map(|name| rows_of(name)).collect();
    let missing: Vec<u16> = (1..=ROWS)
        .filter(|row| !named.contains(row) && !table.contains_key(row))
        .collect();
    assert_eq!(missing, Vec::<u16>::new(), "rows without a test and without a reason");
    let not_left_out: Vec<u16> = table
        .iter()
        .filter(|(row, shown)| matches!(shown, Shown::LeftOut(_)) && named.contains(row))
        .map(|(row, _)| *row)
        .collect();
    assert_eq!(
        not_left_out,
        Vec::<u16>::new(),
        "rows that are left out and have a test"
    );
    Ok(())
}

#[test]
fn the_tests_that_the_catalogue_names_are_there() -> Result<()> {
    let (table, tests) = (table()?, tests()?);
    let mut missing = Vec::new();
    for (row, shown) in &table {
        let Shown::By(names) = shown else { continue };
        missing.extend(
            names
                .iter()
                .filter(|name| !tests.contains(*name))
                .map(|name| (row, name)),
        );
    }
    assert_eq!(missing, Vec::<(&u16, &String)>::new(), "tests that there are not");
    let without_row: Vec<&str> = tests
        .iter()
        .filter(|name| name.starts_with("ac_") && rows_of(name).is_empty())
        .map(String::as_str)
        .collect();
    assert_eq!(without_row, NONE, "tests that are called after no row");
    Ok(())
}

#[test]
fn names_stand_for_rows() {
    for (name, expected) in [
        ("ac_108_a_bare_definition", &[108][..]),
        ("ac_119_120_and_122_x", &[119, 120, 122]),
        ("ac_145_500_notes", &[145]),
        ("ac_102_50_handled", &[102]),
        ("tc_in_5_ac_66_x", &[66]),
        ("ac_0_x", &[]),
        ("back_7", &[]),
    ] {
        assert_eq!(rows_of(name), expected.iter().copied().collect(), "{name}");
    }
    for (line, expected) in [
        ("async fn ac_1_x() -> Result<()> {", Some("ac_1_x")),
        ("    ac_1_x,", Some("ac_1_x")),
        ("fn main() {", None),
        ("// ac_1_x", None),
    ] {
        assert_eq!(name_in(line), expected, "{line}");
    }
}
