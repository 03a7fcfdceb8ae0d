//! Directives in a prompt.

use std::time::Duration;

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Directive {
    Reply(String),
    Slow {
        words: u32,
        pause: Duration,
    },
    Think(String),
    Tool {
        name: String,
        input: Value,
    },
    Exec(String),
    Sleep(Duration),
    Env(String),
    Retry {
        status: u16,
        times: u32,
    },
    Error(String),
    Fail {
        kind: String,
        times: usize,
    },
    /// US dollars.
    Cost(f64),
    MaxTurns,
    Empty,
    TwoResults,
    Garbage,
    BigLine(usize),
    Hang,
    Deaf,
    Crash,
    LostSession,
    Unsaved,
    Then(Then),
    /// Written wrongly; the answer says so.
    Unknown(String),
}

/// What a process does that waits for another turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Die,
    Speak,
    Store,
    Deaf,
    Mute,
    DieAsked,
    DieTaken,
}

/// All directives of a text, in order.
pub(super) fn parse(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("[[") {
        let Some((inside, next)) = after.split_once("]]") else {
            break;
        };
        found.push(one(inside.trim()));
        rest = next;
    }
    found
}

fn one(text: &str) -> Directive {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let known = match name {
        "reply" => Some(Directive::Reply(rest.to_owned())),
        "slow" => slow(rest),
        "think" => Some(Directive::Think(rest.to_owned())),
        "tool" => tool(rest),
        "exec" => Some(Directive::Exec(rest.to_owned())),
        "sleep" => duration(rest).map(Directive::Sleep),
        "env" => Some(Directive::Env(rest.to_owned())),
        "retry" => retry(rest),
        "error" => Some(Directive::Error(rest.to_owned())),
        "fail" => fail(rest),
        "cost" => rest.parse().ok().map(Directive::Cost),
        "max-turns" => Some(Directive::MaxTurns),
        "empty" => Some(Directive::Empty),
        "two-results" => Some(Directive::TwoResults),
        "garbage" => Some(Directive::Garbage),
        "bigline" => size(rest).map(Directive::BigLine),
        "hang" => Some(Directive::Hang),
        "deaf" => Some(Directive::Deaf),
        "crash" => Some(Directive::Crash),
        "lost-session" => Some(Directive::LostSession),
        "unsaved" => Some(Directive::Unsaved),
        "then" => then(rest).map(Directive::Then),
        _ => None,
    };
    known.unwrap_or_else(|| Directive::Unknown(text.to_owned()))
}

// Below, a part that cannot be read makes the whole directive an unknown one, which the answer reports.

fn slow(rest: &str) -> Option<Directive> {
    let (words, pause) = rest.split_once('x')?;
    Some(Directive::Slow {
        words: words.trim().parse().ok()?,
        pause: duration(pause)?,
    })
}

fn tool(rest: &str) -> Option<Directive> {
    let (name, input) = rest.split_once(char::is_whitespace).unwrap_or((rest, "{}"));
    let input = serde_json::from_str(input.trim()).ok()?;
    (!name.is_empty()).then(|| Directive::Tool {
        name: name.to_owned(),
        input,
    })
}

fn retry(rest: &str) -> Option<Directive> {
    let (status, times) = rest.split_once(char::is_whitespace).unwrap_or((rest, "x1"));
    Some(Directive::Retry {
        status: status.parse().ok()?,
        times: times.trim().strip_prefix('x')?.parse().ok()?,
    })
}

fn fail(rest: &str) -> Option<Directive> {
    let (kind, times) = rest.split_once(char::is_whitespace).unwrap_or((rest, "x1"));
    Some(Directive::Fail {
        kind: kind.to_owned(),
        times: times.trim().strip_prefix('x')?.parse().ok()?,
    })
}

fn then(rest: &str) -> Option<Then> {
    Some(match rest {
        "die" => Then::Die,
        "speak" => Then::Speak,
        "store" => Then::Store,
        "deaf" => Then::Deaf,
        "mute" => Then::Mute,
        "die-asked" => Then::DieAsked,
        "die-taken" => Then::DieTaken,
        _ => return None,
    })
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text);
    let number = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

fn size(text: &str) -> Option<usize> {
    let (number, unit) = split_unit(text);
    let number: usize = number.parse().ok()?;
    match unit.to_ascii_lowercase().as_str() {
        "kb" => number.checked_mul(1024),
        "mb" => number.checked_mul(1024 * 1024),
        _ => None,
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form() {
        let text = r#"Hi [[reply one two]] and [[slow 20x50ms]][[tool Bash {"command":"ls"}]] [[sleep 2s]] [[sleep 1m]]
            [[retry 529 x2]] [[bigline 2mb]] [[error too-long]] [[exec echo "a b" | cat]] [[tool Read]] [[fail 529 x2]]
            [[cost 0.5]] [[hang]] [[then die-asked]] [[reply"#;
        assert_eq!(
            parse(text),
            [
                Directive::Reply("one two".into()),
                Directive::Slow {
                    words: 20,
                    pause: Duration::from_millis(50)
                },
                Directive::Tool {
                    name: "Bash".into(),
                    input: json!({"command": "ls"})
                },
                Directive::Sleep(Duration::from_secs(2)),
                Directive::Sleep(Duration::from_secs(60)),
                Directive::Retry { status: 529, times: 2 },
                Directive::BigLine(2 * 1024 * 1024),
                Directive::Error("too-long".into()),
                Directive::Exec(r#"echo "a b" | cat"#.into()),
                Directive::Tool {
                    name: "Read".into(),
                    input: json!({})
                },
                Directive::Fail {
                    kind: "529".into(),
                    times: 2
                },
                Directive::Cost(0.5),
                Directive::Hang,
                Directive::Then(Then::DieAsked),
            ]
        );
    }

    #[test]
    fn mistakes_are_kept() {
        let wrong = [
            "[[sleep long]]",
            "[[slow 5]]",
            "[[tool]]",
            "[[tool X {]]",
            "[[retry 529 2]]",
            "[[bigline 2]]",
            "[[x]]",
            "[[then dance]]",
        ];
        for text in wrong {
            assert!(matches!(parse(text).as_slice(), [Directive::Unknown(_)]), "{text}");
        }
    }
}
