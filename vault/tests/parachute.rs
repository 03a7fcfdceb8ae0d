//! The Parachute kind, against a double of the server: the contract that every kind keeps, and what only a peer can show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this is test code, the helpers too"
)]

#[allow(dead_code, reason = "files are other here than in the contract")]
mod contract;
#[path = "parachute/damage.rs"]
mod damage;
#[allow(dead_code, unreachable_pub, reason = "the end-to-end tests use the rest of it")]
#[path = "../../tests/src/parachute/mod.rs"]
mod double;
#[path = "parachute/first.rs"]
mod first;
#[path = "parachute/house.rs"]
mod house;
#[path = "parachute/outage.rs"]
mod outage;
#[path = "parachute/rows.rs"]
mod rows;
#[path = "parachute/scan.rs"]
mod scan;

/// The contract, with each version of the server.
mod may {
    use crate::contract::{Subject, vault_contract};
    use crate::double::Version;

    async fn subject() -> Subject {
        crate::house::subject(Version::May)
    }

    vault_contract!(subject);
}

mod july {
    use crate::contract::{Subject, vault_contract};
    use crate::double::Version;

    async fn subject() -> Subject {
        crate::house::subject(Version::July)
    }

    vault_contract!(subject);
}
