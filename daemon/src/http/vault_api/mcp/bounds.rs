//! Answers fit into a model's context, and say what was left out and how to get it.

use serde_json::{Value, json};

/// Most bytes of an answer: some 15 000 tokens. Claude Code itself refuses more than 25 000 of a tool.
const ANSWER: usize = 60_000;
/// Most bytes of one note of several, and of the body of a note that is read alone.
const OF_MANY: usize = 10_000;
const ALONE: usize = 40_000;

/// Notes as far as they fit.
pub(super) struct Shown {
    pub(super) notes: Vec<Value>,
    /// How many did not fit.
    pub(super) left_out: usize,
}

/// The first notes of a list, each of bounded size.
pub(super) fn list(notes: Vec<Value>) -> Shown {
    let count = notes.len();
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for note in notes {
        let note = note_within(note, 0, OF_MANY);
        bytes += size(&note);
        // One is always there, so that going on leads somewhere.
        if bytes > ANSWER && !shown.is_empty() {
            break;
        }
        shown.push(note);
    }
    let left_out = count - shown.len();
    Shown { notes: shown, left_out }
}

/// A note that is read alone, its body from a byte on.
pub(super) fn alone(note: Value, offset: usize) -> Value {
    note_within(note, offset, ALONE)
}

fn size(value: &Value) -> usize {
    format!("{value:#}").len()
}

/// The body first, then the metadata, then whatever there is.
fn note_within(mut note: Value, offset: usize, most: usize) -> Value {
    cut_content(&mut note, offset, most);
    let rest = |note: &Value| size(note) - note["content"].as_str().map_or(0, json_size);
    if rest(&note) > most && note.get("metadata").is_some() {
        let bytes = size(&note["metadata"]);
        note["metadata"] = json!({});
        note["metadataTruncated"] = format!(
            "The metadata has {bytes} bytes, too many for an answer. Ask for single keys: query-notes with this id and \
             include_metadata: [\"key\"]."
        )
        .into();
    }
    if rest(&note) > most {
        return json!({
            "id": note["id"],
            "updatedAt": note["updatedAt"],
            "truncated": "This note is too large for an answer even without its body. Read it over HTTP: GET \
                          $REVEILLE_URL/vault/VAULT/api/notes/ID with the header Authorization: Bearer $REVEILLE_TOKEN.",
        });
    }
    note
}

/// Bytes of a text as it will stand in the answer: quotes and line ends take two.
fn json_size(text: &str) -> usize {
    Value::from(text).to_string().len()
}

fn cut_content(note: &mut Value, offset: usize, most: usize) {
    let Some(content) = note["content"].as_str() else {
        return;
    };
    let from = content.floor_char_boundary(offset);
    let mut to = content.floor_char_boundary(from.saturating_add(most));
    // A body of many quotes or line ends takes more in an answer than it has bytes.
    while json_size(&content[from..to]) > most.saturating_mul(2) {
        to = content.floor_char_boundary(from + (to - from) / 2);
    }
    if from == 0 && to == content.len() {
        return;
    }
    let bytes = content.len();
    let told = if to < bytes {
        format!(
            "Bytes {from} to {to} of {bytes}. For the rest call query-notes with this id and content_offset: {to}. Do not \
             write this part back as content: use content_edit, append or prepend."
        )
    } else {
        format!("Bytes {from} to {bytes}, the end.")
    };
    note["content"] = content[from..to].into();
    note["contentTruncated"] = told.into();
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn note(content: &str) -> Value {
        json!({ "id": "n1", "content": content, "updatedAt": "t" })
    }

    #[test]
    fn a_note_that_fits_stays_as_it_is() {
        assert_eq!(alone(note("short"), 0), note("short"));
        let Shown { notes, left_out } = list(vec![note("a"), note("b")]);
        assert_eq!((notes, left_out), (vec![note("a"), note("b")], 0));
    }

    #[test]
    fn a_long_body_can_be_read_in_parts() {
        // Characters of three bytes: no part may cut one.
        let body = "€".repeat(50_000);
        let (mut read, mut offset) = (String::new(), 0);
        loop {
            let part = alone(note(&body), offset);
            read.push_str(part["content"].as_str().unwrap());
            let told = part["contentTruncated"].as_str().unwrap();
            let Some((_, next)) = told.split_once("content_offset: ") else {
                break;
            };
            let next: usize = next.split('.').next().unwrap().parse().unwrap();
            assert!(next > offset && size(&part) <= ANSWER, "{offset} {next}");
            offset = next;
        }
        assert_eq!(read.len(), body.len());
        assert!(read == body);
    }

    #[test]
    fn what_a_note_has_besides_is_bounded_too() {
        let mut with = note(&"\"\n".repeat(100_000));
        with["metadata"] = json!({ "log": "x".repeat(1_000_000), "k": 1 });
        for cut in [alone(with.clone(), 0), list(vec![with.clone()]).notes.remove(0)] {
            assert!(size(&cut) <= 2 * ANSWER, "{}", size(&cut));
            assert_eq!((&cut["metadata"], &cut["id"]), (&json!({}), &json!("n1")));
            assert!(cut["metadataTruncated"].as_str().unwrap().contains("include_metadata"));
        }
        with["tags"] = (0..100_000).map(|n| format!("tag-{n}")).collect();
        let cut = alone(with, 0);
        assert!(size(&cut) < 1000 && cut["truncated"].is_string(), "{cut}");
    }

    #[test]
    fn a_list_ends_where_the_answer_is_full() {
        let Shown { notes, left_out } = list((0..100).map(|_| note(&"x".repeat(9_000))).collect());
        assert_eq!((notes.len(), left_out), (6, 94));
        // The first is there however large.
        let Shown { notes, left_out } = list(vec![note(&"x".repeat(9_000_000)), note("b")]);
        assert_eq!((notes.len(), left_out), (2, 0));
    }
}
