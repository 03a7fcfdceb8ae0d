//! Reading what is kept. A file that ends in the middle is read as far as it goes.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use flate2::read::{GzDecoder, MultiGzDecoder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{CUT, Head};

/// Bytes of events that are read; each attempt at a turn leaves 1 MiB at most.
const EVENTS_MAX: u64 = 16 << 20;
/// Bytes of one text, with room for what was cut in the middle of a character.
const TEXT_MAX: u64 = (1 << 20) + 4;
/// Longest line before a text.
const HEAD_MAX: u64 = 4096;

/// The events of a turn.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) events: Vec<Value>,
    /// Some are left out.
    pub(crate) cut: bool,
}

/// What goes into a tool and what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Input,
    Output,
}

/// A long input or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) tool: Option<String>,
    pub(crate) text: String,
    /// There was more.
    pub(crate) cut: bool,
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

pub(super) fn events(path: &Path) -> io::Result<Option<Kept>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut text = Vec::new();
    let mut kept = Kept::default();
    if let Err(error) = MultiGzDecoder::new(file).take(EVENTS_MAX).read_to_end(&mut text) {
        tracing::warn!(%error, path = %path.display(), "the kept steps of a turn are damaged; they are shown as far as they go");
        kept.cut = true;
    }
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            _ if line == CUT.as_bytes() => kept.cut = true,
            Ok(event) => kept.events.push(event),
            Err(_) => kept.cut = true,
        }
    }
    Ok(Some(kept))
}

/// The input and the answer of a call, as far as they were too long for their events.
pub(super) fn call(path: &Path, id: &str) -> io::Result<[Option<Found>; 2]> {
    let mut found = [None, None];
    let Some(file) = open(path)? else { return Ok(found) };
    let mut file = BufReader::new(file);
    loop {
        let mut line = Vec::new();
        (&mut file).take(HEAD_MAX).read_until(b'\n', &mut line)?;
        let Ok(head) = serde_json::from_slice::<Head>(&line) else {
            // The end, or a record that was not written to its end: nothing is behind it.
            return Ok(found);
        };
        if head.id != id {
            let Ok(bytes) = i64::try_from(head.bytes) else {
                return Ok(found);
            };
            file.seek_relative(bytes)?;
            continue;
        }
        let mut packed = Vec::new();
        (&mut file).take(head.bytes).read_to_end(&mut packed)?;
        let mut text = String::new();
        if GzDecoder::new(packed.as_slice())
            .take(TEXT_MAX)
            .read_to_string(&mut text)
            .is_err()
        {
            return Ok(found);
        }
        let place = match head.side {
            Side::Input => &mut found[0],
            Side::Output => &mut found[1],
        };
        *place = Some(Found {
            tool: head.tool,
            text,
            cut: head.cut,
        });
    }
}

