//! Under which names the hub is known, and where it is asked. The two differ on a machine that does not reach its own public
//! name.

use std::fs;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

/// The hub of this machine, unless something else is said.
pub(crate) const LOCAL: &str = "http://127.0.0.1:1939";

/// What the hub has written down is read again after this time. Strangers make us ask for it, as often as they like.
const REREAD: Duration = Duration::from_secs(1);
/// Most bytes of it.
const BYTES: u64 = 64 << 10;

/// What is said about the place of a hub.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its address by the configuration or the environment, without a slash at the end.
    pub(crate) named: Option<String>,
    /// That is the hub of this machine: the configuration says nothing else.
    pub(crate) is_here: bool,
    /// Where the hub of this machine keeps its files.
    pub(crate) home: Option<PathBuf>,
    /// Further names under which it issues tokens.
    pub(crate) issuers: Vec<String>,
    /// Where its keys are fetched.
    pub(crate) keys_origin: Option<String>,
    /// What was read last.
    pub(crate) glance: Glance,
}

/// Where the hub of this machine said that it is, when it was last looked. Says nothing of a place, so all are alike.
#[derive(Debug, Clone, Default)]
pub(crate) struct Glance(Arc<Mutex<Seen>>);

/// When it was looked, and what was there.
type Seen = Option<(Instant, Option<String>)>;

impl PartialEq for Glance {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Glance {}

/// What the hub of this machine writes down about the way to it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exposed {
    hub_origin: Option<String>,
    canonical_fqdn: Option<String>,
}

impl Place {
    /// Its address, as those know it who come from elsewhere. What the hub writes down may change while we run: it is read
    /// again and again, but not for each who asks.
    pub(crate) fn origin(&self) -> String {
        let named = self.named.clone();
        named.or_else(|| self.exposed()).unwrap_or_else(|| LOCAL.to_owned())
    }

    /// All names under which it issues tokens.
    pub(crate) fn issuers(&self) -> Vec<String> {
        let mut all = vec![self.origin()];
        for issuer in &self.issuers {
            if !all.contains(issuer) {
                all.push(issuer.clone());
            }
        }
        all
    }

    /// Where its keys are fetched, the best first. The hub of this machine is asked on this machine, before it is asked under
    /// a name that may lead nowhere from here.
    pub(crate) fn asked(&self) -> Vec<String> {
        if let Some(origin) = &self.keys_origin {
            return vec![origin.clone()];
        }
        let origin = self.origin();
        match self.is_here && !is_loopback(&origin) {
            true => vec![LOCAL.to_owned(), origin],
            false => vec![origin],
        }
    }

    /// Whether a name of a host, without a port, is one of its.
    pub(crate) fn is_host(&self, name: &str) -> bool {
        let is_it = |origin: &String| {
            let url = Url::parse(origin).ok(); // silent-ok: then nothing is it
            url.as_ref()
                .and_then(Url::host_str)
                .is_some_and(|host| host.eq_ignore_ascii_case(name))
        };
        self.issuers().iter().any(is_it)
    }

    /// Whether a server at that address is one that the hub's tokens are for: it is shown under a name of the hub's, or both
    /// are on this machine. Any other server would have a token in its hands that nobody gave to it.
    pub(crate) fn has_server(&self, url: &str) -> bool {
        let Ok(asked) = Url::parse(url) else { return false };
        let names = self.issuers().into_iter().chain(self.asked());
        names.into_iter().any(|name| {
            let is_it = Url::parse(&name).is_ok_and(|own| own.origin() == asked.origin());
            is_it || is_loopback(&name) && is_loopback(url)
        })
    }

    fn exposed(&self) -> Option<String> {
        let home = self.home.as_ref()?;
        let mut seen = self.glance.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, origin)) = &*seen
            && at.elapsed() < REREAD
        {
            return origin.clone();
        }
        let origin = exposed(home);
        *seen = Some((Instant::now(), origin.clone()));
        origin
    }
}

/// What the hub at that home says, if that is of use.
fn exposed(home: &Path) -> Option<String> {
    let text = read(&home.join("expose-state.json")).ok()?; // silent-ok: a hub that is not exposed has none
    let state: Exposed = serde_json::from_slice(&text).ok()?; // silent-ok: nor does what cannot be read name one
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let origin = given(state.hub_origin).or_else(|| Some(format!("https://{}", given(state.canonical_fqdn)?)))?;
    let origin = origin.strip_suffix('/').unwrap_or(&origin).to_owned();
    let url = Url::parse(&origin).ok()?; // silent-ok: as above
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && !is_loopback(&origin);
    usable.then_some(origin)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(BYTES).read_to_end(&mut text)?;
    Ok(text)
}

