//! `tests/cases/bridges.txt` against the sources: every requirement has tests that exist, or a reason.

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::map;

#[test]
fn every_requirement_of_bridges_has_tests_that_exist_or_a_reason() -> Result<()> {
    let (table, tests) = (map::read("bridges.txt")?, map::tests()?);
    for (group, expected) in [
        (
            "R-TG-",
            &[1, 10, 11, 12, 13, 20, 21, 30, 31, 32, 33, 40, 41, 42, 50, 51, 52, 53][..],
        ),
        ("CASE-TG-", &(1..=19).collect::<Vec<_>>()),
        ("D-", &[9, 10, 11]),
        ("R-UI-", &[1, 2, 3, 4, 5]),
        ("CASE-UI-", &(1..=11).collect::<Vec<_>>()),
        ("R-BR-", &[1, 2, 3, 4, 5, 6, 7]),
    ] {
        let named = table.iter().filter_map(|(id, _)| id.strip_prefix(group));
        let named: Vec<u32> = named.map(str::parse).collect::<Result<_, _>>()?;
        assert_eq!(named, expected, "{group}");
    }
    assert_eq!(table.len(), 18 + 19 + 3 + 5 + 11 + 7, "rows of no group");
    assert_eq!(map::missing(&table, &tests), []);
    Ok(())
}
