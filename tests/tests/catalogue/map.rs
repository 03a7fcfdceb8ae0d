//! `tests/cases/catalogue.txt` against the sources: every row of the catalogue has a test of its name, a test that is named for
//! it, or a reason why it has none.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::map::{self, Shown};

/// How many rows the catalogue has.
const ROWS: u16 = 201;
const NONE: Vec<&str> = Vec::new();

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

fn table() -> Result<Vec<(u16, Shown)>> {
    let mut table = Vec::new();
    let mut last = 0;
    for (row, shown) in map::read("catalogue.txt")? {
        let number: u16 = row
            .strip_prefix("AC-")
            .context("a row")?
            .parse()
            .with_context(|| row.clone())?;
        ensure!(number > last && number <= ROWS, "the rows stand in order: {row}");
        last = number;
        table.push((number, shown));
    }
    Ok(table)
}

#[test]
fn every_row_of_the_catalogue_has_a_test_or_a_reason() -> Result<()> {
    let (table, tests) = (table()?, map::tests()?);
    let named: BTreeSet<u16> = tests.iter().flat_map(|name| rows_of(name)).collect();
    let missing: Vec<u16> = (1..=ROWS)
        .filter(|row| !named.contains(row) && !table.iter().any(|(there, _)| there == row))
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
    let (table, tests) = (table()?, map::tests()?);
    let missing = map::missing(&table, &tests);
    assert!(missing.is_empty(), "tests that there are not: {missing:?}");
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
}