fn is_loopback(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn exposed(text: Option<&str>) -> (tempfile::TempDir, Place) {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            fs::write(home.path().join("expose-state.json"), text).unwrap();
        }
        let place = Place {
            is_here: true,
            home: Some(home.path().to_owned()),
            ..Place::default()
        };
        (home, place)
    }

    #[test]
    fn what_the_hub_writes_down_names_it_unless_that_is_this_machine() {
        for (text, expected) in [
            (None, LOCAL),
            (Some(r#"{"hubOrigin":"https://hub.example/"}"#), "https://hub.example"),
            (Some(r#"{"canonicalFqdn":"box.example"}"#), "https://box.example"),
            (
                Some(r#"{"hubOrigin":"https://a.example","canonicalFqdn":"b"}"#),
                "https://a.example",
            ),
            (Some(r#"{"hubOrigin":"http://127.0.0.1:1939"}"#), LOCAL),
            (Some(r#"{"hubOrigin":"http://localhost:7"}"#), LOCAL),
            (Some(r#"{"hubOrigin":"http://[::1]:7"}"#), LOCAL),
            (Some(r#"{"hubOrigin":"","canonicalFqdn":""}"#), LOCAL),
            (Some(r#"{"hubOrigin":"file:///x"}"#), LOCAL),
            (Some(r#"{"hubOrigin":7}"#), LOCAL),
            (Some("{"), LOCAL),
        ] {
            let (_home, place) = exposed(text);
            assert_eq!(place.origin(), expected, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_read_now_and_then_and_the_hub_of_this_machine_is_asked_here_first() {
        let (home, place) = exposed(None);
        assert_eq!(place.asked(), [LOCAL]);
        fs::write(
            home.path().join("expose-state.json"),
            r#"{"hubOrigin":"https://hub.example"}"#,
        )
        .unwrap();
        // However often somebody asks.
        assert_eq!(
            (place.asked(), place.is_host("hub.example")),
            (vec![LOCAL.to_owned()], false)
        );
        tokio::time::advance(REREAD).await;
        assert_eq!(
            (place.issuers(), place.is_host("hub.example")),
            (vec!["https://hub.example".to_owned()], true)
        );
        assert_eq!(place.asked(), [LOCAL, "https://hub.example"]);
        let there = Place {
            named: Some("https://there.example".into()),
            is_here: false,
            ..place.clone()
        };
        assert_eq!(there.asked(), ["https://there.example"]);
        let keys = Place {
            keys_origin: Some("http://10.0.0.1:1".into()),
            ..there
        };
        assert_eq!(keys.asked(), ["http://10.0.0.1:1"]);
    }

    #[test]
    fn its_tokens_are_for_servers_under_its_names_and_beside_it() {
        let (_home, here) = exposed(Some(r#"{"hubOrigin":"https://hub.example"}"#));
        let far = Place {
            named: Some("https://hub.example".into()),
            ..Place::default()
        };
        for (url, expected) in [
            ("https://hub.example", [true, true]),
            ("https://HUB.example:443/vaults", [true, true]),
            ("http://hub.example", [false, false]),
            ("https://hub.example:8443", [false, false]),
            ("https://hub.example.evil.example", [false, false]),
            ("https://evil.example", [false, false]),
            ("http://127.0.0.1.evil.example:1940", [false, false]),
            ("http://192.0.2.1:1940", [false, false]),
            // Beside the hub.
            ("http://127.0.0.1:1940", [true, false]),
            ("http://localhost:7", [true, false]),
            ("http://[::1]:7", [true, false]),
            ("", [false, false]),
        ] {
            assert_eq!([&here, &far].map(|place| place.has_server(url)), expected, "{url}");
        }
    }

    #[test]
    fn issuers_are_told_once_and_are_hosts() {
        let place = Place {
            named: Some("https://a.example".into()),
            issuers: ["https://a.example", "http://b.example:8"].map(str::to_owned).to_vec(),
            ..Place::default()
        };
        assert_eq!(place.issuers(), ["https://a.example", "http://b.example:8"]);
        for (name, expected) in [
            ("a.example", true),
            ("B.example", true),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(place.is_host(name), expected, "{name}");
        }
    }
}
