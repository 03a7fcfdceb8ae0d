//! An agent as a text in an editor: front matter with every setting, and the role below.

use std::path::Path;

use reveille_vault::agent::{SETTINGS, Setting};
use reveille_vault::markdown::NoteFile;
use serde_json::{Map, Value, json};

use super::CliError;
use super::agent::text_or_stdin;
use super::client::{Client, segment};
use super::editor::{self, Edited};
use super::output::{out, text};

const NEW: &str = "\
# A new agent. Its role is the text below the second line of dashes.
# To set something, take the `#` in front of its name away. Save and close the file, and the agent is made.
# Nothing is made when the file is empty or as it is now.
";
const PRESENT: &str = "\
# An agent as it is. Its role is the text below the second line of dashes.
# Save and close the file, and what you changed counts from the next turn on; a setting that you take away gets its default.
# Nothing is changed when the file is empty or as it is now.
";

/// A value on one line of front matter that reads back as the same.
fn yaml(key: &str, value: &Value) -> String {
    if let Value::String(text) = value
        && !text.contains('\n')
        && NoteFile::parse(&format!("---\n{key}: {text}\n---\n"))
            .is_ok_and(|read| read.metadata.get(key) == Some(value))
    {
        return text.clone();
    }
    // JSON is YAML.
    value.to_string()
}

/// Front matter with every setting: those of `given` as they are, the others as comments.
fn front_matter(head: &str, given: &Map<String, Value>) -> String {
    let mut lines = format!("---\n{head}");
    for Setting {
        key,
        meaning,
        accepted,
        default,
        example,
    } in SETTINGS
    {
        let default = match *default {
            "required" => default.to_string(),
            other => format!("without it: {other}"),
        };
        lines.push_str(&format!("\n# {meaning}\n#   {accepted}; {default}\n"));
        match given.get(*key) {
            Some(Value::Null) => lines.push_str(&format!("{key}:\n")),
            Some(value) => lines.push_str(&format!("{key}: {}\n", yaml(key, value))),
            None => lines.push_str(&format!("#{key}: {example}\n")),
        }
    }
    lines.push_str("---\n");
    lines
}

/// The text that a new agent begins as.
pub(super) fn template(given: &Map<String, Value>) -> String {
    front_matter(NEW, given) + "\n"
}

/// A saved text: settings and role.
#[derive(Debug, PartialEq)]
struct Saved {
    settings: Map<String, Value>,
    role: String,
}

impl Saved {
    fn read(text: &str) -> Result<Self, CliError> {
        let invalid = |problem: String| CliError::Invalid {
            message: format!("The text cannot be read: {problem}. Nothing was written."),
            problems: vec![problem],
        };
        let file = NoteFile::parse(text).map_err(|trouble| invalid(format!("front matter: {trouble}")))?;
        if file.id.is_some() || file.created.is_some() {
            return Err(invalid("front matter: `id` and `created` are no settings".into()));
        }
        let mut settings = file.metadata;
        settings.retain(|_, value| !value.is_null());
        Ok(Self {
            settings,
            role: file.content,
        })
    }
}

async fn create(client: &Client, written: &str, vault: Option<&str>) -> Result<String, CliError> {
    let mut saved = Saved::read(written)?;
    let name = saved.settings.remove("name").unwrap_or_default();
    // Whatever it is, the daemon says what it should be.
    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    let name = if name == "null" { String::new() } else { name };
    let role = saved.role.trim_matches('\n');
    let body = json!({ "name": name, "prompt": role, "metadata": saved.settings, "vault": vault });
    let made = client.post("/api/agents", &body).await?;
    let name = text(&made["name"]);
    Ok(format!(
        "{name} is ready; send it something: reveille send {name} 'Hello' --wait"
    ))
}

/// Has a new agent written in the editor.
pub(super) async fn new_in_editor(client: &Client, name: Option<&str>, vault: Option<&str>) -> Result<(), CliError> {
    let instead =
        "give --prompt; `reveille agent new --template` prints a text to begin with, and --from FILE takes it";
    let editor = editor::chosen(instead)?;
    if let Some(name) = name
        && client
            .find_one(&format!("/api/agents/{}", segment(name)))
            .await?
            .is_some()
    {
        let message =
            format!("There is an agent {name:?} already. Choose another name, or edit it: reveille agent edit {name}");
        return Err(CliError::Refused { message });
    }
    let given = Map::from_iter([("name".to_owned(), json!(name))]);
    let again = |file: &Path| {
        format!(
            "mend it, and give it with: reveille agent new --from {}",
            file.display()
        )
    };
    let submit = async |text: &str| create(client, text, vault).await;
    match editor::edit(&editor, name.unwrap_or("agent"), template(&given), again, submit).await? {
        Edited::Taken(told) => out!("{told}"),
        Edited::Left => out!("nothing was written, so no agent was made"),
    }
    Ok(())
}

