//! Asks the kernel for things that no agent may have, and prints what it answered: one line `NAME ERRNO` for each argument, 0
//! when it was given.

#![deny(unsafe_code)]

#[cfg(target_os = "linux")]
mod attacks {
    #![expect(
        unsafe_code,
        reason = "these calls have no safe wrapper, and what they would do is the point"
    )]

    use libc::{c_int, c_long};

    /// What the kernel answers to one attack.
    pub(super) fn attempt(name: &str) -> c_int {
        match answer(name) {
            -1 => std::io::Error::last_os_error().raw_os_error().unwrap_or(-1),
            _ => 0,
        }
    }

    fn answer(name: &str) -> c_long {
        let none = std::ptr::null::<u8>();
        let root = c"/".as_ptr();
        // SAFETY: the pointers are null or lead to constants; a call that is granted changes this process alone, which ends
        // right after, or fails for want of arguments.
        unsafe {
            match name {
                "socket-unix" => libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).into(),
                "socket-vsock" => libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).into(),
                "socket-packet" => libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into(),
                "socket-alg" => libc::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).into(),
                "socket-inet" => libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0).into(),
                "socket-inet6" => libc::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0).into(),
                "socket-netlink" => libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0).into(),
                "socketpair" => {
                    let mut pair = [0; 2];
                    libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()).into()
                }
                "io_uring" => libc::syscall(libc::SYS_io_uring_setup, 1, none),
                "ptrace" => libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
                "mount" => libc::mount(root, root, root, libc::MS_REMOUNT | libc::MS_BIND, none.cast()).into(),
                "umount" => libc::umount2(c"/proc/sys".as_ptr(), libc::MNT_DETACH).into(),
                "open_tree" => libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, root, 1),
                "unshare-user" => libc::unshare(libc::CLONE_NEWUSER).into(),
                "clone-user" => clone(libc::CLONE_NEWUSER),
                "clone-net" => clone(libc::CLONE_NEWNET),
                "clone3" => libc::syscall(libc::SYS_clone3, none, 0),
                "setns" => libc::setns(0, 0).into(),
                "keyctl" => libc::syscall(libc::SYS_keyctl, 0, -3, 0),
                "bpf" => libc::syscall(libc::SYS_bpf, 0, none, 0),
                "process_vm_readv" => libc::syscall(libc::SYS_process_vm_readv, 1, none, 0, none, 0, 0),
                "userfaultfd" => libc::syscall(libc::SYS_userfaultfd, 1),
                "type-into-terminal" => libc::ioctl(0, libc::TIOCSTI, c"x".as_ptr()).into(),
                // The second numbering of x86-64: socket(AF_UNIX).
                "x32" => libc::syscall(0x4000_0000 + libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0),
                "signal-first" => libc::kill(1, 0).into(),
                _ => {
                    *libc::__errno_location() = libc::EINVAL;
                    -1
                }
            }
        }
    }

    /// A child in a namespace of its own, which ends at once.
    unsafe fn clone(flags: c_int) -> c_long {
        // SAFETY: as `fork`, in a process of one thread; the child calls nothing but `_exit`.
        unsafe {
            let child = libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0);
            if child == 0 {
                libc::_exit(0);
            }
            child
        }
    }
}

fn main() {
    use std::io::Write as _;
    for name in std::env::args().skip(1) {
        #[cfg(target_os = "linux")]
        let errno = attacks::attempt(&name);
        #[cfg(not(target_os = "linux"))]
        let errno = -1;
        writeln!(std::io::stdout(), "{name} {errno}").unwrap_or_default();
    }
}
