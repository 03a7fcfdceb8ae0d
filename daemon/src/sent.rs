//! Files of an answer. What an answer shows (`![[name]]`, `![words](name)`) and what is a file in the working directory of its
//! turn goes with it: a copy is made when the turn ends, before that is written down, so that what the agent does with the file
//! afterwards changes nothing, and what is sent is sent again from there after a crash. Nothing outside the working directory
//! is read, and no link is followed.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use reveille_backends::AgentDir;
use reveille_vault::{Key, NewAttachment, NewFile, NoteId, Vault, VaultError, embeds};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::attachments::{FILES_MAX, free_name, safe_name};

/// The directory in a conversation's own with the files of its answers, a directory for each turn.
pub(crate) const DIR: &str = "sent";
/// Bytes that are sent to a vault at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes that are copied between two looks at whether it is to go on.
const STEP_BYTES: u64 = 4 << 20;

/// A file that goes with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentFile {
    /// As the agent called it, without directories.
    pub(crate) name: String,
    /// Where the copy is, absolute.
    pub(crate) path: String,
}

/// Where the files of a turn's answer come from and go to.
pub(crate) struct Answer {
    /// What it says.
    pub(crate) text: String,
    /// The working directory of the turn.
    pub(crate) cwd: PathBuf,
    /// Where conversations have their directories.
    pub(crate) conversations: PathBuf,
    /// The conversation.
    pub(crate) conversation: Uuid,
    /// The turn.
    pub(crate) turn: Uuid,
    /// Most bytes of one file.
    pub(crate) max_bytes: u64,
}

/// What goes with an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) files: Vec<SentFile>,
    /// What was left out, for a person.
    pub(crate) notices: Vec<String>,
}

/// Why a file stays behind.
enum Left {
    /// There is none of that name: it may be that of a note.
    Nothing,
    /// For a person.
    Out(String),
}

impl Left {
    fn stopped() -> Self {
        Self::Out("was not copied yet when the turn was stopped".into())
    }
}

impl From<io::Error> for Left {
    fn from(error: io::Error) -> Self {
        Self::Out(format!("could not be read ({})", error.kind()))
    }
}

impl Answer {
    /// Copies what the answer shows, until it is `halted`. Blocks.
    pub(crate) fn collect(&self, halted: &dyn Fn() -> bool) -> Collected {
        let mut collected = Collected::default();
        let mut taken = HashSet::new();
        let mut target = None;
        let (mut seen, mut more) = (HashSet::new(), 0);
        for name in embeds::find(&self.text) {
            let found = match self.find(&name) {
                // As it is called there, not as the answer spells it.
                Ok((file, path)) => match (path.file_name().map(OsStr::to_owned), seen.insert(path)) {
                    (Some(own), true) => Ok((file, own)),
                    // The same by another name.
                    _ => continue,
                },
                Err(Left::Nothing) => continue,
                Err(Left::Out(why)) => Err(why),
            };
            if collected.files.len() == FILES_MAX {
                more += 1;
                continue;
            }
            let copied = found.and_then(|(file, own)| {
                self.copy(file, &own.to_string_lossy(), (&mut taken, &mut target), halted)
                    .map_err(|left| match left {
                        Left::Out(why) => why,
                        Left::Nothing => "is gone".into(),
                    })
            });
            match copied {
                Ok(file) => collected.files.push(file),
                Err(why) => {
                    tracing::warn!(name, why, "a file that an answer shows was left out");
                    let name = crate::inbox::shown(&name, 100);
                    collected.notices.push(format!(
                        "The file {name:?} that the answer shows {why}, and was not sent."
                    ));
                }
            }
        }
        if more > 0 {
            collected.notices.push(format!(
                "An answer takes {FILES_MAX} files along; {more} more that it shows were not sent."
            ));
        }
        if let Some(target) = target
            && let Err(error) = target.sync()
        {
            tracing::warn!(%error, "the copies of an answer's files may be lost if the machine loses its power now");
        }
        collected
    }

