//! What a program needs of its own surroundings in order to run.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::paths::resolve;

/// Bytes of a script's first line (the kernel's own limit is 256).
const FIRST_LINE: u64 = 256;

/// Names of directories that hold programs, whose parts are beside them.
const PROGRAM_DIRS: [&str; 3] = ["bin", "sbin", "libexec"];

/// Where programs are, and what must not be shown with them.
pub(crate) struct Surroundings<'a> {
    /// Value of `PATH` of the daemon: that of the child may be the choice of a note.
    pub(crate) search_path: &'a OsStr,
    /// Homes of people.
    pub(crate) homes: &'a Homes,
    /// Real paths that are hidden.
    pub(crate) masked: &'a [PathBuf],
}

impl Surroundings<'_> {
    /// What to show for a program: itself with its directory, or, where that is one for programs alone, the one above, where
    /// its parts are; as far as these are nothing but that. For a script its interpreter too.
    pub(crate) fn of(&self, program: &Path) -> Vec<PathBuf> {
        let interpreter = interpreter(program, self.search_path);
        let all = std::iter::once(program).chain(interpreter.as_deref());
        all.flat_map(|one| self.of_one(one)).collect()
    }

    fn of_one(&self, program: &Path) -> Vec<PathBuf> {
        // silent-ok: that it is missing is said when it is started.
        let Ok(found) = resolve(program) else {
            return Vec::new();
        };
        let holds_programs = |dir: &Path| PROGRAM_DIRS.iter().any(|name| dir.ends_with(name));
        let levels = if found.real.parent().is_some_and(holds_programs) {
            2
        } else {
            1
        };
        let around = found.real.ancestors().skip(1).take(levels);
        let widest = around.take_while(|dir| self.may_be_shown(dir)).last();
        let widest = widest.map(Path::to_owned);
        widest.into_iter().chain([program.to_owned()]).collect()
    }

    /// Not a home or what lies in one, not what holds homes or secrets or is among these, and nothing as wide as `/tmp`. Deeper
    /// in a home, a `bin` whose surroundings are somebody's own files holds other programs and no parts of this one.
    fn may_be_shown(&self, dir: &Path) -> bool {
        let meets = |hidden: &PathBuf| hidden.starts_with(dir) || dir.starts_with(hidden);
        let is_lone_bin = dir.ends_with("bin") && dir.parent().is_some_and(|above| self.homes.have(above));
        dir.components().count() > 2 && !self.homes.have(dir) && !is_lone_bin && !self.masked.iter().any(meets)
    }
}

/// The program that a script names in its first line.
fn interpreter(script: &Path, search_path: &OsStr) -> Option<PathBuf> {
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
    find(words.find(is_name)?, search_path)
}

/// A directory that decides what is run when a program is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// With all links followed.
    pub dir: PathBuf,
    /// Whether what lies below it counts as well: parts of a script. Of a file or a link nothing but itself counts.
    pub deep: bool,
}

/// The directories of a program: of its file, of the links on the way to it, and of its interpreter where it is a script.
/// `path`: the value of `PATH` by which that is found. Who can write in one of them decides what is run.
#[must_use]
pub fn origins(program: &Path, path: &OsStr) -> Vec<Origin> {
    let interpreter = interpreter(program, path);
    let script = std::iter::once((program, interpreter.is_some()));
    let mut all = Vec::new();
    for (file, deep) in script.chain(interpreter.as_deref().map(|file| (file, false))) {
        // silent-ok: what is not there is not run.
        let Ok(found) = resolve(file) else { continue };
        let links = found.links.iter().map(|(place, _)| (place.as_path(), false));
        for (file, deep) in links.chain([(found.real.as_path(), deep)]) {
            let dir = file.parent().map(Path::to_owned);
            all.extend(dir.map(|dir| Origin { dir, deep }));
        }
    }
    all
}

/// Looks a program up in the directories of `path`.
pub(crate) fn find(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let executable =
        |found: &PathBuf| found.is_file() && rustix::fs::access(found, rustix::fs::Access::EXEC_OK).is_ok();
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(executable)
}

/// Directories of people. A daemon may run in the name of another one than whose programs it is given.
#[derive(Debug, Default)]
pub(crate) struct Homes(Vec<PathBuf>);

impl Homes {
    /// The one of the daemon's environment, and those that the machine knows.
    pub(crate) fn find(own: Option<OsString>) -> Self {
        // silent-ok: a machine without the file has no users.
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::among(own, &users)
    }

    fn among(own: Option<OsString>, users: &str) -> Self {
        let known = users
            .lines()
            .filter_map(|user| user.split(':').nth(5))
            .map(PathBuf::from);
        let all = own.map(PathBuf::from).into_iter().chain(known);
        // silent-ok: a home that is not there holds nothing.
        let real = all.filter_map(|home| home.canonicalize().ok());
        Self(real.filter(|home| home.parent().is_some()).collect())
    }

