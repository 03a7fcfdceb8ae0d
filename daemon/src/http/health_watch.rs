//! Tells who watches, and who has a webhook, when the health is not as before. While nobody is there, nothing is looked at.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Api;
use super::health::look;
use crate::bridges::webhooks::HealthNews;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);

/// Looks until `stop`.
pub(crate) async fn watch(api: Api, stop: CancellationToken) {
    // What changes while nobody watches is told to the first who does: it may have read the state before.
    let mut last = look(&api).await.mark();
    let mut news = HealthNews::default();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let told = api.bridges.told();
        if api.hub.watchers_of_all() == 0 && !told.is_on() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = api.hub.somebody_came() => {}
                () = told.somebody_came() => {}
            }
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = look(&api).await;
        news.look(told, now.word(), now.facts(&api)).await;
        let mark = now.mark();
        if mark != last {
            api.hub.health_changed(&now.status);
            last = mark;
        }
    }
}
