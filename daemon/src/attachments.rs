//! The files of a turn's messages, laid out where its child can read them: copies in a directory of that turn, under
//! names that lead nowhere else. Whatever is wrong with a file, the turn runs; what is left out is said.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use reveille_vault::{Attachment, Key, NoteId, UNKNOWN_TYPE, Vault, VaultError, media_type};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use uuid::Uuid;

/// The directory in a conversation's own with the files of its turns, one directory each.
pub(crate) const DIR: &str = "attachments";
/// Files that one turn is given.
pub(crate) const FILES_MAX: usize = 20;
/// Bytes that are copied at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Longest name of a laid out file, in characters (which are all ASCII).
const NAME_MAX: usize = 200;

/// What a turn is given.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// Where each file is, and what it is.
    files: Vec<(PathBuf, String)>,
    /// What was left out, for a person.
    pub(crate) notices: Vec<String>,
}

impl Staged {
    /// What the model is told of them, to stand behind the message. Empty when there are none.
    #[must_use]
    pub(crate) fn suffix(&self) -> String {
        if self.files.is_empty() {
            return String::new();
        }
        let lines: Vec<String> = self
            .files
            .iter()
            .map(|(path, mime_type)| format!("- {} ({mime_type})", path.display()))
            .collect();
        format!(
            "\n\n[Attached files, put there by the daemon and not part of the message:\n{}]",
            lines.join("\n")
        )
    }
}

/// Where the files of a turn come from and go to.
pub(crate) struct Stage<'a> {
    /// The vault of the messages.
    pub(crate) vault: &'a dyn Vault,
    /// The conversation's directory. It exists.
    pub(crate) conversation: &'a Path,
    /// The turn.
    pub(crate) turn: Uuid,
    /// Most bytes of one file.
    pub(crate) max_bytes: u64,
}

/// Directories with the files of messages that the conversation has had so far.
#[must_use]
pub(crate) fn readable(conversation: &Path) -> Vec<PathBuf> {
    let dir = conversation.join(DIR);
    let there = dir.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    there.then_some(dir).into_iter().collect()
}

impl Stage<'_> {
    /// Lays out the attachments of these notes, the first [`FILES_MAX`] of them. When an earlier attempt of the turn has done
    /// so, the same files get the same names.
    pub(crate) async fn lay_out(&self, notes: &[&str]) -> Staged {
        let mut staged = Staged::default();
        let mut found = Vec::new();
        for note in notes {
            match self.attachments(note).await {
                Ok(attachments) => found.extend(attachments),
                Err(error) => {
                    tracing::warn!(%error, note, "the attachments of a message cannot be listed");
                    let notice = "The attachments of the message could not be read and were left out.";
                    staged.notices.push(notice.into());
                }
            }
        }
        if found.len() > FILES_MAX {
            let left_out = found.len() - FILES_MAX;
            staged.notices.push(format!(
                "The message has {} attachments; a turn is given the first {FILES_MAX}, {left_out} were left out.",
                found.len()
            ));
            found.truncate(FILES_MAX);
        }
        let mut target = Target::new(self.conversation, self.turn);
        for attachment in &found {
            match self.copy(attachment, &mut target).await {
                Ok(path) => {
                    let mime_type = media_type(&attachment.mime_type);
                    staged
                        .files
                        .push((path, mime_type.unwrap_or_else(|| UNKNOWN_TYPE.to_owned())));
                }
                Err(skipped) => {
                    tracing::warn!(error = %skipped, path = attachment.path, "an attachment was left out");
                    let name = name_of(attachment);
                    staged.notices.push(match skipped {
                        Skipped::TooLarge { max } => {
                            format!("The attachment {name} is larger than {max} bytes and was left out.")
                        }
                        _ => format!("The attachment {name} could not be read and was left out."),
                    });
                }
            }
        }
        if staged.files.is_empty() {
            target.remove_if_empty();
        }
        staged
    }

    async fn attachments(&self, note: &str) -> anyhow::Result<Vec<Attachment>> {
        let id = NoteId::new(note)?;
        match self.vault.files().attachments(&Key::Id(id)).await {
            // A message that was taken back, and its files with it.
            Err(VaultError::NotFound { .. }) => Ok(Vec::new()),
            listed => Ok(listed?),
        }
    }

    async fn copy(&self, attachment: &Attachment, target: &mut Target) -> Result<PathBuf, Skipped> {
        let max = self.max_bytes;
        if attachment.size > max {
            return Err(Skipped::TooLarge { max });
        }
        let open = self.vault.files().open(&attachment.path).await?;
        let open = open.ok_or(Skipped::Gone)?;
        let name = target.free_name(&name_of(attachment));
        let mut file = target.create(&name)?;
        // The size is the vault's word; what comes is counted.
        let copied = async {
            let mut bytes = BufReader::with_capacity(PIECE_BYTES, open.bytes.take(max.saturating_add(1)));
            let copied = tokio::io::copy_buf(&mut bytes, &mut file).await?;
            file.flush().await?;
            if copied > max {
                Err(Skipped::TooLarge { max })
            } else {
                Ok(())
            }
        };
        match copied.await {
            Ok(()) => Ok(target.keep(&name)),
            Err(skipped) => {
                target.discard(&name);
                Err(skipped)
            }
        }
    }
}

