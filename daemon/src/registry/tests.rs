use reveille_vault::EmbeddedVault;
use reveille_vault::agent::Want;
use serde_json::{Value, json};

use super::*;

struct Desk {
    registry: Registry,
    vaults: Vec<Arc<dyn Vault>>,
    _dir: tempfile::TempDir,
}

fn desk(vaults: &[&str]) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let open =
        |name: &&str| -> Arc<dyn Vault> { EmbeddedVault::open(name, &dir.path().join(format!("{name}.db"))).unwrap() };
    let names: Vec<String> = vaults.iter().map(|&name| name.to_owned()).collect();
    Desk {
        registry: Registry::new(&names, Discovery::Both),
        vaults: vaults.iter().map(open).collect(),
        _dir: dir,
    }
}

fn note(id: &str, second: i64, metadata: Value) -> Note {
    let at = Timestamp::from_second(second).unwrap();
    Note {
        id: NoteId::new(id).unwrap(),
        path: None,
        content: "You work.".into(),
        tags: vec![tag::DEFINITION.into()],
        metadata: serde_json::from_value(metadata).unwrap(),
        created_at: at,
        updated_at: at,
    }
}

impl Desk {
    fn apply(&self, vault: usize, note: &Note) -> Effect {
        self.registry.apply(&self.vaults[vault], &note.id, Some(note))
    }

    fn stale(&self, vault: usize) -> Vec<String> {
        let stale = self.registry.take_stale(self.vaults[vault].name());
        stale.iter().map(ToString::to_string).collect()
    }

    fn stamp(&self, vault: usize, id: &str) -> Stamp {
        let name = self.vaults[vault].name();
        let listed = self.registry.list().into_iter();
        let mut found = listed.filter(|listed| listed.vault == name && listed.note.as_str() == id);
        found.next().unwrap().stamp
    }
}

fn connection(key: &str, status: &str) -> Connection {
    Connection {
        key: key.into(),
        kind: "vault",
        target: "notes".into(),
        status: status.into(),
        grant_id: None,
        reason: None,
    }
}

#[test]
fn what_is_not_approved_makes_a_definition_pending_and_its_agent_runs() {
    let desk = desk(&["v"]);
    // A start does not take back what the note says.
    let wants = json!({"name": "eng", "status": "enabled", "wants": "vault:notes:read env:github"});
    desk.apply(0, &note("a", 1, wants));
    assert_eq!(desk.stale(0), [""; 0]);
    let both = vec![
        connection("vault:notes:read", "pending"),
        connection("env:github", "approved"),
    ];
    desk.registry.connect("eng", both.clone());
    assert_eq!(desk.registry.connections("eng"), both);
    assert_eq!(desk.stale(0), ["a"]);
    let stamp = desk.stamp(0, "a");
    assert_eq!(
        (stamp.status, &*stamp.pending),
        ("pending", &["vault:notes:read".to_owned()][..])
    );
    assert!(stamp.detail.contains("vault:notes:read"), "{}", stamp.detail);
    assert!(desk.registry.get("eng").is_some());
    let due = desk.registry.due("v", &NoteId::new("a").unwrap()).unwrap();
    assert_eq!(due.news[0], ("status", "pending".to_owned()));
    assert_eq!(due.news[2], ("pending", "vault:notes:read".to_owned()));

    // The same again is no news; the approval is.
    desk.registry.connect("eng", both);
    assert_eq!(desk.stale(0), [""; 0]);
    let now = ["vault:notes:read", "env:github"].map(|key| connection(key, "approved"));
    desk.registry.connect("eng", now.to_vec());
    assert_eq!(desk.stale(0), [""; 0]);
    assert_eq!(desk.registry.due("v", &NoteId::new("a").unwrap()), None);
}

#[test]
fn pending_is_written_only_where_it_says_something_or_was_there() {
    let desk = desk(&["v"]);
    desk.apply(0, &note("a", 1, json!({"name": "eng"})));
    desk.apply(
        0,
        &note(
            "b",
            1,
            json!({"name": "ops", "pending": "vault:x:read", "status": "pending"}),
        ),
    );
    let keys = |id: &str| -> Vec<&str> {
        let due = desk.registry.due("v", &NoteId::new(id).unwrap()).unwrap();
        due.news.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys("a"), ["status", "status_detail"]);
    assert_eq!(keys("b"), ["status", "status_detail", "pending"]);
}

#[test]
fn a_definition_that_an_edit_breaks_keeps_its_agent_as_it_was() {
    let desk = desk(&["v"]);
    desk.apply(
        0,
        &note("a", 1, json!({"name": "eng", "model": "sonnet", "status": "enabled"})),
    );
    let broken = note(
        "a",
        1,
        json!({"name": "two words", "model": "opus", "status": "enabled"}),
    );
    desk.apply(0, &broken);
    let agent = desk.registry.get("eng").unwrap();
    assert_eq!(agent.definition.model.as_deref(), Some("sonnet"));
    let stamp = desk.stamp(0, "a");
    assert!(
        stamp.status == "error" && stamp.detail.contains("eng goes on"),
        "{stamp:?}"
    );
    // Nobody else gets the name meanwhile.
    desk.apply(0, &note("b", 2, json!({"name": "eng"})));
    assert_eq!(desk.stamp(0, "b").status, "error");
    // Mended, the note counts.
    desk.apply(0, &note("a", 1, json!({"name": "eng", "model": "opus"})));
    assert_eq!(
        desk.registry.get("eng").unwrap().definition.model.as_deref(),
        Some("opus")
    );
    assert_eq!(desk.stamp(0, "a").status, "enabled");
}

