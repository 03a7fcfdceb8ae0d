//! What a turn has told, as it is kept: pieces of texts put together, and in its middle no more than there is room for.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;

/// Bytes of the beginning that are kept, and of the end.
pub(super) const HALF: usize = 512 << 10;

/// What an event is in the story of its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// The first attempt begins.
    Start,
    /// The child has taken the prompt.
    Init,
    /// Something for people, which is kept with the turn.
    Notice,
    /// A piece of a text of the main conversation that comes as a whole later.
    Delta(&'a str),
    /// Such a text.
    Text,
    /// Anything else.
    Other,
}

/// The text that is being made.
#[derive(Debug, Clone)]
struct Open {
    text: String,
    /// The event of its last piece.
    last: Bytes,
}

/// All events of a turn so far, as JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    head: Vec<Bytes>,
    head_bytes: usize,
    tail: VecDeque<Bytes>,
    tail_bytes: usize,
    /// Something between the two is left out.
    cut: bool,
    open: Option<Open>,
    begun: bool,
    texts: u32,
    /// It is more than a start and texts.
    other: bool,
}

impl Story {
    pub(super) fn add(&mut self, piece: &Piece<'_>, data: Bytes) {
        match piece {
            Piece::Start => {}
            Piece::Init => self.begun = true,
            // Those that come before the child are kept in their order.
            Piece::Notice => self.other |= self.begun,
            Piece::Delta(text) => {
                let open = self.open.get_or_insert_with(|| Open {
                    text: String::new(),
                    last: Bytes::new(),
                });
                match open.text.len() + text.len() <= HALF {
                    true => open.text.push_str(text),
                    false => self.cut = true,
                }
                open.last = data;
                return;
            }
            Piece::Text => {
                self.open = None;
                self.texts += 1;
            }
            Piece::Other => self.other = true,
        }
        self.push(data);
    }

    fn push(&mut self, data: Bytes) {
        if data.len() > HALF {
            self.cut = true;
        } else if self.tail.is_empty() && self.head_bytes + data.len() <= HALF {
            self.head_bytes += data.len();
            self.head.push(data);
        } else {
            self.tail_bytes += data.len();
            self.tail.push_back(data);
            while self.tail_bytes > HALF {
                let Some(oldest) = self.tail.pop_front() else { break };
                self.tail_bytes -= oldest.len();
                self.cut = true;
            }
        }
    }

    /// Whether the message and the turn's record say all of it: what a child has told is its `reply` and no more.
    #[must_use]
    pub(crate) fn is_plain(&self, reply: Option<&str>) -> bool {
        let said = match self.texts {
            0 => true,
            1 => reply.is_some_and(|reply| !reply.is_empty()),
            _ => false,
        };
        said && !self.other && self.open.is_none()
    }

    /// Whether the child took the prompt, or anything else is worth keeping of an attempt that is given up.
    #[must_use]
    pub(crate) fn has_begun(&self) -> bool {
        self.begun || self.other
    }

    /// Whether its middle is left out.
    #[must_use]
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The events: those before the place where something is left out, and those behind it.
    #[must_use]
    pub(crate) fn events(&self) -> (Vec<Bytes>, Vec<Bytes>) {
        let open = self.open.iter().filter_map(joined);
        (self.head.clone(), self.tail.iter().cloned().chain(open).collect())
    }
}

/// The pieces of a text as one, with the number of the last.
fn joined(open: &Open) -> Option<Bytes> {
    // silent-ok: it was made of such an event.
    let mut event: Value = serde_json::from_slice(&open.last).ok()?;
    event["text"] = open.text.as_str().into();
    Some(event.to_string().into())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn data(n: usize) -> Bytes {
        json!({ "seq": n, "text": "x" }).to_string().into()
    }

    fn told(story: &Story) -> Vec<Value> {
        let (head, tail) = story.events();
        let all = head.iter().chain(&tail);
        all.map(|event| serde_json::from_slice(event).unwrap()).collect()
    }

    #[test]
    fn pieces_are_one_event_until_their_text_is_whole() {
        let mut story = Story::default();
        story.add(&Piece::Start, data(1));
        story.add(&Piece::Delta("he"), data(2));
        story.add(&Piece::Delta("llo"), data(3));
        assert_eq!(
            told(&story),
            [json!({"seq": 1, "text": "x"}), json!({"seq": 3, "text": "hello"})]
        );
        story.add(&Piece::Text, data(4));
        assert_eq!(
            told(&story),
            [json!({"seq": 1, "text": "x"}), json!({"seq": 4, "text": "x"})]
        );
    }

    #[test]
    fn the_middle_is_left_out() {
        let event = Bytes::from(vec![b' '; HALF / 8]);
        let mut story = Story::default();
        for _ in 0..16 {
            story.add(&Piece::Other, event.clone());
        }
        let counts = |story: &Story| {
            let (head, tail) = story.events();
            (head.len(), tail.len(), story.is_cut())
        };
        assert_eq!(counts(&story), (8, 8, false));
        for _ in 0..100 {
            story.add(&Piece::Other, event.clone());
        }
        story.add(&Piece::Other, vec![b' '; HALF + 1].into());
        assert_eq!(counts(&story), (8, 8, true));
        story.add(&Piece::Other, data(1));
        assert_eq!(told_last(&story), data(1));
    }

    fn told_last(story: &Story) -> Bytes {
        story.events().1.pop().unwrap()
    }

    #[test]
    fn a_text_that_is_never_whole_has_an_end() {
        let mut story = Story::default();
        let piece = "x".repeat(1000);
        for n in 0..1000 {
            story.add(&Piece::Delta(&piece), data(n));
        }
        let text = told(&story)[0]["text"].as_str().unwrap().len();
        assert!(story.is_cut() && (HALF - 1000..=HALF).contains(&text), "{text}");
    }

    #[test]
    fn what_the_record_says_is_not_kept_again() {
        use Piece::{Delta, Init, Notice, Other, Start, Text};
        for (pieces, reply, plain, begun) in [
            (&[Start][..], None, true, false),
            (&[Start, Notice, Init, Delta("a"), Text], Some("a"), true, true),
            (&[Start, Init], Some(""), true, true),
            // It failed, or another text came in its place.
            (&[Start, Init, Text], None, false, true),
            (&[Start, Init, Text], Some(""), false, true),
            (&[Start, Init, Delta("a")], None, false, true),
            (&[Start, Init, Text, Text], Some("a b"), false, true),
            (&[Start, Init, Notice, Text], Some("a"), false, true),
            (&[Start, Init, Other, Text], Some("a"), false, true),
            // A later attempt.
            (&[Other, Init, Text], Some("a"), false, true),
        ] {
            let mut story = Story::default();
            for piece in pieces {
                story.add(piece, data(0));
            }
            assert_eq!((story.is_plain(reply), story.has_begun()), (plain, begun), "{pieces:?}");
        }
    }
}
