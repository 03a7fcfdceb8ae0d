use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;

fn entries(text: &str) -> Vec<(String, Value, Option<std::ops::Range<usize>>)> {
    match parse(text).unwrap() {
        Root::Entries(entries) => entries
            .into_iter()
            .map(|entry| (entry.key, entry.value, entry.lines))
            .collect(),
        Root::Other => panic!("no entries: {text}"),
    }
}

#[test]
fn entries_know_their_lines() {
    let text = "# top\na: 1\n\nlist:\n  - x # why\n  # inside\n  - y\n# of the next\ntext: |\n  one\n\n  # two\n\n\"q\": \"x\n  # y\"\n#end\n";
    let expected = [
        ("a", json!(1), 1..2),
        ("list", json!(["x", "y"]), 3..7),
        ("text", json!("one\n\n# two\n"), 8..12),
        ("q", json!("x # y"), 13..15),
    ]
    .map(|(key, value, lines)| (key.to_owned(), value, Some(lines)));
    assert_eq!(entries(text), expected);
    assert_eq!(entries("a: [1,\n  2\n]\nb: x\n")[0].2, Some(0..3));
    assert_eq!(entries("{a: 1, b: 2}\n")[1], ("b".into(), json!(2), None));
    assert_eq!(entries("# nothing\n"), []);
    assert_eq!(entries(""), []);
    assert_eq!(parse("just text\n").unwrap(), Root::Other);
    assert_eq!(parse("- a\n- b\n").unwrap(), Root::Other);
}

#[test]
fn values_have_the_types_of_the_core_schema() {
    for (text, expected) in [
        ("1", json!(1)),
        ("-7", json!(-7)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("18446744073709551616", json!("18446744073709551616")),
        ("1.0", json!(1.0)),
        ("1e300", json!(1e300)),
        (".5", json!(0.5)),
        ("0x1F", json!(31)),
        ("yes", json!("yes")),
        ("True", json!(true)),
        ("~", json!(null)),
        ("", json!(null)),
        ("2026-11-20", json!("2026-11-20")),
        ("1.2.3", json!("1.2.3")),
        (".", json!(".")),
        ("e5", json!("e5")),
        (".inf", json!(".inf")),
        ("'1'", json!("1")),
        ("!!str 1", json!("1")),
        ("{a: [1, {b: x}]}", json!({"a": [1, {"b": "x"}]})),
    ] {
        assert_eq!(entries(&format!("k: {text}\n"))[0].1, expected, "{text}");
    }
    assert_eq!(entries("a: &x [1, 2]\nb: *x\n")[1].1, json!([1, 2]));
}

#[test]
fn what_cannot_be_read_says_the_line() {
    for (text, expected) in [
        ("a: 1\nb: [\n", "line"),
        ("a: 1\na: 2\n", "line 2: the key \"a\" stands twice"),
        ("a: {b: 1, b: 2}\n", "stands twice"),
        ("? [x]\n: 1\n", "no plain text"),
        ("a: 1\n  b: 2\n", "line 2"),
        ("a: 1\n---\nb: 2\n", "second document"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", ")));
    }
    assert!(parse(&bomb).unwrap_err().contains("too large"));
    let deep = format!("a: {}{}\n", "[".repeat(1_000), "]".repeat(1_000));
    assert!(parse(&deep).is_err());
}

#[test]
fn what_is_written_reads_back() {
    let texts = [
        "",
        "a",
        "a b",
        "a ",
        " a",
        "null",
        "Yes",
        "1",
        "1.0",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "é",
        "🦀\u{10FFFF}",
        "\"'\\\n\r\t\0\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}",
        "{}",
        "[",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "?",
        "~",
        "2026-07-02T10:00:00.000Z",
        "agent/message",
        "---",
        "...",
        "<<",
        "=",
    ];
    let values = texts.map(|text| json!(text)).into_iter().chain([
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.0),
        json!(-0.0),
        json!(1e-300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([]),
        json!({}),
        json!(texts),
        json!({"": {"a: b": [null, {"#": 1.5}]}}),
    ]);
    for (index, expected) in values.enumerate() {
        for key in ["k", texts[index % texts.len()]] {
            let line = format!("{}: {}\n", text(key), value(&expected));
            assert_eq!(
                entries(&line),
                [(key.to_owned(), expected.clone(), Some(0..1))],
                "{line}"
            );
        }
    }
    assert_eq!(value(&json!("agent/message")), "agent/message");
    assert_eq!(value(&json!(["a", 1])), "[\"a\", 1]");
}

#[test]
fn a_long_text_cannot_be_repeated_without_bound() {
    let aliases = |length: usize, count: usize| format!("a: &x {}\nb: [{}]\n", "x".repeat(length), "*x,".repeat(count));
    assert_eq!(entries(&aliases(1000, 1000))[1].1.as_array().map(Vec::len), Some(1000));
    // 20 GB.
    let told = parse(&aliases(400_000, 50_000)).unwrap_err();
    assert!(told.contains("line 2: it is nested too deeply or too large"), "{told}");
}

#[test]
fn many_keys_are_each_read_once_and_a_message_is_short() {
    let keys: String = (0..50_000).map(|number| format!("k{number}: 1\n")).collect();
    assert_eq!(entries(&keys).len(), 50_000);
    let key = "k".repeat(1000);
    let told = parse(&format!("{key}: 1\n{key}: 2\n")).unwrap_err();
    assert!(
        told.contains("line 2") && told.ends_with("stands twice") && told.len() < 700,
        "{told}"
    );
}
