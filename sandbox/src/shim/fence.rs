//! Landlock: a second wall behind the mounts, that holds for the program and all it starts. As much as the kernel knows.

use std::ffi::OsString;
use std::io;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope, path_beneath_rules,
};

/// The newest interface whose rights are asked for; older kernels give what they have.
const NEWEST: ABI = ABI::V6;
/// May be written besides the places of the policy; the mounts say what there is.
const SCRATCH: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/dev/pts"];

/// Reading everywhere, writing where the policy says.
pub(super) fn apply(writable: &[OsString]) -> io::Result<()> {
    rules(writable).map_err(|error| io::Error::other(format!("Landlock: {error}")))
}

fn rules(writable: &[OsString]) -> Result<(), landlock::RulesetError> {
    let all = AccessFs::from_all(NEWEST);
    let read = AccessFs::from_read(NEWEST);
    // Devices: what is opened for writing and asked, but nothing new is made among them.
    let use_device: BitFlags<AccessFs> = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let scratch = SCRATCH.iter().map(OsString::from);
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(["/"], read))?
        .add_rules(path_beneath_rules(["/dev"], use_device))?
        .add_rules(path_beneath_rules(scratch.chain(writable.iter().cloned()), all))?
        .restrict_self()?;
    Ok(())
}

/// Version of the kernel's interface that is used; 0 when there is none.
pub(super) fn version() -> u32 {
    use landlock::LandlockStatus::{Available, NotEnabled, NotImplemented};
    let asked = Ruleset::default()
        .handle_access(AccessFs::Execute)
        .and_then(Ruleset::create)
        .and_then(|created| created.add_rules(path_beneath_rules(["/"], AccessFs::Execute)))
        .and_then(landlock::RulesetCreated::restrict_self);
    match asked.map(|status| status.landlock) {
        Ok(Available {
            effective_abi,
            kernel_abi,
        }) => kernel_abi.map_or(effective_abi as u32, i32::unsigned_abs),
        Ok(NotEnabled | NotImplemented) | Err(_) => 0,
    }
}