/// How many bytes of a file of calls are whole records.
pub(super) fn whole_calls(file: &File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let mut whole = 0;
    loop {
        let mut line = Vec::new();
        let head = (&mut file).take(HEAD_MAX).read_until(b'\n', &mut line)?;
        let Ok(Head { bytes, .. }) = serde_json::from_slice(&line) else {
            return Ok(whole);
        };
        let end = (head as u64)
            .checked_add(bytes)
            .and_then(|record| record.checked_add(whole));
        let (Some(end), Ok(bytes)) = (end.filter(|end| *end <= length), i64::try_from(bytes)) else {
            return Ok(whole);
        };
        whole = end;
        file.seek_relative(bytes)?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use pretty_assertions::assert_eq;
    use reveille_backends::Whole;
    use serde_json::json;
    use uuid::Uuid;

    use super::super::{Call, Place, files};
    use super::*;

    const PLACE: Place = Place {
        thread: Uuid::from_u128(1),
        turn: Uuid::from_u128(2),
    };

    fn lines(numbers: std::ops::Range<u32>) -> Vec<Bytes> {
        let line = |n: u32| Bytes::from(format!("{{\"seq\":{n},\"kind\":\"k{n}\"}}"));
        numbers.map(line).collect()
    }

    fn kinds(numbers: std::ops::Range<u32>) -> Vec<Value> {
        numbers.map(|n| json!({ "kind": format!("k{n}") })).collect()
    }

    #[test]
    fn attempts_follow_each_other_and_numbers_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = files::events(dir.path(), PLACE);
        assert_eq!(events(&path).unwrap(), None);
        files::add_events(dir.path(), PLACE, &lines(0..2), &[], false).unwrap();
        let kept = |events, cut| Some(Kept { events, cut });
        assert_eq!(events(&path).unwrap(), kept(kinds(0..2), false));
        files::add_events(dir.path(), PLACE, &lines(2..3), &lines(3..5), true).unwrap();
        assert_eq!(events(&path).unwrap(), kept(kinds(0..5), true));
        // A file that ends in the middle is read as far as it goes.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        let found = events(&path).unwrap().unwrap();
        assert!(found.cut && found.events[..2] == kinds(0..2), "{found:?}");
        std::fs::write(&path, "no such thing").unwrap();
        assert_eq!(events(&path).unwrap(), kept(vec![], true));
    }

    fn call(id: &str, side: Side, text: &str) -> Call {
        Call {
            id: id.into(),
            tool: Some("Bash".into()),
            side,
            whole: Whole {
                text: text.into(),
                cut: text.len() > 5,
            },
        }
    }

    #[test]
    fn a_call_is_found_among_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = files::calls(dir.path(), PLACE);
        assert_eq!(super::call(&path, "a").unwrap(), [None, None]);
        for one in [
            call("a", Side::Input, "in a"),
            call("b", Side::Input, "in b"),
            call("b", Side::Output, "out of b"),
            call(&"x".repeat(1000), Side::Output, "nobody's"),
        ] {
            files::add_call(dir.path(), PLACE, &one, &mut files::Written::default()).unwrap();
        }
        let found = |text: &str, cut| {
            Some(Found {
                tool: Some("Bash".into()),
                text: text.into(),
                cut,
            })
        };
        assert_eq!(super::call(&path, "a").unwrap(), [found("in a", false), None]);
        let both = [found("in b", false), found("out of b", true)];
        assert_eq!(super::call(&path, "b").unwrap(), both);
        assert_eq!(super::call(&path, "c").unwrap(), [None, None]);
        // The last one was not written to its end.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(super::call(&path, "b").unwrap(), [found("in b", false), None]);
    }

    #[test]
    fn a_call_that_was_not_written_to_its_end_hides_none_that_follows() {
        let dir = tempfile::tempdir().unwrap();
        let path = files::calls(dir.path(), PLACE);
        let add = |one: &Call, written: &mut files::Written| files::add_call(dir.path(), PLACE, one, written).unwrap();
        let mut written = files::Written::default();
        add(&call("a", Side::Input, "in a"), &mut written);
        let first = std::fs::metadata(&path).unwrap().len();
        add(&call("b", Side::Input, "in b"), &mut written);
        let whole = std::fs::read(&path).unwrap();
        // Cut off within the text, within the line before it, and not at all.
        for kept in [whole.len() - 3, usize::try_from(first).unwrap() + 5, whole.len()] {
            std::fs::write(&path, &whole[..kept]).unwrap();
            let mut next = files::Written::default();
            add(&call("c", Side::Input, "in c"), &mut next);
            add(&call("c", Side::Output, "out c"), &mut next);
            let there = |id: &str| super::call(&path, id).unwrap().map(|found| found.map(|one| one.text));
            assert_eq!(there("a"), [Some("in a".into()), None]);
            assert_eq!(there("b")[0].is_some(), kept == whole.len());
            assert_eq!(there("c"), [Some("in c".into()), Some("out c".into())]);
        }
    }

    #[test]
    fn what_is_old_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        files::add_events(dir.path(), PLACE, &lines(0..2), &[], false).unwrap();
        files::add_call(
            dir.path(),
            PLACE,
            &call("a", Side::Input, "x"),
            &mut files::Written::default(),
        )
        .unwrap();
        let other = dir.path().join("notes");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("a"), "a").unwrap();
        let now = SystemTime::now();
        assert_eq!(files::sweep(dir.path(), now - Duration::from_secs(60)).unwrap(), 0);
        assert!(files::events(dir.path(), PLACE).is_file());
        assert_eq!(files::sweep(dir.path(), now + Duration::from_secs(60)).unwrap(), 2);
        assert!(!dir.path().join(PLACE.thread.to_string()).exists() && other.join("a").is_file());
        assert_eq!(files::sweep(&dir.path().join("none"), now).unwrap(), 0);
    }
}
