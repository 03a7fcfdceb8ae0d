//! Reading fields that may be missing, null or of another type than expected.

use serde_json::Value;

use super::redact::Redactor;
use crate::turn::Whole;

/// Longest input or answer of a tool in an event, in characters.
const PREVIEW_LIMIT: usize = 2000;
/// Most bytes that are kept of a longer one.
const WHOLE_LIMIT: usize = 1 << 20;

pub(super) fn text_at<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A count that may be written as a fraction; 0 when it is missing.
pub(super) fn number(value: &Value, name: &str) -> u64 {
    let value = value.get(name).unwrap_or(&Value::Null);
    // A cast from a float saturates and makes 0 of NaN.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rounded = value.as_f64().unwrap_or_default().round() as u64;
    value.as_u64().unwrap_or(rounded)
}

/// An amount of US dollars; what is below zero is none, or a budget would grow by it.
pub(super) fn dollars(value: &Value, name: &str) -> Option<f64> {
    value.get(name)?.as_f64().filter(|amount| *amount >= 0.0)
}

/// The blocks of a message; none when its content is plain text or missing.
pub(super) fn content_blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message.get("content").and_then(Value::as_array).into_iter().flatten()
}

/// A text as an event has it, and what was cut of it.
pub(super) type Cut = (Option<String>, Option<Whole>);

/// A tool's input as JSON text.
pub(super) fn input_text(block: &Value, redactor: &Redactor) -> Cut {
    let input = block.get("input").filter(|input| !input.is_null());
    input.map_or((None, None), |input| cut(redactor.clean(&input.to_string())))
}

/// The text of a tool's answer, which is a string or a list of parts.
pub(super) fn result_text(block: &Value, redactor: &Redactor) -> Cut {
    let Some(content) = block.get("content") else {
        return (None, None);
    };
    let text = match (content.as_str(), content.as_array()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(parts)) => parts.iter().filter_map(|part| text_at(part, "text")).collect(),
        (None, None) => String::new(),
    };
    match text.is_empty() {
        true => (None, None),
        false => cut(redactor.clean(&text)),
    }
}

fn cut(mut text: String) -> Cut {
    let Some((end, _)) = text.char_indices().nth(PREVIEW_LIMIT) else {
        return (Some(text), None);
    };
    let preview = format!("{}…", &text[..end]);
    let kept = text.floor_char_boundary(WHOLE_LIMIT);
    let cut = kept < text.len();
    text.truncate(kept);
    (Some(preview), Some(Whole { text, cut }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_longer_text_is_cut_and_what_was_cut_is_there() {
        assert_eq!(cut("ä".repeat(2000)), (Some("ä".repeat(2000)), None));
        let preview = Some(format!("{}…", "ä".repeat(2000)));
        let whole = |text: String, cut| Some(Whole { text, cut });
        let longer = "ä".repeat(2001);
        assert_eq!(cut(longer.clone()), (preview.clone(), whole(longer, false)));
        let largest = "ä".repeat(WHOLE_LIMIT / 2);
        assert_eq!(cut(largest.clone()), (preview.clone(), whole(largest.clone(), false)));
        // Not through the middle of a character.
        let beyond = format!("{}a{}", "ä".repeat(2000), &largest[4000..]);
        let kept = beyond[..WHOLE_LIMIT - 1].to_owned();
        assert_eq!(cut(beyond), (preview, whole(kept, true)));
    }

    #[test]
    fn secrets_are_taken_out_before_anything_is_cut() {
        let mut redactor = Redactor::new();
        redactor.secret("very-secret-word");
        let said = format!("{}very-secret-word and very-secret-word", "x".repeat(1990));
        let (preview, whole) = result_text(&json!({"content": said}), &redactor);
        let preview = preview.unwrap();
        assert!(!preview.contains("very") && preview.contains("***"), "{preview}");
        assert_eq!(whole.unwrap().text, format!("{}*** and ***", "x".repeat(1990)));
        let block = json!({"input": {"command": "echo very-secret-word"}});
        assert_eq!(input_text(&block, &redactor).0.unwrap(), r#"{"command":"echo ***"}"#);
    }

    #[test]
    fn answers_of_every_shape() {
        let shapes = [
            json!({"content": "plain"}),
            json!({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}),
            json!({"content": null}),
            json!({"content": ""}),
            json!({}),
        ];
        assert_eq!(
            shapes.each_ref().map(|block| result_text(block, &Redactor::new()).0),
            [Some("plain".into()), Some("ab".into()), None, None, None]
        );
    }

    #[test]
    fn counts_of_every_shape() {
        let value = json!({"whole": 7, "part": 512.6, "text": "9", "below": -3, "none": null});
        let got = ["whole", "part", "text", "below", "none", "missing"].map(|name| number(&value, name));
        assert_eq!(got, [7, 513, 0, 0, 0, 0]);
    }
}
