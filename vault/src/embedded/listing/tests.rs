use pretty_assertions::assert_eq;

use super::*;
use crate::embedded::schema;

/// What SQLite says it will do, one step a line.
fn plan(query: &Query) -> Vec<String> {
    plan_in("", query)
}

fn plan_in(filled_by: &str, query: &Query) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
    conn.execute_batch(filled_by).unwrap();
    let asked = Asked::new(&conn, query).unwrap();
    let select = Select::all(&conn, &asked).unwrap().remove(0);
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", select.sql)).unwrap();
    let rows = statement
        .query_map(params_from_iter(select.params), |row| row.get(3))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

fn tagged(tags: &[&str]) -> Query {
    Query {
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        descending: true,
        ..Query::default()
    }
}

#[test]
fn the_common_listings_walk_an_index_and_sort_nothing() {
    let agent = vec![("agent".to_owned(), "eng".to_owned())];
    assert_eq!(plan(&tagged(&["x"])), ["SEARCH t USING PRIMARY KEY (tag=?)"]);
    assert_eq!(
        plan(&Query {
            after: Some("d5.5".into()),
            ..tagged(&["x"])
        }),
        ["SEARCH t USING PRIMARY KEY (tag=? AND (created_at,note)<(?,?))"]
    );
    assert_eq!(
        plan(&Query {
            metadata: agent.clone(),
            ..tagged(&["x"])
        }),
        ["SEARCH t USING COVERING INDEX note_tags_by_agent (tag=? AND agent=?)"]
    );
    assert_eq!(
        plan(&Query {
            metadata: agent,
            ..Query::default()
        }),
        ["SEARCH n USING COVERING INDEX notes_by_agent (agent=?)"]
    );
    assert_eq!(plan(&Query::default()), ["SCAN n USING COVERING INDEX notes_by_time"]);
    assert_eq!(
        plan(&tagged(&["x", "y"])),
        [
            "MERGE (UNION)",
            "LEFT",
            "SEARCH t USING PRIMARY KEY (tag=?)",
            "RIGHT",
            "SEARCH t USING PRIMARY KEY (tag=?)"
        ]
    );
    assert_eq!(
        plan(&Query {
            all_tags: true,
            exclude_tags: vec!["z".into()],
            ..tagged(&["x", "y"])
        }),
        [
            "SEARCH t USING PRIMARY KEY (tag=?)",
            "CORRELATED SCALAR SUBQUERY 2",
            "SEARCH x USING COVERING INDEX note_tags_by_note (note=? AND tag=?)",
            "SEARCH x EXISTS USING COVERING INDEX note_tags_by_note (note=? AND tag=?)"
        ]
    );
}

fn ordered(order: OrderBy, tags: &[&str]) -> Query {
    Query {
        order_by: Some(order),
        ..tagged(tags)
    }
}

#[test]
fn other_orders_walk_an_index_when_there_are_many_notes() {
    // More than are gathered and sorted.
    let many = "CREATE TEMP TABLE numbers AS WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n \
                LIMIT 1100) SELECT value FROM n; \
                INSERT INTO notes (id, created_at, updated_at, tags, metadata, content) \
                SELECT value, 1, 1, '[]', '{}', '' FROM numbers; \
                INSERT INTO note_tags (tag, created_at, note) SELECT 'x', 1, seq FROM notes; \
                INSERT INTO indexed_fields VALUES ('f'); \
                INSERT INTO note_fields SELECT 'f', seq, seq FROM notes;";
    let by_note = "SEARCH x EXISTS USING COVERING INDEX note_tags_by_note (note=? AND tag=?)";
    for (query, expected) in [
        (
            ordered(OrderBy::UpdatedAt, &[]),
            vec!["SCAN n USING COVERING INDEX notes_by_update"],
        ),
        (
            ordered(OrderBy::UpdatedAt, &["x"]),
            vec!["SCAN n USING COVERING INDEX notes_by_update", by_note],
        ),
        (
            ordered(OrderBy::Path, &["x"]),
            vec![
                "SEARCH n USING COVERING INDEX sqlite_autoindex_notes_2 (path>?)",
                by_note,
            ],
        ),
        (
            ordered(OrderBy::Field("f".into()), &["x"]),
            vec![
                "SEARCH f USING PRIMARY KEY (field=?)",
                "SEARCH n USING INTEGER PRIMARY KEY (rowid=?)",
                by_note,
            ],
        ),
    ] {
        assert_eq!(plan_in(many, &query), expected, "{query:?}");
    }
}

#[test]
fn what_changed_lately_is_gathered_and_sorted() {
    let updated = Span {
        from: Some(jiff::Timestamp::UNIX_EPOCH),
        to: None,
    };
    for query in [
        Query {
            updated,
            ..tagged(&["x"])
        },
        Query {
            updated,
            ..ordered(OrderBy::UpdatedAt, &["x"])
        },
    ] {
        let steps = plan(&query);
        let gathered = "SEARCH u USING COVERING INDEX notes_by_update (updated_at>?)";
        assert!(steps.iter().any(|step| step == gathered), "{steps:#?}");
    }
}

#[test]
fn kinds_of_a_tag_are_walked_with_it_and_a_tag_without_kinds_leads() {
    let edges = "INSERT INTO tag_edges (parent, child) VALUES ('wide', 'a'), ('wide', 'b'), ('a', 'wide')";
    let search = "SEARCH t USING PRIMARY KEY (tag=?)";
    assert_eq!(
        plan_in(edges, &tagged(&["wide"])),
        [
            "MERGE (UNION)",
            "LEFT",
            "MERGE (UNION)",
            "LEFT",
            search,
            "RIGHT",
            search,
            "RIGHT",
            search
        ]
    );
    let exact = Query {
        exact_tags: true,
        ..tagged(&["wide"])
    };
    assert_eq!(plan_in(edges, &exact), [search]);
    let all = Query {
        all_tags: true,
        ..tagged(&["wide", "x"])
    };
    assert_eq!(plan_in(edges, &all)[0], search);
}

#[test]
fn a_path_prefix_searches_the_index_of_paths() {
    let steps = plan(&Query {
        path_prefix: Some("a/".into()),
        ..Query::default()
    });
    assert_eq!(steps[0], "SEARCH n USING INDEX notes_by_path (path>? AND path<?)");
}

#[test]
fn ranges_of_prefixes_end_after_the_last_text() {
    assert_eq!(end_of_range("a/").as_deref(), Some("a0"));
    assert_eq!(end_of_range("a\u{10FFFF}").as_deref(), Some("b"));
    assert_eq!(end_of_range("\u{D7FF}").as_deref(), Some("\u{E000}"));
    assert_eq!(end_of_range(""), None);
}