/// Makes an agent of a text.
pub(super) async fn new_from(client: &Client, file: &Path, vault: Option<&str>) -> Result<(), CliError> {
    out!("{}", create(client, &read(file)?, vault).await?);
    Ok(())
}

fn read(file: &Path) -> Result<String, CliError> {
    let read = match file == Path::new("-") {
        true => text_or_stdin("-".into())?,
        false => std::fs::read_to_string(file)
            .map_err(|error| CliError::Failed(format!("{} cannot be read: {error}", file.display())))?,
    };
    Ok(editor::without_remarks(&read))
}

/// A definition as it was when it was opened.
struct Opened {
    agent: String,
    /// Address of the note.
    note: String,
    settings: Map<String, Value>,
    content: String,
    updated_at: Value,
}

impl Opened {
    async fn fetch(client: &Client, agent: &str) -> Result<Self, CliError> {
        let shown = client.get(&format!("/api/agents/{}", segment(agent))).await?;
        let (vault, note) = (text(&shown["vault"]), text(&shown["note_id"]));
        let address = format!("/vault/{}/api/notes/{}", segment(&vault), segment(&note));
        Self::read(client, agent, address).await
    }

    async fn read(client: &Client, agent: &str, address: String) -> Result<Self, CliError> {
        let note = client.get(&address).await?;
        let known = |key: &str| SETTINGS.iter().any(|setting| setting.key == key);
        let metadata = note["metadata"].as_object().into_iter().flatten();
        Ok(Self {
            agent: agent.to_owned(),
            note: address,
            settings: metadata
                .filter(|(key, _)| known(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            content: note["content"].as_str().unwrap_or_default().to_owned(),
            updated_at: note["updatedAt"].clone(),
        })
    }

    /// A file ends with a line end, whether or not the role does.
    fn text(&self) -> String {
        format!("{}{}\n", front_matter(PRESENT, &self.settings), self.content)
    }

    /// What a saved text changes; `None`: nothing.
    fn change(&self, text: &str) -> Result<Option<Value>, CliError> {
        // As the text reads that was offered: a blank setting is none there either.
        let before = Saved::read(&self.text())?;
        let after = Saved::read(text)?;
        if before == after {
            return Ok(None);
        }
        let set = after
            .settings
            .iter()
            .filter(|(key, value)| before.settings.get(*key) != Some(value));
        let mut metadata: Map<String, Value> = set.map(|(key, value)| (key.clone(), value.clone())).collect();
        let taken = before.settings.keys().filter(|key| !after.settings.contains_key(*key));
        metadata.extend(taken.map(|key| (key.clone(), Value::Null)));
        let mut body = json!({ "metadata": metadata, "if_updated_at": self.updated_at });
        if before.role != after.role {
            body["prompt"] = after.role.strip_suffix('\n').unwrap_or(&after.role).into();
        }
        Ok(Some(body))
    }

    async fn submit(&self, client: &Client, saved: &str) -> Result<String, CliError> {
        let Some(mut body) = self.change(saved)? else {
            return Ok(format!("{} is as it was", self.agent));
        };
        // What the daemon wrote on it meanwhile is no reason to refuse a person's work.
        let now = Self::read(client, &self.agent, self.note.clone()).await?;
        if (&now.settings, &now.content) == (&self.settings, &self.content) {
            body["if_updated_at"] = now.updated_at;
        }
        let agent = client
            .patch(&format!("/api/agents/{}", segment(&self.agent)), &body)
            .await?;
        Ok(format!(
            "{} is changed; it counts from the next turn on",
            text(&agent["name"])
        ))
    }
}

/// Has an agent edited in the editor. Whoever changes it meanwhile is not overruled.
pub(super) async fn edit_in_editor(client: &Client, agent: &str) -> Result<(), CliError> {
    let editor = editor::chosen("give --prompt, --prompt-file, --meta or --unset")?;
    let opened = Opened::fetch(client, agent).await?;
    let again = |file: &Path| {
        format!(
            "look at the agent as it is now (reveille agent show {agent}), then give the text with: reveille agent edit {agent} --from {}",
            file.display()
        )
    };
    let submit = async |text: &str| opened.submit(client, text).await;
    match editor::edit(&editor, agent, opened.text(), again, submit).await? {
        Edited::Taken(told) => out!("{told}"),
        Edited::Left => out!("{agent} is as it was"),
    }
    Ok(())
}

/// Makes an agent what a text says, whatever it is now.
pub(super) async fn edit_from(client: &Client, agent: &str, file: &Path) -> Result<(), CliError> {
    let opened = Opened::fetch(client, agent).await?;
    out!("{}", opened.submit(client, &read(file)?).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_template_names_every_setting_and_sets_nothing_but_the_name() {
        let text = template(&object(json!({"name": "scribe"})));
        for setting in SETTINGS {
            assert!(
                text.contains(setting.meaning) && text.contains(setting.accepted),
                "{}",
                setting.key
            );
            assert!(text.contains(&format!("{}: ", setting.key)), "{}", setting.key);
        }
        let saved = Saved::read(&text).unwrap();
        assert_eq!(saved.settings, object(json!({"name": "scribe"})));
        assert_eq!(saved.role.trim(), "");
        assert_eq!(
            Saved::read(&template(&object(json!({"name": null})))).unwrap().settings,
            Map::new()
        );
    }

    #[test]
    fn the_manual_has_every_setting() {
        let manual = include_str!("../../docs/agents.md");
        for setting in SETTINGS {
            let cell = |text: &str| text.replace('|', "\\|");
            let cells = [cell(setting.meaning), cell(setting.accepted), cell(setting.default)];
            let row = format!("| `{}` | {} |\n", setting.key, cells.join(" | "));
            assert!(manual.contains(&row), "daemon/docs/agents.md lacks the row {row}");
        }
    }

    #[test]
    fn every_example_of_the_template_holds() {
        // Each on its own: together some of them would be odd.
        for setting in SETTINGS {
            let text = template(&object(json!({"name": "scribe"})));
            let set = text.replace(&format!("#{}: ", setting.key), &format!("{}: ", setting.key));
            let saved = Saved::read(&(set + "You keep the minutes.\n")).unwrap();
            assert!(saved.settings.contains_key(setting.key), "{}", setting.key);
            let note: reveille_vault::Note = serde_json::from_value(json!({
                "id": "n", "content": saved.role, "tags": ["agent/definition"], "metadata": saved.settings,
                "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            }))
            .unwrap();
            let parsed = reveille_vault::agent::Definition::parse(&note).unwrap();
            assert_eq!(parsed.warnings, [], "{}", setting.key);
            assert!(parsed.given.contains(&setting.key), "{}", setting.key);
        }
    }

    fn opened(settings: Value, content: &str) -> Opened {
        Opened {
            agent: "scribe".into(),
            note: String::new(),
            settings: object(settings),
            content: content.into(),
            updated_at: json!("2026-01-01T00:00:00.000Z"),
        }
    }

    #[test]
    fn whatever_an_agent_has_reads_back_as_it_was() {
        for settings in [
            json!({"name": "scribe", "max_turns": 3, "paused": true, "budget_turn_usd": 0.5}),
            json!({"name": "7", "model": "true", "pause_reason": "a: b # c", "workspace": " /x "}),
            json!({"name": "scribe", "pause_reason": "two\nlines", "egress": ["a", "b"], "wants": "env:github vault:t:read#a"}),
            json!({"name": "scribe", "mounts": [{"hostPath": "/a", "mountPath": "/b", "mode": "ro"}], "uses": "[x"}),
        ] {
            for content in [
                "",
                "You build.",
                "You build.\n",
                "\n\n---\nname: x\n---\n",
                "#! no remark",
            ] {
                let opened = opened(settings.clone(), content);
                let text = opened.text();
                assert_eq!(Saved::read(&text).unwrap().settings, opened.settings, "{text}");
                assert_eq!(editor::without_remarks(&text), text);
                assert_eq!(opened.change(&text).unwrap(), None);
            }
        }
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let opened = opened(
            json!({"name": "scribe", "model": "sonnet", "max_turns": 3}),
            "You build.",
        );
        let text = opened
            .text()
            .replace("model: sonnet\n", "")
            .replace("#mode: ", "mode: ");
        let text = text.replace("You build.", "You test.");
        assert_eq!(
            opened.change(&text).unwrap(),
            Some(
                json!({"metadata": {"model": null, "mode": "single-threaded"}, "prompt": "You test.",
                "if_updated_at": "2026-01-01T00:00:00.000Z"})
            )
        );
    }
}
