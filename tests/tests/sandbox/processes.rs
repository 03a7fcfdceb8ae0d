//! Privileges, and processes that are not the agent's own.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;
use pretty_assertions::assert_eq;

use crate::{everybody, inside, lines, outside, said};

#[tokio::test]
async fn w_1_there_are_no_privileges_and_none_can_be_had() -> Result<()> {
    everybody(async |ground| {
        let code = "
for line in open('/proc/self/status'):
    if line.split(':')[0] in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'):
        print(*line.split())
print(os.getuid(), os.geteuid(), os.getgid(), os.getegid())
for name, action in dict(same=lambda: os.setuid(os.getuid()), nice=lambda: [os.nice(5)] and None).items():
    attempt(name, action)
for name, action in dict(priority=lambda: [os.nice(-5)] and None, owner=lambda: os.chown('OWN', 1, 1),
                         groups=lambda: os.setgroups([]), gid=lambda: os.setgid(1), uid=lambda: os.setuid(1)).items():
    attempt(name, action)
"
        .replace("OWN", &ground.file("work/own", "")?.display().to_string());
        let tried = inside(ground, &["--write", &ground.named("work")], &code).await?;
        let uid = ground.person().uid();
        let none = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|set| format!("{set}: 0000000000000000"));
        let mut expected = none.to_vec();
        expected.extend(["NoNewPrivs: 1".into(), "Seccomp: 2".into()]);
        expected.push(format!("{uid} {uid} {uid} {uid}"));
        let told: Vec<_> = tried.lines().collect();
        let (told, tries) = told.split_at(expected.len());
        assert_eq!(told, expected);
        let (harmless, tries) = tries.split_at(2);
        assert_eq!(harmless, ["same: ok", "nice: ok"]);
        assert!(
            tries.len() == 5
                && tries
                    .iter()
                    .all(|line| line.ends_with(": EPERM") || line.ends_with(": EINVAL")),
            "{tried}"
        );
        let free = outside(ground, &code).await?;
        assert!(!free.contains("NoNewPrivs: 1"), "{free}");
        if ground.person().is_root() {
            assert!(!free.contains("CapEff: 0000000000000000"), "{free}");
            assert_eq!(free.matches(": ok\n").count(), 7, "{free}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_setuid_program_gives_nothing() -> Result<()> {
    everybody(async |ground| {
        let work = ground.dir("work")?;
        let own = work.join("id");
        std::fs::copy("/usr/bin/id", &own)?;
        // As root the copy is root's, else one's own: then the flag gives nothing outside either.
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o6755))?;
        let (own, work) = (own.display().to_string(), work.display().to_string());
        let uid = ground.person().uid().to_string();
        let ran = said(ground.sandbox(&["--write", &work], [&own, "-u"]).await?)?;
        assert_eq!(ran.trim(), uid);
        if !ground.person().is_root() && reveille_tests::ground::people().len() > 1 {
            assert_eq!(
                said(ground.outside(&own, ["-u"]).await?)?.trim(),
                "0",
                "the flag counts outside"
            );
        }
        // One can set the flag inside, and it counts neither there nor for others outside than the person's own files do.
        let script = format!(
            "cp /usr/bin/id {work}/mine && chmod 6755 {work}/mine; {work}/mine -u; grep NoNewPrivs /proc/self/status"
        );
        let ran = said(ground.sandbox(&["--write", &work], ["sh", "-c", &script]).await?)?;
        assert_eq!(ran, lines(&[&uid, "NoNewPrivs:\t1"]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_own_processes_are_seen_and_the_first_one_is_out_of_reach() -> Result<()> {
    everybody(async |ground| {
        let code = "
import signal, subprocess
sleeper = subprocess.Popen(['sleep', '60'])
print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()) == [1, os.getpid(), sleeper.pid])
attempt('own environment', lambda: read('/proc/self/environ') and None)
attempt('own child', lambda: os.kill(sleeper.pid, 0))
for number in [0, 15, 9, 19]:
    attempt('signal %d' % number, lambda: os.kill(1, number))
attempt('by pidfd', lambda: signal.pidfd_send_signal(os.pidfd_open(1), 9))
for name in ['environ', 'maps', 'mem', 'auxv', 'syscall', 'stack', 'io', 'personality', 'fdinfo/0', 'fd/0', 'root/etc', 'cwd/etc', 'exe']:
    attempt(name, lambda: open('/proc/1/' + name, 'rb').read(1))
for name in ['root', 'cwd', 'exe', 'ns/net', 'ns/user', 'ns/mnt', 'fd/0']:
    attempt('link ' + name, lambda: os.readlink('/proc/1/' + name))
for name in ['mem', 'oom_score_adj', 'comm', 'clear_refs', 'coredump_filter', 'attr/current', 'timerslack_ns']:
    attempt('write ' + name, lambda: os.close(os.open('/proc/1/' + name, os.O_WRONLY)))
sleeper.kill()
print(sorted({line.split()[5] for line in open('/proc/self/stat')}) != ['0'], os.getsid(0) == 1)
";
        let tried = inside(ground, &[], code).await?;
        let mut told: Vec<_> = tried.lines().collect();
        let allowed = told.drain(..3).collect::<Vec<_>>();
        assert_eq!(allowed, ["True", "own environment: ok", "own child: ok"], "{tried}");
        assert_eq!(told.pop(), Some("True True"));
        let denied = |line: &&str| [": EPERM", ": EACCES", ": EINVAL", ": ENOENT"].iter().any(|end| line.ends_with(end));
        assert_eq!(told.iter().filter(|line| !denied(line)).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert_eq!(told.len(), 32, "{tried}");
        Ok(())
    })
    .await
}

/// Left alone outside, where something may happen when they are opened.
const DEVICES: &str = ", '/dev/sda', '/dev/vda', '/dev/mem'";

#[tokio::test]
async fn w_1_the_machine_cannot_be_changed_through_the_kernels_files() -> Result<()> {
    everybody(async |ground| {
        let code = "
attempt('a device', lambda: os.close(os.open('/dev/null', os.O_WRONLY)))
for path in ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches', '/proc/sysrq-trigger',
             '/proc/sys/net/ipv4/ip_forward', '/proc/sys/user/max_user_namespaces', '/proc/self/uid_map', '/proc/self/setgroups',
             '/proc/irq/default_smp_affinity', '/run/reveille/init', '/proc/kcore', '/proc/kmsg', '/sys/kernel/uevent_helper',
             '/sys/fs/cgroup/release_agent', '/sys/power/state', '/proc/acpi/wakeup'DEVICES]:
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)))
"
        .replace("DEVICES", DEVICES);
        for filesystem in ["workspace", "full"] {
            let tried = inside(ground, &["--filesystem", filesystem], &code).await?;
            let allowed: Vec<_> = tried.lines().filter(|line| line.ends_with(": ok")).collect();
            assert_eq!(allowed, ["a device: ok"], "{tried}");
            assert_eq!(tried.lines().count(), 20, "{tried}");
        }
        // Some of the same can be opened outside; by root, unless the machine itself is a container that keeps them.
        let kept = rustix::fs::statvfs("/proc/sys")?.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        let free = outside(ground, &code.replace(DEVICES, "")).await?;
        let mut open = vec!["/proc/self/uid_map: ok"];
        if ground.person().is_root() && !kept {
            open.extend(["/proc/sys/kernel/core_pattern: ok", "/proc/sys/vm/drop_caches: ok"]);
        }
        for line in open {
            assert!(free.contains(line), "{line}: {free}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_16_the_program_begins_with_three_open_files_whatever_its_starter_holds() -> Result<()> {
    everybody(async |ground| {
        let held = ground.file("held", "canary-4")?;
        // The shell hands two open files on, one of them for the whole ground.
        let script = "exec 7<\"$1\" 9<\"$2\"; shift 2; exec \"$@\"";
        let (held, own) = (held.display().to_string(), ground.named(""));
        let program = ground.program().display().to_string();
        let list = "import os\nfor fd in sorted(map(int, os.listdir('/proc/self/fd'))):\n  try: print(fd, os.fstat(fd).st_ino > 0)\n  except OSError: pass";
        for network in ["open", "restricted"] {
            let args = ["-c", script, "sh", &held, &own, &program, "sandbox", "run", "--network", network];
            let args = [&args[..], &["--loopback", "8099", "--", "python3", "-c", list]].concat();
            let ran = said(ground.outside("sh", args).await?)?;
            assert_eq!(ran, lines(&["0 True", "1 True", "2 True"]), "{network}");
        }
        let free = said(ground.outside("sh", ["-c", script, "sh", &held, &own, "python3", "-c", list]).await?)?;
        assert!(free.contains("7 True
9 True
"), "{free}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn other_namespaces_are_own_ones_too() -> Result<()> {
    everybody(async |ground| {
        let code = "
for kind in ['user', 'mnt', 'pid', 'ipc', 'uts', 'cgroup', 'net']:
    print(kind, os.readlink('/proc/self/ns/' + kind))
";
        let free = outside(ground, code).await?;
        for (network, shared) in [("open", vec!["net"]), ("proxied", vec![]), ("restricted", vec![])] {
            let within = inside(ground, &["--network", network], code).await?;
            let same: Vec<_> = within.lines().filter(|line| free.contains(*line)).collect();
            let same: Vec<_> = same.iter().filter_map(|line| line.split(' ').next()).collect();
            assert_eq!(same, shared, "{network}");
        }
        Ok(())
    })
    .await
}