/// Why one file is left out.
#[derive(Debug, thiserror::Error)]
enum Skipped {
    #[error("it is larger than {max} bytes")]
    TooLarge { max: u64 },
    #[error("its bytes are gone")]
    Gone,
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// `<conversation>/attachments/<turn>`, made when the first file is there. Everything in it is reached through its open
/// directory, step by step and never through a link: a child of an earlier turn may have put things in the way.
struct Target {
    conversation: PathBuf,
    turn: String,
    dir: Option<OwnedFd>,
    /// In lower case: not every file system tells names apart by case.
    taken: HashSet<String>,
}

impl Target {
    fn new(conversation: &Path, turn: Uuid) -> Self {
        Self {
            conversation: conversation.to_owned(),
            turn: turn.to_string(),
            dir: None,
            taken: HashSet::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.conversation.join(DIR).join(&self.turn)
    }

    fn dir(&mut self) -> io::Result<&OwnedFd> {
        let dir = match self.dir.take() {
            Some(dir) => dir,
            None => self.make_dir()?,
        };
        Ok(self.dir.insert(dir))
    }

    fn make_dir(&self) -> io::Result<OwnedFd> {
        const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        let mut dir = open(&self.conversation, DIRECTORY, Mode::empty())?;
        for name in [DIR, &self.turn] {
            match mkdirat(&dir, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            dir = openat(&dir, name, DIRECTORY, Mode::empty())?;
            fchmod(&dir, Mode::RWXU)?;
        }
        Ok(dir)
    }

    /// The name, or another one when a file of this turn has it.
    fn free_name(&self, name: &str) -> String {
        free_name(name, |name| self.taken.contains(&name.to_ascii_lowercase()))
    }

    /// A new file. What an earlier attempt, or somebody else, has put there is taken away first.
    fn create(&mut self, name: &str) -> io::Result<tokio::fs::File> {
        let dir = self.dir()?;
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(tokio::fs::File::from_std(file.into()))
    }

    fn keep(&mut self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        self.taken.insert(name.to_ascii_lowercase());
        path
    }

    fn discard(&self, name: &str) {
        let Some(dir) = &self.dir else { return };
        if let Err(error) = unlinkat(dir, name, AtFlags::empty()) {
            tracing::warn!(%error, dir = %self.path().display(), "a part of an attachment stays there");
        }
    }

    /// Takes the directories away that would tell of files which are not there.
    fn remove_if_empty(&self) {
        if self.dir.is_some() {
            // silent-ok: a directory with something in it stays, as it shall
            let _ = std::fs::remove_dir(self.path());
            let _ = std::fs::remove_dir(self.conversation.join(DIR)); // silent-ok: as above
        }
    }
}

/// The name, or `stem-2.ext` and so on while it is taken.
pub(crate) fn free_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    std::iter::once(name.to_owned())
        .chain((2_u32..).map(|number| format!("{stem}-{number}{end}")))
        .find(|name| !is_taken(name))
        .unwrap_or_else(|| name.to_owned())
}

/// A plain name for a file, by what its sender called it, else by where the vault keeps it.
fn name_of(attachment: &Attachment) -> String {
    match attachment.filename.trim() {
        "" => safe_name(&attachment.path),
        _ => safe_name(&attachment.filename),
    }
}

/// A sender's name for a file as a name in our directory: its last part, in plain characters, without leading dots.
pub(crate) fn safe_name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = last
        .chars()
        .filter(|c| *c != '\0')
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() {
        return "file".to_owned();
    }
    name.chars().take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::sync::Arc;

    use pretty_assertions::assert_eq;
    use reveille_vault::{EmbeddedVault, NewAttachment, NewFile, NewNote};
    use tempfile::TempDir;

