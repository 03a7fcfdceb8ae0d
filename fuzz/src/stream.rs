//! Output of the claude CLI.

use reveille_backends::fuzzing::{Heard, hear};
use reveille_backends::{Event, Verdict};

use super::is_short;

/// Longest line here. The runner's own limit is 32 MiB.
const LINE: usize = 1024 * 1024;

/// Characters of a tool's input or answer, and the sign that it was cut.
const PREVIEW: usize = 2001;

/// Lines of `--output-format stream-json`, or anything else that a program writes.
///
/// # Panics
/// When something does not hold.
pub fn stream_json(input: &[u8]) {
    let heard = hear(input, usize::MAX, LINE);
    assert!(
        heard.cost_usd.is_finite() && heard.cost_usd >= 0.0,
        "{} dollars",
        heard.cost_usd
    );
    bounded(&heard, input.len());
    // However the bytes are cut, they mean the same. Long lines would be read again for each piece.
    if input.len() < 4096 {
        let piece = 1 + input.len() % 7;
        assert_eq!(hear(input, piece, LINE), heard);
    }
    // A line that is too long does not end the others.
    let short = hear(input, usize::MAX, 64);
    let long = input.split(|byte| *byte == b'\n').filter(|line| line.len() > 64);
    assert_eq!(short.too_long, long.count());
}

fn bounded(heard: &Heard, read: usize) {
    let mut told = 0;
    for event in &heard.events {
        let fits = |text: &Option<String>| text.as_ref().is_none_or(|text| text.chars().count() <= PREVIEW);
        match event {
            Event::Text { text, .. } | Event::TextDelta { text } | Event::Thinking { text, .. } => told += text.len(),
            Event::Tool { input, .. } => assert!(fits(input), "a tool's input is shown whole"),
            Event::ToolResult { preview, .. } => assert!(fits(preview), "a tool's answer is shown whole"),
            _ => {}
        }
    }
    // An escape of six bytes may stand for three, and noise for one each: never more than was read.
    assert!(told <= read, "{told} bytes were told of {read}");
    match &heard.verdict {
        Verdict::Ok { reply } => assert!(reply.len() <= 3 * read),
        Verdict::Failed(failure) => {
            is_short(&failure.message);
            is_short(&failure.next_step);
            assert!(failure.detail.len() <= 2048, "{} bytes", failure.detail.len());
        }
        Verdict::Stopped => {}
    }
}
