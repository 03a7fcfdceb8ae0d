//! What a program needs of its own surroundings in order to run.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::mounts::Mounts;
use super::paths::resolve;

/// Bytes of a script's first line (the kernel's own limit is 256).
const FIRST_LINE: u64 = 256;

/// Where programs are, and what must not be shown with them.
pub(super) struct Surroundings<'a> {
    /// Value of `PATH` of the daemon: that of the child may be the choice of a note.
    pub(super) search_path: &'a OsStr,
    /// The user's home, as far as it is known.
    pub(super) home: Option<&'a Path>,
    /// Real paths that are hidden.
    pub(super) masked: &'a [PathBuf],
}

impl Surroundings<'_> {
    /// Shows a program with its directory and the one above, where its parts are; for a script its interpreter too.
    pub(super) fn show(&self, mounts: &mut Mounts, program: &Path) {
        self.show_one(mounts, program);
        if let Some(interpreter) = self.interpreter(program) {
            self.show_one(mounts, &interpreter);
        }
    }

    fn show_one(&self, mounts: &mut Mounts, program: &Path) {
        // silent-ok: that it is missing is said when it is started.
        let Ok(found) = resolve(program) else { return };
        let around = found.real.ancestors().skip(1).take(2);
        let widest = around.take_while(|dir| self.may_be_shown(dir)).last();
        if let Some(dir) = widest {
            mounts.show_if_there(dir);
        }
        mounts.show_hidden(found);
    }

    /// Not a home, not what holds homes or secrets or is among these, and nothing as wide as `/tmp`.
    fn may_be_shown(&self, dir: &Path) -> bool {
        let meets = |hidden: &PathBuf| hidden.starts_with(dir) || dir.starts_with(hidden);
        dir.components().count() > 2
            && !self.home.is_some_and(|home| home.starts_with(dir))
            && !self.masked.iter().any(meets)
    }

    /// The program that a script names in its first line.
    fn interpreter(&self, script: &Path) -> Option<PathBuf> {
        let mut line = Vec::new();
        // silent-ok: what cannot be read is no script.
        std::fs::File::open(script)
            .ok()?
            .take(FIRST_LINE)
            .read_to_end(&mut line)
            .ok()?;
        let line = line.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .map(OsStr::from_bytes);
        let interpreter = Path::new(words.next()?);
        if interpreter.file_name() != Some(OsStr::new("env")) {
            return Some(interpreter.to_owned());
        }
        let is_name = |word: &&OsStr| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
        find(words.find(is_name)?, self.search_path)
    }
}

/// Looks a program up in the directories of `path`.
pub(super) fn find(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let executable =
        |found: &PathBuf| found.is_file() && rustix::fs::access(found, rustix::fs::Access::EXEC_OK).is_ok();
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(executable)
}

/// The user's home, from the daemon's environment.
pub(super) fn home(home: Option<OsString>) -> Option<PathBuf> {
    // silent-ok: a home that is not there holds nothing.
    home.map(PathBuf::from).and_then(|home| home.canonicalize().ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn at(&self, path: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(path)
        }

        fn program(&self, path: &str, text: &str) -> PathBuf {
            let file = self.at(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            file
        }

        /// What can be seen of `paths` when `program` is shown.
        fn seen(&self, program: &Path, home: &str, masked: &[&str], paths: &[&str]) -> Vec<bool> {
            let masked: Vec<_> = masked.iter().map(|path| self.at(path)).collect();
            let mut mounts = Mounts::default();
            let search_path = self.at("node/bin");
            let surroundings = Surroundings {
                search_path: search_path.as_os_str(),
                home: Some(&self.at(home)),
                masked: &masked,
            };
            surroundings.show(&mut mounts, program);
            paths.iter().map(|path| mounts.sees(&self.at(path))).collect()
        }
    }

    #[test]
    fn a_program_comes_with_its_package_but_never_with_a_home_or_a_secret() {
        let place = Place::new();
        let program = place.program("home/pkg/bin/claude", "");
        let link = place.at("link");
        symlink(&program, &link).unwrap();
        let paths = ["home/pkg/bin/claude", "home/pkg/bin/x", "home/pkg/lib", "home/other"];
        let seen = |program: &Path, home, masked: &[&str]| place.seen(program, home, masked, &paths);
        assert_eq!(seen(&program, "home", &[]), [true, true, true, false]);
        assert_eq!(seen(&link, "home", &[]), [true, true, true, false]);
        assert_eq!(seen(&program, "home/pkg", &[]), [true, true, false, false]);
        assert_eq!(seen(&program, "home/pkg/bin", &[]), [true, false, false, false]);
        assert_eq!(seen(&program, "home", &["home/pkg/key"]), [true, true, false, false]);
        for masked in ["home/pkg/bin/key", "home/pkg", "home"] {
            assert_eq!(
                seen(&program, "home", &[masked]),
                [true, false, false, false],
                "{masked}"
            );
        }
    }

    #[test]
    fn a_script_comes_with_its_interpreter() {
        let place = Place::new();
        let node = place.program("node/bin/node", "");
        let named = format!("#!{} --flag\n", node.display());
        for line in ["#!/usr/bin/env node", "#! /usr/bin/env -S A=b node --flag\nx", &named] {
            let script = place.program("pkg/bin/script", line);
            assert_eq!(place.seen(&script, "home", &[], &["node/lib"]), [true], "{line}");
        }
        let other = place.program("pkg/bin/script", "no script");
        assert_eq!(place.seen(&other, "home", &[], &["node/lib"]), [false]);
    }
}
