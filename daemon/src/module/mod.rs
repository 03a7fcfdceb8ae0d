//! The daemon as a module of a Parachute hub: its manifest, and the row by which the hub finds it.
//!
//! One name stands everywhere, because the hub looks for a module that it does not know under all of them by the same word.

mod row;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub(crate) use self::row::{RowError, Rows};
use crate::config::{Hub, Mount};
use crate::state_dir::{private_dir, write_private};

/// Row, manifest, scopes and audience.
pub(crate) const NAME: &str = "reveille";

/// Where the hub shows us, unless something else is said.
const MOUNT: &str = "/reveille";

/// The manifest as it comes with the sources: for the usual mount, and started from the path of programs.
const MANIFEST: &str = include_str!("../../module.json");

/// The manifest that comes with the sources.
pub(crate) fn manifest() -> Value {
    serde_json::from_str(MANIFEST).unwrap_or_default() // silent-ok: a test reads it
}

/// Below which path the daemon is served too: where the configuration says, else where the hub shows it, if it is told of us.
pub(crate) fn mount(said: Option<&Mount>, hub: &Hub) -> Mount {
    match said {
        Some(mount) => mount.clone(),
        None if hub.register => Mount::parse(MOUNT).unwrap_or_default(), // silent-ok: it is one, as a test says
        None => Mount::default(),
    }
}

/// What the hub is told.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    /// Where the hub keeps its files.
    pub(crate) home: PathBuf,
    /// A directory of ours, for the manifest.
    pub(crate) dir: PathBuf,
    /// Below which the hub is to show us.
    pub(crate) mount: Mount,
    /// Where we listen.
    pub(crate) port: u16,
    /// How the daemon is started.
    pub(crate) start: Vec<String>,
}

impl Module {
    /// Writes the manifest, then the row that leads to it.
    ///
    /// # Errors
    /// What stands in the way. Nothing of others was changed.
    pub(crate) fn register(&self) -> Result<(), RowError> {
        let unwritten = |source| RowError::Write {
            path: self.dir.clone(),
            source,
        };
        self.write_manifest().map_err(unwritten)?;
        Rows::in_home(&self.home).put(NAME, &self.row())
    }

    /// The hub reads the manifest in the directory that the row names, and wants a package there.
    fn write_manifest(&self) -> io::Result<()> {
        let inner = self.dir.join(".parachute");
        private_dir(&inner)?;
        let package = json!({ "name": NAME, "version": env!("CARGO_PKG_VERSION"), "private": true });
        write_private(&inner.join("module.json"), &pretty(&self.manifest()))?;
        write_private(&self.dir.join("package.json"), &pretty(&package))
    }

    fn manifest(&self) -> Value {
        let mut manifest = manifest();
        manifest["paths"] = json!([self.path()]);
        manifest["uiUrl"] = self.page().into();
        manifest["startCmd"] = json!(self.start);
        manifest
    }

    fn row(&self) -> Value {
        let manifest = manifest();
        let tagline = &manifest["tagline"];
        json!({
            "name": NAME,
            "port": self.port,
            "paths": [self.path()],
            "health": manifest["health"],
            "version": env!("CARGO_PKG_VERSION"),
            "displayName": manifest["displayName"],
            "tagline": tagline,
            "installDir": self.dir,
            "startCmd": self.start,
            "stripPrefix": true,
            "uiUrl": self.page(),
            "uis": { "agents": {
                "displayName": manifest["displayName"], "tagline": tagline, "path": self.page(), "audience": "surface",
            } },
        })
    }

    fn path(&self) -> &str {
        match self.mount.as_str() {
            "" => "/",
            mount => mount,
        }
    }

    fn page(&self) -> String {
        format!("{}/", self.mount.as_str())
    }
}

/// How this daemon is started again on the same state and configuration.
pub(crate) fn start_command(program: &Path, state: &Path, config: Option<&Path>) -> Vec<String> {
    let mut command = vec![program.display().to_string(), "serve".into()];
    command.extend(["--state-dir".into(), state.display().to_string()]);
    if let Some(file) = config {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        command.extend(["--config".into(), file.display().to_string()]);
    }
    command
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_manifest_is_one_that_a_hub_takes() {
        let manifest = manifest();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (text(&manifest["name"]), text(&manifest["manifestName"])),
            (NAME.into(), NAME.into())
        );
        assert_eq!(manifest["port"], 1941);
        assert_eq!(manifest["paths"], json!([MOUNT]));
        assert_eq!(
            mount(
                None,
                &Hub {
                    register: true,
                    ..Hub::default()
                }
            )
            .as_str(),
            MOUNT
        );
        assert_eq!(manifest["uiUrl"], "/reveille/");
        assert!(text(&manifest["health"]).starts_with('/'));
        assert!(["core", "experimental", "deprecated"].contains(&text(&manifest["focus"]).as_str()));
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let own = |scope: &Value| text(scope).starts_with("reveille:");
        assert!(manifest["scopes"]["defines"].as_array().unwrap().iter().all(own));
        let keys = |all: &[Value]| all.iter().map(|one| text(&one["key"])).collect::<Vec<_>>();
        let (events, actions) = (list("events"), list("actions"));
        assert_eq!(keys(&events), ["message.received", "message.sent"]);
        assert!(events.iter().all(|event| !text(&event["title"]).is_empty()));
        assert_eq!(keys(&actions), ["message.deliver", "definition.reload"]);
        for action in &actions {
            assert!(
                own(&action["scope"]) && text(&action["endpoint"]).starts_with('/'),
                "{action}"
            );
            assert_eq!(action["provision"]["type"], "vault-trigger");
        }
        let templates = list("connectionTemplates");
        let events: Vec<String> = templates.iter().map(|one| text(&one["source"]["event"])).collect();
        assert_eq!(events, ["note.created", "note.created", "note.updated"]);
        let targets = |template: &Value| {
            let parameters = template["parameters"].as_array().cloned().unwrap_or_default();
            parameters.iter().map(|one| text(&one["target"])).collect::<Vec<_>>()
        };
        assert_eq!(targets(&templates[0]), ["source.vault", "sink.params.channel"]);
        for template in &templates {
            assert_eq!(
                (text(&template["requestedBy"]), text(&template["sink"]["module"])),
                (NAME.into(), NAME.into())
            );
            assert!(
                keys(&actions).contains(&text(&template["sink"]["action"])),
                "{template}"
            );
        }
    }

    #[test]
    fn the_start_command_leads_to_the_same_daemon() {
        let command = |config| start_command(Path::new("/bin/reveille"), Path::new("/s"), config);
        assert_eq!(command(None), ["/bin/reveille", "serve", "--state-dir", "/s"]);
        assert_eq!(command(Some(Path::new("/c.toml")))[4..], ["--config", "/c.toml"]);
    }
}
