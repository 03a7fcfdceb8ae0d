//! What is seen and what can be written.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use anyhow::Result;
use pretty_assertions::assert_eq;

use crate::{everybody, inside, lines, outside, said};

#[tokio::test]
async fn w_2_of_the_machine_only_programs_and_their_settings_are_seen() -> Result<()> {
    everybody(async |ground| {
        let listed = inside(ground, &[], "print(*sorted(os.listdir('/')))").await?;
        // What a system has of these, and nothing else.
        let known = "bin dev etc lib lib32 lib64 libx32 nix opt proc run sbin tmp usr var";
        for name in listed.split_whitespace() {
            assert!(known.split(' ').any(|known| known == name), "{listed}");
        }
        let code = "
for path in ['/etc/passwd', '/etc/shadow', '/etc/gshadow', '/etc/sudoers', '/etc/ssh', '/etc/ssl/private', '/root', '/home', '/srv',
             '/mnt', '/media', '/boot', '/sys', '/var/log', '/var/lib', '/var/spool', '/run/systemd', '/run/user', '/run/dbus',
             '/run/docker.sock', '/dev/mem', '/dev/kmsg', '/dev/sda', '/dev/vda', '/dev/fuse', '/dev/kvm', '/dev/net']:
    attempt(path, lambda: os.stat(path) and None)
print(*sorted(os.listdir('/run')), os.listdir('/tmp'), os.listdir('/var'))
";
        let seen = inside(ground, &[], code).await?;
        let (there, gone): (Vec<_>, Vec<_>) = seen.lines().partition(|line| !line.ends_with(": ENOENT"));
        assert_eq!(there, ["/etc/passwd: ok", "reveille [] ['tmp']"], "{seen}");
        assert_eq!(gone.len(), 26, "{seen}");
        let free = outside(ground, code).await?;
        assert!(free.contains("/root: ok") && free.contains("/var/log: ok"), "{free}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r_sbx_3_8_files_of_the_person_are_not_seen_unless_named() -> Result<()> {
    everybody(async |ground| {
        let secrets = [
            "home/.parachute/operator.token",
            "home/.ssh/id",
            "home/.claude.json",
            "state/token",
        ];
        for secret in secrets {
            ground.file(secret, "canary-1")?;
        }
        ground.file("work/named", "named")?;
        ground.file("reading/named", "read")?;
        let (work, reading) = (ground.named("work"), ground.named("reading"));
        let mut code = format!("attempt('named', lambda: read('{work}/named'))\n");
        code += &format!("attempt('readable', lambda: read('{reading}/named'))\n");
        for secret in secrets {
            code += &format!("attempt('{secret}', lambda: read('{}'))\n", ground.named(secret));
        }
        code += &format!("print(sorted(os.listdir('{}')))", ground.named(""));
        let options = ["--write", &work, "--read", &reading];
        let seen = inside(ground, &options, &code).await?;
        let mut expected = vec!["named: named".to_owned(), "readable: read".to_owned()];
        expected.extend(secrets.map(|secret| format!("{secret}: ENOENT")));
        expected.push("['reading', 'work']".to_owned());
        assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
        let free = outside(ground, &code).await?;
        assert_eq!(free.matches("canary-1").count(), secrets.len(), "{free}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r_sbx_4_5_only_what_is_named_can_be_written_however_much_is_read() -> Result<()> {
    everybody(async |ground| {
        for dir in ["work", "reading", "other"] {
            ground.file(&format!("{dir}/old"), "old")?;
        }
        let [work, reading, other] = ["work", "reading", "other"].map(|dir| ground.named(dir));
        let code = format!(
            "
attempt('work', lambda: write('{work}/new'))
attempt('old work', lambda: write('{work}/old'))
for name, path in dict(reading='{reading}', other='{other}', settings='/etc', programs='/usr', opt='/opt',
                       root='', run='/run', init='/run/reveille', dev='/dev').items():
    attempt(name, lambda: write(path + '/planted'))
for name, path in dict(reading='{reading}/old', settings='/etc/passwd', init='/run/reveille/init').items():
    attempt('mode of ' + name, lambda: os.chmod(path, 0o777))
    attempt('time of ' + name, lambda: os.utime(path))
    attempt('end of ' + name, lambda: os.unlink(path))
    attempt('name of ' + name, lambda: os.rename(path, path + '-'))
# Where there is nothing of the machine: it may be made, and is gone with the sandbox.
try: write('{work}/../planted')
except OSError: pass
attempt('a link to it', lambda: os.link('{reading}/old', '{work}/link'))
attempt('moved', lambda: os.rename('{work}', '{work}-'))
"
        );
        let options = ["--write", &work, "--read", &reading];
        let tried = inside(ground, &options, &code).await?;
        let (allowed, denied): (Vec<_>, Vec<_>) = tried.lines().partition(|line| line.ends_with(": ok"));
        assert_eq!(allowed, ["work: ok", "old work: ok"]);
        assert_eq!(denied.len(), 23, "{tried}");
        let mut full = vec!["--filesystem", "full"];
        full.extend(options);
        let tried = inside(ground, &full, &code).await?;
        let (allowed, denied): (Vec<_>, Vec<_>) = tried.lines().partition(|line| line.ends_with(": ok"));
        assert_eq!(allowed, ["work: ok", "old work: ok"]);
        assert_eq!(denied.len(), 23, "{tried}");
        for (dir, expected) in [("work", "planted"), ("reading", "old"), ("other", "old")] {
            assert_eq!(std::fs::read_to_string(ground.at(dir).join("old"))?, expected);
            assert!(!ground.at(dir).join("planted").exists() && !ground.at("planted").exists());
        }
        assert!(ground.at("work/new").exists());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_3_a_link_in_a_directory_of_the_agent_leads_nowhere_new() -> Result<()> {
    everybody(async |ground| {
        ground.file("secret/key", "canary-2")?;
        let work = ground.dir("work")?;
        ground.file("work/own", "own")?;
        for (name, target) in [("file", "secret/key"), ("dir", "secret"), ("inside", "work/own")] {
            symlink(ground.at(target), work.join(name))?;
        }
        let work = work.display();
        let code = format!(
            "
attempt('inside', lambda: read('{work}/inside'))
attempt('file', lambda: read('{work}/file'))
attempt('dir', lambda: read('{work}/dir/key'))
attempt('written', lambda: write('{work}/file'))
for root in ['/proc/self/root', '/proc/1/root', '/proc/thread-self/root', '/dev/fd/../root', '/proc/self/cwd/../../../../..']:
    attempt(root, lambda: read(root + '{0}'))
",
            ground.named("secret/key")
        );
        let tried = inside(ground, &["--write", &work.to_string()], &code).await?;
        assert!(tried.starts_with("inside: own\n"), "{tried}");
        assert!(!tried.contains("canary-2"), "{tried}");
        assert_eq!(tried.lines().filter(|line| line.ends_with(": ENOENT")).count(), 8, "{tried}");
        assert!(tried.contains("/proc/1/root: ENOENT"), "{tried}");
        let key = std::fs::read_to_string(ground.at("secret/key"))?;
        assert_eq!(key, "canary-2", "written through a link");
        assert!(outside(ground, &code).await?.contains("dir: canary-2"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_9_scratch_directories_can_be_written_and_are_private() -> Result<()> {
    everybody(async |ground| {
        let tmp = ground.dir("tmp")?.display().to_string();
        let script = "set -e; for dir in /tmp /dev/shm \"$TMPDIR\"; do mktemp -p \"$dir\" >/dev/null; done; mktemp >/dev/null; echo done; ls /tmp | wc -l";
        let set = format!("TMPDIR={tmp}");
        for network in ["open", "proxied", "restricted"] {
            let options = ["--network", network, "--write", &tmp, "--env", &set];
            let made = said(ground.sandbox(&options, ["sh", "-c", script]).await?)?;
            assert!(made.starts_with("done\n"), "{made}");
            let made = said(ground.sandbox(&["--network", network], ["mktemp", "-p", "/var/tmp"]).await?)?;
            assert!(made.starts_with("/var/tmp/tmp."), "{made}");
            // Nobody sees what the one before left.
            let left = said(ground.sandbox(&["--network", network], ["sh", "-c", "ls -A /tmp /dev/shm"]).await?)?;
            assert_eq!(left, lines(&["/dev/shm:", "", "/tmp:"]));
        }
        assert_eq!(std::fs::read_dir(&tmp)?.count(), 6);
        Ok(())
    })
    .await
}

/// In memory: that of the machine is not for one agent alone.
#[tokio::test]
async fn w_18_scratch_directories_have_a_limit() -> Result<()> {
    everybody(async |ground| {
        let code = "
for path in ['/tmp', '/dev/shm']:
    disk = os.statvfs(path)
    print(path, disk.f_blocks * disk.f_frsize <= 1 << 30)
import resource
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NPROC)[1] <= 1 << 16)
";
        let expected = lines(&["/tmp True", "/dev/shm True", "(0, 0) True"]);
        assert_eq!(inside(ground, &[], code).await?, expected);
        Ok(())
    })
    .await
}

/// What a program needs is beside it, but a person's home is not a program's.
#[tokio::test]
async fn a_program_in_a_home_does_not_show_what_else_is_there() -> Result<()> {
    everybody(async |ground| {
        ground.file("home/.local/share/key", "canary-12")?;
        ground.file("home/.local/bin/other", "canary-12")?;
        ground.file("home/pkg/key", "canary-12")?;
        ground.file("home/.tool/pkg/lib/part", "part")?;
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"; cat ../lib/part; cat ../share/key other ../key; ls -A ..\n";
        let programs = ["home/.local/bin/c", "home/pkg/c", "home/bin/c", "home/.tool/pkg/bin/c"];
        for program in programs {
            let path = ground.file(program, script)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
            let ran = ground.sandbox(&[], [path]).await?;
            assert!(
                !ran.stdout.contains("canary-12") && !ran.stdout.contains("share"),
                "{program}: {ran:?}"
            );
            assert_eq!(
                ran.stdout.contains("part"),
                program.contains(".tool"),
                "{program}: {ran:?}"
            );
        }
        let free = ground.outside(&ground.named("home/.local/bin/c"), [""; 0]).await?;
        assert_eq!(free.stdout.matches("canary-12").count(), 2, "{free:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_command_from_a_directory_that_is_another_one_inside_runs_at_the_root() -> Result<()> {
    everybody(async |ground| {
        let here = tempfile::tempdir_in("/tmp")?;
        std::fs::set_permissions(here.path(), std::fs::Permissions::from_mode(0o755))?;
        let named = here.path().display().to_string();
        for (options, expected) in [
            (vec!["--filesystem", "full"], "/"),
            (vec!["--filesystem", "full", "--read", &named], &*named),
            (vec!["--read", &named], &*named),
        ] {
            let mut command = ground.confined(&options, ["pwd"]);
            command.current_dir(here.path());
            assert_eq!(
                said(reveille_tests::daemon::run(command, "").await?)?,
                lines(&[expected]),
                "{options:?}"
            );
        }
        let own = ground.named("");
        assert_eq!(
            said(ground.sandbox(&["--filesystem", "full"], ["pwd"]).await?)?,
            lines(&[&own])
        );
        Ok(())
    })
    .await
}
