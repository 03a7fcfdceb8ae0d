//! The way out of an agent's own network.

use std::net::IpAddr;

use reveille_sandbox::egress::fuzzing::{self, Proxied};
use reveille_sandbox::egress::{Pass, Rule};

use super::is_short;

/// What may be reached, with the addresses at which it is.
const RULES: [&str; 4] = ["good.test", "*.wild.test:443", "inside.test:80", "10.0.0.1:22"];

/// What a child sends to the proxy.
///
/// # Panics
/// When something does not hold.
pub fn egress_proxy(input: &[u8]) {
    let proxied = |pass| {
        let rules = RULES.map(|rule| rule.parse().expect("a rule"));
        fuzzing::proxied(input, rules.into(), address_of, pass).expect("a runtime")
    };
    let stranger = proxied(Some(Pass::new()));
    assert!(stranger.reached.is_empty(), "a stranger went out");
    let Proxied { answer, reached } = proxied(None);
    assert!(reached.len() <= 1, "one connection went to {} places", reached.len());
    let head = String::from_utf8_lossy(answer.get(..100).unwrap_or(&answer)).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with(&[5]) || head.starts_with("HTTP/1."),
        "neither HTTP nor SOCKS: {head:?}"
    );
    for (address, said) in &reached {
        let address = address.to_string();
        let allowed = ["1.1.1.1:80", "1.1.1.1:443", "2.2.2.2:443", "10.0.0.1:22"];
        assert!(allowed.contains(&&*address), "{address} was reached");
        let is_tunnel = answer.starts_with(&[5]) || head.starts_with("HTTP/1.1 200 Connection established");
        if !is_tunnel && !said.is_empty() {
            one_request(said);
        }
    }
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    if status.is_some_and(|status| ["400", "403", "408", "431"].contains(&status)) {
        assert!(
            reached.iter().all(|(_, said)| said.is_empty()),
            "refused, and passed on"
        );
    }
}

fn address_of(name: &str) -> Vec<IpAddr> {
    let ip = match name {
        "good.test" => [1, 1, 1, 1],
        "inside.test" => [127, 0, 0, 1],
        name if name.ends_with(".wild.test") => [2, 2, 2, 2],
        _ => [9, 9, 9, 9],
    };
    vec![ip.into()]
}

/// What a server hears is one request, which it cannot take for two.
fn one_request(said: &[u8]) {
    let end = said.windows(4).position(|four| four == b"\r\n\r\n");
    let head = end.and_then(|end| said.get(..end)).expect("a whole head");
    let head = String::from_utf8_lossy(head).to_lowercase();
    let count = |name: &str| head.split("\r\n").filter(|line| line.starts_with(name)).count();
    assert_eq!(count("host:"), 1, "{head}");
    assert!(count("content-length:") + count("transfer-encoding:") <= 1, "{head}");
    assert_eq!(count("proxy-authorization:") + count("proxy-connection:"), 0, "{head}");
    assert_eq!(count("connection: close"), 1, "{head}");
    assert_eq!(count("connection:"), 1, "{head}");
    let host = head.split("\r\n").find_map(|line| line.strip_prefix("host: "));
    let hosts = ["good.test", "good.test:443"];
    let is_wild = host.is_some_and(|host| host.ends_with(".wild.test:443"));
    assert!(
        host.is_some_and(|host| hosts.contains(&host)) || is_wild || host == Some("10.0.0.1:22"),
        "{head}"
    );
}

/// A rule, and destinations, a line each.
///
/// # Panics
/// When something does not hold.
pub fn egress_rules(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let rule = match first.parse::<Rule>() {
        Ok(rule) => Some(rule),
        Err(error) => {
            is_short(&error.to_string());
            None
        }
    };
    if let Some(rule) = &rule {
        let shown = rule.to_string();
        let again = shown.parse::<Rule>().expect("what is shown is a rule");
        assert_eq!((&again, again.to_string()), (rule, shown));
        assert!(rule.includes(rule));
    }
    for line in text.split('\n') {
        if let Some(form) = fuzzing::host(line) {
            assert_eq!(fuzzing::host(&form).as_ref(), Some(&form), "{line:?}");
            assert!(
                form.len() <= 253 && form.is_ascii() && form.to_lowercase() == form,
                "{form:?}"
            );
            let looks_up = form.bytes().any(|c| c.is_ascii_alphabetic() || c == b'-' || c == b'_');
            assert!(
                looks_up || form.trim_matches(['[', ']']).parse::<IpAddr>().is_ok(),
                "{form:?} is a name like an address"
            );
        }
    }
    let Some(rule) = rule else { return };
    for to in lines {
        let Some(allowed) = fuzzing::allows(&rule, to) else {
            continue;
        };
        let (host, port) = to.rsplit_once(':').expect("a destination has a port");
        let exact = Rule::exact(host, port.parse().expect("a port"));
        // None leads to an address at which nobody can be.
        let Ok(exact) = exact else { continue };
        assert_eq!(rule.includes(&exact), allowed, "{rule} and {exact}");
        assert_eq!(fuzzing::allows(&exact, to), Some(true), "{exact} and {to}");
    }
}
