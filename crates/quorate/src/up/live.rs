//! Verdict changes as lines that a person reads while they happen.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::tz::TimeZone;
use quorate_core::event::EventBody;
use quorate_store::events::{self, Event};
use quorate_store::{Db, Error};
use tokio_util::sync::CancellationToken;

use super::progress::tell;

/// A new event is seen within this.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// Ids are given before the commit, so a lower id may appear after a higher one; that many back are read again.
const ID_WINDOW: u64 = 256;
const EVENTS_MAX: u32 = 1000;

/// Prints every event that is new.
#[derive(Debug)]
pub(super) struct Follower {
    db: Db,
    /// Ids told, as far as the window goes back.
    told: BTreeSet<u64>,
    /// Ids up to here were there before.
    from: u64,
}

impl Follower {
    /// Tells what happens from now on.
    pub(super) async fn from_now(db: Db) -> Result<Self, Error> {
        let mut op = db.operator().await?;
        let from = events::newest_id(&mut op).await?;
        drop(op);
        Ok(Self { db, told: BTreeSet::new(), from })
    }

    /// Until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.pass().await {
                Ok(()) => away = false,
                // Told once: the next pass tells what was missed.
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(error = %error, "cannot read the events");
                    tell(&format!("The database does not answer ({error}); what changes meanwhile is told when it does."));
                }
                Err(_) => {}
            }
        }
    }

    async fn pass(&mut self) -> Result<(), Error> {
        let newest = self.told.last().copied().unwrap_or(self.from);
        let after = newest.saturating_sub(ID_WINDOW).max(self.from);
        let mut op = self.db.operator().await?;
        let events = events::after(&mut op, after, EVENTS_MAX).await?;
        drop(op);
        for event in events {
            if self.told.insert(event.id) {
                tell(&line(&event, &TimeZone::system()));
            }
        }
        while self.told.len() > 4 * usize::try_from(ID_WINDOW).unwrap_or(usize::MAX) {
            self.told.pop_first();
        }
        Ok(())
    }
}

/// `14:03:07  shop-1 is down: Response code mismatch error (503). Down: 3 of 3 regions say down; 4 votes in 2 regions
/// would turn it up. Pool shop is now unhealthy.`
fn line(event: &Event, zone: &TimeZone) -> String {
    let time = event.occurred_at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
    format!("{time}  {}", sentence(&event.body))
}

fn sentence(body: &EventBody) -> String {
    let pool = &body.pool;
    let state = |healthy: Option<bool>, yes: &'static str, no: &'static str| match healthy {
        Some(true) => yes,
        Some(false) => no,
        None => "unknown",
    };
    let mut text = String::new();
    match body.origins.iter().find(|origin| origin.changed) {
        Some(origin) => {
            let _ = write!(text, "{}/{} is {}", pool.name, origin.name, state(origin.healthy, "up", "down"));
            if origin.healthy == Some(false) {
                let _ = write!(text, ": {}", origin.failure_reason);
                if let Some(code) = origin.response_code {
                    let _ = write!(text, " ({code})");
                }
            }
            text.push('.');
            if let Some(evidence) = &origin.evidence {
                let _ = write!(text, " {}", evidence.summary);
            }
            if pool.changed {
                let _ = write!(text, " Pool {} is now {}.", pool.name, state(pool.healthy, "healthy", "unhealthy"));
            }
        }
        None => {
            let _ = write!(text, "Pool {} is now {}, by its configuration.", pool.name, state(pool.healthy, "healthy", "unhealthy"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use quorate_core::event::{EventOrigin, EventPool};
    use quorate_core::ids::PoolId;

    use super::*;

    fn body(changed: Option<bool>, tipped: bool) -> EventBody {
        let origin = |name: &str, healthy, changed| EventOrigin {
            name: name.to_owned(),
            address: "127.0.0.1".to_owned(),
            ip: "127.0.0.1".to_owned(),
            enabled: true,
            healthy: Some(healthy),
            failure_reason: if healthy { "No failures" } else { "Response code mismatch error" }.to_owned(),
            failure_code: String::new(),
            response_code: (!healthy).then_some(503),
            changed,
            monitors: Vec::new(),
            evidence: None,
        };
        EventBody {
            subject: quorate_core::event::Subject::Pool,
            pool: EventPool {
                id: PoolId::from_bytes([7; 16]),
                name: "shop".to_owned(),
                healthy: Some(false),
                changed: tipped,
                minimum_origins: 1,
            },
            origins: vec![origin("shop-1", changed.unwrap_or(true), changed.is_some()), origin("shop-2", true, false)],
        }
    }

    #[test]
    fn a_change_reads_as_a_sentence() {
        assert_eq!(sentence(&body(Some(false), false)), "shop/shop-1 is down: Response code mismatch error (503).");
        assert_eq!(sentence(&body(Some(true), false)), "shop/shop-1 is up.");
        assert_eq!(
            sentence(&body(Some(false), true)),
            "shop/shop-1 is down: Response code mismatch error (503). Pool shop is now unhealthy."
        );
        assert_eq!(sentence(&body(None, true)), "Pool shop is now unhealthy, by its configuration.");
    }

    #[test]
    fn the_time_is_the_persons() {
        let event = Event { id: 1, occurred_at: "2026-01-02T03:04:05Z".parse().unwrap(), body: body(Some(true), false) };
        assert!(line(&event, &TimeZone::fixed(jiff::tz::offset(2))).starts_with("05:04:05  shop/shop-1"));
    }
}
