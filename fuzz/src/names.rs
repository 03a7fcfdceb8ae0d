//! Names of things: tags, paths, ids, files.

use reveille_vault::agent::slug;
use reveille_vault::{NoteId, TagChange, VaultError, fuzzing, markdown, media_type};
use serde_json::Value;

use super::is_short;

/// A name on each line; and JSON, as the fields of a tag.
///
/// # Panics
/// When something does not hold.
pub fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    tag(&text);
    text.lines().take(100).for_each(|line| {
        tag(line);
        path(line);
        file(line);
    });
    let all: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Some(tags) = good(fuzzing::stored_tags(&all)) {
        assert!(tags.is_sorted() && tags.len() <= all.len());
    }
    if let Ok(Value::Object(fields)) = serde_json::from_str(&text) {
        let change = TagChange {
            fields,
            ..TagChange::default()
        };
        good(fuzzing::checked(change));
    }
}

fn good<T>(result: Result<T, VaultError>) -> Option<T> {
    match result {
        Ok(good) => Some(good),
        Err(VaultError::Invalid(why)) => {
            is_short(&why);
            None
        }
        Err(other) => panic!("{other}"),
    }
}

fn tag(text: &str) {
    if let Some(tags) = good(fuzzing::stored_tags(&[text.to_owned()])) {
        assert_eq!(
            good(fuzzing::stored_tags(&tags)),
            Some(tags.clone()),
            "what is stored is stored again as it is"
        );
        assert!(tags.iter().all(|tag| tag.len() <= 256 && !tag.contains(',')));
    }
}

fn path(text: &str) {
    if let Some(Some(path)) = good(fuzzing::stored_path(text)) {
        assert!((1..=1024).contains(&path.len()) && !path.chars().any(char::is_control));
    }
    if let Some(file) = markdown::file_of(text) {
        assert_eq!(markdown::path_of(&file).as_deref(), Ok(text));
        let hidden = |part: &str| part.is_empty() || part.starts_with('.') || part.len() > 255;
        assert!(
            !file.split('/').any(hidden) && !file.contains('\0'),
            "{file:?} leads elsewhere"
        );
        assert!(
            file.rsplit('/').next().is_some_and(markdown::is_note),
            "{file:?} is no note"
        );
    }
}

fn file(text: &str) {
    let name = fuzzing::file_name(text);
    assert!((1..=255).contains(&name.chars().count()) && !name.chars().any(char::is_control));
    assert_eq!(fuzzing::file_name(&name), name);
    if let Some(media) = media_type(text) {
        assert_eq!(media_type(&media).as_ref(), Some(&media));
        assert!(media.is_ascii() && media.len() <= 255);
    }
    let slug = slug(text);
    assert!(slug.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c)));
    match NoteId::new(text) {
        Ok(id) => assert_eq!(id.as_str(), text),
        Err(error) => is_short(&error.to_string()),
    }
}