    /// The open file, and where it is below the working directory.
    fn find(&self, name: &str) -> Result<(File, PathBuf), Left> {
        let mut first = Left::Nothing;
        // As it stands there, and as an address has it (`a%20b.png`).
        let decoded = percent_encoding::percent_decode_str(name).decode_utf8();
        let decoded = decoded.ok().filter(|decoded| *decoded != name); // silent-ok: then it is as it stands there
        for name in std::iter::once(name).chain(decoded.as_deref()) {
            match self.find_exactly(Path::new(name)) {
                Err(Left::Nothing) => {}
                Err(Left::Out(why)) => first = Left::Out(why),
                found => return found,
            }
        }
        Err(first)
    }

    fn find_exactly(&self, name: &Path) -> Result<(File, PathBuf), Left> {
        let outside = || Left::Out("is outside of the agent's working directory".into());
        let inner = match name.is_absolute() {
            true => name.strip_prefix(&self.cwd).map_err(|_| outside())?,
            false => name,
        };
        let mut parts = Vec::new();
        for part in inner.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                _ => return Err(outside()),
            }
        }
        let Some((last, dirs)) = parts.split_last() else {
            return Err(Left::Nothing);
        };
        let unfit = |dir: &AgentDir, name: &OsStr| match dir.has(name) {
            Ok(true) => Left::Out("is no ordinary file".into()),
            Ok(false) => Left::Nothing,
            Err(error) => error.into(),
        };
        let mut dir = AgentDir::open(&self.cwd)?;
        for name in dirs {
            dir = match dir.existing(name)? {
                Some(next) => next,
                None => return Err(unfit(&dir, name)),
            };
        }
        match dir.file(last)? {
            Some(file) => Ok((file, parts.iter().collect())),
            None => Err(unfit(&dir, last)),
        }
    }

    fn copy(
        &self,
        file: File,
        name: &str,
        (taken, target): (&mut HashSet<String>, &mut Option<AgentDir>),
        halted: &dyn Fn() -> bool,
    ) -> Result<SentFile, Left> {
        let max = self.max_bytes;
        let large = || Left::Out(format!("has more than {max} bytes"));
        if file.metadata()?.len() > max {
            return Err(large());
        }
        if halted() {
            return Err(Left::stopped());
        }
        let (conversation, turn) = (self.conversation.to_string(), self.turn.to_string());
        let dir = match target.take() {
            Some(dir) => dir,
            None => AgentDir::open(&self.conversations)?
                .make(&conversation)?
                .make(DIR)?
                .make(&turn)?,
        };
        let dir = target.insert(dir);
        let safe = free_name(&safe_name(name), |name| taken.contains(&name.to_ascii_lowercase()));
        let mut copy = dir.create(&safe)?;
        // It may have grown meanwhile.
        let mut whole = file.take(max.saturating_add(1));
        let copied = match copy_until(&mut whole, &mut copy, halted) {
            Ok(Some(bytes)) if bytes <= max => copy.sync_all().map_err(Left::from),
            Ok(Some(_)) => Err(large()),
            Ok(None) => Err(Left::stopped()),
            Err(error) => Err(error.into()),
        };
        if copied.is_err()
            && let Err(error) = dir.remove(&safe)
        {
            tracing::warn!(%error, file = safe, "a part of a file stays in the conversation's directory");
        }
        copied?;
        let path = self.conversations.join(conversation).join(DIR).join(turn).join(&safe);
        taken.insert(safe.to_ascii_lowercase());
        Ok(SentFile {
            name: name.to_owned(),
            path: path.display().to_string(),
        })
    }
}

/// How many bytes were copied; `None`: not all, it was halted.
fn copy_until(from: &mut impl io::Read, to: &mut impl io::Write, halted: &dyn Fn() -> bool) -> io::Result<Option<u64>> {
    let mut all = 0;
    while !halted() {
        match io::copy(&mut from.by_ref().take(STEP_BYTES), to)? {
            0 => return Ok(Some(all)),
            bytes => all += bytes,
        }
    }
    Ok(None)
}

