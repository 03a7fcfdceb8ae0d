//! Full-text search: the index of words, and listings by rank.

use rusqlite::{Connection, params, params_from_iter};

use super::fault::Fault;
use super::filling::{Check, Filling};
use super::listing::Select;
use super::narrow::Asked;
use super::position::stray;
use crate::store::{Page, Query, VaultError};

/// Bytes of a body that are searched. A longer one is found by its beginning: the writer must not stand still for it.
const INDEXED_BYTES: usize = 1 << 20;

/// Longest text to search for, in bytes.
const TEXT_BYTES: usize = 4_096;

/// Most words of a plain text; FTS5 bounds the depth of its expressions.
const WORDS: usize = 64;

/// The expression that matches nothing.
const NOTHING: &str = "\"\"";

/// So many matches are compared by rank at one time, the newest first: a word that is in every note would take seconds
/// otherwise. Behind them come the next so many.
const RANKED: usize = 1_000;

/// Makes a body findable.
pub(super) fn add(conn: &Connection, seq: i64, content: &str) -> Result<(), Fault> {
    let end = content.floor_char_boundary(INDEXED_BYTES);
    conn.prepare_cached("INSERT INTO notes_fts (rowid, content) VALUES (?1, ?2)")?
        .execute(params![seq, &content[..end]])?;
    Ok(())
}

/// Makes it findable no more.
pub(super) fn remove(conn: &Connection, seq: i64) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM notes_fts WHERE rowid = ?1")?
        .execute([seq])?;
    Ok(())
}

/// The FTS5 expression that `text` is, or else the one that asks for each of its words.
pub(super) fn expression(conn: &Connection, text: &str) -> Result<String, Fault> {
    if text.len() > TEXT_BYTES {
        let message = format!(
            "a text to search for can have {TEXT_BYTES} bytes, this one has {}",
            text.len()
        );
        return Err(VaultError::Invalid(message).into());
    }
    // FTS5 reads up to the first of them.
    let text = text.replace('\0', " ");
    if is_expression(conn, &text)? {
        return Ok(text);
    }
    let words: Vec<_> = text.split_whitespace().map(quoted).collect();
    if words.is_empty() {
        return Ok(NOTHING.to_owned());
    }
    if words.len() > WORDS {
        let message = format!(
            "{WORDS} words can be searched for at one time, these are {}",
            words.len()
        );
        return Err(VaultError::Invalid(message).into());
    }
    Ok(words.join(" "))
}

/// Whether FTS5 understands it.
fn is_expression(conn: &Connection, text: &str) -> Result<bool, Fault> {
    let mut statement = conn.prepare_cached("SELECT rowid FROM fts_syntax WHERE fts_syntax MATCH ?1")?;
    let mut rows = statement.query([text])?;
    match rows.next() {
        Ok(_) => Ok(true),
        // What is wrong with an expression has no code of its own.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A word as FTS5 takes any text. A star at its end goes on meaning every ending.
fn quoted(word: &str) -> String {
    let stem = word.trim_end_matches('*');
    let star = if stem.len() < word.len() && stem.ends_with(char::is_alphanumeric) {
        "*"
    } else {
        ""
    };
    format!("\"{}\"{star}", stem.replace('"', "\"\""))
}

/// A stretch of matches that are compared by rank.
struct Window {
    /// `seq` and rank, the best first.
    matches: Vec<(i64, f64)>,
    /// The newest of them.
    top: i64,
    /// Where the next stretch begins.
    next: Option<i64>,
}

/// Place of a listing by rank: the newest `seq` of a stretch, and how many of it have been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    top: i64,
    answered: usize,
}

impl Place {
    fn cursor(self) -> String {
        format!("r{}.{}", self.top, self.answered)
    }

    fn after(query: &Query) -> Result<Self, VaultError> {
        let Some(cursor) = query.after.as_deref() else {
            return Ok(Self {
                top: i64::MAX,
                answered: 0,
            });
        };
        let parsed = cursor.strip_prefix('r').and_then(|rest| {
            let (top, answered) = rest.split_once('.')?;
            Some(Self {
                top: top.parse().ok()?,
                answered: answered.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| stray(cursor))
    }
}

/// One page, the best match first. A cursor counts within a stretch: a note that is removed meanwhile can make another one
/// be passed over, a new note cannot.
pub(super) fn page(conn: &Connection, asked: &Asked<'_>, expression: &str) -> Result<Page, Fault> {
    let mut place = Place::after(asked.query)?;
    let mut filling = Filling::new(asked.query);
    let mut check = Check::new(asked);
    loop {
        let window = window(conn, asked, expression, &mut check, place.top)?;
        place.top = window.top;
        for (seq, _) in window.matches.iter().skip(place.answered) {
            if filling.is_full() {
                filling.page.next = Some(place.cursor());
                return Ok(filling.page);
            }
            filling.take(conn, *seq)?;
            place.answered += 1;
        }
        match window.next {
            Some(top) => place = Place { top, answered: 0 },
            None => return Ok(filling.page),
        }
    }
}

fn window(
    conn: &Connection,
    asked: &Asked<'_>,
    expression: &str,
    check: &mut Check<'_>,
    top: i64,
) -> Result<Window, Fault> {
    let select = Select::by_rank(conn, asked, expression, top)?;
    let mut statement = conn.prepare_cached(&select.sql)?;
    let mut rows = statement.query(params_from_iter(select.params))?;
    let mut window = Window {
        matches: Vec::new(),
        top,
        next: None,
    };
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        if !check.passes(conn, seq)? {
            continue;
        }
        if window.matches.len() == RANKED {
            window.next = Some(seq);
            break;
        }
        window.matches.push((seq, row.get(1)?));
    }
    window.top = window.matches.first().map_or(top, |(seq, _)| *seq);
    // The sort is stable: of equal ranks the newest stays first.
    window.matches.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    Ok(window)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::embedded::schema;

    #[test]
    fn what_is_no_expression_is_words() {
        let dir = tempfile::tempdir().unwrap();
        let conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
        for (text, expected) in [
            ("apple", "apple"),
            ("app*", "app*"),
            ("apple OR pear", "apple OR pear"),
            ("\"red apple\"", "\"red apple\""),
            ("banana-2", "\"banana-2\""),
            ("apple AND", "\"apple\" \"AND\""),
            ("say \"hi", "\"say\" \"\"\"hi\""),
            ("e.g. app*", "\"e.g.\" \"app\"*"),
            ("what? **", "\"what?\" \"\""),
            ("path:a", "\"path:a\""),
            ("a\0b", "a b"),
        ] {
            assert_eq!(expression(&conn, text).unwrap(), expected, "{text:?}");
        }
        for odd in [
            "", " ", "*", "\"", "-", "(", "^", "NOT", "NEAR(", ":", "{a}", "a:b:c", "'", "?!", "\u{0}", "😀",
        ] {
            let expression = expression(&conn, odd).unwrap();
            assert!(is_expression(&conn, &expression).unwrap(), "{odd:?}: {expression}");
        }
        let many = vec!["it's"; WORDS].join(" ");
        assert!(is_expression(&conn, &expression(&conn, &many).unwrap()).unwrap());
        for wrong in [vec!["it's"; WORDS + 1].join(" "), "x".repeat(TEXT_BYTES + 1)] {
            assert!(matches!(
                expression(&conn, &wrong),
                Err(Fault::Refused(VaultError::Invalid(_)))
            ));
        }
    }
}
