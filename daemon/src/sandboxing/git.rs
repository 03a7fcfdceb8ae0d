//! What decides which programs git runs. Whoever uses a repository next runs them, outside of every sandbox.

use std::path::{Path, PathBuf};

use reveille_sandbox::Policy;

/// A repository's own directory.
pub(super) const GIT: &str = ".git";
/// What is in it that names programs.
const OBEYED: [&str; 2] = ["config", "hooks"];

/// In the repository whose top a writable place is, an agent reads its configuration and its hooks, and does everything else.
/// Links are left alone, and so is what is not there.
pub(super) fn protect(policy: &mut Policy, place: &Path) {
    let dir = place.join(GIT);
    let is_itself = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| !meta.is_symlink());
    if !(is_itself(&dir) && dir.is_dir()) {
        return;
    }
    let obeyed: Vec<PathBuf> = OBEYED
        .map(|name| dir.join(name))
        .into_iter()
        .filter(is_itself)
        .collect();
    policy.straight.extend(obeyed.iter().chain([&dir]).cloned());
    policy.readable.extend(obeyed);
    // A mount of its own: nobody moves it away to put another one in its place.
    policy.writable.push(dir);
}
