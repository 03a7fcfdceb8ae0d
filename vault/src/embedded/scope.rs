//! The condition of a [`TagScope`] in SQL. It stands beside the others of a query, so that a limit counts what is seen.

use rusqlite::types::Value;

use crate::scope::TagScope;

/// That the note at `seq` (an expression of the query) is seen, with the parameters of its two `?`.
pub(super) fn condition(seq: &str, scope: &TagScope) -> (String, [Value; 2]) {
    // Without a `/` the second part compares an empty text, which is no tag.
    let sql = format!(
        "EXISTS (SELECT 1 FROM note_tags v WHERE v.note = {seq} AND (v.tag IN (SELECT value FROM json_each(?)) \
         OR substr(v.tag, 1, instr(v.tag, '/') - 1) IN (SELECT value FROM json_each(?))))"
    );
    let list = |tags: &mut dyn Iterator<Item = &String>| {
        let tags: serde_json::Value = tags.map(String::as_str).collect();
        Value::from(tags.to_string())
    };
    let whole = list(&mut scope.roots.iter().chain(&scope.below));
    (sql, [whole, list(&mut scope.roots.iter())])
}