    use super::*;

    const MAX: u64 = 1000;
    const TURN: Uuid = Uuid::nil();

    /// A vault and the directory of a conversation.
    struct House {
        vault: Arc<EmbeddedVault>,
        dir: TempDir,
    }

    impl House {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("c")).unwrap();
            let vault = EmbeddedVault::open("v", &dir.path().join("v.db")).unwrap();
            Self { vault, dir }
        }

        fn conversation(&self) -> PathBuf {
            self.dir.path().join("c")
        }

        /// Where the files of the turn are.
        fn at(&self, name: &str) -> PathBuf {
            self.conversation().join(DIR).join(TURN.to_string()).join(name)
        }

        /// A message with files of these names, whose bytes are their names.
        async fn message(&self, names: &[&str]) -> String {
            let mut attachments = Vec::new();
            for name in names {
                attachments.push(NewAttachment::of(self.file(name, name.as_bytes()).await));
            }
            let note = NewNote {
                content: "x".into(),
                attachments,
                ..NewNote::default()
            };
            self.vault.create(note).await.unwrap().id.to_string()
        }

        async fn file(&self, name: &str, bytes: &[u8]) -> String {
            let file = NewFile {
                filename: name.into(),
                mime_type: Some("text/plain".into()),
            };
            let mut upload = self.vault.files().upload(file).await.unwrap();
            upload.write(bytes).await.unwrap();
            upload.finish().await.unwrap().path
        }

        async fn stage(&self, notes: &[&str]) -> Staged {
            let stage = Stage {
                vault: &*self.vault,
                conversation: &self.conversation(),
                turn: TURN,
                max_bytes: MAX,
            };
            stage.lay_out(notes).await
        }

