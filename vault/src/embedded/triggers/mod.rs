//! Triggers of the embedded vault: the rows of a delivery are written in the transaction of the note that it tells of.

mod deliveries;
mod rows;

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::fault::Fault;
use super::read::Stored;
use super::{EmbeddedVault, files};
use crate::attachment::Attachment;
use crate::note::{Note, millis};
use crate::store::VaultError;
use crate::triggers::{
    Delivery, DeliveryFilter, DueNow, Event, NewTrigger, Outcome, PutTrigger, Trigger, Triggers, When, told_elsewhere,
};

/// The connection of the writer inside a savepoint, with what the writer knows of triggers.
pub(super) struct Tx<'a> {
    conn: &'a Connection,
    /// `None`: what is written fires nothing.
    known: Option<&'a Known>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(conn: &'a Connection, known: &'a Known) -> Self {
        Self {
            conn,
            known: Some(known),
        }
    }

    /// The same for writes that no trigger shall see.
    fn quiet(&self) -> Tx<'_> {
        Tx {
            conn: self.conn,
            known: None,
        }
    }

    /// The triggers have changed.
    fn changed(&self) {
        if let Some(known) = self.known {
            known.forget();
            known.told.set(true);
        }
    }

    /// Something may be due.
    fn tell(&self) {
        if let Some(known) = self.known {
            known.told.set(true);
        }
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

/// A trigger as the writer needs it.
#[derive(Debug)]
struct Rule {
    seq: i64,
    name: String,
    events: Vec<Event>,
    when: When,
}

impl Rule {
    fn asks_for(&self, event: Event, note: &Note) -> bool {
        self.events.contains(&event)
            && self.when.holds(note)
            && (event == Event::Updated || !told_elsewhere(&self.name, note))
    }
}

/// What the writer's thread knows of triggers, so that a write that none of them asks for costs no look into the file.
pub(super) struct Known {
    rules: RefCell<Option<Rc<[Rule]>>>,
    /// Something may be due once this is committed.
    told: Cell<bool>,
    watch: watch::Sender<u64>,
}

impl Known {
    pub(super) fn new(watch: watch::Sender<u64>) -> Self {
        Self {
            rules: RefCell::new(None),
            told: Cell::new(false),
            watch,
        }
    }

    /// After each commit, and after each one that failed.
    pub(super) fn after(&self, committed: bool) {
        if !committed {
            // They may be those of the transaction that is no more.
            self.forget();
        }
        if self.told.take() {
            self.watch.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// After a write was undone: they may be those that it had made.
    pub(super) fn forget(&self) {
        self.rules.replace(None);
    }

    fn rules(&self, conn: &Connection) -> Result<Rc<[Rule]>, Fault> {
        if let Some(rules) = &*self.rules.borrow() {
            return Ok(Rc::clone(rules));
        }
        let rules: Rc<[Rule]> = rows::rules(conn)?.into();
        self.rules.replace(Some(Rc::clone(&rules)));
        Ok(rules)
    }
}

/// Leaves a delivery for each trigger that asks for this write of the note.
pub(super) fn fire(tx: &Tx<'_>, seq: i64, note: &Note, event: Event, now: Timestamp) -> Result<(), Fault> {
    let Some(known) = tx.known else { return Ok(()) };
    let mut told = None;
    for rule in known.rules(tx)?.iter().filter(|rule| rule.asks_for(event, note)) {
        let told = match &mut told {
            Some(told) => told,
            none => none.insert(form(tx, seq, note)?),
        };
        let body = json!({ "trigger": rule.name, "event": event, "note": told });
        insert(tx, rule, note, event, &body.to_string(), now)?;
        tx.tell();
    }
    Ok(())
}

fn insert(tx: &Tx<'_>, rule: &Rule, note: &Note, event: Event, body: &str, now: Timestamp) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO deliveries (id, trigger, note_id, event, state, next_at, created_at, body) \
                       SELECT ?1, ?2, ?3, ?4, 'waiting', iif(EXISTS (SELECT 1 FROM deliveries \
                       WHERE trigger = ?2 AND note_id = ?3 AND state = 'waiting'), NULL, ?5), ?5, ?6";
    tx.prepare_cached(SQL)?.execute(params![
        Uuid::now_v7().to_string(),
        rule.seq,
        note.id.as_str(),
        event.as_str(),
        now.as_millisecond(),
        body
    ])?;
    Ok(())
}

/// The note as receivers know it: with its metadata also when there is none, and with its attachments.
fn form(conn: &Connection, seq: i64, note: &Note) -> Result<Value, Fault> {
    let stored = Stored {
        seq,
        note: note.clone(),
    };
    let attachments: Vec<Value> = files::of_note(conn, &stored)?.iter().map(attachment).collect();
    let mut form = json!({
        "id": note.id,
        "content": note.content,
        "tags": note.tags,
        "metadata": note.metadata,
        "attachments": attachments,
        "createdAt": millis::format(note.created_at),
        "updatedAt": millis::format(note.updated_at),
    });
    if let Some(path) = &note.path {
        form["path"] = path.as_str().into();
    }
    Ok(form)
}

fn attachment(attachment: &Attachment) -> Value {
    json!({
        "id": attachment.id,
        "noteId": attachment.note,
        "path": attachment.path,
        "filename": attachment.filename,
        "mimeType": attachment.mime_type,
        "size": attachment.size,
        "createdAt": millis::format(attachment.created_at),
    })
}

#[async_trait]
impl Triggers for EmbeddedVault {
    async fn put(&self, trigger: NewTrigger) -> Result<PutTrigger, VaultError> {
        self.write(move |tx, now| rows::put(tx, trigger, now)).await
    }

    async fn list(&self) -> Result<Vec<Trigger>, VaultError> {
        self.readers.run(rows::list).await
    }

    async fn find(&self, name: &str) -> Result<Option<Trigger>, VaultError> {
        let name = name.to_owned();
        self.readers.run(move |conn| rows::find(conn, &name)).await
    }

    async fn enable(&self, name: &str, enabled: bool) -> Result<Option<Trigger>, VaultError> {
        let name = name.to_owned();
        self.write(move |tx, now| rows::enable(tx, &name, enabled, now)).await
    }

    async fn remove(&self, name: &str) -> Result<bool, VaultError> {
        let name = name.to_owned();
        self.write(move |tx, _| rows::remove(tx, &name)).await
    }

    async fn deliveries(&self, name: &str, filter: DeliveryFilter) -> Result<Vec<Delivery>, VaultError> {
        let name = name.to_owned();
        self.readers
            .run(move |conn| deliveries::list(conn, &name, &filter))
            .await
    }

    async fn redrive(&self, name: &str, ids: Option<Vec<String>>) -> Result<u64, VaultError> {
        let name = name.to_owned();
        self.write(move |tx, now| deliveries::redrive(tx, &name, ids.as_deref(), now))
            .await
    }

    async fn due(&self, lanes: usize, busy: Vec<(String, String)>) -> Result<DueNow, VaultError> {
        let now = (self.clock)();
        self.readers
            .run(move |conn| deliveries::due(conn, lanes, &busy, now))
            .await
    }

    async fn settle(&self, id: &str, outcome: Outcome) -> Result<(), VaultError> {
        let id = id.to_owned();
        self.write(move |tx, now| deliveries::settle(tx, &id, outcome, now))
            .await
    }

    async fn prune(&self) -> Result<u64, VaultError> {
        self.write(deliveries::prune).await
    }

    async fn dead(&self) -> Result<u64, VaultError> {
        self.readers.run(deliveries::dead).await
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.deliveries.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::embedded::schema;
    use crate::triggers::Secret;

    fn names(known: &Known, conn: &Connection) -> Vec<String> {
        let rules = known.rules(conn).unwrap();
        rules.iter().map(|rule| rule.name.clone()).collect()
    }

    fn new(name: &str) -> NewTrigger {
        NewTrigger {
            name: name.into(),
            events: vec![Event::Created],
            when: When::default(),
            webhook: "http://127.0.0.1:1/".into(),
            timeout: Duration::from_secs(1),
            bearer: None,
            secret: Secret::new("s"),
            rotate: false,
            enabled: None,
        }
    }

    #[test]
    fn a_trigger_of_a_failed_commit_is_not_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
        let (sender, mut wake) = watch::channel(0);
        let known = Known::new(sender);
        let at = Timestamp::UNIX_EPOCH;
        rows::put(&Tx::new(&conn, &known), new("kept"), at).unwrap();
        known.after(true);
        wake.borrow_and_update();

        let tx = conn.transaction().unwrap();
        rows::put(&Tx::new(&tx, &known), new("lost"), at).unwrap();
        assert_eq!(names(&known, &tx), ["kept", "lost"]);
        tx.rollback().unwrap();
        known.after(false);
        assert_eq!(names(&known, &conn), ["kept"]);
    }

    #[test]
    fn a_write_that_nobody_asks_for_needs_no_look_at_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let conn = schema::open_writer(&dir.path().join("v.db")).unwrap();
        let known = Known::new(watch::Sender::new(0));
        assert_eq!(names(&known, &conn), Vec::<String>::new());
        // From here on nothing of triggers can be read or written.
        conn.execute_batch("DROP TABLE deliveries; DROP TABLE triggers")
            .unwrap();
        let note = Note {
            id: crate::note::NoteId::generate(),
            path: None,
            content: "x".into(),
            tags: Vec::new(),
            metadata: crate::note::Metadata::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        fire(&Tx::new(&conn, &known), 1, &note, Event::Created, Timestamp::UNIX_EPOCH).unwrap();
    }
}
