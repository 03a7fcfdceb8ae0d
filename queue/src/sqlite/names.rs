//! Which note holds which name, and names that move.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{Binding, Renamed, ThreadKey};

pub(super) fn bindings(connection: &Connection) -> Result<Vec<Binding>, Fault> {
    rows::collect(
        connection,
        "SELECT vault, note, channel FROM bindings ORDER BY vault, note",
        [],
        |row| {
            Ok(Binding {
                vault: row.get(0)?,
                note: row.get(1)?,
                channel: rows::channel(row.get(2)?)?,
            })
        },
    )
}

pub(super) fn bind(
    connection: &Connection,
    bindings: &[Binding],
    ids: &dyn Fn() -> Uuid,
) -> Result<Vec<Renamed>, Fault> {
    must_agree(bindings)?;
    let (mut fresh, mut renamed) = (Vec::new(), Vec::new());
    for new in bindings {
        let former = rows::collect(
            connection,
            "SELECT channel FROM bindings WHERE vault = ? AND note = ?",
            params![new.vault, new.note],
            |row| rows::channel(row.get(0)?),
        )?;
        let former = former.into_iter().next();
        if former.as_ref() == Some(&new.channel) || fresh.contains(&new) {
            continue;
        }
        renamed.extend(former.map(|from| Renamed {
            from,
            to: new.channel.clone(),
        }));
        fresh.push(new);
    }
    rename(connection, &renamed, ids)?;
    for new in fresh {
        // Who held the name before holds it no longer, and has no right to what moves in now.
        connection
            .prepare_cached("DELETE FROM bindings WHERE channel = ?1 AND NOT (vault = ?2 AND note = ?3)")?
            .execute(params![new.channel.as_str(), new.vault, new.note])?;
        connection
            .prepare_cached(
                "INSERT INTO bindings (vault, note, channel) VALUES (?, ?, ?) \
                 ON CONFLICT (vault, note) DO UPDATE SET channel = excluded.channel",
            )?
            .execute(params![new.vault, new.note, new.channel.as_str()])?;
    }
    Ok(renamed)
}

/// Two notes under one name would mix their conversations.
fn must_agree(bindings: &[Binding]) -> Result<(), Fault> {
    let (mut notes, mut channels) = (BTreeMap::new(), BTreeMap::new());
    for new in bindings {
        let note = (&new.vault, &new.note);
        let named = channels.insert(&new.channel, note).is_some_and(|other| other != note);
        if named
            || notes
                .insert(note, &new.channel)
                .is_some_and(|other| *other != new.channel)
        {
            return Err(Fault::Refused(format!(
                "two definitions at once share the note {:?} or the name {}",
                new.note, new.channel
            )));
        }
    }
    Ok(())
}

/// All at once: of two that swap their names, each goes on with its own.
fn rename(connection: &Connection, names: &[Renamed], ids: &dyn Fn() -> Uuid) -> Result<(), Fault> {
    let mut moves = Vec::with_capacity(names.len());
    for (number, name) in names.iter().enumerate() {
        let mut from = name.from.to_string();
        if names.iter().any(|other| other.to == name.from) {
            // No channel has a blank in its name.
            let between = format!("moving {number}");
            move_channel(connection, &from, &between, ids)?;
            from = between;
        }
        moves.push((from, &name.to));
    }
    for (from, to) in moves {
        move_channel(connection, &from, to.as_str(), ids)?;
    }
    Ok(())
}

/// Everything of a channel goes on under another name.
fn move_channel(connection: &Connection, from: &str, to: &str, ids: &dyn Fn() -> Uuid) -> Result<(), Fault> {
    let names = params![from, to];
    let clashes: Vec<(Uuid, Uuid)> = rows::collect(
        connection,
        "SELECT mine.id, there.id FROM conversations mine JOIN conversations there ON there.thread = mine.thread \
         WHERE mine.channel = ?1 AND there.channel = ?2",
        names,
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (mine, there) in clashes {
        // Nobody has it, and nobody can guess it.
        let aside = ThreadKey::Single(format!("set-aside-{}", ids())).encode();
        set_aside(connection, there, mine, to, &aside)?;
    }
    for sql in [
        "UPDATE conversations SET channel = ?2 WHERE channel = ?1",
        // Each by the index of its state; those that joined by their leaders, and so before them.
        "UPDATE turns SET channel = ?2 WHERE state = 'joined' AND leader IN \
         (SELECT id FROM turns WHERE channel = ?1 AND state = 'working' \
          UNION ALL SELECT id FROM turns WHERE channel = ?1 AND state = 'waiting')",
        "UPDATE turns SET channel = ?2 WHERE channel = ?1 AND state = 'working'",
        "UPDATE turns SET channel = ?2 WHERE channel = ?1 AND state = 'waiting'",
        "UPDATE turns SET channel = ?2 WHERE channel = ?1 AND settled_at IS NOT NULL",
        "UPDATE OR REPLACE pauses SET channel = ?2 WHERE channel = ?1",
    ] {
        connection.prepare_cached(sql)?.execute(names)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO days (channel, day, turns, nano_usd) SELECT ?2, day, turns, nano_usd FROM days WHERE channel = ?1 \
             ON CONFLICT (day, channel) DO UPDATE SET turns = turns + excluded.turns, \
             nano_usd = min(nano_usd + excluded.nano_usd, ?3)",
        )?
        .execute(params![from, to, i64::MAX])?;
    connection
        .prepare_cached("DELETE FROM days WHERE channel = ?")?
        .execute([from])?;
    Ok(())
}

/// A conversation keeps its identity and, if one runs, its turn; its key is free for the one that comes, and that one gets
/// what waits.
fn set_aside(connection: &Connection, there: Uuid, mine: Uuid, channel: &str, aside: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE conversations SET thread = ?2 WHERE id = ?1")?
        .execute(params![there, aside])?;
    for sql in [
        "UPDATE turns SET conversation = ?2 WHERE state = 'joined' AND leader IN \
         (SELECT id FROM turns WHERE channel = ?3 AND conversation = ?1 AND state = 'waiting')",
        "UPDATE turns SET conversation = ?2, cut_session = NULL WHERE channel = ?3 AND conversation = ?1 \
         AND state = 'waiting'",
    ] {
        connection.prepare_cached(sql)?.execute(params![there, mine, channel])?;
    }
    Ok(())
}

pub(super) fn unbind(connection: &Connection, vault: &str, note: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM bindings WHERE vault = ? AND note = ?")?
        .execute([vault, note])?;
    Ok(())
}