/// Attaches a file to the note of its answer. To be repeated until it succeeds: one that is there is not attached again.
///
/// # Errors
/// The vault's. That the copy is gone is [`VaultError::Invalid`].
pub(crate) async fn attach(vault: &dyn Vault, note: &NoteId, file: &SentFile) -> Result<(), VaultError> {
    let key = Key::Id(note.clone());
    let there = match vault.files().attachments(&key).await {
        // Somebody has deleted it already.
        Err(VaultError::NotFound { .. }) => return Ok(()),
        there => there?,
    };
    // The name of a copy is unique in its answer, and the copy is uploaded under it.
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    if there.iter().any(|one| one.filename == name) {
        return Ok(());
    }
    let gone = |error: io::Error| VaultError::Invalid(format!("the copy of the file {name:?} cannot be read: {error}"));
    let mut copy = tokio::fs::File::open(&file.path).await.map_err(gone)?;
    let new = NewFile {
        filename: name.to_owned(),
        mime_type: mime_guess::from_path(name).first_raw().map(str::to_owned),
    };
    let mut upload = vault.files().upload(new).await?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match copy.read(&mut piece).await.map_err(gone)? {
            0 => break,
            count => upload.write(&piece[..count]).await?,
        }
    }
    let stored = upload.finish().await?;
    match vault.files().attach(&key, NewAttachment::of(stored.path)).await {
        Err(VaultError::NotFound { .. }) => Ok(()),
        attached => attached.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use pretty_assertions::assert_eq;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use tempfile::TempDir;

    use super::*;

    struct Ground {
        dir: TempDir,
    }

    impl Ground {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["work/out", "conversations", "elsewhere"] {
                std::fs::create_dir_all(dir.path().join(name)).unwrap();
            }
            let ground = Self { dir };
            ground.put("work/a.txt", "alpha");
            ground.put("work/out/b c.png", "beta");
            ground.put("elsewhere/secret", "secret");
            ground
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn put(&self, path: &str, text: &str) {
            std::fs::write(self.at(path), text).unwrap();
        }

        fn answer(&self, text: &str, max_bytes: u64) -> Answer {
            Answer {
                text: text.into(),
                cwd: self.at("work"),
                conversations: self.at("conversations"),
                conversation: Uuid::from_u128(1),
                turn: Uuid::from_u128(2),
                max_bytes,
            }
        }

        fn collect(&self, text: &str) -> Collected {
            self.answer(text, 5).collect(&|| false)
        }

        /// Names of the copies, with what is in them; the notices.
        fn sent(&self, text: &str) -> (Vec<(String, String)>, Vec<String>) {
            let Collected { files, notices } = self.collect(text);
            let read = |file: &SentFile| {
                let name = file.path.rsplit('/').next().unwrap();
                (name.to_owned(), std::fs::read_to_string(&file.path).unwrap())
            };
            (files.iter().map(read).collect(), notices)
        }
    }

    fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn what_an_answer_shows_is_copied_as_it_is_now() {
        let ground = Ground::new();
        let whole = ground.at("work/a.txt").display().to_string();
        let text = format!("![[a.txt]] ![](out/b%20c.png) ![]({whole}) ![[./a.txt]] ![[A note]]");
        assert_eq!(
            ground.sent(&text),
            (own(&[("a.txt", "alpha"), ("b_c.png", "beta")]), vec![])
        );
        let copy = ground.collect("![[a.txt]]").files[0].path.clone();
        ground.put("work/a.txt", "later");
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "alpha");
        // The turn is repeated after a crash: the same place, the newer file.
        assert_eq!(ground.sent("![[a.txt]]"), (own(&[("a.txt", "later")]), vec![]));
        // Two of one name.
        ground.put("work/out/a.txt", "other");
        let both = own(&[("a.txt", "later"), ("a-2.txt", "other")]);
        assert_eq!(ground.sent("![[a.txt]] ![[out/a.txt]]"), (both, vec![]));
        assert_eq!(ground.sent("no file, [a link](a.txt), `![[a.txt]]`"), (vec![], vec![]));
    }

    #[test]
    fn nothing_outside_of_the_working_directory_is_read_and_no_link_followed() {
        let ground = Ground::new();
        symlink(ground.at("elsewhere/secret"), ground.at("work/link")).unwrap();
        symlink("a.txt", ground.at("work/inner")).unwrap();
        symlink(ground.at("elsewhere"), ground.at("work/dir")).unwrap();
        mknodat(CWD, ground.at("work/pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        ground.put("work/large", "123456");
        let secret = ground.at("elsewhere/secret").display().to_string();
        for (name, why) in [
            ("../elsewhere/secret", "outside of the agent's working directory"),
            ("out/../../elsewhere/secret", "outside of the agent's working directory"),
            ("%2e%2e/elsewhere/secret", "outside of the agent's working directory"),
            (secret.as_str(), "outside of the agent's working directory"),
            ("/etc/passwd", "outside of the agent's working directory"),
            ("link", "is no ordinary file"),
            ("inner", "is no ordinary file"),
            ("dir/secret", "is no ordinary file"),
            ("pipe", "is no ordinary file"),
            ("out", "is no ordinary file"),
            ("large", "more than 5 bytes"),
        ] {
            let (files, notices) = ground.sent(&format!("![x]({name})"));
            assert_eq!(files, [], "{name}");
            assert!(notices.len() == 1 && notices[0].contains(why), "{name}: {notices:?}");
        }
        assert!(!ground.at("conversations").join(Uuid::from_u128(1).to_string()).exists());
    }

    #[test]
    fn a_planted_link_in_the_place_of_the_copy_is_not_written_through() {
        let ground = Ground::new();
        let turn = ground
            .at("conversations")
            .join(Uuid::from_u128(1).to_string())
            .join(DIR)
            .join(Uuid::from_u128(2).to_string());
        std::fs::create_dir_all(&turn).unwrap();
        symlink(ground.at("elsewhere/secret"), turn.join("a.txt")).unwrap();
        assert_eq!(ground.sent("![[a.txt]]"), (own(&[("a.txt", "alpha")]), vec![]));
        assert_eq!(
            std::fs::read_to_string(ground.at("elsewhere/secret")).unwrap(),
            "secret"
        );
    }

    #[test]
    fn a_stop_is_not_kept_waiting_by_a_large_file() {
        let ground = Ground::new();
        let large = vec![b'x'; usize::try_from(2 * STEP_BYTES).unwrap() + 1];
        std::fs::write(ground.at("work/large"), large).unwrap();
        let answer = ground.answer("![[a.txt]] ![[large]] ![[out/b c.png]]", u64::MAX);
        // In the middle of the large one.
        let looks = std::cell::Cell::new(0);
        let halted = || {
            looks.set(looks.get() + 1);
            looks.get() > 5
        };
        let Collected { files, notices } = answer.collect(&halted);
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.txt"]);
        let told = |name: &str| {
            format!(
                "The file {name:?} that the answer shows was not copied yet when the turn was stopped, and was not sent."
            )
        };
        assert_eq!(notices, [told("large"), told("out/b c.png")]);
        // Nothing of it is left.
        let copies = Path::new(&files[0].path).parent().unwrap();
        assert_eq!(std::fs::read_dir(copies).unwrap().count(), 1);
        // Without a stop it is there as a whole.
        assert_eq!(answer.collect(&|| false).files.len(), 3);
        let whole = std::fs::metadata(copies.join("large")).unwrap().len();
        assert_eq!(whole, 2 * STEP_BYTES + 1);
    }

    #[test]
    fn an_answer_takes_so_many_files_along() {
        let ground = Ground::new();
        let mut text = String::new();
        for number in 0..FILES_MAX + 2 {
            ground.put(&format!("work/{number}.txt"), "x");
            text.push_str(&format!("![[{number}.txt]] "));
        }
        let (files, notices) = ground.sent(&text);
        assert_eq!(files.len(), FILES_MAX);
        assert_eq!(
            notices,
            ["An answer takes 20 files along; 2 more that it shows were not sent."]
        );
    }
}
