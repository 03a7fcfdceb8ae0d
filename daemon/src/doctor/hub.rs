//! The hub, where its tokens let in or it is told of the daemon.

use super::{Check, Level, check};
use crate::config::Config;
use crate::hub::Verifier;
use crate::module::{self, Rows};

pub(super) async fn checks(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(verifier) = Verifier::of(&config.hub) {
        let mend = Some(
            "its tokens let nobody in until it answers; start it, or say in `[hub] keys_origin` where it is reached from here",
        );
        checks.push(match verifier.ask().await {
            Ok(keys) => check(
                "hub",
                Level::Ok,
                format!("it tells {keys} keys, and what it has revoked"),
                None,
            ),
            Err(reason) => check("hub", Level::Error, reason, mend),
        });
    }
    if config.hub.register
        && let Some(home) = &config.hub.place.home
    {
        checks.push(match Rows::in_home(home).find(module::NAME) {
            Ok(Some(row)) => check(
                "hub module",
                Level::Ok,
                format!("it is told of the port {}", row["port"]),
                None,
            ),
            Ok(None) => check(
                "hub module",
                Level::Warning,
                format!("{} has no row of ours", home.join("services.json").display()),
                Some("the daemon writes it when it starts"),
            ),
            Err(error) => check(
                "hub module",
                Level::Error,
                error.to_string(),
                Some("mend the file, and start the daemon again"),
            ),
        });
    }
    checks
}
