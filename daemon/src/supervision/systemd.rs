//! The unit for systemd.

use super::Plan;

/// Its name.
pub(super) const UNIT: &str = "reveille.service";

/// What cannot be had, and why, is for whoever reads the file and misses it.
const TEXT: &str = r#"[Unit]
Description=Reveille: agents that wake for notes
Documentation=https://github.com/reveille-daemon/reveille
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart=@COMMAND@
Environment=@PATH@
Restart=on-failure
RestartSec=2
# It tells that it lives four times as often.
WatchdogSec=120
# As long as running turns may take to end, and what comes behind them. The daemon asks for more where its configuration has
# changed since.
TimeoutStopSec=@STOP@
# The daemon ends its turns itself; whatever is left behind it is killed.
KillMode=mixed
# Each turn has a control group of its own below this one, with its limits.
Delegate=yes
# A program of a turn that takes too much memory must not take the daemon with it.
OOMPolicy=continue
LimitNOFILE=65536

# What is hardened: files are private, and no dump of its memory, with secrets in it, is written.
UMask=0077
LimitCORE=0

# What cannot be, because turns are confined by bubblewrap, which makes namespaces of its own inside of this service:
# - NoNewPrivileges, and whatever is a filter of system calls, for in a service of a user that brings it along (SystemCallFilter,
#   SystemCallArchitectures, RestrictAddressFamilies, RestrictSUIDSGID, RestrictRealtime, LockPersonality): where bubblewrap is
#   setuid, or has its right to make namespaces from AppArmor, it loses that. Each turn has no_new_privs and a filter of its own.
# - RestrictNamespaces, PrivateUsers: no namespace, no sandbox.
# - ProtectKernelTunables, ProtectKernelLogs, ProtectProc, ProcSubset, ProtectSystem, ProtectHome, PrivateTmp, PrivateDevices,
#   ReadOnlyPaths, InaccessiblePaths: they mount over parts of the file system, and the kernel then refuses a /proc of its own
#   to the namespaces inside. What turns see is told in [sandbox] of the configuration.
# - ProtectControlGroups: the groups of turns are made by the daemon.
# - MemoryDenyWriteExecute: Claude Code compiles what it runs.

[Install]
WantedBy=default.target
"#;

pub(super) fn unit(plan: &Plan) -> String {
    let command: Vec<String> = plan.command.iter().map(|word| quoted(word, true)).collect();
    TEXT.replace("@COMMAND@", &command.join(" "))
        .replace("@PATH@", &quoted(&format!("PATH={}", plan.path), false))
        .replace("@STOP@", &plan.stop.as_secs().to_string())
}

pub(super) fn commands(all: &[&[&str]]) -> Vec<Vec<String>> {
    let command = |words: &&[&str]| {
        ["systemctl", "--user"]
            .iter()
            .chain(*words)
            .map(|word| (*word).to_owned())
            .collect()
    };
    all.iter().map(command).collect()
}

/// One word of a line, whatever is in it. In commands variables are replaced too.
fn quoted(word: &str, command: bool) -> String {
    let mut text = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    if command {
        text = text.replace('$', "$$");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:+,@".contains(c);
    match word.chars().all(plain) {
        true => text,
        false => format!("\"{text}\""),
    }
}
