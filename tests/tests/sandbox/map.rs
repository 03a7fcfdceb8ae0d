//! `tests/cases/sandbox.txt` against the sources: every line of the requirements has tests that exist, or a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use pretty_assertions::assert_eq;

/// Numbers of each kind, in their order.
const LINES: [(&str, &str); 9] = [
    (
        "R-SBX",
        "1 2 3 4 5 6 7 8 10 11 12 13 14 15 20 21 22 23 30 31 32 33 34 40 41 42 43 44 45 50 51 52 53 60 61 70 71 72",
    ),
    ("R-EGR", "1 2 3 4 5 6 7 8 9 10 11"),
    (
        "W",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30",
    ),
    ("D", "1 2 3 4 5 6 7 8 9 10 11 12 13 14"),
    ("R-MCP", "1 2 3"),
    ("R-MINT", "1 2 3"),
    ("R-CRED", "1 2 3 4 5 6 7 8 10 11 12 20"),
    (
        "R-GRANT",
        "1 2 3 4 5 6 7 8 10 11 20 21 22 23 24 30 31 32 33 40 41 50 51",
    ),
    ("R-PRE", "1 2"),
];
/// Where tests of this area are; elsewhere `w_…` is of another list.
const HERE: [&str; 6] = [
    "tests/tests/sandbox/",
    "tests/tests/confinement.rs",
    "daemon/src/sandboxing/",
    "daemon/src/credentials/",
    "daemon/src/grants/",
    "tests/tests/connections/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines with the tests that they name; none stands for a reason.
fn table() -> Result<Vec<(String, Vec<String>)>> {
    let text = std::fs::read_to_string(root().join("tests/cases/sandbox.txt"))?;
    let mut table = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (id, says) = line.split_once(' ').with_context(|| line.to_owned())?;
        let named = if let Some(reason) = says.strip_prefix("left out: ") {
            ensure!(reason.len() > 8, "a reason: {line}");
            Vec::new()
        } else if let Some(names) = says.strip_prefix("covered by ") {
            let names = names.split_once(" – ").map_or(names, |(names, _)| names);
            names.split(", ").map(str::to_owned).collect()
        } else {
            bail!("neither tests nor a reason: {line}")
        };
        table.push((id.to_owned(), named));
    }
    Ok(table)
}

/// All tests: name and file.
fn tests() -> Result<BTreeMap<String, String>> {
    let (root, mut found) = (root(), BTreeMap::new());
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                directories.push(path);
            } else if name.ends_with(".rs") {
                let file = path.strip_prefix(&root)?.display().to_string();
                let source = std::fs::read_to_string(&path)?;
                found.extend(tests_of(&source).map(|test| (test.to_owned(), file.clone())));
            }
        }
    }
    Ok(found)
}

/// Functions that are marked as tests, and entries of lists out of which a macro makes some.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    source.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with("#[") {
            marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return None;
        }
        let was = std::mem::take(&mut marked);
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let function = function.and_then(|rest| rest.split_once('(')).map(|(name, _)| name);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let entry = line
            .strip_suffix(',')
            .filter(|name| name.contains('_') && name.chars().all(plain));
        function.filter(|_| was).or(entry)
    })
}

/// The lines that a test is called after: `w_2_w_3_x` is of `W-2` and `W-3`, `r_sbx_3_8_x` of `R-SBX-3` and `R-SBX-8`.
fn called_after(name: &str) -> Vec<String> {
    let (mut found, mut kind) = (Vec::new(), None);
    let mut words = name.split('_').peekable();
    while let Some(word) = words.next() {
        match (word, kind) {
            ("w", _) => kind = Some("W"),
            ("d", _) => kind = Some("D"),
            ("r", _) => match words.next() {
                Some("sbx") => kind = Some("R-SBX"),
                Some("egr") => kind = Some("R-EGR"),
                Some("cred") => kind = Some("R-CRED"),
                Some("grant") => kind = Some("R-GRANT"),
                _ => break,
            },
            (number, Some(kind)) if number.bytes().all(|c| c.is_ascii_digit()) => {
                found.push(format!("{kind}-{number}"));
            }
            _ => break,
        }
    }
    found
}

#[test]
fn every_line_of_the_sandbox_has_tests_that_exist_or_a_reason() -> Result<()> {
    let (table, tests) = (table()?, tests()?);
    let lines = LINES
        .iter()
        .flat_map(|(kind, numbers)| numbers.split(' ').map(move |number| format!("{kind}-{number}")));
    let there: Vec<String> = table.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(there, lines.collect::<Vec<_>>(), "one line for each, in their order");
    let named = table
        .iter()
        .flat_map(|(id, names)| names.iter().map(move |name| (id, name)));
    let missing: Vec<_> = named.filter(|(_, name)| !tests.contains_key(*name)).collect();
    assert_eq!(missing, Vec::<(&String, &String)>::new(), "tests that there are not");
    Ok(())
}

#[test]
fn tests_of_the_sandbox_stand_in_the_lines_that_they_are_called_after() -> Result<()> {
    let named: BTreeSet<(String, String)> = table()?
        .into_iter()
        .flat_map(|(id, names)| names.into_iter().map(move |name| (id.clone(), name)))
        .collect();
    let here = tests()?
        .into_iter()
        .filter(|(_, file)| HERE.iter().any(|here| file.starts_with(here)));
    let after = here.flat_map(|(test, _)| called_after(&test).into_iter().map(move |id| (id, test.clone())));
    let lost: Vec<_> = after.filter(|pair| !named.contains(pair)).collect();
    assert_eq!(lost, Vec::new(), "tests that their lines do not name");
    Ok(())
}

#[test]
fn names_of_tests_stand_for_lines() {
    assert_eq!(called_after("w_2_w_3_w_4_a_turn_has_2"), ["W-2", "W-3", "W-4"]);
    assert_eq!(called_after("w_8_r_egr_1_5_only_3"), ["W-8", "R-EGR-1", "R-EGR-5"]);
    assert_eq!(called_after("d_5_w_5_nothing"), ["D-5", "W-5"]);
    assert_eq!(called_after("r_sbx_3_to_5_what"), ["R-SBX-3"]);
    assert_eq!(called_after("r_http_3_what"), Vec::<String>::new());
    assert_eq!(called_after("what_is_3"), Vec::<String>::new());
    let source = "#[tokio::test]\nasync fn a_test() -> Result<()> {\nfn none() {\nlist_of!(\n    one_of_a_list,\n)";
    assert_eq!(tests_of(source).collect::<Vec<_>>(), ["a_test", "one_of_a_list"]);
}
