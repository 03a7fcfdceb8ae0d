//! `tests/cases/bridges.txt` against the sources: every requirement has tests that exist, or a reason.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::map;

#[test]
fn every_requirement_of_bridges_has_tests_that_exist_or_a_reason() -> Result<()> {
    let (table, tests) = (map::read("bridges.txt")?, map::tests()?);
    let expected = (1..=5)
        .map(|number| format!("R-UI-{number}"))
        .chain((1..=7).map(|number| format!("R-BR-{number}")));
    let named: Vec<&str> = table.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(named, expected.collect::<Vec<_>>());
    assert_eq!(map::missing(&table, &tests), []);
    Ok(())
}
