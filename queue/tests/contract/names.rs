//! Names of channels and conversations.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use reveille_queue::{ChannelName, InvalidName, Lane, ThreadKey};
use serde_json::json;

#[test]
fn a_channel_name_has_its_alphabet() {
    let long = "x".repeat(64);
    for text in ["a", "A-b_9", "-", "_", "0", long.as_str()] {
        let name: ChannelName = text.parse().unwrap();
        assert_eq!((name.as_str(), name.to_string().as_str()), (text, text));
        assert_eq!(serde_json::from_value::<ChannelName>(json!(text)).unwrap(), name);
        assert_eq!(serde_json::to_value(&name).unwrap(), json!(text));
    }
    let long = "x".repeat(65);
    for text in [
        "",
        " ",
        "a b",
        "a/b",
        "..",
        "a.b",
        "é",
        "a\0",
        "a\n",
        "\u{FF41}",
        "a:b",
        long.as_str(),
    ] {
        let refused = text.parse::<ChannelName>();
        assert_eq!(refused, Err(InvalidName { text: text.into() }));
        assert!(serde_json::from_value::<ChannelName>(json!(text)).is_err(), "{text:?}");
    }
}

#[test]
fn a_refused_name_is_not_echoed_at_length() {
    let refused = "é".repeat(1_000_000).parse::<ChannelName>().unwrap_err();
    assert!(refused.to_string().len() < 300, "{} bytes", refused.to_string().len());
}

fn any_key() -> impl Strategy<Value = ThreadKey> {
    let text = prop_oneof![
        any::<String>(),
        "(main|subject|single)?:?(main|subject|single)?:?[a-b\n]{0,2}"
    ];
    (0..3_u8, text).prop_map(|(kind, text)| match kind {
        0 => ThreadKey::Main,
        1 => ThreadKey::Subject(text),
        _ => ThreadKey::Single(text),
    })
}

#[test]
fn only_encoded_keys_decode() {
    for text in [
        "",
        "Main",
        "main:",
        "main ",
        ":x",
        "other:x",
        "subject",
        "single",
        "SUBJECT:x",
    ] {
        assert_eq!(ThreadKey::decode(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_key_comes_back(key in any_key()) {
        prop_assert_eq!(ThreadKey::decode(&key.encode()), Some(key));
    }

    #[test]
    fn no_two_keys_share_a_text(a in any_key(), b in any_key()) {
        prop_assert_eq!(a == b, a.encode() == b.encode());
    }

    #[test]
    fn a_key_is_one_line(key in any_key()) {
        let text = key.encode();
        prop_assert!(!text.contains(['\n', '\r']), "{:?}", text);
    }

    #[test]
    fn no_two_texts_are_one_key(text in any::<String>()) {
        if let Some(key) = ThreadKey::decode(&text) {
            prop_assert_eq!(key.encode(), text);
        }
    }

    #[test]
    fn a_lane_comes_back_from_json(key in any_key(), channel in "[A-Za-z0-9_-]{1,64}") {
        let lane = Lane { channel: channel.parse().unwrap(), thread: key };
        let text = serde_json::to_string(&lane).unwrap();
        prop_assert_eq!(serde_json::from_str::<Lane>(&text).unwrap(), lane);
    }
}
