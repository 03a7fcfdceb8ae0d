//! Identities of traces and spans. They follow from those of notes and turns: nothing has to be kept for a message that was
//! accepted before a restart, and an agent's message finds the turn that sent it.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Of everything that one message leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TraceId([u8; 16]);

/// Of one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SpanId([u8; 8]);

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

/// The first bytes of a hash over what something is and whose it is; never all zeroes, which stands for nothing.
fn derived<const N: usize>(what: &str, parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in [what.as_bytes()].iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; N];
    id.copy_from_slice(&hash.finalize()[..N]);
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

impl TraceId {
    /// Of a chain of hand-overs, which has the name of its first note.
    pub(super) fn of_chain(chain: &str) -> Self {
        Self(derived("reveille trace", &[chain.as_bytes()]))
    }

    /// From 0 to 1, and for one trace always the same.
    pub(super) fn share(self) -> f64 {
        let [.., a, b, c, d, e, f, g] = self.0;
        #[expect(clippy::cast_precision_loss, reason = "of 56 bits the first 53 are plenty")]
        let share = u64::from_be_bytes([0, a, b, c, d, e, f, g]) as f64 / (1_u64 << 56) as f64;
        share
    }
}

impl SpanId {
    /// Of a message, named by its turn.
    pub(super) fn of_message(turn: Uuid) -> Self {
        Self(derived("reveille message", &[turn.as_bytes()]))
    }

    /// Of a stage of an attempt at a turn; the number of its claim tells attempts apart.
    pub(super) fn of_stage(turn: Uuid, epoch: u64, stage: &str) -> Self {
        Self(derived(
            "reveille stage",
            &[turn.as_bytes(), &epoch.to_be_bytes(), stage.as_bytes()],
        ))
    }

    /// Of a try at an effect of the outbox.
    pub(super) fn of_try(effect: u64, tries: u32) -> Self {
        Self(derived("reveille try", &[&effect.to_be_bytes(), &tries.to_be_bytes()]))
    }

    /// Of the writing of a note by which an agent is told of an end: the message that the note is has it as its parent.
    pub(super) fn of_callback(note: &str) -> Self {
        Self(derived("reveille callback", &[note.as_bytes()]))
    }
}

/// Where a message comes from, as its sender says in the header `traceparent` (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    /// The sender's trace.
    pub(super) trace: TraceId,
    /// The sender's span.
    pub(super) span: SpanId,
    /// Whether the sender records it.
    pub(super) sampled: bool,
}

impl TraceParent {
    /// Reads the header's value. `None`: it is none, and the message has a trace of its own then.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (version, rest) = text.split_once('-')?;
        let [version] = bytes::<1>(version)?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        // Later versions may add parts behind the flags.
        let flags = match (version, rest.split_once('-')) {
            (0xff, _) | (0, Some(_)) => return None,
            (_, Some((flags, _))) => flags,
            (_, None) => rest,
        };
        let ([flags], trace, span) = (bytes(flags)?, bytes(trace)?, bytes(span)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0", self.trace, self.span)?;
        f.write_char(if self.sampled { '1' } else { '0' })
    }
}

/// Lower-case hexadecimal digits, exactly so many.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_traceparent_is_what_the_recommendation_says() {
        for (text, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!(" 00-{TRACE}-{SPAN}-00 "), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ] {
            let read = TraceParent::parse(&text).unwrap_or_else(|| panic!("{text}"));
            let flags = if sampled { "01" } else { "00" };
            assert_eq!(read.to_string(), format!("00-{TRACE}-{SPAN}-{flags}"));
        }
        for text in [
            "",
            "00",
            "00-1-2-01",
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("00-{TRACE}-{SPAN}-01-x"),
            &format!("00-{TRACE}-{SPAN}"),
            &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            &format!("00-{}-{SPAN}-01", "0".repeat(32)),
            &format!("00-{TRACE}-{}-01", "0".repeat(16)),
            &format!("00-{TRACE}-{SPAN}-1"),
            &format!("00-{TRACE}-{SPAN}-é"),
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn identities_follow_from_what_they_are_of() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(SpanId::of_message(one), SpanId::of_message(one));
        assert_ne!(SpanId::of_message(one), SpanId::of_message(other));
        assert_ne!(SpanId::of_stage(one, 1, "run"), SpanId::of_stage(one, 2, "run"));
        assert_ne!(SpanId::of_try(1, 0), SpanId::of_try(1, 1));
        assert_eq!(TraceId::of_chain("a").to_string().len(), 32);
        assert_eq!(SpanId::of_callback("a").to_string().len(), 16);
        let kept = (0..1000)
            .filter(|n| TraceId::of_chain(&n.to_string()).share() < 0.25)
            .count();
        assert!((200..300).contains(&kept), "{kept}");
    }
}
