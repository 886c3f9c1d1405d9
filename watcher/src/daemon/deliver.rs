//! Notices on their way to people, one after the other.

use std::{sync::Arc, time::Duration};

use portcullis_alerting::notify::Dispatcher;
use tokio::sync::{mpsc, watch};

use super::run::stopped;
use crate::act::{Desk, Notice};

/// How often it is looked for incidents of which nothing more is heard.
const QUIET_EVERY: Duration = Duration::from_secs(30);

/// Brings alerts to their channels, one after the other; when it is stopped, those that wait and no more.
pub(super) async fn deliver(
    mut notices: mpsc::Receiver<Notice>,
    dispatcher: Dispatcher,
    desk: Arc<Desk>,
    mut stop: watch::Receiver<bool>,
) {
    let mut look_for_quiet = tokio::time::interval(QUIET_EVERY);
    look_for_quiet.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let notice = tokio::select! {
            biased;
            notice = notices.recv() => notice,
            () = stopped(&mut stop) => None,
            _ = look_for_quiet.tick() => {
                for (alert, deliveries) in dispatcher.resolve_quiet(desk.now_ms()).await {
                    desk.resolved(&alert, &deliveries);
                }
                continue;
            }
        };
        match notice {
            Some(Notice::Raised(alert)) => {
                let deliveries = dispatcher.deliver(&alert).await;
                desk.delivered(&alert, &deliveries);
            }
            Some(Notice::Over(alert)) => {
                let deliveries = dispatcher.resolve(&alert).await;
                desk.resolved(&alert, &deliveries);
            }
            None => break,
        }
    }
}
