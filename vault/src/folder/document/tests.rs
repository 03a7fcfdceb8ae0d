use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;

fn metadata(value: Value) -> Metadata {
    match value {
        Value::Object(map) => map,
        other => panic!("no object: {other}"),
    }
}

fn note(content: &str, tags: &[&str], fields: Value) -> Note {
    let at = Timestamp::from_millisecond(1_795_213_331_181).unwrap();
    Note {
        id: NoteId::new("n 1").unwrap(),
        path: Some("p".into()),
        content: content.into(),
        tags: tags.iter().map(|&tag| tag.into()).collect(),
        metadata: metadata(fields),
        created_at: at,
        updated_at: at,
    }
}

#[test]
fn a_note_becomes_a_file_that_people_can_read() {
    let fields = json!({"agent": "uni", "depth": 2, "sender": "operator: me", "list": ["a"], "on": true});
    let text = render(&note("Hello\n", &["agent/message", "a b"], fields));
    let expected = "---\nid: n 1\ncreated: \"2026-11-20T22:22:11.181Z\"\ntags:\n  - agent/message\n  - a b\nagent: uni\n\
                    depth: 2\nlist: [\"a\"]\n\"on\": true\nsender: \"operator: me\"\n---\nHello\n";
    assert_eq!(text, expected);
}

#[test]
fn every_note_reads_back_from_its_file() {
    let own = json!({"id": 1, "created": "x", "tags": ["y"], "reveille": {"id": 1}, "other": null, "": "\u{0}"});
    for fields in [json!({}), own, json!({"reveille": {"id": 2}}), json!({"reveille": "x"})] {
        for content in [
            "",
            "x",
            "---\nid: y\n---\n",
            "\u{feff}x",
            "#agent/message/inbound\n",
            "\r\nx\r\n",
            "---",
        ] {
            for tags in [&[][..], &["a", "it's \"x\"", "ü 🦀", "1", "true"]] {
                let note = note(content, tags, fields.clone());
                let document = Document::parse(&render(&note));
                let expected = Document {
                    id: Some(note.id),
                    created: Some(note.created_at),
                    tags: note.tags,
                    inline: false,
                    metadata: note.metadata,
                    content: note.content,
                    trouble: None,
                };
                assert_eq!(document, expected);
            }
        }
    }
}

#[test]
fn files_of_people_are_read_as_their_editors_read_them() {
    let tags = |text: &str| Document::parse(text).tags;
    for front in [
        "tags: [a, b/c]",
        "tags: a, b/c",
        "tags: a b/c",
        "tags: '#a, #b/c'",
        "tags: #a #b/c",
        "tags: #a, #b/c",
        "tags:\n  - a\n  - b/c",
        "tags:\n- \"#a\"\n- '#b/c'",
        "tags:\n  - #a\n  - #b/c",
        "tags: [\"#a\", b/c, a]",
    ] {
        assert_eq!(
            tags(&format!("---\n{front}\nx: 1\n---\ntext\n")),
            ["a", "b/c"],
            "{front}"
        );
    }
    assert_eq!(tags("---\ntags: 2026\n---\n"), ["2026"]);
    assert_eq!(tags("\u{feff}---\r\ntags: [a]\r\n---\r\ntext"), ["a"]);
    let body = Document::parse("---\r\na: 1\r\n---\r\ntext\r\n");
    assert_eq!(
        (body.content.as_str(), &body.metadata),
        ("text\r\n", &metadata(json!({"a": 1})))
    );
}

#[test]
fn tags_of_the_text_count_before_it_begins_and_nowhere_else() {
    let tags = |text: &str| Document::parse(text).tags;
    assert_eq!(tags("#agent/message/inbound\n\nhello #x"), ["agent/message/inbound"]);
    assert_eq!(tags("\n#a #b\n#c\nhello\n#d\n"), ["a", "b", "c"]);
    assert_eq!(
        tags("---\nagent: uni\ntags:\n---\n\n#agent/message/inbound\nhello"),
        ["agent/message/inbound"]
    );
    for text in [
        "Use #agent/message/inbound to send",
        "hello\n#agent/message/inbound\n",
        "# agent/message/inbound\n",
        "#agent/message/inbound hello\n",
        "```\n#agent/message/inbound\n```\n",
        "    #1\n",
        "#agent/message/inbound, #b\n",
        // The front matter has the word.
        "---\ntags: []\n---\n#agent/message/inbound\n",
        "---\nnot: [closed\n---\n#agent/message/inbound\n",
    ] {
        assert_eq!(tags(text), [""; 0], "{text}");
    }
}

