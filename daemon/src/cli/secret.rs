//! Asks a person for a secret: nothing of it is seen on the terminal.

use std::io::{Read as _, Stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::CliError;
use super::output::{note, piece};

/// The terminal without an echo. Signals are off as well, so that nothing leaves it like this.
struct Quiet {
    stdin: Stdin,
    before: Termios,
}

impl Quiet {
    fn new(stdin: Stdin) -> rustix::io::Result<Self> {
        let before = tcgetattr(&stdin)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(&self.stdin, OptionalActions::Now, &self.before) {
            note(&format!(
                "the terminal stays without an echo ({error}); `stty sane` mends it"
            ));
        }
    }
}

/// What a key does.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    More,
    Done,
    Cancel,
}

fn press(line: &mut Vec<u8>, byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => return Key::Done,
        // Ctrl-C, and Ctrl-D where nothing was typed.
        0x03 => return Key::Cancel,
        0x04 if line.is_empty() => return Key::Cancel,
        0x04 => return Key::Done,
        0x08 | 0x7f => drop(line.pop()),
        // Ctrl-U
        0x15 => line.clear(),
        byte => line.push(byte),
    }
    Key::More
}

/// Asks on the terminal of stdin.
///
/// # Errors
/// It cannot be read, or the person would rather not.
pub(super) fn ask(prompt: &str) -> Result<String, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("the terminal cannot be read: {error}"));
    let quiet = Quiet::new(std::io::stdin()).map_err(|error| failed(&error))?;
    piece(prompt);
    let mut line = Vec::new();
    let mut end = Key::Cancel;
    for byte in quiet.stdin.lock().bytes() {
        end = press(&mut line, byte.map_err(|error| failed(&error))?);
        if end != Key::More {
            break;
        }
    }
    drop(quiet);
    note("");
    match end {
        Key::Done => String::from_utf8(line).map_err(|error| failed(&error)),
        Key::More | Key::Cancel => Err(CliError::Failed("nothing was given, so nothing was changed".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_typed_and_mended() {
        let mut line = Vec::new();
        for byte in *b"wrong\x15gih\x7ft_\x08" {
            assert_eq!(press(&mut line, byte), Key::More);
        }
        assert_eq!(press(&mut line, b'\r'), Key::Done);
        assert_eq!(line, b"git");
        assert_eq!(press(&mut line, 0x04), Key::Done);
        assert_eq!(press(&mut line, 0x03), Key::Cancel);
        assert_eq!(press(&mut Vec::new(), 0x04), Key::Cancel);
    }
}
