//! Text of notes: files of a folder, and links.

use reveille_vault::markdown::{self, NoteFile};
use reveille_vault::{Note, NoteId, fuzzing, wikilink};
use serde_json::{Value, json};

use super::is_short;

/// Deepest metadata of which every form must be writable: front matter has 64 levels, and some are the vault's.
const DEEP: usize = 60;

/// A Markdown file.
///
/// # Panics
/// When something does not hold.
pub fn front_matter(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let file = match NoteFile::parse(&text) {
        Ok(file) => file,
        Err(why) => return is_short(&why),
    };
    assert!(text.ends_with(&file.content), "the body is the end of the file");
    let note = note_of(&file);
    match markdown::render(&note, true, Vec::new()) {
        Ok(rendered) => {
            let again = NoteFile::parse(&rendered).expect("what was written is read");
            assert_eq!(
                (&again.tags, &again.metadata, &again.content),
                (&note.tags, &note.metadata, &note.content)
            );
        }
        Err(why) => {
            is_short(&why);
            let depth = note.metadata.values().map(depth).max().unwrap_or_default();
            assert!(depth >= DEEP, "metadata cannot be written although it was read: {why}");
        }
    }
    if text.len() <= CHANGED {
        edits(&text, &file);
    }
}

/// Longest file that is changed in several ways: each of them reads it several times.
const CHANGED: usize = 4096;

/// A change of one key or tag keeps all other lines.
fn edits(text: &str, file: &NoteFile) {
    let key = match text.len() % 3 {
        0 => file.metadata.keys().next().map_or("zzz", String::as_str),
        1 => "id",
        _ => "zzz",
    };
    let value = match text.len() % 3 {
        0 => json!("a: b\n#c"),
        1 => json!(1),
        _ => json!([{"x": null}, "- y"]),
    };
    if fuzzing::says_the_same(text, text).is_none() {
        return;
    }
    match fuzzing::with_key(text, key, Some(value)) {
        Err(why) => is_short(&why),
        Ok(changed) => {
            assert_eq!(
                NoteFile::parse(&changed).map(|file| file.content),
                Ok(file.content.clone())
            );
            if !file.metadata.contains_key(key) && key == "zzz" {
                keeps_lines(text, &changed);
                // To YAML a carriage return alone ends a line too: such a file is refused rather than changed.
                let odd = text.replace("\r\n", "").contains('\r');
                match fuzzing::with_key(&changed, key, None) {
                    Ok(back) => assert_eq!(fuzzing::says_the_same(text, &back), Some(true), "{back:?}"),
                    Err(why) => assert!(odd, "what was set cannot be taken away: {why}"),
                }
            }
        }
    }
    match fuzzing::with_tag(text, "new/tag") {
        Err(why) => is_short(&why),
        Ok(changed) => {
            let tags = tags(&changed);
            let kept = file
                .tags
                .iter()
                .chain(["new/tag".to_owned()].iter())
                .all(|tag| tags.contains(tag));
            assert!(kept, "{tags:?}");
        }
    }
}

fn tags(text: &str) -> Vec<String> {
    NoteFile::parse(text).map(|file| file.tags).unwrap_or_default()
}

fn keeps_lines(text: &str, changed: &str) {
    let mut lines = changed.split('\n').map(|line| line.trim_end_matches('\r'));
    for line in text.split('\n').map(|line| line.trim_end_matches('\r')) {
        let line = line.trim_start_matches('\u{feff}');
        let kept = lines.any(|other| other.trim_start_matches('\u{feff}') == line);
        assert!(kept, "the line {line:?} is gone or has moved");
    }
}

/// The note that a file is.
pub(crate) fn note_of(file: &NoteFile) -> Note {
    Note {
        id: file.id.clone().unwrap_or_else(|| NoteId::new("n1").expect("a good id")),
        path: Some("Folder/Name".into()),
        content: file.content.clone(),
        tags: file.tags.clone(),
        metadata: file.metadata.clone(),
        created_at: file.created.unwrap_or_default(),
        updated_at: file.created.unwrap_or_default(),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// The body of a note.
///
/// # Panics
/// When something does not hold.
pub fn wikilinks(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let links = wikilink::find(&text);
    let mut end = 0;
    for link in &links {
        assert!(link.whole.start >= end, "links overlap");
        end = link.whole.end;
        let whole = text.get(link.whole.clone()).expect("a link is whole characters");
        let name = text.get(link.name.clone()).expect("a name is whole characters");
        assert!(whole.starts_with("[[") && whole.ends_with("]]") && !whole.contains('\n'));
        assert!(link.name.start >= link.whole.start + 2 && link.name.end + 2 <= link.whole.end);
        assert_eq!(reveille_vault::note::normalise_path(name).as_ref(), Some(&link.target));
    }
    let Some(first) = links.first() else { return };
    let changed = fuzzing::retargeted(&text, &first.target, "new/place").expect("there is a link to change");
    let targets: Vec<String> = wikilink::find(&changed).into_iter().map(|link| link.target).collect();
    let moved = |target: &String| {
        if *target == first.target {
            "new/place".into()
        } else {
            target.clone()
        }
    };
    let expected: Vec<String> = links.iter().map(|link| moved(&link.target)).collect();
    assert_eq!(targets, expected);
}