#[test]
fn what_a_broken_edit_takes_away_counts_at_once() {
    let desk = desk(&["v"]);
    desk.apply(0, &note("a", 1, json!({"name": "eng", "defines_agents": "true"})));
    desk.apply(
        0,
        &note(
            "a",
            1,
            json!({"name": "eng", "defines_agents": "no", "paused": "yes", "vault_tools": "off"}),
        ),
    );
    let now = desk.registry.get("eng").unwrap().definition;
    assert_eq!((now.paused, now.defines_agents, now.vault_tools), (true, false, false));
    desk.apply(
        0,
        &note("a", 1, json!({"name": "eng", "defines_agents": "true", "model": "a b"})),
    );
    let now = desk.registry.get("eng").unwrap().definition;
    assert_eq!((now.paused, now.defines_agents, now.vault_tools), (false, true, true));
}

#[test]
fn an_unchanged_definition_is_no_event_and_no_write() {
    let desk = desk(&["v"]);
    let bare = note("a", 1, json!({"name": "eng"}));
    assert_eq!(desk.apply(0, &bare).woken, ["eng"]);
    assert_eq!(desk.stale(0), ["a"]);
    let mut stamped = note("a", 1, json!({"name": "eng", "status": "enabled", "status_detail": ""}));
    stamped.updated_at = Timestamp::from_second(2).unwrap();
    desk.registry.wrote("v", &stamped);
    assert_eq!(desk.registry.due("v", &bare.id), None);
    // Its own word comes back in the change log.
    assert_eq!(desk.apply(0, &stamped), Effect::default());
    assert_eq!(desk.stale(0), [""; 0]);
    // A person takes it away: it is written once more.
    assert_eq!(desk.apply(0, &bare), Effect::default());
    assert_eq!(desk.stale(0), ["a"]);
}

#[test]
fn the_same_note_id_in_two_vaults_is_two_definitions() {
    let desk = desk(&["v", "w"]);
    desk.apply(0, &note("a", 1, json!({"name": "eng"})));
    desk.apply(1, &note("a", 1, json!({"name": "ops"})));
    assert_eq!(desk.registry.names(), ["eng", "ops"]);
    assert_eq!(desk.registry.home("ops").as_deref(), Some("w"));
    let gone = desk.registry.apply(&desk.vaults[0], &NoteId::new("a").unwrap(), None);
    assert_eq!((gone.gone, desk.registry.names()), (true, vec!["ops".to_owned()]));
}

#[test]
fn whoever_waits_for_a_name_says_behind_whom_and_steps_in() {
    let desk = desk(&["v", "w"]);
    for (vault, id, second) in [(1, "z", 1), (0, "b", 3), (0, "a", 2)] {
        desk.apply(vault, &note(id, second, json!({"name": "eng", "status": "enabled"})));
    }
    assert_eq!(desk.registry.home("eng").as_deref(), Some("v"));
    let behind = |vault: usize, id: &str| desk.stamp(vault, id).detail;
    assert!(behind(0, "b").contains("older definition a"), "{}", behind(0, "b"));
    assert!(behind(1, "z").contains("definition a in vault v"), "{}", behind(1, "z"));
    assert_eq!(
        (desk.stale(0), desk.stale(1)),
        (vec!["b".to_owned()], vec!["z".to_owned()])
    );
    desk.registry.apply(&desk.vaults[0], &NoteId::new("a").unwrap(), None);
    assert_eq!(behind(0, "b"), "");
    assert!(behind(1, "z").contains("definition b in vault v"), "{}", behind(1, "z"));
    // An edit that moves no name is told to nobody else.
    desk.stale(1);
    desk.apply(
        0,
        &note("b", 3, json!({"name": "eng", "model": "opus", "status": "enabled"})),
    );
    assert_eq!(desk.stale(1), [""; 0]);
}

fn thread(id: &str, second: i64, metadata: Value) -> Note {
    Note {
        tags: vec![tag::THREAD.into()],
        ..note(id, second, metadata)
    }
}

