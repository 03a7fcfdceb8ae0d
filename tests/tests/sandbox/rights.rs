//! What a program could take from others: rights of whoever owns a file, and the memory of the machine.

use anyhow::Result;
use pretty_assertions::assert_eq;

use crate::{everybody, inside, outside};

/// Outside, whoever ran such a file would have the rights of the agent's owner.
#[tokio::test]
async fn w_1_no_file_gets_the_rights_of_its_owner_or_group() -> Result<()> {
    everybody(async |ground| {
        let work = ground.dir("work")?.display().to_string();
        let code = format!(
            "
import platform
os.chdir('{work}')
os.umask(0)
write('file')
handle = os.open('file', os.O_RDONLY)
x86 = platform.machine() == 'x86_64'
def made(name, flags, mode):
    os.close(os.open(name, flags | os.O_WRONLY, mode))
for mode in [0o755, 0o1777, 0o4755, 0o2755, 0o6755]:
    name = 'as-%o' % mode
    attempt('chmod %o' % mode, lambda: os.chmod('file', mode))
    attempt('fchmod %o' % mode, lambda: os.fchmod(handle, mode))
    attempt('fchmodat %o' % mode, lambda: syscall(268 if x86 else 53, -100, b'file', mode) or None)
    attempt('fchmodat2 %o' % mode, lambda: syscall(452, -100, b'file', mode, 0) or None)
    attempt('made %o' % mode, lambda: made(name, os.O_CREAT, mode))
    attempt('unnamed %o' % mode, lambda: made('.', os.O_TMPFILE, mode))
    attempt('node %o' % mode, lambda: os.mknod(name + '-node', mode))
    attempt('creat %o' % mode, lambda: syscall(85, (name + '-creat').encode(), mode) and None if x86 else write(name))
attempt('mkdir', lambda: os.mkdir('dir', 0o2775))
attempt('opened', lambda: syscall(257 if x86 else 56, -100, b'file', os.O_RDONLY, 0o6755) and None)
attempt('openat2', lambda: syscall(437, -100, b'file', 0, 24))
print(sorted(name for name in os.listdir('.') if os.stat(name).st_mode & 0o6000 and not os.path.isdir(name)))
"
        );
        let tried = inside(ground, &["--write", &work], &code).await?;
        // On a kernel that does not know it.
        let tried = ["755", "1777"].iter().fold(tried, |tried, mode| {
            tried.replace(&format!("fchmodat2 {mode}: ENOSYS"), &format!("fchmodat2 {mode}: ok"))
        });
        let mut expected = String::new();
        let kinds = [
            "chmod",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "made",
            "unnamed",
            "node",
            "creat",
        ];
        for mode in ["755", "1777", "4755", "2755", "6755"] {
            for kind in kinds {
                let plain = mode.len() == 3 || mode == "1777" || (kind == "creat" && cfg!(not(target_arch = "x86_64")));
                expected += &format!("{kind} {mode}: {}\n", if plain { "ok" } else { "EPERM" });
            }
        }
        expected += "mkdir: ok\nopened: ok\nopenat2: ENOSYS\n[]\n";
        assert_eq!(tried, expected);
        let free = outside(ground, &code).await?;
        assert!(
            free.contains("chmod 6755: ok\n") && free.contains("made 4755: ok\n"),
            "{free}"
        );
        Ok(())
    })
    .await
}

/// Git marks all that it makes in a repository that people of a group share.
#[tokio::test]
async fn a_repository_that_a_group_shares_can_be_written_unless_the_group_is_that_of_root() -> Result<()> {
    everybody(async |ground| {
        let repository = ground.dir("repository")?.display().to_string();
        let made = ground
            .outside("git", ["init", "-q", "--shared=group", &repository])
            .await?;
        assert_eq!(made.code, 0, "{made:?}");
        let code = format!(
            "
import subprocess
os.chdir('{repository}')
write('file')
print(subprocess.run(['git', 'add', 'file'], stderr=-3).returncode)
attempt('group', lambda: os.chmod('file', 0o2755))
attempt('owner', lambda: os.chmod('file', 0o4755))
"
        );
        let expected = if ground.person().is_root() {
            "128\ngroup: EPERM\nowner: EPERM\n"
        } else {
            "0\ngroup: ok\nowner: EPERM\n"
        };
        assert_eq!(inside(ground, &["--write", &repository], &code).await?, expected);
        let free = outside(ground, &code).await?;
        assert_eq!(free, "0\ngroup: ok\nowner: ok\n");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn w_18_a_program_ends_before_others_when_the_memory_is_used_up() -> Result<()> {
    everybody(async |ground| {
        let code = "print(read('/proc/self/oom_score_adj'))";
        assert_eq!(inside(ground, &[], code).await?, "500\n");
        // Never less than its starter.
        let more = "write = open('/proc/self/oom_score_adj', 'w'); write.write('700'); write.close(); import subprocess; print(\
            subprocess.run(sys.argv[1:], capture_output=True, text=True).stdout, end='')";
        let code = format!("{}\n{more}", crate::ATTACK);
        let program = ground.program().display().to_string();
        let args = ["-c", &code, &program, "sandbox", "run", "--", "cat", "/proc/self/oom_score_adj"];
        let ran = ground.outside("python3", args).await?;
        assert_eq!(ran.stdout, "700\n", "{ran:?}");
        Ok(())
    })
    .await
}

/// The ports of administrators: nobody is one in there.
#[tokio::test]
async fn a_low_port_that_cannot_be_there_is_told() -> Result<()> {
    everybody(async |ground| {
        for (network, told) in [("restricted", true), ("proxied", true), ("open", false)] {
            let ran = ground
                .sandbox(&["--network", network, "--loopback", "80"], ["true"])
                .await?;
            assert_eq!(
                (ran.code != 0, ran.stderr.contains("Give the service another port")),
                (told, told),
                "{ran:?}"
            );
        }
        let ran = ground
            .sandbox(&["--network", "restricted", "--loopback", "1024"], ["true"])
            .await?;
        assert_eq!(ran.code, 0, "{ran:?}");
        Ok(())
    })
    .await
}