    /// Whether a directory is a home, lies in one, or holds some.
    fn have(&self, dir: &Path) -> bool {
        let is_among = |dir: &Path| PARENTS.iter().any(|parent| dir.parent() == Some(Path::new(parent)));
        let is = |dir: &Path| is_among(dir) || self.0.iter().any(|home| home == dir);
        is(dir) || dir.parent().is_some_and(is) || self.0.iter().any(|home| home.starts_with(dir))
    }
}

/// Where homes are that no file of the machine lists.
const PARENTS: [&str; 3] = ["/home", "/var/home", "/Users"];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use pretty_assertions::assert_eq;

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
            let search_path = self.at("node/bin");
            let surroundings = Surroundings {
                search_path: search_path.as_os_str(),
                homes: &Homes::among(Some(self.at(home).into()), ""),
                masked: &masked,
            };
            let shown: Vec<_> = surroundings
                .of(program)
                .iter()
                .map(|path| resolve(path).unwrap().real)
                .collect();
            let sees = |path: PathBuf| shown.iter().any(|above| path.starts_with(above));
            paths.iter().map(|path| sees(self.at(path))).collect()
        }
    }

    #[test]
    fn a_program_comes_with_its_package_but_never_with_a_home_or_a_secret() {
        let place = Place::new();
        let program = place.program("home/lib/pkg/bin/claude", "");
        let link = place.at("link");
        symlink(&program, &link).unwrap();
        let paths = [
            "home/lib/pkg/bin/claude",
            "home/lib/pkg/bin/x",
            "home/lib/pkg/lib",
            "home/lib/other",
        ];
        let seen = |program: &Path, home, masked: &[&str]| place.seen(program, home, masked, &paths);
        assert_eq!(seen(&program, "home", &[]), [true, true, true, false]);
        assert_eq!(seen(&link, "home", &[]), [true, true, true, false]);
        assert_eq!(
            seen(&program, "home", &["home/lib/pkg/key"]),
            [true, true, false, false]
        );
        for home in ["home/lib", "home/lib/pkg", "home/lib/pkg/bin"] {
            assert_eq!(seen(&program, home, &[]), [true, false, false, false], "{home}");
        }
        for masked in ["home/lib/pkg/bin/key", "home/lib/pkg", "home"] {
            assert_eq!(
                seen(&program, "other", &[masked]),
                [true, false, false, false],
                "{masked}"
            );
        }
    }

    #[test]
    fn what_stands_beside_the_directory_of_a_program_is_not_shown_with_it() {
        let place = Place::new();
        let paths = ["agents/claude/vendor", "agents/other"];
        let program = place.program("agents/claude/claude", "");
        assert_eq!(place.seen(&program, "home", &[], &paths), [true, false]);
    }

    #[test]
    fn a_home_is_whatever_anybody_calls_so() {
        let place = Place::new();
        for dir in ["own/a/b", "users/a/b", "nobody"] {
            std::fs::create_dir_all(place.at(dir)).unwrap();
        }
        let users = format!(
            "root:x:0:0::/:/bin/sh\na:x:1:1:A:{}:/bin/sh\nshort",
            place.at("users/a").display()
        );
        let homes = Homes::among(Some(place.at("own").into()), &users);
        for (dir, is) in [
            ("own", true),
            ("own/a", true),
            ("own/a/b", false),
            ("users", true),
            ("users/a", true),
            ("users/a/b", true),
            ("users/a/b/c", false),
            ("nobody", false),
        ] {
            assert_eq!(homes.have(&place.at(dir)), is, "{dir}");
        }
        for (dir, is) in [
            ("/home/a", true),
            ("/home/a/.local", true),
            ("/home/a/.local/bin", false),
            ("/opt/a", false),
        ] {
            assert_eq!(homes.have(Path::new(dir)), is, "{dir}");
        }
        assert!(Homes::among(None, "").0.is_empty());
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

    #[test]
    fn who_can_write_where_a_program_its_links_or_its_interpreter_are_decides_what_is_run() {
        let place = Place::new();
        let node = place.program("node/bin/node", "\x7fELF");
        let script = place.program("lib/cli/cli.js", "#!/usr/bin/env node\n");
        for dir in ["bin", "apps"] {
            std::fs::create_dir_all(place.at(dir)).unwrap();
        }
        symlink(place.at("lib"), place.at("apps/now")).unwrap();
        symlink("../apps/now/cli/cli.js", place.at("bin/claude")).unwrap();
        let path = place.at("node/bin");
        let of = |program: &Path| -> Vec<(PathBuf, bool)> {
            let origins = origins(program, path.as_os_str());
            origins.into_iter().map(|one| (one.dir, one.deep)).collect()
        };
        let at = |path: &str, deep| (place.at(path), deep);
        assert_eq!(
            of(&place.at("bin/claude")),
            [
                at("bin", false),
                at("apps", false),
                at("lib/cli", true),
                at("node/bin", false)
            ]
        );
        assert_eq!(of(&script), [at("lib/cli", true), at("node/bin", false)]);
        assert_eq!(of(&node), [at("node/bin", false)]);
        assert_eq!(of(&place.at("nothing")), []);
    }
}
