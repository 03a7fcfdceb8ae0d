//! Calls of the kernel that lead out.

use anyhow::Result;
use pretty_assertions::assert_eq;

use crate::{ATTACK, everybody, inside, lines, outside, said};

/// Sockets of other kinds than those of the internet, and a pair, which is one too and harmless.
const SOCKETS: &str = r#"
def close(made):
    made.close()

KINDS = dict(inet=(2, 1), inet6=(10, 1), netlink=(16, 2), unix=(1, 1), unix_datagram=(1, 2), packet=(17, 3), alg=(38, 5),
             vsock=(40, 1), xdp=(44, 3), tipc=(30, 2), key=(15, 3), bluetooth=(31, 3))
for name, (family, kind) in KINDS.items():
    attempt(name, lambda: close(socket.socket(family, kind)))
attempt("pair", lambda: [end.close() for end in socket.socketpair()] and None)
attempt("sequenced pair", lambda: [end.close() for end in socket.socketpair(1, 5)] and None)
"#;

#[tokio::test]
async fn w_16_only_sockets_of_the_internet_can_be_made() -> Result<()> {
    let expected = lines(&[
        "inet: ok",
        "inet6: ok",
        "netlink: ok",
        "unix: EPERM",
        "unix_datagram: EPERM",
        "packet: EPERM",
        "alg: EPERM",
        "vsock: EPERM",
        "xdp: EPERM",
        "tipc: EPERM",
        "key: EPERM",
        "bluetooth: EPERM",
        "pair: ok",
        "sequenced pair: ok",
    ]);
    everybody(async |ground| {
        for network in ["open", "proxied", "restricted"] {
            for filesystem in ["workspace", "full"] {
                let options = ["--network", network, "--filesystem", filesystem];
                assert_eq!(inside(ground, &options, SOCKETS).await?, expected, "{options:?}");
            }
        }
        let free = outside(ground, SOCKETS).await?;
        for name in ["unix: ok", "unix_datagram: ok"] {
            assert!(free.contains(name), "{free}");
        }
        Ok(())
    })
    .await
}

/// The ends of a pair of datagram sockets are not tied to each other.
const STRAY_PAIR: &str = r#"
HERE = sys.argv[1] if len(sys.argv) > 1 else "."
def stray(kind, to):
    end, other = socket.socketpair(socket.AF_UNIX, kind)
    end.sendto(b"from " + to.encode(), to)
"#;

#[tokio::test]
async fn w_16_a_local_socket_of_the_machine_cannot_be_spoken_to_through_a_pair() -> Result<()> {
    everybody(async |ground| {
        let path = ground.named("listening");
        let listener = std::os::unix::net::UnixDatagram::bind(&path)?;
        ground.person().gets(path.as_ref())?;
        let own = ground.named("");
        let code = |kind: u8| format!("{STRAY_PAIR}\nattempt(\"pair\", lambda: stray({kind}, {path:?}))\nattempt(\"seen\", lambda: os.stat({path:?}) and None)");
        for options in [
            &["--write", &own][..],
            &["--read", &own],
            &["--filesystem", "full"],
            &["--filesystem", "full", "--network", "restricted"],
        ] {
            for kind in [2, 3] {
                let tried = inside(ground, options, &code(kind)).await?;
                assert_eq!(tried, lines(&["pair: EPERM", "seen: ok"]), "{options:?} {kind}");
            }
        }
        listener.set_nonblocking(true)?;
        assert!(listener.recv(&mut [0; 100]).is_err(), "something came");
        // It does listen.
        assert_eq!(outside(ground, &code(2)).await?, lines(&["pair: ok", "seen: ok"]));
        assert!(listener.recv(&mut [0; 100])? > 0);
        Ok(())
    })
    .await
}

