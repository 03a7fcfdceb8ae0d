//! `reveille doctor`

use clap::Args;

use super::output::{self, out};
use super::{CliError, Global};
use crate::config::Config;
use crate::doctor::{Check, Ground, Health, Level, claude_of, configuration_check};

/// Check everything that the daemon needs.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What the running daemon says of itself.
async fn health(global: &Global) -> Health {
    let Ok(client) = global.client() else {
        return Health::NoDaemon; // silent-ok: that no daemon runs is no fault
    };
    match client.get("/health").await {
        Ok(health) => Health::Told(health),
        Err(error) => Health::Silent(error.to_string()),
    }
}

impl Doctor {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let state_dir = global.state_dir();
        let (config, read) = match global.config() {
            Ok(config) => (config, configuration_check(None)),
            Err(error) => (Config::default(), configuration_check(Some(&error))),
        };
        let ground = Ground {
            config: &config,
            state_dir: &state_dir,
            health: health(global).await,
            claude: &claude_of(&config, &state_dir),
            own: None,
        };
        let mut checks = vec![read];
        checks.extend(ground.checks().await);
        self.print(&checks);
        match checks.iter().filter(|check| check.level == Level::Error).count() {
            0 => Ok(()),
            errors => Err(CliError::Failed(format!("{errors} of {} checks failed", checks.len()))),
        }
    }

    fn print(&self, checks: &[Check]) {
        if self.json {
            let ok = checks.iter().all(|check| check.level != Level::Error);
            output::json(&serde_json::json!({ "ok": ok, "checks": checks }));
            return;
        }
        for check in checks {
            let mark = match check.level {
                Level::Ok => "ok     ",
                Level::Warning => "warning",
                Level::Error => "ERROR  ",
            };
            out!("{mark}  {}: {}", check.check, output::safe(&check.detail));
            if let Some(mend) = check.mend.as_ref().filter(|_| check.level != Level::Ok) {
                out!("         {mend}");
            }
        }
    }
}
