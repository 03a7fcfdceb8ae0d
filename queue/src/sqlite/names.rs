//! Which note holds which name, and names that move.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{Fault, rows};
use crate::model::{Binding, ChannelName, Renamed, ThreadKey};

pub(super) fn bindings(connection: &Connection) -> Result<Vec<Binding>, Fault> {
    rows::collect(
        connection,
        "SELECT vault, note, channel FROM bindings ORDER BY vault, note",
        [],
        binding,
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
    let strangers = strangers(connection, &fresh, &renamed)?;
    rename(connection, &renamed, ids)?;
    for stranger in strangers {
        part(connection, &stranger, ids)?;
    }
    for name in &renamed {
        connection
            .prepare_cached("DELETE FROM holders WHERE channel = ?")?
            .execute([name.from.as_str()])?;
    }
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
        connection
            .prepare_cached("INSERT OR REPLACE INTO holders (channel, vault, note) VALUES (?, ?, ?)")?
            .execute(params![new.channel.as_str(), new.vault, new.note])?;
    }
    Ok(renamed)
}

pub(super) fn holder(connection: &Connection, channel: &ChannelName) -> Result<Option<Binding>, Fault> {
    let found = rows::collect(
        connection,
        "SELECT vault, note, channel FROM holders WHERE channel = ?",
        [channel.as_str()],
        binding,
    )?;
    Ok(found.into_iter().next())
}

fn binding(row: &Row<'_>) -> Result<Binding, Fault> {
    Ok(Binding {
        vault: row.get(0)?,
        note: row.get(1)?,
        channel: rows::channel(row.get(2)?)?,
    })
}

/// A conversation of a note that has its channel no longer.
struct Stranger {
    id: Uuid,
    channel: ChannelName,
    thread: String,
}

/// What stands under the names that notes get which others had before, and does not move away with those.
fn strangers(connection: &Connection, fresh: &[&Binding], renamed: &[Renamed]) -> Result<Vec<Stranger>, Fault> {
    let mut strangers = Vec::new();
    for new in fresh {
        let before = holder(connection, &new.channel)?;
        let other = before.is_some_and(|before| before != **new);
        if !other || renamed.iter().any(|name| name.from == new.channel) {
            continue;
        }
        strangers.extend(rows::collect(
            connection,
            "SELECT id, channel, thread FROM conversations WHERE channel = ? ORDER BY seq",
            [new.channel.as_str()],
            |row| {
                Ok(Stranger {
                    id: row.get(0)?,
                    channel: rows::channel(row.get(1)?)?,
                    thread: row.get(2)?,
                })
            },
        )?);
    }
    Ok(strangers)
}

/// Nobody goes on with the conversation. What waits in it begins a new one, or joins the one that came under its key.
fn part(connection: &Connection, stranger: &Stranger, ids: &dyn Fn() -> Uuid) -> Result<(), Fault> {
    let Stranger { id, channel, thread } = stranger;
    let former = ThreadKey::former(ids()).encode();
    let keyed = connection
        .prepare_cached("UPDATE conversations SET thread = ?2 WHERE id = ?1 AND thread = ?3")?
        .execute(params![id, former, thread])?;
    if keyed == 0 {
        // One that came has its key already, and its line.
        connection
            .prepare_cached("UPDATE conversations SET thread = ?2 WHERE id = ?1")?
            .execute(params![id, former])?;
        return Ok(());
    }
    let waits: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM turns WHERE channel = ? AND conversation = ? AND state = 'waiting')",
        )?
        .query_row(params![channel.as_str(), id], |row| row.get(0))?;
    if waits {
        let fresh = ids();
        connection
            .prepare_cached("INSERT INTO conversations (id, channel, thread) VALUES (?, ?, ?)")?
            .execute(params![fresh, channel.as_str(), thread])?;
        hand_over(connection, *id, fresh, channel.as_str())?;
    }
    Ok(())
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
    hand_over(connection, there, mine, channel)
}

/// What waits in one conversation waits in another one.
fn hand_over(connection: &Connection, there: Uuid, mine: Uuid, channel: &str) -> Result<(), Fault> {
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
