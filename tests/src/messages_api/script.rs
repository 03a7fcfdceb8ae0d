use std::time::Duration;

use serde_json::Value;

/// Longest `[[big]]`, so that a typing error does not take the machine's memory.
const BIG_LIMIT: usize = 64 << 20;

/// A way to fail before or while answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// An HTTP error with the API's error type and message.
    Error {
        status: u16,
        kind: &'static str,
        message: String,
    },
    /// Headers and nothing more; `silent` not even those.
    Hang { silent: bool },
    /// The connection is closed in the middle of the text.
    Cut,
}

/// A tool that the model asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) input: Value,
}

/// What one prompt asks the double to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Script {
    /// Each with the number of requests that it spoils, counted over all requests with this prompt; `None` is all of them.
    pub(super) faults: Vec<(Fault, Option<u32>)>,
    /// One a round, in the order of the prompt.
    pub(super) tools: Vec<ToolCall>,
    pub(super) thinking: Option<String>,
    pub(super) reply: Option<String>,
    /// Pieces of the text and the pause before each.
    pub(super) slow: Option<(usize, Duration)>,
    pub(super) refusal: bool,
    /// The faults come only when all tools have answered.
    pub(super) late: bool,
}

impl Script {
    /// Reads the directives of a prompt. `[[words]]` that are no directive are text: notes hold links in that form.
    /// The error is for the author of the test.
    pub(super) fn parse(prompt: &str) -> Result<Self, String> {
        let mut script = Self::default();
        let mut rest = prompt;
        while let Some(open) = rest.find("[[") {
            rest = &rest[open + 2..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if let Some(consumed) = script
                .directive(name, after)
                .map_err(|error| format!("[[{name}]]: {error}"))?
            {
                rest = &after[consumed..];
            }
        }
        Ok(script)
    }

    /// Takes one directive and answers how many bytes of `after` belong to it; `None` if `name` is no directive.
    fn directive(&mut self, name: &str, after: &str) -> Result<Option<usize>, String> {
        if name == "tool" {
            let (call, consumed) = tool_call(after)?;
            self.tools.push(call);
            return Ok(Some(consumed));
        }
        if !matches!(
            name,
            "reply" | "error" | "slow" | "hang" | "cut" | "late" | "refusal" | "thinking" | "big"
        ) {
            return Ok(None);
        }
        let end = after.find("]]").ok_or("is not closed by ]]")?;
        let argument = after[..end].trim();
        match name {
            "reply" => self.reply = Some(argument.to_owned()),
            "thinking" => self.thinking = Some(argument.to_owned()),
            "big" => self.reply = Some(big(argument)?),
            "slow" => self.slow = Some(slow(argument)?),
            "refusal" => self.refusal = true,
            "late" => self.late = true,
            "cut" => self.faults.push((Fault::Cut, times(argument)?.or(Some(1)))),
            "hang" => {
                let (silent, count) = match argument.strip_prefix("nobytes") {
                    Some(count) => (true, count),
                    None => (false, argument),
                };
                self.faults.push((Fault::Hang { silent }, times(count)?));
            }
            _ => self.faults.push(error(argument)?),
        }
        Ok(Some(end + 2))
    }
}

fn tool_call(after: &str) -> Result<(ToolCall, usize), String> {
    let trimmed = after.trim_start();
    let (name, input) = trimmed.split_once(char::is_whitespace).ok_or("expected NAME {json}")?;
    let mut values = serde_json::Deserializer::from_str(input).into_iter::<Value>();
    let value = match values.next() {
        Some(Ok(value @ Value::Object(_))) => value,
        Some(Ok(_)) | None => return Err("the input must be a JSON object".to_owned()),
        Some(Err(error)) => return Err(format!("the input is not JSON: {error}")),
    };
    let behind = &input[values.byte_offset()..];
    let tail = behind.trim_start().strip_prefix("]]").ok_or("is not closed by ]]")?;
    Ok((
        ToolCall {
            name: name.to_owned(),
            input: value,
        },
        after.len() - tail.len(),
    ))
}

/// `529`, `529 x2`, `too-long`, `credit`.
fn error(argument: &str) -> Result<(Fault, Option<u32>), String> {
    let (what, count) = argument.split_once(' ').unwrap_or((argument, ""));
    let (status, kind, message) = match what {
        "too-long" => (
            400,
            "invalid_request_error",
            "prompt is too long: 250000 tokens > 200000 maximum".to_owned(),
        ),
        "credit" => (400, "invalid_request_error", CREDIT.to_owned()),
        number => {
            let status: u16 = number
                .parse()
                .map_err(|_| format!("{number:?} is no HTTP status, too-long or credit"))?;
            let (kind, message) = error_of(status);
            (status, kind, message.to_owned())
        }
    };
    if !(400..600).contains(&status) {
        return Err(format!("{status} is no error status"));
    }
    Ok((Fault::Error { status, kind, message }, times(count)?))
}

const CREDIT: &str = "Your credit balance is too low to access the Anthropic API. \
                      Please go to Plans & Billing to upgrade or purchase credits.";

/// Type and message that the API gives with a status.
pub(super) fn error_of(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("authentication_error", "invalid x-api-key"),
        403 => (
            "permission_error",
            "Your API key does not have permission to use the specified resource.",
        ),
        404 => ("not_found_error", "The requested resource could not be found."),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => (
            "rate_limit_error",
            "This request would exceed your account's rate limit. Please try again later.",
        ),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "The request is not valid."),
    }
}

