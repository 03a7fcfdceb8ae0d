//! How many wrong tokens come from where. A token has 192 random bits: nobody finds one by trying. The bound is for what
//! tries anyway, a broken client for the most part: it gets an answer that says so, and the log names it.
//!
//! A right token is always let in. Otherwise whoever shares an address (all programs of this machine do, and all that come
//! through a proxy) could lock the operator out by sending rubbish.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong tokens are counted for so long.
const WINDOW: Duration = Duration::from_secs(60);
/// So many are answered in a window.
const MOST: u32 = 30;
/// The same for this machine, where programs of one person meet.
const MOST_LOOPBACK: u32 = 300;
/// So many addresses are remembered; of more, the one that began first is forgotten.
const PEERS_MAX: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Tries {
    since: Instant,
    count: u32,
}

/// The wrong tokens of the last minute.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    peers: Mutex<HashMap<IpAddr, Tries>>,
}

impl Wrong {
    /// Another one came. `Some`: too many, and how long until one is answered again.
    pub(super) fn count(&self, peer: IpAddr) -> Option<Duration> {
        self.count_at(peer, Instant::now())
    }

    fn count_at(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let peer = network(peer);
        let most = if peer.is_loopback() { MOST_LOOPBACK } else { MOST };
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if !peers.contains_key(&peer) && peers.len() >= PEERS_MAX {
            peers.retain(|_, tries| now.duration_since(tries.since) < WINDOW);
            if peers.len() >= PEERS_MAX
                && let Some(oldest) = peers.iter().min_by_key(|(_, tries)| tries.since).map(|(peer, _)| *peer)
            {
                peers.remove(&oldest);
            }
        }
        let fresh = Tries { since: now, count: 0 };
        let tries = peers.entry(peer).or_insert(fresh);
        if now.duration_since(tries.since) >= WINDOW {
            *tries = fresh;
        }
        tries.count = tries.count.saturating_add(1);
        if tries.count <= most {
            return None;
        }
        if tries.count == most.saturating_add(1) {
            tracing::warn!(%peer, most, "many wrong tokens in a minute; more of them from there get 429 for a while");
        }
        Some(WINDOW.saturating_sub(now.duration_since(tries.since)))
    }
}

/// Who has one IPv6 address has a whole /64 of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn after_many_wrong_ones_an_address_waits_and_no_other_does() {
        let (wrong, begin) = (Wrong::default(), Instant::now());
        let far = ip("192.0.2.1");
        for _ in 0..MOST {
            assert_eq!(wrong.count_at(far, begin), None);
        }
        let later = begin + seconds(20);
        assert_eq!(wrong.count_at(far, later), Some(seconds(40)));
        assert_eq!(wrong.count_at(ip("192.0.2.2"), later), None);
        assert_eq!(wrong.count_at(far, begin + WINDOW), None);
    }

    #[test]
    fn this_machine_has_more_tries_and_a_network_has_them_together() {
        let (wrong, now) = (Wrong::default(), Instant::now());
        let count = |text: &str| wrong.count_at(ip(text), now);
        for from in ["127.0.0.1", "::ffff:127.0.0.1"].into_iter().cycle().take(300) {
            assert_eq!(count(from), None);
        }
        assert_eq!(count("127.0.0.1"), Some(WINDOW));
        for host in 0..MOST {
            assert_eq!(count(&format!("2001:db8::{host:x}")), None);
        }
        assert_eq!(count("2001:db8::ffff"), Some(WINDOW));
        assert_eq!(count("2001:db8:0:1::1"), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (wrong, begin) = (Wrong::default(), Instant::now());
        let known = || wrong.peers.lock().unwrap().len();
        let other = |number: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1));
        for number in 0..1034 {
            wrong.count_at(other(number), begin + Duration::from_millis(number.into()));
        }
        assert_eq!(known(), PEERS_MAX);
        // The first ones were forgotten.
        let peers = wrong.peers.lock().unwrap().clone();
        assert!(!peers.contains_key(&network(other(9))) && peers.contains_key(&network(other(10))));
        wrong.count_at(ip("192.0.2.1"), begin + WINDOW * 2);
        assert_eq!(known(), 1);
    }
}