/// Numbers of the calls on x86-64 that have no function in every C library.
const MOUNTS: &str = r#"
attempt("umount", lambda: call("umount2", b"/tmp", 0))
attempt("lazy umount", lambda: call("umount2", b"/usr", 2))
attempt("mount", lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
attempt("bind", lambda: call("mount", b"/proc", b"/tmp", None, 4096, None))
attempt("remount root", lambda: call("mount", None, b"/", None, 32 | 4096, None))
attempt("remount programs", lambda: call("mount", None, b"/usr", None, 32 | 4096, None))
attempt("remount settings", lambda: call("mount", None, b"/etc/passwd", None, 32 | 4096, None))
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("pivot", lambda: syscall(155, b"/tmp", b"/tmp"))
for name, number in dict(open_tree=428, move_mount=429, fsopen=430, fsconfig=431, fsmount=432, fspick=433,
                         mount_setattr=442, open_tree_attr=467).items():
    attempt(name, lambda: syscall(number, 0, 0, 0, 0, 0))
attempt("handle", lambda: syscall(304, 0, 0, 0))
"#;

/// What is tried before and after inside alone.
const OWN_FILE: &str = r#"
attempt("a file of one's own", lambda: write("/tmp/mine"))
"#;
const AFTER: &str = r#"
attempt("still there", lambda: os.stat("/usr/bin/env") and None)
attempt("still not writable", lambda: write("/usr/planted"))
"#;

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn w_1_no_mount_can_be_taken_away_or_changed() -> Result<()> {
    let expected = lines(&[
        "a file of one's own: ok",
        "umount: EPERM",
        "lazy umount: EPERM",
        "mount: EPERM",
        "bind: EPERM",
        "remount root: EPERM",
        "remount programs: EPERM",
        "remount settings: EPERM",
        "chroot: EPERM",
        "pivot: EPERM",
        "open_tree: EPERM",
        "move_mount: EPERM",
        "fsopen: EPERM",
        "fsconfig: EPERM",
        "fsmount: EPERM",
        "fspick: EPERM",
        "mount_setattr: EPERM",
        "open_tree_attr: EPERM",
        "handle: EPERM",
        "still there: ok",
        "still not writable: EROFS",
    ]);
    everybody(async |ground| {
        for filesystem in ["workspace", "full"] {
            let code = [OWN_FILE, MOUNTS, AFTER].concat();
            let tried = inside(ground, &["--filesystem", filesystem], &code).await?;
            assert_eq!(tried, expected, "{filesystem}");
        }
        // In namespaces that one makes for oneself, where the machine lets one, some of the same is done.
        let args = |command: &[&str]| -> Vec<String> {
            let own = ["--user", "--map-root-user", "--mount"].iter().chain(command);
            own.map(|arg| (*arg).to_owned()).collect()
        };
        if ground.outside("unshare", args(&["true"])).await?.code == 0 {
            let code = format!("{ATTACK}\n{MOUNTS}");
            let free = said(ground.outside("unshare", args(&["python3", "-c", &code])).await?)?;
            for done in ["mount: 0\n", "bind: 0\n", "chroot: ok\n"] {
                assert!(free.contains(done), "{done}: {free}");
            }
        }
        Ok(())
    })
    .await
}

/// `clone` with each kind of namespace, and the rest of what changes them.
const NAMESPACES: &str = r#"
KINDS = dict(none=0, user=0x10000000, mounts=0x20000, pid=0x20000000, net=0x40000000, ipc=0x8000000, uts=0x4000000,
             cgroup=0x2000000, user_and_mounts=0x10020000)
def clone(flags):
    pid = syscall(56, flags | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
for name, flags in KINDS.items():
    attempt("clone " + name, lambda: clone(flags))
    if flags:
        attempt("unshare " + name, lambda: call("unshare", flags))
attempt("setns", lambda: call("setns", os.open("/proc/self/ns/net", 0), 0))
attempt("clone3", lambda: syscall(435, 0, 0))
"#;

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn w_1_no_namespaces_can_be_made_inside() -> Result<()> {
    everybody(async |ground| {
        let tried = inside(ground, &[], NAMESPACES).await?;
        let (allowed, denied): (Vec<_>, Vec<_>) = tried.lines().partition(|line| !line.ends_with(": EPERM"));
        // "Not implemented" lets the C libraries fall back to what can be looked at.
        assert_eq!(allowed, ["clone none: ok", "clone3: ENOSYS"]);
        assert_eq!(denied.len(), 17, "{tried}");
        // Programs meet the same.
        let made = ground
            .sandbox(
                &[],
                [
                    "sh",
                    "-c",
                    "unshare --user true; echo $?; bwrap --ro-bind / / true; echo $?",
                ],
            )
            .await?;
        assert!(!made.stdout.lines().any(|code| code == "0"), "{made:?}");
        let outside = ground.outside("unshare", ["--user", "true"]).await?;
        assert_eq!(outside.code, 0, "{outside:?}");
        Ok(())
    })
    .await
}

/// Ways into the kernel and other processes that no agent needs.
const REST: &str = r#"
NUMBERS = dict(io_uring_setup=425, io_uring_enter=426, io_uring_register=427, ptrace=101, process_vm_readv=310,
               process_vm_writev=311, pidfd_getfd=438, kcmp=312, keyctl=250, add_key=248, request_key=249, bpf=321,
               perf_event_open=298, userfaultfd=323, kexec_load=246, kexec_file_load=320, init_module=175, finit_module=313,
               delete_module=176, swapon=167, swapoff=168, reboot=169, acct=163, syslog=103)
attempt("getpid", lambda: syscall(39) == os.getpid() or None)
for name, number in NUMBERS.items():
    attempt(name, lambda: syscall(number, 0, 0, 0, 0, 0))
import fcntl, pty
master, slave = pty.openpty()
attempt("a terminal", lambda: fcntl.ioctl(slave, 0x5413, b"........") and None)
attempt("typing", lambda: fcntl.ioctl(slave, 0x5412, b"x"))
attempt("typing with more bits", lambda: libc.ioctl(slave, ctypes.c_ulong(0x100005412), b"x") and checked(-1))
attempt("console", lambda: fcntl.ioctl(slave, 0x541C, b"x"))
attempt("device", lambda: os.mknod("/tmp/device", 0o60600, os.makedev(8, 0)))
attempt("time", lambda: __import__("time").clock_settime(0, 0))
attempt("name", lambda: socket.sethostname("planted"))
attempt("x32 getpid", lambda: syscall(0x40000000 + 39))
attempt("x32 socket", lambda: syscall(0x40000000 + 41, 1, 1, 0))
"#;

/// Those of them that ask for no privilege and do nothing without arguments, each in a child of its own.
const HARMLESS: &str = r#"
NUMBERS = dict(ptrace=101, process_vm_readv=310, process_vm_writev=311, pidfd_getfd=438, kcmp=312, keyctl=250, add_key=248,
               request_key=249, io_uring_setup=425, perf_event_open=298)
for name, number in NUMBERS.items():
    pid = os.fork()
    if pid == 0:
        os._exit(ctypes.get_errno() if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 5) < 0 else 0)
    code = os.WEXITSTATUS(os.waitpid(pid, 0)[1])
    print(f"{name}: {errno.errorcode.get(code, 'ok')}")
"#;

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn w_16_calls_that_no_agent_needs_are_refused() -> Result<()> {
    everybody(async |ground| {
        let tried = inside(ground, &[], REST).await?;
        let (other, denied): (Vec<_>, Vec<_>) = tried.lines().partition(|line| !line.ends_with(": EPERM"));
        let allowed = [
            "getpid: True",
            "a terminal: ok",
            "x32 getpid: ENOSYS",
            "x32 socket: ENOSYS",
        ];
        assert_eq!(other, allowed, "{tried}");
        assert_eq!(denied.len(), 30, "{tried}");
        // Outside they are not refused, or not all of them where a filter of the machine's own is over this test too.
        let filtered = !std::fs::read_to_string("/proc/self/status")?.contains("Seccomp:\t0");
        let free = outside(ground, HARMLESS).await?;
        let refused: Vec<_> = free.lines().filter(|line| line.ends_with(": EPERM")).collect();
        // These two an administrator can forbid.
        let others = refused
            .iter()
            .filter(|line| !line.starts_with("io_uring") && !line.starts_with("perf_"));
        assert!(free.lines().count() == 10 && refused.len() < 10, "{free}");
        assert!(filtered || others.count() == 0, "{free}");
        let within = inside(ground, &[], HARMLESS).await?;
        assert_eq!(within.matches(": EPERM\n").count(), 10, "{within}");
        Ok(())
    })
    .await
}

/// The calls of 32-bit programs have other numbers: 359 makes a socket, as 41 does for those of 64 bits.
const OTHER_NUMBERS: &str = r#"
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
run = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print("begun", flush=True)
print(child(run))
"#;

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn w_16_calls_by_the_numbers_of_32_bits_end_a_program() -> Result<()> {
    everybody(async |ground| {
        assert_eq!(
            inside(ground, &[], OTHER_NUMBERS).await?,
            lines(&["begun", "signal 31"])
        );
        let free = outside(ground, OTHER_NUMBERS).await?;
        // A kernel without 32-bit calls ends it by itself, in another way.
        assert!(
            free == lines(&["begun", "exit 0"]) || free == lines(&["begun", "signal 11"]),
            "{free}"
        );
        Ok(())
    })
    .await
}
