//! Agents that live in a folder of Markdown files: the compiled daemon, and a person with an editor.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use reveille_tests::daemon::LIMIT;
use reveille_tests::{Daemon, eventually};
use serde_json::Value;

const DEFINITION: &str =
    "---\n# The one who helps\ntags: [agent/definition]\nname: uni\n---\nYou do as you are told.\n";

/// A folder with one agent, and a daemon whose only vault it is.
struct House {
    dir: tempfile::TempDir,
    daemon: Daemon,
}

impl House {
    async fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let notes = dir.path().join("My notes");
        fs::create_dir_all(notes.join("Agents"))?;
        fs::create_dir_all(notes.join("Inbox"))?;
        fs::write(notes.join("Agents/uni.md"), DEFINITION)?;
        let config = format!(
            "[vault]\nname = \"notes\"\nkind = \"folder\"\npath = {:?}\n",
            notes.display().to_string()
        );
        let daemon = Daemon::builder().stand_in().config(&config).start().await?;
        Ok(Self { dir, daemon })
    }

    fn notes(&self) -> PathBuf {
        self.dir.path().join("My notes")
    }

    /// Drops a message the way a file manager does.
    fn drop_message(&self, name: &str, text: &str) -> Result<()> {
        let file = format!("---\ntags:\n  - \"#agent/message/inbound\"\nagent: uni\n---\n{text}\n");
        Ok(fs::write(self.notes().join("Inbox").join(name), file)?)
    }

    /// The files of the vault with this text in them, by name.
    fn files_with(&self, text: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut dirs = vec![self.notes()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir)? {
                let path = entry?.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if let Ok(content) = fs::read_to_string(&path)
                    && content.contains(text)
                {
                    let name = path.strip_prefix(self.notes())?.display().to_string();
                    found.push((name, content));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Waits until there are that many replies; answers their texts.
    async fn replies(&self, count: usize) -> Result<Vec<(String, String)>> {
        eventually(&format!("{count} replies"), LIMIT, async || {
            let found = self.files_with("- agent/message/outbound")?;
            Ok((found.len() == count).then_some(found))
        })
        .await
    }
}

/// The way of editors that write a new file and put it in the place of the old one.
fn save(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("md.new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, path)?)
}

#[tokio::test]
async fn a_file_in_the_inbox_wakes_the_agent_and_the_reply_is_a_file() -> Result<()> {
    let mut house = House::new().await?;
    house.drop_message("Hello there.md", "Say hello")?;
    let replies = house.replies(1).await?;
    assert!(replies[0].0.starts_with("channel/uni/"), "{replies:?}");
    assert!(
        replies[0].1.contains("agent: uni") && replies[0].1.contains("in_reply_to:"),
        "{replies:?}"
    );
    eventually("the thread says how it went", LIMIT, async || {
        let threads = house.files_with("- agent/thread")?;
        let done = threads
            .iter()
            .any(|(name, text)| name.starts_with("Threads/uni/") && text.contains("status: ok"));
        Ok(done.then_some(()))
    })
    .await?;

    // A person's definition has its status and its id, and is otherwise as it was.
    eventually("the definition says that it is in use", LIMIT, async || {
        let text = fs::read_to_string(house.notes().join("Agents/uni.md"))?;
        Ok(text.contains("status: enabled").then_some(()))
    })
    .await?;
    let text = fs::read_to_string(house.notes().join("Agents/uni.md"))?;
    let (before, body) = text.rsplit_once("\n---\n").context("front matter")?;
    let (known, _) = DEFINITION.rsplit_once("\n---\n").context("front matter")?;
    assert!(
        before.starts_with(known) && body == "You do as you are told.\n",
        "{text}"
    );

    // A restart answers nothing again; a message of the time in between is answered once.
    house.daemon.stop().await?;
    house.drop_message("While away.md", "Still there?")?;
    house.daemon.start().await?;
    house.replies(2).await?;
    house.drop_message("After.md", "And now?")?;
    house.replies(3).await?;
    house.daemon.restart().await?;
    house.drop_message("Last.md", "The last one")?;
    house.replies(4).await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_is_changed_in_an_editor_and_copies_wake_nobody() -> Result<()> {
    let house = House::new().await?;
    let agents = async || house.daemon.agents().await;
    let named = |agents: &[Value], name: &str| agents.iter().any(|agent| agent["name"] == name);
    eventually("the agent is there", LIMIT, async || {
        Ok(named(&agents().await?, "uni").then_some(()))
    })
    .await?;

    let file = house.notes().join("Agents/uni.md");
    let edited = || -> Result<String> { Ok(fs::read_to_string(&file)?.replace("name: uni", "name: ops")) };
    save(&file, &edited()?)?;
    eventually("the agent has its new name", LIMIT, async || {
        let agents = agents().await?;
        Ok((named(&agents, "ops") && !named(&agents, "uni")).then_some(()))
    })
    .await?;

    // Two machines had changed it: the program for synchronisation has kept both.
    let copy = house
        .notes()
        .join("Agents/uni.sync-conflict-20261125-101010-ABCDEFG.md");
    fs::write(&copy, fs::read_to_string(&file)?.replace("name: ops", "name: other"))?;
    let message = "---\nid: m1\ntags: [agent/message/inbound]\nagent: ops\n---\nOnce, please\n";
    fs::write(house.notes().join("Inbox/m.md"), message)?;
    house.replies(1).await?;
    fs::copy(house.notes().join("Inbox/m.md"), house.notes().join("Inbox/m copy.md"))?;
    // Whoever comes later is answered; the copy was seen before.
    eventually("the copy is a note", LIMIT, async || {
        house.daemon.note_in("notes", "Inbox/m copy").await
    })
    .await?;
    fs::write(house.notes().join("Inbox/n.md"), message.replace("id: m1\n", ""))?;
    house.replies(2).await?;
    assert!(!named(&agents().await?, "other"));
    Ok(())
}

#[tokio::test]
async fn a_folder_that_goes_and_comes_loses_no_reply() -> Result<()> {
    let mut house = House::new().await?;
    house.drop_message("one.md", "One")?;
    house.replies(1).await?;
    let away = house.dir.path().join("away");
    house.daemon.stop().await?;
    fs::rename(house.notes(), &away)?;
    house.daemon.start().await?;
    eventually("the trouble is told", LIMIT, async || {
        let health = house.daemon.ask_in("GET", "/health", b"").await?.json()?;
        Ok(health.to_string().contains("is not there").then_some(()))
    })
    .await?;
    fs::rename(&away, house.notes())?;
    house.drop_message("two.md", "Two")?;
    house.replies(2).await?;
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_changed_hold_up_no_message() -> Result<()> {
    let house = House::new().await?;
    house.drop_message("before.md", "Before")?;
    house.replies(1).await?;
    // Front matter in braces can be read, but not changed key by key.
    let message = |agent: &str| format!("---\n{{tags: [agent/message/inbound], agent: {agent}}}\n---\nHello\n");
    fs::write(house.notes().join("Inbox/nobody.md"), message("nobody"))?;
    fs::write(house.notes().join("Inbox/no name.md"), message("\"no name\""))?;
    let definition = "---\n{tags: [agent/definition], name: \"no name\"}\n---\nA role\n";
    fs::write(house.notes().join("Agents/braces.md"), definition)?;
    eventually("all three are notes", LIMIT, async || {
        for path in ["Inbox/nobody", "Inbox/no name", "Agents/braces"] {
            if house.daemon.note_in("notes", path).await?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    house.drop_message("after.md", "After")?;
    house.replies(2).await?;
    assert_eq!(fs::read_to_string(house.notes().join("Agents/braces.md"))?, definition);
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_used_again_is_another_message() -> Result<()> {
    let house = House::new().await?;
    // What editors call a new note.
    let file = house.notes().join("Inbox/Untitled.md");
    let drop = |text: &str| house.drop_message("Untitled.md", text);
    let remove = async || {
        fs::remove_file(&file)?;
        eventually("the note is gone", LIMIT, async || {
            let note = house.daemon.note_in("notes", "Inbox/Untitled").await?;
            Ok(note.is_none().then_some(()))
        })
        .await
    };
    drop("The first question")?;
    house.replies(1).await?;
    remove().await?;
    drop("The second question")?;
    house.replies(2).await?;
    remove().await?;
    drop("The third question")?;
    house.replies(3).await?;
    // A program for synchronisation takes a file away and brings it back.
    remove().await?;
    drop("The third question")?;
    house.drop_message("Last.md", "The last question")?;
    house.replies(4).await?;
    Ok(())
}

/// Overwrites a file, as a broken disk does.
fn damage(file: &Path) -> Result<()> {
    let len = usize::try_from(fs::metadata(file)?.len())?;
    Ok(fs::write(file, vec![0x5a; len])?)
}

#[tokio::test]
async fn a_damaged_index_is_made_anew_and_nothing_is_answered_again() -> Result<()> {
    let mut house = House::new().await?;
    house.drop_message("one.md", "One")?;
    house.drop_message("two.md", "Two")?;
    house.replies(2).await?;
    house.daemon.stop().await?;
    house.drop_message("while away.md", "Three")?;
    damage(&house.daemon.state_dir().join("vaults/notes.folder.db"))?;
    house.daemon.start().await?;
    house.replies(3).await?;
    house.drop_message("after.md", "Four")?;
    house.replies(4).await?;
    let health = house.daemon.ask_in("GET", "/health", b"").await?.json()?;
    anyhow::ensure!(!health.to_string().contains("damaged"), "{health}");
    anyhow::ensure!(house.daemon.log()?.contains("the index was damaged and is made anew"));
    Ok(())
}
