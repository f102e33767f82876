//! Sessions with the control plane: dialled from here, one to every replica, kept up for ever.
//!
//! Nothing here is in the way of probing: without any session the worker goes on as it was told last.

mod directory;
mod link;
mod pace;
mod pin;
mod stream;
mod transport;

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::gauge;
use quorate_proto::join::JoinToken;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::directory::Directory;
pub use self::transport::ControlUrlError;
use self::transport::{Dial, Transport};
use crate::hub::Hub;

/// The sessions of one worker, not yet dialled.
pub(crate) struct Sessions {
    directory: Arc<Directory>,
    transport: Arc<Transport>,
}

/// Why no session can ever stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Impossible {
    #[error("{url:?} cannot be dialled")]
    Url { url: String, source: ControlUrlError },
    #[error("no URL of the control plane is given")]
    NoUrl,
    #[error("the secret of the worker token cannot stand in a header")]
    Secret,
}

impl Sessions {
    pub(crate) fn new(control_urls: &[String], token: &JoinToken) -> Result<Self, Impossible> {
        if control_urls.is_empty() {
            return Err(Impossible::NoUrl);
        }
        for url in control_urls {
            Dial::parse(url).map_err(|source| Impossible::Url { url: url.clone(), source })?;
        }
        let transport = Transport::new(token).ok_or(Impossible::Secret)?;
        Ok(Self { directory: Arc::new(Directory::new(control_urls.to_vec())), transport: Arc::new(transport) })
    }

    /// Keeps the sessions that the directory wants until `stop`; then says Goodbye on each.
    ///
    /// # Errors
    /// A session has panicked.
    pub(crate) async fn run(self, hub: Arc<Hub>, stop: CancellationToken) -> Result<(), JoinError> {
        let mut changed = self.directory.changed.subscribe();
        let mut links: BTreeMap<String, CancellationToken> = BTreeMap::new();
        let mut running: JoinSet<String> = JoinSet::new();
        while !stop.is_cancelled() {
            let wanted = self.directory.wanted();
            links.iter().filter(|(url, _)| !wanted.contains(*url)).for_each(|(_, hang_up)| hang_up.cancel());
            for url in wanted {
                // One that hangs up is dialled again when it has ended.
                links.entry(url.clone()).or_insert_with(|| {
                    let hang_up = CancellationToken::new();
                    running.spawn(self.link(hub.clone(), url, stop.clone(), hang_up.clone()));
                    hang_up
                });
            }
            hub.status.send_if_modified(|status| self.directory.write_status(status));
            gauge!("quorate_worker_sessions").set(u32::try_from(hub.status.borrow().connected.len()).unwrap_or(u32::MAX));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = running.join_next() => {
                    let url = ended?;
                    // A URL that cannot be dialled stays, or it would be tried without end.
                    if links.get(&url).is_some_and(CancellationToken::is_cancelled) {
                        links.remove(&url);
                    }
                }
                Ok(()) = changed.changed() => {}
            }
        }
        while let Some(ended) = running.join_next().await {
            ended?;
        }
        Ok(())
    }

    fn link(
        &self,
        hub: Arc<Hub>,
        url: String,
        stop: CancellationToken,
        hang_up: CancellationToken,
    ) -> impl Future<Output = String> + use<> {
        let (directory, transport) = (self.directory.clone(), self.transport.clone());
        async move {
            link::run(&hub, &directory, &transport, &url, &stop, &hang_up).await;
            url
        }
    }
}
