//! What of the system a child sees, and what it may ask for, when it gets no more than it needs.

/// Programs, libraries, and what goes with them. Not `/System/Volumes`: all data are there under a second name. Not
/// `/Library` as a whole: it holds keychains and settings of services.
pub(super) const PROGRAMS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/opt",
    "/nix",
    "/System/Cryptexes",
    "/System/Library",
    "/System/Volumes/Preboot/Cryptexes",
    "/System/iOSSupport",
    "/Library/Apple",
    "/Library/Developer",
    "/Library/Fonts",
    "/Library/Frameworks",
    "/Library/Java",
    "/Applications/Xcode.app",
    // Caches of the loader (with Rosetta: of translated programs), and which developer tools are chosen.
    "/private/var/db/dyld",
    "/private/var/db/oah",
    "/private/var/db/timezone",
    "/private/var/db/xcode_select_link",
    "/private/var/select",
];

/// Settings that programs look for, none of them secret.
pub(super) const SETTINGS: &[&str] = &[
    "/private/etc/bashrc",
    "/private/etc/gitconfig",
    "/private/etc/group",
    "/private/etc/hosts",
    "/private/etc/localtime",
    "/private/etc/manpaths",
    "/private/etc/man.conf",
    "/private/etc/passwd",
    "/private/etc/paths",
    "/private/etc/paths.d",
    "/private/etc/profile",
    "/private/etc/protocols",
    "/private/etc/resolv.conf",
    "/private/etc/services",
    "/private/etc/shells",
    "/private/etc/ssl/cert.pem",
    "/private/etc/ssl/certs",
    "/private/etc/ssl/openssl.cnf",
    "/private/etc/zprofile",
    "/private/etc/zshenv",
    "/private/etc/zshrc",
    "/private/var/run/resolv.conf",
];

/// The root, and links in it through which nearly every path of the others goes.
pub(super) const LINKS: &[&str] = &["/", "/etc", "/tmp", "/var"];

/// Devices that are read, of which the first two are written as well.
pub(super) const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/dev/dtracehelper",
];

/// Never given to an agent as they are.
pub(super) const OWN: &[&str] = &["/dev", "/System/Volumes"];

/// The volume of all data has its files here a second time.
pub(super) const DATA: &str = "/System/Volumes/Data";

/// Facts about the machine. `kern.proc*`, which tells of other processes and their environments, is not among them.
pub(super) const FACTS: &[&str] = &[
    "kern.argmax",
    "kern.boottime",
    "kern.hostname",
    "kern.iossupportversion",
    "kern.maxfilesperproc",
    "kern.maxproc",
    "kern.ngroups",
    "kern.osproductversion",
    "kern.osrelease",
    "kern.ostype",
    "kern.osvariant_status",
    "kern.osversion",
    "kern.secure_kernel",
    "kern.usrstack64",
    "kern.version",
    "security.mac.lockdown_mode_state",
    "sysctl.name2oid",
    "sysctl.proc_cputype",
    "vm.loadavg",
];

/// Beginnings of further ones.
pub(super) const FACTS_BELOW: &[&str] = &["hw.", "machdep.cpu."];

/// Services of the system: users and groups, and changes of the time zone. Keychains, other programs and what fetches
/// certificates from anywhere (`trustd`) are not among them.
pub(super) const SERVICES: &[&str] = &[
    "com.apple.system.notification_center",
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
];

/// Those that an open network needs too: names of hosts, and certificates.
pub(super) const SERVICES_OF_NETWORK: &[&str] = &[
    "com.apple.SystemConfiguration.DNSConfiguration",
    "com.apple.SystemConfiguration.configd",
    "com.apple.trustd.agent",
];

/// Where names of hosts are looked up.
pub(super) const RESOLVER: &str = "/private/var/run/mDNSResponder";