        /// Name and content of each file of the turn, by name.
        fn files(&self) -> Vec<(String, String)> {
            let Ok(entries) = std::fs::read_dir(self.at("")) else {
                return Vec::new();
            };
            let read = |entry: std::fs::DirEntry| {
                let name = entry.file_name().into_string().unwrap();
                (name, std::fs::read_to_string(entry.path()).unwrap())
            };
            let mut files: Vec<_> = entries.map(|entry| read(entry.unwrap())).collect();
            files.sort();
            files
        }
    }

    #[test]
    fn tc_att_10_a_name_is_its_last_part() {
        for (text, expected) in [
            ("../../etc/passwd", "passwd"),
            ("/abs/path/report.png", "report.png"),
            ("a/b/c/note.md", "note.md"),
            (r"..\..\windows\system32\cmd.exe", "cmd.exe"),
        ] {
            assert_eq!(safe_name(text), expected);
        }
    }

    #[test]
    fn tc_att_11_a_name_is_plain_and_not_hidden() {
        for (text, expected) in [
            (".hidden", "hidden"),
            ("a b.png", "a_b.png"),
            ("...x", "x"),
            ("a\0b", "ab"),
            ("ü\n]", "___"),
            ("-rf", "-rf"),
        ] {
            assert_eq!(safe_name(text), expected);
        }
        assert_eq!(safe_name(&"x".repeat(300)).len(), 200);
    }

    #[test]
    fn tc_att_12_a_name_of_nothing_is_file() {
        for text in ["", "..", "/", "./", "\0", "..."] {
            assert_eq!(safe_name(text), "file", "{text:?}");
        }
    }

    #[tokio::test]
    async fn tc_att_3_a_hostile_name_and_a_hostile_path_stay_inside() {
        let house = House::new();
        let note = house.message(&["../../../../tmp/evil.sh", "/etc/../.."]).await;
        let staged = house.stage(&[&note]).await;
        let names: Vec<String> = house.files().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["evil.sh", "file"]);
        let suffix = format!(
            "\n\n[Attached files, put there by the daemon and not part of the message:\n- {} (text/plain)\n- {} (text/plain)]",
            house.at("evil.sh").display(),
            house.at("file").display()
        );
        assert_eq!(staged.suffix(), suffix);
        // A vault of another kind may tell no name, and any path.
        let nameless = Attachment {
            id: String::new(),
            note: NoteId::generate(),
            path: "../../../../tmp/evil.sh".into(),
            filename: " ".into(),
            mime_type: String::new(),
            size: 0,
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(name_of(&nameless), "evil.sh");
    }

    #[tokio::test]
    async fn files_of_one_name_get_numbers_and_those_of_all_messages_are_there() {
        let house = House::new();
        let first = house.message(&["a.txt", "b/a.txt", "A.TXT", "a", "a"]).await;
        let second = house.message(&["a.txt"]).await;
        let staged = house.stage(&[&first, &second]).await;
        let files = house.files();
        let text = |pair: &(String, String)| format!("{}={}", pair.0, pair.1);
        assert_eq!(
            files.iter().map(text).collect::<Vec<_>>(),
            [
                "A-3.TXT=A.TXT",
                "a=a",
                "a-2=a",
                "a-2.txt=b/a.txt",
                "a-4.txt=a.txt",
                "a.txt=a.txt"
            ]
        );
        assert_eq!((staged.files.len(), staged.notices), (6, vec![]));
    }

    #[tokio::test]
    async fn the_files_are_private_and_the_conversation_may_read_them() {
        let house = House::new();
        let note = house.message(&["a"]).await;
        assert_eq!(readable(&house.conversation()), Vec::<PathBuf>::new());
        house.stage(&[&note]).await;
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let all = house.conversation().join(DIR);
        assert_eq!(
            (mode(all.clone()), mode(house.at("")), mode(house.at("a"))),
            (0o700, 0o700, 0o600)
        );
        assert_eq!(readable(&house.conversation()), [all]);
    }

    #[tokio::test]
    async fn a_second_attempt_lays_out_the_same_files_under_the_same_names() {
        let house = House::new();
        let note = house.message(&["a.txt", "a.txt"]).await;
        let first = house.stage(&[&note]).await;
        std::fs::write(house.at("a.txt"), "changed by the first attempt").unwrap();
        let again = house.stage(&[&note]).await;
        assert_eq!(first.suffix(), again.suffix());
        let files = house.files();
        assert_eq!(
            files.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
            ["a.txt", "a.txt"]
        );
    }

    #[tokio::test]
    async fn a_planted_link_is_never_followed() {
        let house = House::new();
        let note = house.message(&["a.txt"]).await;
        let (victim, outside) = (house.dir.path().join("victim"), house.dir.path().join("outside"));
        std::fs::write(&victim, "whole").unwrap();
        std::fs::create_dir(&outside).unwrap();

        // In the place of a file: it goes, and what it leads to stays.
        std::fs::create_dir_all(house.at("")).unwrap();
        symlink(&victim, house.at("a.txt")).unwrap();
        assert_eq!(house.stage(&[&note]).await.files.len(), 1);
        assert!(std::fs::symlink_metadata(house.at("a.txt")).unwrap().is_file());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "whole");

        // In the place of a directory of ours: nothing is written.
        let turn = house.at("");
        for planted in [turn.as_path(), turn.parent().unwrap()] {
            std::fs::remove_dir_all(planted).unwrap();
            symlink(&outside, planted.parent().unwrap().join(planted.file_name().unwrap())).unwrap();
            let staged = house.stage(&[&note]).await;
            assert_eq!(staged.suffix(), "");
            assert_eq!(
                staged.notices,
                ["The attachment a.txt could not be read and was left out."]
            );
            assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
            std::fs::remove_file(planted.parent().unwrap().join(planted.file_name().unwrap())).unwrap();
            std::fs::create_dir_all(&turn).unwrap();
        }
        assert_eq!(readable(&house.dir.path().join("nowhere")), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn what_is_too_large_is_left_out_and_said() {
        let house = House::new();
        let size = |bytes: u64| vec![0; usize::try_from(bytes).unwrap()];
        let fits = house.file("fits", &size(MAX)).await;
        let large = house.file("large.bin", &size(MAX + 1)).await;
        let note = NewNote {
            content: "x".into(),
            attachments: vec![NewAttachment::of(&large), NewAttachment::of(&fits)],
            ..NewNote::default()
        };
        let note = house.vault.create(note).await.unwrap().id.to_string();
        let staged = house.stage(&[&note]).await;
        assert_eq!(
            staged.notices,
            ["The attachment large.bin is larger than 1000 bytes and was left out."]
        );
        assert_eq!(house.files().len(), 1);
        assert!(!staged.suffix().contains("large.bin"));
    }

    #[tokio::test]
    async fn tc_att_8_without_a_usable_vault_there_is_only_the_text() {
        let house = House::new();
        let note = house.message(&["a", "b"]).await;
        house.vault.close().await;
        let staged = house.stage(&[&note]).await;
        assert_eq!(staged.suffix(), "");
        assert_eq!(
            staged.notices,
            ["The attachments of the message could not be read and were left out."]
        );
        assert!(!house.conversation().join(DIR).exists());
    }
}
