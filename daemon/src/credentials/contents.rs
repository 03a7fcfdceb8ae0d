//! What the file holds. Of it only what is ours is touched; the rest goes back as it came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Layer, names};

/// A credential of Claude Code.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Of whom.
    pub(crate) layer: Layer,
    /// The variable that hands it to the CLI.
    pub(crate) variable: &'static str,
    /// Itself.
    pub(crate) token: String,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("layer", &self.layer)
            .field("variable", &self.variable)
            .finish_non_exhaustive()
    }
}

/// The variables of an agent's turns.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// By name, with the layer that counts.
    pub(crate) set: BTreeMap<String, (Layer, String)>,
    /// Those of the layer for all that the agent's own ones replace.
    pub(crate) overridden: BTreeSet<String>,
    /// Those that somebody has written into the file and that are never given to a turn.
    pub(crate) refused: BTreeSet<String>,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("set", &self.set.keys())
            .field("overridden", &self.overridden)
            .field("refused", &self.refused)
            .finish()
    }
}

/// The slice of Claude Code. What is no text in it counts for nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tokens {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channels: Option<Map<String, Value>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The slice of variables.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Env {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channels: Option<BTreeMap<String, Map<String, Value>>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// All that is in the file.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claude: Option<Tokens>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<Env>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

/// The texts of a layer that are not empty.
fn texts(layer: Option<&Map<String, Value>>) -> impl Iterator<Item = (&str, &str)> {
    let all = layer.into_iter().flatten();
    let texts = all.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    texts.filter(|(_, value)| !value.is_empty())
}

/// Takes a variable out of a layer, and the layer away when it is empty then.
fn take(layer: &mut Option<Map<String, Value>>, name: &str) -> bool {
    let removed = layer.as_mut().is_some_and(|layer| layer.remove(name).is_some());
    layer.take_if(|layer| layer.is_empty());
    removed
}

impl Contents {
    /// Reads it. The error holds nothing of the text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        // Twice, because the place of a mistake is known of the plain form alone.
        let all: Value = serde_json::from_slice(text)
            .map_err(|error| format!("it is no JSON near line {} column {}", error.line(), error.column()))?;
        if !all.is_object() {
            return Err("it holds no object".into());
        }
        serde_json::from_value(all).map_err(|_| {
            "its parts are not `claude: {default, channels: {NAME: TOKEN}}` and `env: {default: {}, channels: {NAME: {}}}`".into()
        })
    }

    /// As it is written.
    pub(super) fn text(&self) -> io::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// The credential of an agent's turns: its own, else the one of all.
    #[must_use]
    pub(crate) fn claude(&self, channel: &str) -> Option<Stored> {
        self.claude_of(Some(channel)).or_else(|| self.claude_of(None))
    }

    /// The credential of one layer.
    #[must_use]
    pub(crate) fn claude_of(&self, channel: Option<&str>) -> Option<Stored> {
        let slice = self.claude.as_ref()?;
        let value = match channel {
            None => slice.default.as_ref(),
            Some(channel) => slice.channels.as_ref()?.get(channel),
        };
        // What was written by hand may have blanks around it.
        let token = value?.as_str()?.trim();
        (!token.is_empty()).then(|| Stored {
            layer: channel.map_or(Layer::Default, |_| Layer::Channel),
            variable: names::variable_of(token),
            token: token.to_owned(),
        })
    }

    /// The agents with a credential of their own.
    #[must_use]
    pub(crate) fn claude_channels(&self) -> Vec<String> {
        let channels = self.claude.as_ref().and_then(|slice| slice.channels.as_ref());
        let names: BTreeSet<&String> = channels.into_iter().flatten().map(|(name, _)| name).collect();
        let set = names
            .into_iter()
            .filter(|name| self.claude_of(Some(name.as_str())).is_some());
        set.cloned().collect()
    }

    pub(super) fn set_claude(&mut self, channel: Option<&str>, token: &str) {
        let slice = self.claude.get_or_insert_default();
        match channel {
            None => slice.default = Some(token.into()),
            Some(channel) => {
                let channels = slice.channels.get_or_insert_default();
                channels.insert(channel.to_owned(), token.into());
            }
        }
    }

    pub(super) fn remove_claude(&mut self, channel: Option<&str>) -> bool {
        let Some(slice) = &mut self.claude else {
            return false;
        };
        let removed = match channel {
            None => slice.default.take(),
            Some(channel) => slice.channels.as_mut().and_then(|channels| channels.remove(channel)),
        };
        removed.is_some()
    }

    fn env_of(&self, channel: Option<&str>) -> Option<&Map<String, Value>> {
        let slice = self.env.as_ref()?;
        match channel {
            None => slice.default.as_ref(),
            Some(channel) => slice.channels.as_ref()?.get(channel),
        }
    }

    /// The variables of an agent's turns: its own before those of all.
    #[must_use]
    pub(crate) fn variables(&self, channel: &str) -> Variables {
        self.layers(&[(Layer::Default, None), (Layer::Channel, Some(channel))])
    }

    /// Those of an agent that has none of its own.
    #[must_use]
    pub(crate) fn variables_of_all(&self) -> Variables {
        self.layers(&[(Layer::Default, None)])
    }

    fn layers(&self, layers: &[(Layer, Option<&str>)]) -> Variables {
        let mut found = Variables::default();
        for &(layer, of) in layers {
            for (name, value) in texts(self.env_of(of)) {
                if names::check(name, value).is_err() {
                    found.refused.insert(names::shown(name).to_owned());
                } else if found.set.insert(name.to_owned(), (layer, value.to_owned())).is_some() {
                    found.overridden.insert(name.to_owned());
                }
            }
        }
        found
    }

    /// Names of one layer, sorted.
    #[must_use]
    pub(crate) fn env_names(&self, channel: Option<&str>) -> Vec<String> {
        let names: BTreeSet<&str> = texts(self.env_of(channel)).map(|(name, _)| name).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Names of all agents with variables of their own.
    #[must_use]
    pub(crate) fn env_channels(&self) -> BTreeMap<String, Vec<String>> {
        let channels = self.env.as_ref().and_then(|slice| slice.channels.as_ref());
        let names = channels.into_iter().flat_map(BTreeMap::keys);
        let all = names.map(|name| (name.clone(), self.env_names(Some(name))));
        all.filter(|(_, names)| !names.is_empty()).collect()
    }

    pub(super) fn set_env(&mut self, channel: Option<&str>, name: &str, value: &str) {
        let slice = self.env.get_or_insert_default();
        let layer = match channel {
            None => slice.default.get_or_insert_default(),
            Some(channel) => {
                let channels = slice.channels.get_or_insert_default();
                channels.entry(channel.to_owned()).or_default()
            }
        };
        layer.insert(name.to_owned(), value.into());
    }

    /// Maps that are empty then go too.
    pub(super) fn remove_env(&mut self, channel: Option<&str>, name: &str) -> bool {
        let Some(slice) = &mut self.env else {
            return false;
        };
        let Some(channel) = channel else {
            return take(&mut slice.default, name);
        };
        let Some(channels) = &mut slice.channels else {
            return false;
        };
        let mut layer = channels.remove(channel);
        let removed = take(&mut layer, name);
        channels.extend(layer.map(|layer| (channel.to_owned(), layer)));
        slice.channels.take_if(|channels| channels.is_empty());
        removed
    }
}
