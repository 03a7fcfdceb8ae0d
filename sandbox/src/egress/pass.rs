//! What a child shows to a proxy that others can reach too.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// Most bytes of what is shown: two names of SOCKS5, in the letters of `Basic`.
const SHOWN_MAX: usize = 1024;

/// Name and password of one child at its proxy. Where a child has no network of its own, the proxy listens on the machine's
/// loopback, and other programs of the machine must not go out through it.
#[derive(Clone)]
pub struct Pass {
    word: String,
}

impl Pass {
    /// A user name; who it is, the password alone says.
    const USER: &str = "agent";

    /// One that nobody guesses: 244 random bits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            word: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        }
    }

    /// `USER:PASSWORD`, as it stands before the `@` of an address.
    #[must_use]
    pub fn user_info(&self) -> String {
        format!("{}:{}", Self::USER, self.word)
    }

    /// Whether a name and a password are these. Takes as long for a near miss as for any other.
    pub(super) fn is(&self, user: &[u8], word: &[u8]) -> bool {
        self.is_user_info(&[user, b":", word].concat())
    }

    /// Whether a head of HTTP shows it, in one header `Proxy-Authorization: Basic`.
    pub(super) fn is_shown_in(&self, head: &[u8]) -> bool {
        let name = b"proxy-authorization:";
        let mut values = head
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split_at_checked(name.len()))
            .filter_map(|(start, value)| start.eq_ignore_ascii_case(name).then_some(value));
        match (values.next(), values.next()) {
            (Some(value), None) => decoded(value).is_some_and(|shown| self.is_user_info(&shown)),
            _ => false,
        }
    }

    fn is_user_info(&self, shown: &[u8]) -> bool {
        self.user_info().as_bytes().ct_eq(shown).into()
    }
}

impl Default for Pass {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

/// What `Basic` holds.
fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, shown) = value.trim_ascii().split_at_checked(6)?;
    let is_basic = scheme.eq_ignore_ascii_case(b"basic ") && shown.len() <= SHOWN_MAX;
    // silent-ok: what is no Base64 is not the password.
    is_basic.then(|| STANDARD.decode(shown.trim_ascii()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Vec<u8> {
        format!("CONNECT a.test:443 HTTP/1.1\r\n{lines}\r\n\r\n").into_bytes()
    }

    #[test]
    fn it_is_shown_once_and_whole() {
        let pass = Pass::new();
        let good = STANDARD.encode(pass.user_info());
        for lines in [
            format!("Proxy-Authorization: Basic {good}"),
            format!("Host: a.test\r\nproxy-authorization:basic   {good} \r\nX: y"),
        ] {
            assert!(pass.is_shown_in(&head(&lines)), "{lines}");
        }
        let of = |text: String| STANDARD.encode(text);
        for lines in [
            String::new(),
            format!("Authorization: Basic {good}"),
            format!("X-Proxy-Authorization: Basic {good}"),
            format!("X: Proxy-Authorization: Basic {good}"),
            format!("Proxy-Authorization: Bearer {good}"),
            format!("Proxy-Authorization: Basic{good}"),
            format!("Proxy-Authorization: Basic {}", pass.user_info()),
            format!("Proxy-Authorization: Basic {good}\r\nProxy-Authorization: Basic {good}"),
            format!("Proxy-Authorization: Basic {}", of(format!("{}0", pass.user_info()))),
            format!("Proxy-Authorization: Basic {}", of(pass.user_info().replace(':', ""))),
            format!("Proxy-Authorization: Basic {}", of(Pass::new().user_info())),
            format!("Proxy-Authorization: Basic {}", of("agent:".into())),
            "Proxy-Authorization: Basic ".into(),
            "Proxy-Authorization:".into(),
            format!("Proxy-Authorization: Basic {}", of("x".repeat(5000))),
        ] {
            assert!(!pass.is_shown_in(&head(&lines)), "{lines}");
        }
    }

    #[test]
    fn no_two_are_the_same_and_none_is_printed() {
        let pass = Pass::new();
        assert_ne!(pass.user_info(), Pass::new().user_info());
        assert_eq!(format!("{pass:?}"), "Pass");
        let (user, word) = pass
            .user_info()
            .split_once(':')
            .map(|(user, word)| (user.to_owned(), word.to_owned()))
            .unwrap();
        assert!(
            word.len() >= 43 && word.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "not for an address"
        );
        assert!(pass.is(user.as_bytes(), word.as_bytes()));
        assert!(!pass.is(b"", word.as_bytes()) && !pass.is(user.as_bytes(), b"") && !pass.is(b"", b""));
    }
}
