//! Whether the credentials that are to stay outside of turns can.

use super::{Check, Level, check};
use crate::claude::Claude;
use crate::config::Sandbox;

/// Nothing where none is to.
pub(super) fn checks(config: &Sandbox, claude: &Claude) -> Vec<Check> {
    let whose = config.shielded();
    if whose.is_empty() {
        return Vec::new();
    }
    // The empty name is that of no agent: it has what is stored for all.
    let told = whose.into_iter().filter_map(|whose| {
        let failure = claude.shield_problem(whose.unwrap_or_default())?;
        let of = whose.map_or("turns".to_owned(), |name| format!("turns of {name}"));
        let detail = format!("{of} are refused: {}", failure.message);
        Some(check("shield", Level::Error, detail, Some(&failure.next_step)))
    });
    let told: Vec<Check> = told.collect();
    match told.is_empty() {
        false => told,
        true => vec![check(
            "shield",
            Level::Ok,
            "the credential stays outside of turns",
            None,
        )],
    }
}