#[test]
fn times_and_ids_of_people_are_taken_or_left_as_metadata() {
    let read = |front: &str| Document::parse(&format!("---\n{front}\n---\nx"));
    assert_eq!(read("id: 20231120").id, NoteId::new("20231120").ok());
    let odd = read("id: a/b\ncreated: someday");
    assert_eq!((odd.id, odd.created), (None, None));
    assert_eq!(odd.metadata, metadata(json!({"id": "a/b", "created": "someday"})));
    assert_eq!(
        read("created: 2026-11-20T10:00:00+01:00").created,
        millis::parse("2026-11-20T09:00:00Z").ok()
    );
    for local in ["2026-11-20", "2026-11-20 10:30", "2026-11-20T10:30:00"] {
        assert!(read(&format!("created: {local}")).created.is_some(), "{local}");
    }
}

#[test]
fn front_matter_that_cannot_be_read_leaves_a_note_with_the_whole_text() {
    for text in ["---\na: [\n---\nx", "---\na: 1\na: 2\n---\nx"] {
        let document = Document::parse(text);
        assert_eq!((document.content.as_str(), document.trouble.is_some()), (text, true));
        let change = Change {
            content: Some("y".into()),
            ..Change::default()
        };
        assert!(edit(text, &change).unwrap_err().contains("mend it"));
    }
    for text in [
        "---\nnever closed",
        "---\njust text\n---\nx",
        "text\n---\na: 1\n---\n",
        "---",
    ] {
        let document = Document::parse(text);
        assert_eq!((document.content.as_str(), document.trouble), (text, None));
    }
}

const FILE: &str = "---\n# Who is asked\nagent:   uni   # the first one\naliases: [One,\n  Two]\n\n# When\ncreated: 2026-11-20\ntags: \
                    [a,   b]\nlong: >-\n  folded\n  text\n\"odd key\": {x: 1}\n# end\n---\n\nBody\n";

fn edited(change: &Change) -> String {
    edit(FILE, change).unwrap()
}

fn set(fields: Value) -> Change {
    Change {
        metadata: metadata(fields)
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect(),
        ..Change::default()
    }
}

#[test]
fn a_change_touches_only_its_lines() {
    assert_eq!(edited(&Change::default()), FILE);
    assert_eq!(
        edited(&set(json!({"agent": "ops"}))),
        FILE.replace("agent:   uni   # the first one\n", "agent: ops\n")
    );
    assert_eq!(
        edited(&set(json!({"aliases": null}))),
        FILE.replace("aliases: [One,\n  Two]\n", "aliases: null\n")
    );
    assert_eq!(
        edited(&set(json!({"long": 1}))),
        FILE.replace("long: >-\n  folded\n  text\n", "long: 1\n")
    );
    assert_eq!(
        edited(&set(json!({"status": "ok"}))),
        FILE.replace("# end\n---", "# end\nstatus: ok\n---")
    );
    let gone = Change {
        metadata: vec![("odd key".into(), None)],
        ..Change::default()
    };
    assert_eq!(edited(&gone), FILE.replace("\"odd key\": {x: 1}\n", ""));
    let tags = Change {
        add_tags: vec!["c".into()],
        remove_tags: vec!["a".into()],
        ..Change::default()
    };
    assert_eq!(edited(&tags), FILE.replace("tags: [a,   b]\n", "tags:\n  - b\n  - c\n"));
    let content = Change {
        content: Some("New".into()),
        id: NoteId::new("n1").ok(),
        ..Change::default()
    };
    assert_eq!(
        edited(&content),
        FILE.replace("# end\n---\n\nBody\n", "# end\nid: n1\n---\nNew")
    );
}

