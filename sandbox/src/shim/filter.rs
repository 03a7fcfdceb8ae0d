//! seccomp: calls that lead to parts of the kernel that no agent needs.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

/// Refused whatever the arguments are.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // open_tree_attr (Linux 6.15), the same number everywhere.
    467,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
];

/// Kinds of sockets that may be made; a pair of connected local ones (`socketpair`) may be too, see [`pairs`].
const FAMILIES: [libc::c_int; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Kinds of namespaces that `clone` must not make.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

#[cfg(target_arch = "x86_64")]
const ARCH: Option<TargetArch> = Some(TargetArch::x86_64);
#[cfg(target_arch = "aarch64")]
const ARCH: Option<TargetArch> = Some(TargetArch::aarch64);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCH: Option<TargetArch> = None;

/// Whether there is a filter for this processor.
pub(crate) const SUPPORTED: bool = ARCH.is_some();

/// Sets the filters, for good.
pub(super) fn apply(group_rights: bool) -> io::Result<()> {
    for filter in filters(group_rights).map_err(|error| io::Error::other(format!("seccomp: {error}")))? {
        apply_filter(&filter).map_err(|error| io::Error::other(format!("seccomp: {error}")))?;
    }
    Ok(())
}

fn filters(group_rights: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let arch = ARCH.ok_or_else(|| seccompiler::BackendError::InvalidTargetArch(std::env::consts::ARCH.to_owned()))?;
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let is = |op, value: libc::c_int, argument| {
        // Both are 32 bits for the kernel; what is above does not count.
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, u64::from(value.cast_unsigned()))
    };
    let other_family = FAMILIES
        .iter()
        .map(|family| is(SeccompCmpOp::Ne, *family, 0))
        .collect::<Result<_, _>>()?;
    refused.insert(libc::SYS_socket, vec![SeccompRule::new(other_family)?]);
    refused.insert(libc::SYS_socketpair, pairs()?);
    let namespaces = NAMESPACES
        .iter()
        .map(|flag| {
            let mask = u64::from(flag.cast_unsigned());
            SeccompRule::new(vec![is(SeccompCmpOp::MaskedEq(mask), *flag, 0)?])
        })
        .collect::<Result<_, _>>()?;
    refused.insert(libc::SYS_clone, namespaces);
    // Types into the terminal from which the daemon was started. The constants differ in type between C libraries.
    let typing = [0x5412, 0x541c]
        .iter()
        .map(|request| SeccompRule::new(vec![is(SeccompCmpOp::Eq, *request, 1)?]))
        .collect::<Result<_, _>>()?;
    refused.insert(libc::SYS_ioctl, typing);
    let errno = |errno: libc::c_int| SeccompAction::Errno(errno.cast_unsigned());
    let filter = |rules, answer| SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?.try_into();
    refused.extend(rights_of_others(group_rights)?);
    // Their arguments cannot be seen; "not implemented" makes programs use the older calls.
    let unseen = [libc::SYS_clone3, libc::SYS_openat2]
        .map(|call| (call, Vec::new()))
        .into();
    let mut all = vec![
        filter(unseen, errno(libc::ENOSYS))?,
        filter(refused, errno(libc::EPERM))?,
    ];
    if cfg!(target_arch = "x86_64") {
        all.push(no_second_numbering());
    }
    Ok(all)
}

/// Pairs that are refused: of other families, and those whose ends are not tied to each other. With one of these, whatever
/// listens on a local socket of the machine that can be seen inside can be spoken to.
fn pairs() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    /// The kind; above are flags.
    const KIND: u64 = 0xf;
    let condition = |argument, op, value: libc::c_int| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, u64::from(value.cast_unsigned()))
    };
    [
        condition(0, SeccompCmpOp::Ne, libc::AF_UNIX)?,
        condition(1, SeccompCmpOp::MaskedEq(KIND), libc::SOCK_DGRAM)?,
        // Of the local family these are datagram sockets too.
        condition(1, SeccompCmpOp::MaskedEq(KIND), libc::SOCK_RAW)?,
    ]
    .into_iter()
    .map(|condition| SeccompRule::new(vec![condition]))
    .collect()
}

/// Calls that would give a file the rights of its owner or, unless that is allowed, of its group: outside, whoever runs it would
/// have those of the daemon. For a directory the group alone is harmless, which a filter cannot tell; `mkdir` may do that.
fn rights_of_others(group_rights: bool) -> Result<Vec<(libc::c_long, Vec<SeccompRule>)>, seccompiler::BackendError> {
    let has = |argument, bits: u32| {
        let mask = u64::from(bits);
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), mask)
    };
    let rights: &[u32] = if group_rights {
        &[libc::S_ISUID]
    } else {
        &[libc::S_ISUID, libc::S_ISGID]
    };
    // The argument that holds the mode.
    let mut modes = vec![
        (libc::SYS_fchmod, 1),
        (libc::SYS_fchmodat, 2),
        (FCHMODAT2, 2),
        (libc::SYS_mknodat, 2),
    ];
    // With it the one that holds the flags: without one of these the mode means nothing.
    let mut opens = vec![(libc::SYS_openat, 2, 3)];
    #[cfg(target_arch = "x86_64")]
    {
        modes.extend([(libc::SYS_chmod, 1), (libc::SYS_creat, 1), (libc::SYS_mknod, 1)]);
        opens.push((libc::SYS_open, 1, 2));
    }
    let mut rules = Vec::new();
    for (call, mode) in modes {
        let all = rights.iter().map(|bits| SeccompRule::new(vec![has(mode, *bits)?]));
        rules.push((call, all.collect::<Result<_, _>>()?));
    }
    let made = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];
    for (call, flags, mode) in opens {
        let all = rights
            .iter()
            .flat_map(|bits| made.map(|made| (*bits, made.cast_unsigned())))
            .map(|(bits, made)| SeccompRule::new(vec![has(flags, made)?, has(mode, bits)?]));
        rules.push((call, all.collect::<Result<_, _>>()?));
    }
    Ok(rules)
}

/// Linux 6.6; the same number everywhere.
const FCHMODAT2: libc::c_long = 452;

/// Calls of x86-64 have a second set of numbers (x32), which the filters above do not know.
fn no_second_numbering() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let step = |code: u32, jt, jf, k| sock_filter {
        // These are 16 bits in the kernel's structure; libc gives them as 32.
        code: u16::try_from(code).unwrap_or(u16::MAX),
        jt,
        jf,
        k,
    };
    vec![
        // The number is the first field of what a filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned(),
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
