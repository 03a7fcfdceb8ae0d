//! Reading fields that may be missing, null or of another type than expected.

use serde_json::Value;

/// Longest input or answer of a tool in an event, in characters.
const PREVIEW_LIMIT: usize = 2000;

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

/// A tool's input as JSON text.
pub(super) fn input_text(block: &Value) -> Option<String> {
    block
        .get("input")
        .filter(|input| !input.is_null())
        .map(|input| preview(&input.to_string()))
}

/// The text of a tool's answer, which is a string or a list of parts.
pub(super) fn result_text(block: &Value) -> Option<String> {
    let content = block.get("content")?;
    let text = match content.as_str() {
        Some(text) => text.to_owned(),
        None => content
            .as_array()?
            .iter()
            .filter_map(|part| text_at(part, "text"))
            .collect(),
    };
    (!text.is_empty()).then(|| preview(&text))
}

fn preview(text: &str) -> String {
    match text.char_indices().nth(PREVIEW_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_longer_text_is_cut() {
        assert_eq!(preview(&"ä".repeat(2000)), "ä".repeat(2000));
        assert_eq!(preview(&"ä".repeat(2001)), format!("{}…", "ä".repeat(2000)));
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
            shapes.each_ref().map(result_text),
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
