//! What the operator can do when a sandbox cannot be made.

use std::fs;

/// Looks at the words of bubblewrap, of the launcher or of the shim, and at the machine.
pub(super) fn mend(said: &str) -> String {
    mend_with(said, |path| fs::read_to_string(path).ok()) // silent-ok: not every kernel has every switch.
}

fn mend_with(said: &str, read: impl Fn(&str) -> Option<String>) -> String {
    let has = |word: &str| said.contains(word);
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    let namespaces = has("namespace") || has("uid map") || has("Operation not permitted") || has("Permission denied");
    let text = if has("nknown option") {
        "Install bubblewrap 0.8 or newer"
    } else if has("another version than its file") {
        RESTART
    } else if has("bubblewrap cannot be run") {
        INSTALL
    } else if namespaces && is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor keeps users from making namespaces: give bwrap a profile that allows `userns`, \
         or `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if namespaces && is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "The kernel keeps users from making namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1`"
    } else if namespaces && is("/proc/sys/user/max_user_namespaces", "0") {
        "The kernel keeps users from making namespaces: `sudo sysctl -w user.max_user_namespaces=10000`"
    } else if has("namespace") || has("uid map") {
        "Let the daemon's user make user namespaces; in a container, allow it there too \
         (Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined)"
    } else if has("the program ") {
        "Check that the program is there, and that the sandbox shows what it needs: `sandbox.read` names further places"
    } else {
        "Run `reveille sandbox probe` to see what works"
    };
    text.to_owned()
}

/// For a machine without bubblewrap.
pub(super) const INSTALL: &str = "Install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`), then restart the daemon; \
    or accept the risk with sandbox.mode = \"none\"";
/// For a daemon whose file was replaced.
pub(super) const RESTART: &str = "Restart the daemon";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mend_is_that_of_the_machine() {
        let denied = "setting up uid map: Permission denied";
        let on = |switch: &'static str, value: &'static str| {
            move |path: &str| (path == switch).then(|| format!("{value}\n"))
        };
        let none = |_: &str| None;
        let apparmor = on("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1");
        assert!(mend_with(denied, apparmor).contains("AppArmor"));
        let debian = on("/proc/sys/kernel/unprivileged_userns_clone", "0");
        assert!(mend_with(denied, debian).contains("unprivileged_userns_clone=1"));
        let count = on("/proc/sys/user/max_user_namespaces", "0");
        assert!(mend_with("Creating new namespace failed", count).contains("max_user_namespaces"));
        assert!(mend_with(denied, none).contains("Docker"));
        assert!(mend_with("Unknown option --disable-userns", none).contains("0.8"));
        assert!(mend_with("something else", none).contains("sandbox probe"));
    }
}
