use std::fmt;

/// What stands in place of the token wherever a person may read.
const HIDDEN: &str = "<token>";

/// The secret of a bot, as @BotFather gives it: `<id of the bot>:<secret>`. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text that cannot be the token of a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no bot token; @BotFather gives one that looks like 123456789:AAE… (letters, digits, `_` and `-`)")]
pub struct InvalidToken;

impl Token {
    /// Takes what could be a token; white space around it is left out.
    ///
    /// # Errors
    /// [`InvalidToken`] if it is empty or holds what has no place in an address.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, ':' | '_' | '-');
        if text.is_empty() || !text.chars().all(fits) {
            return Err(InvalidToken);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id of the bot, which everybody may know. `None` if the token does not tell it.
    #[must_use]
    pub fn bot(&self) -> Option<&str> {
        let (id, _) = self.0.split_once(':')?;
        (!id.is_empty() && id.chars().all(|character| character.is_ascii_digit())).then_some(id)
    }

    /// Whether both are of one bot, which may have got another secret since.
    #[must_use]
    pub fn is_of_same_bot(&self, other: &Self) -> bool {
        match (self.bot(), other.bot()) {
            (Some(one), Some(another)) => one == another,
            _ => self == other,
        }
    }

    /// The text without the token, however it is written: whole, with an encoded colon, or its secret half alone.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut clean = text.replace(&self.0, HIDDEN);
        if let Some((id, secret)) = self.0.split_once(':') {
            for colon in ["%3A", "%3a"] {
                clean = clean.replace(&format!("{id}{colon}{secret}"), HIDDEN);
            }
            // A short one would be found in ordinary words; no real one is.
            if secret.len() >= 8 {
                clean = clean.replace(secret, HIDDEN);
            }
        }
        clean
    }

    /// For the address of a request alone.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" 123456:AAE-secret_of_the_bot\n").unwrap();
        assert_eq!(token.bot(), Some("123456"));
        assert_eq!(format!("{token:?}"), "<token>");
        for text in [
            "error for https://api/bot123456:AAE-secret_of_the_bot/getMe",
            "error for https://api/bot123456%3AAAE-secret_of_the_bot/getMe",
            "error for https://api/bot123456%3aAAE-secret_of_the_bot/getMe",
            "AAE-secret_of_the_bot",
        ] {
            let clean = token.redact(text);
            assert!(clean.contains("<token>") && !clean.contains("AAE"), "{clean}");
        }
    }

    #[test]
    fn a_bot_is_known_by_its_id_else_by_its_token() {
        for (one, another, same) in [
            ("1:a", "1:b", true),
            ("1:a", "2:a", false),
            ("plain", "plain", true),
            ("plain", "other", false),
            ("1", "1:a", false),
        ] {
            let [one, another] = [one, another].map(|text| Token::new(text).unwrap());
            assert_eq!(one.is_of_same_bot(&another), same, "{another:?}");
            assert_eq!(another.is_of_same_bot(&one), same, "{another:?}");
        }
    }

    #[test]
    fn what_has_no_place_in_an_address_is_no_token() {
        for text in ["", "  ", "a/b", "a b", "a?b", "12:ä", "12:a\n34"] {
            assert_eq!(Token::new(text), Err(InvalidToken), "{text:?}");
        }
        assert_eq!(Token::new("plain").unwrap().bot(), None);
        assert_eq!(Token::new(":x").unwrap().bot(), None);
    }
}
