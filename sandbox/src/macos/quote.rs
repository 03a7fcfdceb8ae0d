//! Strings of a profile.

use std::path::Path;

use crate::SandboxError;

/// A path as a string of the profile's language, which is a Scheme. It ends nowhere but at its own end, and means the path
/// and nothing else.
///
/// # Errors
/// It is not UTF-8, so no string of a profile means it.
pub(super) fn quoted(path: &Path) -> Result<String, SandboxError> {
    let text = path.to_str().filter(|text| !text.contains('\0')).ok_or_else(|| {
        SandboxError::new(
            format!("{path:?} is not UTF-8, and cannot be named in a profile of sandbox-exec"),
            "Give it another name",
        )
    })?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other if other.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(other))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

#[cfg(test)]
pub(super) mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    /// Reads a string as TinyScheme does, of which the language is made. Returns what it means and what comes after.
    pub(in crate::macos) fn read(text: &str) -> Option<(String, &str)> {
        let mut letters = text.strip_prefix('"')?.chars();
        let mut meant = String::new();
        loop {
            match letters.next()? {
                '"' => return Some((meant, letters.as_str())),
                '\\' => meant.push(match letters.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'x' => {
                        let (code, rest) = letters.as_str().split_at_checked(2)?;
                        letters = rest.chars();
                        u8::from_str_radix(code, 16).ok()?.into()
                    }
                    itself @ ('"' | '\\') => itself,
                    _ => return None,
                }),
                letter => meant.push(letter),
            }
        }
    }

    #[test]
    fn letters_with_a_meaning_lose_it() {
        for (path, expected) in [
            ("/a b/(c);é'#|", r#""/a b/(c);é'#|""#),
            (r#"/a"b\c"#, r#""/a\"b\\c""#),
            ("/a\nb\r\tc\u{1}\u{7f}2", r#""/a\nb\r\tc\x01\x7f2""#),
        ] {
            assert_eq!(quoted(Path::new(path)).unwrap(), expected);
        }
        let error = quoted(Path::new(OsStr::from_bytes(b"/a\xff"))).unwrap_err().to_string();
        assert!(error.contains(r#""/a\xFF" is not UTF-8"#), "{error}");
        quoted(Path::new("/a\0b")).unwrap_err();
    }

    proptest! {
        #[test]
        fn a_string_means_the_path_and_ends_with_it(path in r#"(?s:.){0,40}|[\\"nrtx0-9a-f\n()]{0,12}"#) {
            match quoted(Path::new(&path)) {
                Err(_) => prop_assert!(path.contains('\0')),
                Ok(text) => {
                    prop_assert!(!text.chars().any(|letter| letter.is_ascii_control()));
                    let after = format!("{text}) (allow file*)");
                    prop_assert_eq!(read(&after), Some((path, ") (allow file*)")));
                }
            }
        }
    }
}
