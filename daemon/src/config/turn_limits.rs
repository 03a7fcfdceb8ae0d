//! `[sandbox.limits]`: what one turn may take of the machine.

use reveille_sandbox::Limits;
use serde::{Deserialize, Deserializer, de};

use super::ConfigError;

/// Less does not start the CLI.
const MEMORY_MIN: u64 = 256 << 20;
const PROCESSES_MIN: u64 = 64;
const OPEN_FILES_MIN: u64 = 256;
/// What the kernel knows.
const CPU_WEIGHTS: std::ops::RangeInclusive<u64> = 1..=10_000;
const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    Most(u64),
    Unlimited,
}

impl Memory {
    fn read(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::Unlimited);
        }
        let unit = UNITS
            .iter()
            .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, unit) = unit.unwrap_or((text, 1));
        let number: u64 = number.trim_end().parse().ok()?; // silent-ok: that it is none is the answer
        number.checked_mul(unit).map(Self::Most)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self::Most(bytes)),
            Written::Text(text) => Self::read(&text).ok_or_else(|| {
                de::Error::custom(format!(
                    "{text:?} is no size; write it like \"8GiB\" or \"512MiB\", or \"none\""
                ))
            }),
        }
    }
}

/// `[sandbox.limits]`
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TurnLimits {
    memory: Option<Memory>,
    processes: Option<u64>,
    open_files: Option<u64>,
    cpu_weight: Option<u64>,
}

impl TurnLimits {
    /// What counts on a machine with this much memory. Without a word three quarters of that, so that the daemon and what else
    /// is there has some left.
    #[must_use]
    pub(crate) fn on(self, memory: Option<u64>) -> Limits {
        let usual = Limits::default();
        Limits {
            open_files: self.open_files.unwrap_or(usual.open_files),
            processes: self.processes.unwrap_or(usual.processes),
            memory: match self.memory {
                Some(Memory::Most(bytes)) => Some(bytes),
                Some(Memory::Unlimited) => None,
                None => memory.map(|all| all / 4 * 3),
            },
            cpu_weight: self.cpu_weight.unwrap_or(usual.cpu_weight),
        }
    }

    /// What no turn could live with.
    ///
    /// # Errors
    /// Names the key and the mend.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        let few = |value: Option<u64>, least: u64| value.filter(|value| *value < least);
        let wrong = if let Some(Memory::Most(bytes)) = self.memory
            && bytes < MEMORY_MIN
        {
            format!("memory is {bytes} bytes, and Claude Code does not start with less than 256MiB")
        } else if let Some(few) = few(self.processes, PROCESSES_MIN) {
            format!("processes is {few}, and Claude Code does not start with fewer than {PROCESSES_MIN}")
        } else if let Some(few) = few(self.open_files, OPEN_FILES_MIN) {
            format!("open_files is {few}, and Claude Code does not start with fewer than {OPEN_FILES_MIN}")
        } else if let Some(weight) = self.cpu_weight.filter(|weight| !CPU_WEIGHTS.contains(weight)) {
            format!("cpu_weight is {weight}; write a number from 1 to 10000, where 100 is what other programs have")
        } else {
            return Ok(());
        };
        Err(ConfigError::Wrong {
            origin: "[sandbox.limits]".to_owned(),
            message: wrong,
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn memory_is_read_with_its_unit() {
        for (text, expected) in [
            ("8GiB", Some(Memory::Most(8 << 30))),
            ("512 MiB", Some(Memory::Most(512 << 20))),
            ("1073741824", Some(Memory::Most(1 << 30))),
            ("none", Some(Memory::Unlimited)),
            ("8GB", None),
            ("half", None),
            ("", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(Memory::read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_said_leaves_the_machine_a_quarter_and_the_rest_is_as_usual() {
        let said = |toml: &str| toml::from_str::<TurnLimits>(toml).unwrap();
        let usual = said("").on(Some(16 << 30));
        assert_eq!(
            (usual.memory, usual.processes, usual.cpu_weight),
            (Some(12 << 30), 4096, 50)
        );
        assert_eq!(said("").on(None).memory, None);
        assert_eq!(said("memory = \"none\"").on(Some(16 << 30)).memory, None);
        let own = said("memory = \"2GiB\"\nprocesses = 500\ncpu_weight = 20\nopen_files = 1024").on(Some(1));
        assert_eq!(own.memory, Some(2 << 30));
        assert_eq!((own.processes, own.cpu_weight, own.open_files), (500, 20, 1024));
    }

    #[test]
    fn limits_that_nothing_could_live_with_are_refused() {
        for toml in [
            "memory = \"1MiB\"",
            "processes = 1",
            "open_files = 3",
            "cpu_weight = 0",
            "cpu_weight = 10001",
        ] {
            let told = toml::from_str::<TurnLimits>(toml)
                .unwrap()
                .check()
                .unwrap_err()
                .to_string();
            let key = toml.split(' ').next().unwrap();
            assert!(told.contains("[sandbox.limits]") && told.contains(key), "{told}");
        }
        toml::from_str::<TurnLimits>("memory = 268435456")
            .unwrap()
            .check()
            .unwrap();
    }
}
