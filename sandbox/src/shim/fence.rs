//! Landlock: a second wall behind the mounts, that holds for the program and all it starts. As much as the kernel knows.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope, path_beneath_rules,
};

/// The newest interface whose rights are asked for; older kernels give what they have.
const NEWEST: ABI = ABI::V6;
/// May be written besides the places of the policy; the mounts say what there is.
const SCRATCH: &[&str] = &["/tmp", "/dev/shm", "/dev/pts"];

/// Reading everywhere but what is hidden, and of that what is shown; writing where the policy says.
pub(super) fn apply(writable: &[OsString], hidden: &[OsString], shown: &[OsString]) -> io::Result<()> {
    rules(writable, hidden, shown).map_err(|error| io::Error::other(format!("Landlock: {error}")))
}

fn rules(writable: &[OsString], hidden: &[OsString], shown: &[OsString]) -> Result<(), landlock::RulesetError> {
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
        .add_rules(path_beneath_rules(["/"], AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(beside(hidden), read))?
        .add_rules(path_beneath_rules(shown, read))?
        .add_rules(path_beneath_rules(["/dev"], use_device))?
        .add_rules(path_beneath_rules(scratch.chain(writable.iter().cloned()), all))?
        .restrict_self()?;
    Ok(())
}

/// Places that together hold everything but what is hidden: those beside it, and beside each directory above it. What comes
/// to be in these directories later is not among them, and so neither is what takes the place of a hidden file or directory:
/// the mount that hides it goes with what it covers. Names can still be listed. A rule holds for all that is below its place
/// at any time: what is moved or mounted into one of the places that are allowed is not kept back.
fn beside(hidden: &[OsString]) -> Vec<PathBuf> {
    let hidden: BTreeSet<&Path> = hidden.iter().map(Path::new).collect();
    let above: BTreeSet<&Path> = hidden.iter().flat_map(|path| path.ancestors().skip(1)).collect();
    if above.is_empty() {
        return vec!["/".into()];
    }
    // silent-ok: what cannot be listed is not shown.
    let entries = above.iter().flat_map(std::fs::read_dir).flatten().flatten();
    entries
        // Where a link leads counts, not the link.
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
        .filter(|path| !hidden.contains(&**path) && !above.contains(&**path))
        .collect()
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
