//! The demo origins of `up`: which there are, on which ports, and the pools that name them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::demo::manner::{GALLERY, Place};
use crate::demo::objects::{DemoOrigin, DemoPool, http_monitor, https_monitor};
use crate::demo::origin::Port;
use crate::demo::{Manner, Origin};
use crate::secrets::write_private;

/// The pool that is healthy and stays so.
pub(super) const STEADY: &str = "steady";
/// The pool to break and heal.
pub(super) const SHOP: &str = "shop";
/// The pool of failures.
pub(super) const GALLERY_POOL: &str = "gallery";

/// Where the origins listen, and the name that their good certificate is for.
pub(super) const ORIGINS_IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const STEADY_ORIGINS: [&str; 2] = ["steady-1", "steady-2"];
pub(super) const SHOP_ORIGINS: [&str; 3] = ["shop-1", "shop-2", "shop-3"];

/// What the last run wrote down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Port of each origin by its name.
    pub ports: BTreeMap<String, u16>,
    /// The pools were made; from then on they are the operator's, who may have removed some.
    pub made: bool,
}

impl Remembered {
    fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("demo.json")
    }

    pub(super) fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = Self::path(data_dir);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).with_context(|| format!("{} is damaged: remove it to make the demo anew", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    pub(super) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        write_private(&Self::path(data_dir), &serde_json::to_string_pretty(self).context("cannot write down the demo")?)
    }
}

/// The origins, each with its port.
#[derive(Debug)]
pub(super) struct DemoSet {
    pub origins: Vec<Origin>,
    pub ports: BTreeMap<String, u16>,
    /// Ports that were taken since the last run: (address, old) to new.
    pub moved: BTreeMap<(String, u16), u16>,
}

impl DemoSet {
    /// Takes the ports of the last run, and others where they are taken.
    pub(super) async fn bind(remembered: &BTreeMap<String, u16>) -> anyhow::Result<Self> {
        let switched = STEADY_ORIGINS.iter().chain(&SHOP_ORIGINS).map(|name| (*name, Manner::Switched));
        let exhibited = GALLERY.iter().filter_map(|exhibit| match exhibit.place {
            Place::Served(manner) => Some((exhibit.name, manner)),
            Place::Elsewhere(_) => None,
        });
        let mut set = Self { origins: Vec::new(), ports: BTreeMap::new(), moved: BTreeMap::new() };
        for (name, manner) in switched.chain(exhibited) {
            let old = remembered.get(name).copied();
            let wanted = old.map_or(Port::Free, Port::Rather);
            let origin =
                Origin::bind(name, manner, ORIGINS_IP, wanted).await.with_context(|| format!("cannot start the demo origin {name}"))?;
            let port = origin.address().port();
            if let Some(old) = old.filter(|old| *old != port) {
                set.moved.insert((ORIGINS_IP.to_string(), old), port);
            }
            set.ports.insert(name.to_owned(), port);
            set.origins.push(origin);
        }
        Ok(set)
    }

    /// The three pools.
    pub(super) fn pools(&self) -> Vec<DemoPool> {
        let served = |name: &str| DemoOrigin {
            name: name.to_owned(),
            address: ORIGINS_IP.to_string(),
            port: self.ports.get(name).copied().unwrap_or(0),
        };
        let exhibited = GALLERY.iter().map(|exhibit| match exhibit.place {
            Place::Served(_) => served(exhibit.name),
            Place::Elsewhere(address) => DemoOrigin { name: exhibit.name.to_owned(), address: address.to_owned(), port: 443 },
        });
        vec![
            DemoPool {
                name: SHOP,
                description: "demo: break and heal these with `quorate demo`",
                monitor: http_monitor(),
                origins: SHOP_ORIGINS.map(served).to_vec(),
            },
            DemoPool {
                name: STEADY,
                description: "demo: always healthy",
                monitor: http_monitor(),
                origins: STEADY_ORIGINS.map(served).to_vec(),
            },
            DemoPool {
                name: GALLERY_POOL,
                description: "demo: a failure reason each",
                monitor: https_monitor(),
                origins: exhibited.collect(),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_run_takes_the_ports_of_the_last_and_says_which_it_could_not_have() {
        let first = DemoSet::bind(&BTreeMap::new()).await.unwrap();
        let remembered = first.ports.clone();
        assert!(first.moved.is_empty());
        // Another program takes one of the ports while nothing of ours runs.
        let taken = remembered["shop-2"];
        let keeps = first.origins.into_iter().find(|origin| origin.name() == "shop-2").unwrap();
        let second = DemoSet::bind(&remembered).await.unwrap();
        assert_eq!(second.moved.keys().collect::<Vec<_>>(), [&(ORIGINS_IP.to_string(), taken)]);
        for (name, port) in &remembered {
            assert_eq!(second.ports[name] == *port, name != "shop-2", "{name}");
        }
        drop(keeps);
    }
}
