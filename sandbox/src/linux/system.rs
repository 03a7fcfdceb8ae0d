//! What of the system a child sees when it sees no more than it needs.

/// Programs and libraries.
pub(super) const PROGRAMS: &[&str] = &[
    "/usr", "/opt", "/nix", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// What else programs look for, none of it secret. Keys (`/etc/ssl/private`), password hashes and the configuration of services
/// are not among them, nor what often holds passwords (`/etc/environment`, `/etc/npmrc`, Maven's settings).
pub(super) const SETTINGS: &[&str] = &[
    // Names and addresses. The resolver's file is often a link into /run.
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/networks",
    // Users.
    "/etc/passwd",
    "/etc/group",
    "/etc/shells",
    // Certificates of authorities.
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    "/etc/static/ssl/certs",
    // The loader, the shells, the language, the time.
    "/etc/ld.so.cache",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/inputrc",
    "/etc/locale.conf",
    "/etc/locale.alias",
    "/etc/default/locale",
    "/etc/localtime",
    "/etc/timezone",
    // Which system it is.
    "/etc/os-release",
    "/etc/lsb-release",
    "/etc/debian_version",
    "/etc/redhat-release",
    "/etc/alpine-release",
    // Common tools.
    "/etc/gitconfig",
    "/etc/mime.types",
    "/etc/magic",
    "/etc/fonts",
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
    // NixOS: where `PATH` leads.
    "/run/current-system",
];

/// Beginnings of further names in `/etc`: each version of these has a directory of its own.
pub(super) const SETTINGS_OF_LANGUAGES: &[&str] = &["java-"];

/// Never shown as they are: inside there are others, or none.
pub(super) const OWN: &[&str] = &["/proc", "/sys", "/dev"];