/// `x2` is the first two times; nothing is for ever, or the directive's own default.
fn times(argument: &str) -> Result<Option<u32>, String> {
    let argument = argument.trim();
    if argument.is_empty() {
        return Ok(None);
    }
    let count = argument.strip_prefix('x').and_then(|count| count.parse().ok());
    count
        .map(Some)
        .ok_or_else(|| format!("expected a count such as x2, not {argument:?}"))
}

/// `20x50ms`, `3x1s`.
fn slow(argument: &str) -> Result<(usize, Duration), String> {
    let parsed = argument.split_once('x').and_then(|(pieces, pause)| {
        let pause = match pause.strip_suffix("ms") {
            Some(millis) => Duration::from_millis(millis.parse().ok()?),
            None => Duration::from_secs(pause.strip_suffix('s')?.parse().ok()?),
        };
        Some((pieces.parse().ok().filter(|&pieces| pieces > 0)?, pause))
    });
    parsed.ok_or_else(|| format!("expected PIECESxPAUSE such as 20x50ms, not {argument:?}"))
}

/// `200kb`, `2mb`: text of exactly that many bytes, in lines.
fn big(argument: &str) -> Result<String, String> {
    let bytes = match (argument.strip_suffix("kb"), argument.strip_suffix("mb")) {
        (Some(count), _) => count.parse().ok().and_then(|count: usize| count.checked_mul(1 << 10)),
        (_, Some(count)) => count.parse().ok().and_then(|count: usize| count.checked_mul(1 << 20)),
        _ => None,
    };
    let bytes = bytes.filter(|&bytes| bytes <= BIG_LIMIT);
    let bytes =
        bytes.ok_or_else(|| format!("expected a size such as 200kb or 2mb (64mb at most), not {argument:?}"))?;
    const LINE: &str = "All work and no play makes a long reply, which must arrive whole.\n";
    let mut text = LINE.repeat(bytes.div_ceil(LINE.len()));
    text.truncate(bytes);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_directive_and_leaves_links_alone() {
        let prompt = "Please see [[some/note]] [[reply fine]] [[slow 2x5ms]] [[thinking hm]] [[refusal]] [[late]] [[cut]] \
                      [[error 529 x2]] [[hang nobytes x1]] [[hang]] \
                      [[tool Bash {\"command\":\"[[ -f x ]] && echo hi\"}]] [[tool Read {\"file_path\":\"/x\"} ]] end";
        let overloaded = Fault::Error {
            status: 529,
            kind: "overloaded_error",
            message: "Overloaded".to_owned(),
        };
        let expected = Script {
            faults: vec![
                (Fault::Cut, Some(1)),
                (overloaded, Some(2)),
                (Fault::Hang { silent: true }, Some(1)),
                (Fault::Hang { silent: false }, None),
            ],
            tools: vec![
                ToolCall {
                    name: "Bash".to_owned(),
                    input: json!({"command": "[[ -f x ]] && echo hi"}),
                },
                ToolCall {
                    name: "Read".to_owned(),
                    input: json!({"file_path": "/x"}),
                },
            ],
            thinking: Some("hm".to_owned()),
            reply: Some("fine".to_owned()),
            slow: Some((2, Duration::from_millis(5))),
            refusal: true,
            late: true,
        };
        assert_eq!(Script::parse(prompt), Ok(expected));
    }

    #[test]
    fn a_badly_written_directive_is_an_error_and_not_text() {
        let cases = [
            (
                "[[slow 5]]",
                "[[slow]]: expected PIECESxPAUSE such as 20x50ms, not \"5\"",
            ),
            (
                "[[slow 0x5ms]]",
                "[[slow]]: expected PIECESxPAUSE such as 20x50ms, not \"0x5ms\"",
            ),
            (
                "[[error nine]]",
                "[[error]]: \"nine\" is no HTTP status, too-long or credit",
            ),
            ("[[error 200]]", "[[error]]: 200 is no error status"),
            ("[[error 529 2]]", "[[error]]: expected a count such as x2, not \"2\""),
            ("[[reply never closed", "[[reply]]: is not closed by ]]"),
            ("[[tool Bash]]", "[[tool]]: expected NAME {json}"),
            ("[[tool Bash 3]]", "[[tool]]: the input must be a JSON object"),
            ("[[tool Bash {}", "[[tool]]: is not closed by ]]"),
            (
                "[[big 2]]",
                "[[big]]: expected a size such as 200kb or 2mb (64mb at most), not \"2\"",
            ),
            (
                "[[big 65mb]]",
                "[[big]]: expected a size such as 200kb or 2mb (64mb at most), not \"65mb\"",
            ),
        ];
        for (prompt, message) in cases {
            assert_eq!(Script::parse(prompt), Err(message.to_owned()));
        }
        assert_eq!(big("200kb").map(|text| text.len()), Ok(200 * 1024));
    }
}