#[test]
fn line_ends_and_marks_are_kept() {
    let text = "\u{feff}---\r\na: 1\r\n---\r\nx\r\n";
    let change = Change {
        id: NoteId::new("n1").ok(),
        ..set(json!({"a": 2}))
    };
    assert_eq!(
        edit(text, &change).unwrap(),
        "\u{feff}---\r\na: 2\r\nid: n1\r\n---\r\nx\r\n"
    );
    let append = Change {
        content: Some("x".into()),
        ..Change::default()
    };
    assert_eq!(edit("---\na: 1\n---", &append).unwrap(), "---\na: 1\n---\nx");
}

#[test]
fn a_file_without_front_matter_gets_one_when_it_needs_it() {
    let id = Change {
        id: NoteId::new("n1").ok(),
        ..Change::default()
    };
    assert_eq!(edit("text", &id).unwrap(), "---\nid: n1\n---\ntext");
    assert_eq!(
        edit("---\ntext\n---\n", &id).unwrap(),
        "---\nid: n1\n---\n---\ntext\n---\n"
    );
    let content = |text: &str| Change {
        content: Some(text.into()),
        ..Change::default()
    };
    assert_eq!(edit("text", &content("new")).unwrap(), "new");
    assert_eq!(
        edit("text", &content("---\na: 1\n---\n")).unwrap(),
        "---\n---\n---\na: 1\n---\n"
    );
    // A text that begins with tags does not tag the note that others wrote.
    assert_eq!(
        edit("text", &content("#a\nnew")).unwrap(),
        "---\ntags: []\n---\n#a\nnew"
    );
    assert_eq!(
        edit("#a\ntext", &content("new")).unwrap(),
        "---\ntags:\n  - a\n---\nnew"
    );
}

#[test]
fn metadata_with_the_names_of_the_vault_s_keys_stands_beside() {
    let text = edit("---\nid: n1\n---\n", &set(json!({"id": 5, "tags": "x"}))).unwrap();
    assert_eq!(text, "---\nid: n1\nreveille: {\"id\": 5, \"tags\": \"x\"}\n---\n");
    let less = Change {
        metadata: vec![("id".into(), None)],
        ..Change::default()
    };
    let text = edit(&text, &less).unwrap();
    assert_eq!(text, "---\nid: n1\nreveille: {\"tags\": \"x\"}\n---\n");
    let none = Change {
        metadata: vec![("tags".into(), None)],
        ..Change::default()
    };
    assert_eq!(edit(&text, &none).unwrap(), "---\nid: n1\n---\n");
    // Keys that people wrote there, and that are no ids and no times.
    let odd = "---\nid: a/b\ncreated: someday\nreveille: mine\n---\n";
    let set = set(json!({"id": "c/d", "reveille": 1}));
    let text = edit(odd, &set).unwrap();
    assert_eq!(
        Document::parse(&text).metadata,
        metadata(json!({"id": "c/d", "created": "someday", "reveille": 1}))
    );
}

#[test]
fn what_cannot_be_changed_line_by_line_is_refused() {
    for text in ["---\n{a: 1, b: 2}\n---\n", "---\na: &x [1]\nb: *x\n---\n"] {
        assert!(
            edit(text, &set(json!({"a": 2})))
                .unwrap_err()
                .contains("one key a line"),
            "{text}"
        );
    }
    let content = Change {
        content: Some("y".into()),
        ..Change::default()
    };
    assert_eq!(edit("---\n{a: 1}\n---\nx", &content).unwrap(), "---\n{a: 1}\n---\ny");
}

#[test]
fn many_tags_are_each_read_once() {
    let tags = |count: usize| -> String { (0..count).map(|number| format!("#t{number}\n")).collect() };
    assert_eq!(Document::parse(&tags(50_000)).tags.len(), 50_000);
    let listed = format!(
        "---\ntags: {}\n---\n",
        (0..50_000).map(|number| format!("t{number},")).collect::<String>()
    );
    assert_eq!(Document::parse(&listed).tags.len(), 50_000);
}