#[test]
fn ac_167_a_definition_wins_over_a_thread_whenever_it_comes() {
    let desk = desk(&["v", "w"]);
    let of_thread = thread("t", 1, json!({"agent": "eng", "model": "haiku"}));
    assert_eq!(desk.apply(1, &of_thread).woken, ["eng"]);
    let model = || desk.registry.get("eng").unwrap().definition.model.clone();
    assert_eq!(model().as_deref(), Some("haiku"));
    // Nothing is written on a thread, whatever it says.
    assert_eq!((desk.stale(1), desk.registry.due("w", &of_thread.id)), (vec![], None));
    desk.apply(1, &note("d", 2, json!({"name": "eng", "model": "opus"})));
    assert_eq!((model().as_deref(), desk.registry.names().len()), (Some("opus"), 1));
    let stamp = desk.stamp(1, "t");
    assert!(stamp.detail.contains("is taken by the definition d"), "{stamp:?}");
    // Without the definition the thread has the name again, as it is no record of it.
    desk.registry.apply(&desk.vaults[1], &NoteId::new("d").unwrap(), None);
    assert_eq!(model().as_deref(), Some("haiku"));
    let disabled = thread("t", 1, json!({"agent": "eng", "agent_status": "disabled"}));
    assert!(desk.apply(1, &disabled).gone);
    assert!(desk.registry.get("eng").is_none());
}

#[test]
fn ac_155_a_removed_definition_does_not_come_back_by_what_it_has_said() {
    let desk = desk(&["v"]);
    desk.apply(0, &note("d", 1, json!({"name": "eng"})));
    desk.apply(
        0,
        &thread(
            "t",
            2,
            json!({"agent": "eng", "definition": "d", "mode": "single-threaded"}),
        ),
    );
    desk.registry.apply(&desk.vaults[0], &NoteId::new("d").unwrap(), None);
    assert!(desk.registry.get("eng").is_none() && desk.registry.list().is_empty());
}

#[test]
fn ac_166_167_each_way_looks_at_its_own_notes() {
    for (discovery, expected) in [
        (Discovery::Definitions, &["a"][..]),
        (Discovery::Both, &["a", "b"]),
        (Discovery::Threads, &["b"]),
    ] {
        let desk = Desk {
            registry: Registry::new(&["v".to_owned()], discovery),
            ..desk(&["v"])
        };
        desk.apply(0, &note("d", 1, json!({"name": "a"})));
        desk.apply(0, &thread("t", 1, json!({"agent": "b"})));
        assert_eq!(desk.registry.names(), expected);
    }
}

#[test]
fn what_a_broken_edit_takes_off_the_wants_is_off_at_once() {
    let desk = desk(&["v"]);
    desk.apply(0, &note("a", 1, json!({"name": "eng", "wants": "env:x, env:y"})));
    for (wants, expected) in [
        (json!("env:y, env:z"), &["env:y"][..]),
        (json!("garbage"), &["env:x", "env:y"]),
        (json!(null), &[]),
    ] {
        desk.apply(
            0,
            &note("a", 2, json!({"name": "eng", "model": "no model", "wants": wants})),
        );
        let keys: Vec<String> = desk
            .registry
            .get("eng")
            .unwrap()
            .definition
            .wants
            .iter()
            .map(Want::key)
            .collect();
        assert_eq!(keys, expected, "{wants}");
    }
}

#[test]
fn a_broken_edit_leaves_only_the_directories_and_hosts_that_it_names_itself() {
    let mount = |path: &str, mode: &str| json!({"hostPath": path, "mountPath": path, "mode": mode});
    let (data, logs) = (mount("/srv/data", "rw"), mount("/srv/logs", "rw"));
    let first = json!({"name": "eng", "workspace": "/srv/work", "egress": "a.example, b.example",
        "mounts": [data, logs]});
    for (edit, expected) in [
        (
            json!({"workspace": "/srv/work", "egress": "a.example, b.example", "mounts": [data, logs]}),
            "/srv/work | a.example b.example | /srv/data rw, /srv/logs rw",
        ),
        // Nothing of what a broken edit adds counts.
        (
            json!({"workspace": "/srv/other", "egress": "b.example, c.example",
                "mounts": [mount("/srv/data", "ro"), mount("/etc", "rw")]}),
            "none | b.example | /srv/data ro",
        ),
        (json!({}), "none |  | "),
        (
            json!({"workspace": "srv/work", "egress": {"a": 1}, "mounts": "garbage"}),
            "none |  | ",
        ),
    ] {
        let desk = desk(&["v"]);
        desk.apply(0, &note("a", 1, first.clone()));
        let mut broken = edit.clone();
        broken["name"] = json!("eng");
        broken["model"] = json!("no model");
        desk.apply(0, &note("a", 2, broken));
        let now = desk.registry.get("eng").unwrap().definition;
        let mounts: Vec<String> = now
            .mounts
            .iter()
            .map(|mount| format!("{} {}", mount.host_path, mount.mode.as_str()))
            .collect();
        let workspace = now.workspace.as_deref().unwrap_or("none");
        let left = format!("{workspace} | {} | {}", now.egress.join(" "), mounts.join(", "));
        assert_eq!(left, expected, "{edit}");
        // Mended, the note counts.
        desk.apply(0, &note("a", 3, first.clone()));
        assert_eq!(desk.registry.get("eng").unwrap().definition.mounts.len(), 2);
    }
}
