//! How JSON becomes the text of a message: text with places, `{{ /json/pointer }}` or `{{ dotted.path }}`. No code.

use serde_json::Value;

/// Most characters of a template.
const TEMPLATE_CHARS: usize = 16_000;

/// What stands for a place that the JSON does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Nothing.
    #[default]
    Empty,
    /// The call is refused, and says which place it was.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place {
        shown: String,
        pointer: String,
        fallback: Option<String>,
    },
}

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A place as a JSON pointer: `/a/b`, `a.b`, or `.` for everything.
pub(super) fn pointer(path: &str) -> Result<String, String> {
    match path {
        "." => Ok(String::new()),
        _ if path.starts_with('/') => Ok(path.to_owned()),
        _ if path
            .split('.')
            .all(|step| !step.is_empty() && !step.contains(char::is_whitespace)) =>
        {
            let steps = path.split('.').map(|step| step.replace('~', "~0").replace('/', "~1"));
            Ok(steps.map(|step| format!("/{step}")).collect())
        }
        _ => Err(format!(
            "{path:?} is neither a JSON pointer (/a/b) nor a dotted path (a.b)"
        )),
    }
}

impl Template {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it and where, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > TEMPLATE_CHARS {
            return Err(format!("the template has more than {TEMPLATE_CHARS} characters"));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once("{{") {
            let line = text[..text.len() - behind.len()].matches('\n').count() + 1;
            let place = |why: &str| format!("the template's line {line}: {why}");
            let (inside, after) = behind
                .split_once("}}")
                .ok_or_else(|| place("what begins with {{ does not end with }}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (path, fallback) = match inside.split_once('|') {
                Some((path, fallback)) => (path.trim(), Some(quoted(fallback.trim()).map_err(|why| place(&why))?)),
                None => (inside.trim(), None),
            };
            // The way to write the braces themselves.
            if fallback.is_none() && path.starts_with('"') {
                parts.push(Part::Text(quoted(path).map_err(|why| place(&why))?));
            } else {
                parts.push(Part::Place {
                    shown: path.to_owned(),
                    pointer: pointer(path).map_err(|why| place(&why))?,
                    fallback,
                });
            }
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The text; cut at `most` characters, and then it says so.
    ///
    /// # Errors
    /// The place that `body` does not have, when that is an error.
    pub fn render(&self, body: &Value, missing: Missing, most: usize) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Place {
                    shown,
                    pointer,
                    fallback,
                } => match (body.pointer(pointer), fallback) {
                    (Some(Value::String(value)), _) => text.push_str(value),
                    (None | Some(Value::Null), Some(fallback)) => text.push_str(fallback),
                    (None | Some(Value::Null), None) if missing == Missing::Error => {
                        return Err(format!("the body has nothing at {shown}"));
                    }
                    (None | Some(Value::Null), None) => {}
                    (Some(other), _) => text.push_str(&other.to_string()),
                },
            }
            // A place may be used often: no more is made than is kept.
            if text.len() > most.saturating_mul(4) {
                break;
            }
        }
        if let Some((cut, _)) = text.char_indices().nth(most) {
            text.truncate(cut);
            text.push_str("\n… (cut)");
        }
        Ok(text)
    }
}

fn quoted(text: &str) -> Result<String, String> {
    serde_json::from_str(text).map_err(|_| format!("{text} is not a text in double quotes"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_filled_from_json() {
        let body =
            json!({"a": {"b": "text", "n": 1.5, "list": [1, {"x": "é"}]}, "no": null, "with/slash": true, "": "e"});
        let fill = |template: &str| {
            Template::parse(template)
                .unwrap()
                .render(&body, Missing::Empty, 1000)
                .unwrap()
        };
        for (template, expected) in [
            ("", ""),
            ("plain } text }}", "plain } text }}"),
            ("{{a.b}} {{ /a/b }}{{/a/n}}", "text text1.5"),
            (
                "{{a.list.1.x}} {{/a/list/1}} {{a.list}}",
                r#"é {"x":"é"} [1,{"x":"é"}]"#,
            ),
            ("[{{no}}{{a.none}}{{a.b.c}}]", "[]"),
            (r#"{{ no | "nobody" }} {{ a.b | "x" }}"#, "nobody text"),
            (r#"{{ "{{" }}"#, "{{"),
            ("{{with/slash}}{{/with~1slash}}{{/}}", "truetruee"),
            // What is filled in is not read again.
            ("{{a.b}}{{a.b}}", "texttext"),
        ] {
            assert_eq!(fill(template), expected, "{template}");
        }
        let strict = Template::parse("x {{ a.none }}")
            .unwrap()
            .render(&body, Missing::Error, 10);
        assert_eq!(strict, Err("the body has nothing at a.none".into()));
        let long = Template::parse(&"{{a.b}}".repeat(2000))
            .unwrap()
            .render(&body, Missing::Empty, 5);
        assert_eq!(long.unwrap(), "textt\n… (cut)");
        assert_eq!(
            Template::parse("{{.}}")
                .unwrap()
                .render(&json!([1]), Missing::Error, 9)
                .unwrap(),
            "[1]"
        );
        for (wrong, says) in [
            ("a\n{{ b", "line 2"),
            ("{{ }}", "neither"),
            ("{{ a..b }}", "neither"),
            ("{{ a b }}", "neither"),
            ("{{ a | b }}", "double quotes"),
        ] {
            let told = Template::parse(wrong).unwrap_err();
            assert!(told.contains(says), "{wrong}: {told}");
        }
    }
}
