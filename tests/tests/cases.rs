//! The tables of `tests/cases`, of the cases and of the weaknesses of the turn loop, against the sources: whole, in order, and
//! true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use pretty_assertions::assert_eq;

/// A test: its file and its name, such as `tests/tests/engine.rs` and `tc_retry_1_…`.
type Test = (String, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cases that a name stands for: `tc_sess_1_2_tc_st_3_…` for `TC-SESS-1`, `TC-SESS-2` and `TC-ST-3`.
fn cases_of(name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split('_').collect();
    let is_number = |word: &&str| {
        let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
        !digits.is_empty() && word.len() - digits.len() <= 1 && digits.bytes().all(|c| c.is_ascii_digit())
    };
    let mut found = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| **word == "tc") {
        let Some(group) = words.get(at + 1) else { continue };
        let numbers = words[at + 2..].iter().filter(|word| **word != "and");
        let numbers = numbers.take_while(|word| is_number(word));
        found.extend(numbers.map(|number| format!("TC-{}-{number}", group.to_uppercase())));
    }
    found
}

/// All Rust sources of the workspace, by their path in it.
fn sources() -> Result<BTreeMap<String, String>> {
    let (root, mut found) = (root(), BTreeMap::new());
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                directories.push(path);
            } else if name.ends_with(".rs") {
                let inside = path.strip_prefix(&root)?.to_str().context("a path that is text")?;
                found.insert(inside.to_owned(), std::fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

/// What a line begins with, if that is a name: the name, whether it is a function's, and what follows.
fn named(line: &str) -> Option<(&str, bool, &str)> {
    let mut rest = line.trim();
    for word in ["pub(crate) ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let (function, rest) = match rest.strip_prefix("fn ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    (!name.is_empty()).then_some((name, function, rest))
}

/// Whether a test has a case in its name.
fn is_case(name: &str) -> bool {
    name.starts_with("tc_")
}

/// All tests. A function counts when it is marked as a test, or listed by name for a macro that makes one of it; a macro's own
/// entry is `name: …`, and counts when there is a case in its name.
fn tests() -> Result<BTreeSet<Test>> {
    let (mut sure, mut unmarked, mut listed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (path, source) in sources()? {
        let lines: Vec<&str> = source.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some((name, function, rest)) = named(line) else {
                continue;
            };
            let test = (path.clone(), name.to_owned());
            let mut before = lines[..at].iter().rev().map(|line| line.trim());
            let marked = before
                .by_ref()
                .take_while(|line| line.starts_with("#["))
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
            if marked || (!function && is_case(name) && rest.starts_with(':')) {
                sure.insert(test);
            } else if function {
                unmarked.insert(test);
            } else if rest.is_empty() {
                listed.insert(name.to_owned());
            }
        }
    }
    for test in unmarked {
        let is_listed = listed.contains(&test.1);
        assert!(
            is_listed || !is_case(&test.1),
            "{test:?} is called like a test and is none"
        );
        if is_listed {
            sure.insert(test);
        }
    }
    Ok(sure)
}

/// The rows of a table whose first cells begin with `prefix`: what is in the first cell, and the tests or none.
fn rows(table: &str, prefix: &str, cells_wanted: usize) -> Result<Vec<(String, Vec<Test>)>> {
    let table = std::fs::read_to_string(root().join("tests/cases").join(table))?;
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| line.starts_with(&format!("| {prefix}"))) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, says @ .., shown] = &cells[..] else {
            bail!("{cells_wanted} cells: {line}");
        };
        assert_eq!(cells.len(), cells_wanted, "{line}");
        assert!(says.iter().all(|cell| !cell.is_empty()), "{id} says nothing");
        let named: Vec<Test> = shown
            .split("<br>")
            .filter_map(|one| one.strip_prefix('`')?.strip_suffix('`')?.split_once("::"))
            .map(|(path, name)| (path.to_owned(), name.to_owned()))
            .collect();
        let reason = shown.strip_prefix("– ").is_some_and(|reason| reason.len() > 5);
        assert!(
            reason != (named.len() == shown.split("<br>").count()),
            "a reason or tests: {line}"
        );
        rows.push(((*id).to_owned(), named));
    }
    Ok(rows)
}

/// The rows of the table of cases.
fn cases() -> Result<Vec<(String, Vec<Test>)>> {
    rows("turn-loop.md", "TC-", 3)
}

#[test]
fn every_case_has_one_row_in_order() -> Result<()> {
    let cases = std::fs::read_to_string(root().join("tests/fixtures/turn-loop-cases.txt"))?;
    let rows: Vec<String> = self::cases()?.into_iter().map(|(case, _)| case).collect();
    assert_eq!(rows, cases.lines().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn rows_and_tests_name_each_other() -> Result<()> {
    let mut in_table = BTreeSet::new();
    for (case, named) in cases()? {
        in_table.extend(named.into_iter().map(|test| (case.clone(), test)));
    }
    let mut in_sources = BTreeSet::new();
    for test in tests()?.into_iter().filter(|(_, name)| is_case(name)) {
        let cases = cases_of(&test.1);
        assert!(!cases.is_empty(), "{test:?} names no case");
        in_sources.extend(cases.into_iter().map(|case| (case, test.clone())));
    }
    let missing: Vec<_> = in_sources.difference(&in_table).collect();
    assert_eq!(
        missing,
        Vec::<&(String, Test)>::new(),
        "tests that the table does not name"
    );
    let untrue: Vec<_> = in_table.difference(&in_sources).collect();
    assert_eq!(
        untrue,
        Vec::<&(String, Test)>::new(),
        "rows that name no test of their case"
    );
    Ok(())
}

#[test]
fn every_weakness_has_one_row_with_tests_that_exist_or_a_reason() -> Result<()> {
    let rows = rows("turn-loop-weaknesses.md", "W-", 4)?;
    let ids: Vec<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    let expected: Vec<String> = (1..=41).map(|number| format!("W-{number}")).collect();
    assert_eq!(ids, expected);
    let tests = tests()?;
    let missing: Vec<_> = rows
        .iter()
        .flat_map(|(id, named)| named.iter().map(move |test| (id, test)))
        .filter(|(_, test)| !tests.contains(*test))
        .collect();
    assert_eq!(
        missing,
        Vec::<(&String, &Test)>::new(),
        "rows that name a test that there is not"
    );
    Ok(())
}

#[test]
fn names_stand_for_cases() {
    for (name, expected) in [
        ("tc_drain_1_a_line", &["TC-DRAIN-1"][..]),
        ("tc_exec_9a_9b_x_4", &["TC-EXEC-9a", "TC-EXEC-9b"]),
        ("tc_cb_2_and_15_x_and_3", &["TC-CB-2", "TC-CB-15"]),
        ("tc_in_2_tc_ev_6_x", &["TC-IN-2", "TC-EV-6"]),
        ("tc_th_28_w_40_x", &["TC-TH-28"]),
        ("tc_sp_9_the_budget_is_600_000_bytes", &["TC-SP-9"]),
        ("tc_word", &[]),
    ] {
        assert_eq!(cases_of(name), expected, "{name}");
    }
}
