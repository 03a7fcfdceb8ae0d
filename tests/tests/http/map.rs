//! `tests/cases/http.txt` against the sources: every line of the requirements has tests that exist, or a reason.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::map;

/// The requirements, and how many lines each has beside itself.
const HTTP: &str = "1 2.9 3 4.6 5 6 7.3 8.6 9 10.2 11.4 12 13.5 14.6 15 16 20.4 21 22.4 23.8 24 25 26.3 30 31 32.3 33 40 41.3 \
                    42.1 43 44 45.4 46 50.4 51.1 52 53.7 54.2 55.12 60.2 61.5 62.3 63.3 64.5 65.2 66.2 67.8 68.8 69.4 70.9 \
                    71.3 72.2 73.6 74.2 75.4 76.5 77.3 78.4 79.3 80.2 81.5 82.5 90.2 91.16 92.7 93 94.3 95.5 96.6 100.5 101.9 102";
const AUTH: &str = "1.5 2 3 4.2 5.6 6.6 7 8 9.12 10.10 11.4 12.1 13.4 14";
const MCP: &str = "1.4 2.3 3.2 4 5 6 7.3 8.7 9.6 20.3 21 22.8 23.3 24.1 25.4 26";

/// `HTTP`, requirement, line; line 0 is the requirement itself.
type Id = (&'static str, u16, u16);

/// All ids, in the order in which they stand.
fn ids() -> Result<Vec<Id>> {
    let mut all = Vec::new();
    for (kind, counts) in [("HTTP", HTTP), ("AUTH", AUTH), ("MCP", MCP)] {
        for word in counts.split_whitespace() {
            let (number, lines) = word.split_once('.').unwrap_or((word, "0"));
            let (number, lines): (u16, u16) = (number.parse()?, lines.parse()?);
            all.extend((0..=lines).map(|line| (kind, number, line)));
        }
    }
    Ok(all)
}

fn shown((kind, number, line): Id) -> String {
    match line {
        0 => format!("R-{kind}-{number}"),
        line => format!("R-{kind}-{number}.{line}"),
    }
}

/// The requirement that a test is called after first, and the numbers behind it: `r_http_2_1_4_a_port` is of `HTTP`, 2 and its
/// lines 1 and 4. The numbers rise, so that one that belongs to the words is none of them.
fn called_after(name: &str) -> Option<(&'static str, u16, Vec<u16>)> {
    let (kind, rest) = [("HTTP", "r_http_"), ("AUTH", "r_auth_"), ("MCP", "r_mcp_")]
        .into_iter()
        .find_map(|(kind, begin)| name.strip_prefix(begin).map(|rest| (kind, rest)))?;
    let mut words = rest.split('_');
    let number = words.next()?.parse().ok()?; // silent-ok: then it is called after nothing
    let mut lines: Vec<u16> = Vec::new();
    for word in words {
        match word.parse() {
            Ok(line) if lines.last().is_none_or(|last| *last < line) => lines.push(line),
            _ => break,
        }
    }
    Some((kind, number, lines))
}

#[test]
fn every_line_of_the_surface_has_tests_that_exist_or_a_reason() -> Result<()> {
    let (table, tests) = (map::read("http.txt")?, map::tests()?);
    let expected: Vec<String> = ids()?.into_iter().map(shown).collect();
    let there: Vec<String> = table.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(there, expected, "one line for each, in their order");
    let missing = map::missing(&table, &tests);
    assert!(missing.is_empty(), "tests that there are not: {missing:?}");
    Ok(())
}

#[test]
fn tests_stand_in_the_lines_that_they_are_called_after() -> Result<()> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, shown) in map::read("http.txt")? {
        named.entry(id).or_default().extend(shown.tests().iter().cloned());
    }
    let mut lost = Vec::new();
    for test in map::tests()? {
        let Some((kind, number, lines)) = called_after(&test) else {
            continue;
        };
        // The first number counts in any case; the others may be of the words behind it.
        let of = if lines.is_empty() { vec![0] } else { lines };
        for line in of {
            let id = shown((kind, number, line));
            if !named.get(&id).is_some_and(|names| names.contains(&test)) {
                lost.push((id, test.clone()));
            }
        }
    }
    assert_eq!(
        lost,
        Vec::<(String, String)>::new(),
        "tests that their lines do not name"
    );
    Ok(())
}

#[test]
fn names_stand_for_lines() {
    assert_eq!(called_after("r_http_2_1_4_a_port"), Some(("HTTP", 2, vec![1, 4])));
    assert_eq!(called_after("r_auth_2_a_bearer"), Some(("AUTH", 2, vec![])));
    assert_eq!(called_after("r_mcp_20_3_2_sessions"), Some(("MCP", 20, vec![3])));
    assert_eq!(called_after("r_http_x"), None);
    assert_eq!(called_after("ac_1"), None);
}
