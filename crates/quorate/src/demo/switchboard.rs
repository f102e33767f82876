//! Which demo origins are broken, and for whom. A region is told by the address that a probe comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

use ipnet::IpNet;
use quorate_core::region::Region;

/// For whom an origin is broken: probes from a region, or (`None`) everyone else, such as a person with curl.
type Audience = Option<Region>;

#[derive(Debug)]
pub struct Switchboard {
    /// Addresses from which the workers of a region probe. Empty where the system gives them none of their own.
    regions: Vec<(IpNet, Region)>,
    /// Every origin that can be broken, with those for whom it is.
    broken: RwLock<BTreeMap<String, BTreeSet<Audience>>>,
}

/// Why a switch was not turned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchSwitch {
    #[error("no demo origin is called {name:?}; those that can be broken are {}", .known.join(", "))]
    UnknownOrigin { name: String, known: Vec<String> },
    #[error("no worker here probes from {region}; the regions are {}", .known.iter().map(|region| region.code()).collect::<Vec<_>>().join(", "))]
    UnknownRegion { region: Region, known: Vec<Region> },
    #[error("on this system all workers probe from one address, so an origin cannot tell regions apart: leave out --from")]
    RegionsLookAlike,
}

impl Switchboard {
    pub fn new(origins: impl IntoIterator<Item = String>, regions: Vec<(IpNet, Region)>) -> Self {
        let broken = origins.into_iter().map(|name| (name, BTreeSet::new())).collect();
        Self { regions, broken: RwLock::new(broken) }
    }

    /// Turns an origin off (`broken`) or on again for one region, or for everyone. Answers what is true now.
    pub fn turn(&self, origin: &str, from: Option<Region>, broken: bool) -> Result<String, NoSuchSwitch> {
        let known: BTreeSet<Region> = self.regions.iter().map(|(_, region)| *region).collect();
        let whom: BTreeSet<Audience> = match from {
            None => known.iter().map(|region| Some(*region)).chain([None]).collect(),
            Some(_) if known.is_empty() => return Err(NoSuchSwitch::RegionsLookAlike),
            Some(region) if !known.contains(&region) => {
                return Err(NoSuchSwitch::UnknownRegion { region, known: known.into_iter().collect() });
            }
            Some(region) => BTreeSet::from([Some(region)]),
        };
        let mut all = self.broken.write().unwrap_or_else(PoisonError::into_inner);
        let Some(broken_for) = all.get_mut(origin) else {
            return Err(NoSuchSwitch::UnknownOrigin { name: origin.to_owned(), known: all.keys().cloned().collect() });
        };
        if broken {
            broken_for.extend(whom);
        } else {
            broken_for.retain(|audience| !whom.contains(audience));
        }
        let regions: Vec<&str> = broken_for.iter().flatten().map(|region| region.code()).collect();
        Ok(match (broken_for.len(), regions.as_slice()) {
            (0, _) => format!("{origin} answers 200 to everyone"),
            (count, _) if count == known.len() + 1 => format!("{origin} answers 503 to everyone"),
            (_, regions) => format!("{origin} answers 503 to probes from {}", regions.join(", ")),
        })
    }

    /// Whether `origin` is broken for a connection from `peer`.
    pub fn is_broken(&self, origin: &str, peer: IpAddr) -> bool {
        let region = self.regions.iter().find(|(net, _)| net.contains(&peer)).map(|(_, region)| *region);
        self.broken.read().unwrap_or_else(PoisonError::into_inner).get(origin).is_some_and(|audiences| audiences.contains(&region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONDON: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 3, 1));
    const TORONTO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 2, 3));
    const PERSON: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn board() -> Switchboard {
        let regions = vec![("127.0.3.0/24".parse().unwrap(), Region::Weu), ("127.0.2.0/24".parse().unwrap(), Region::Enam)];
        Switchboard::new(["shop-1".to_owned(), "shop-2".to_owned()], regions)
    }

    #[test]
    fn an_origin_breaks_for_one_region_only() {
        let board = board();
        assert_eq!(board.turn("shop-1", Some(Region::Weu), true).unwrap(), "shop-1 answers 503 to probes from WEU");
        assert!(board.is_broken("shop-1", LONDON));
        assert!(!board.is_broken("shop-1", TORONTO) && !board.is_broken("shop-1", PERSON) && !board.is_broken("shop-2", LONDON));
    }

    #[test]
    fn healing_one_region_leaves_the_others_broken() {
        let board = board();
        assert_eq!(board.turn("shop-1", None, true).unwrap(), "shop-1 answers 503 to everyone");
        assert!(board.is_broken("shop-1", PERSON));
        board.turn("shop-1", Some(Region::Weu), false).unwrap();
        assert!(!board.is_broken("shop-1", LONDON) && board.is_broken("shop-1", TORONTO));
        assert_eq!(board.turn("shop-1", None, false).unwrap(), "shop-1 answers 200 to everyone");
        assert!(!board.is_broken("shop-1", TORONTO));
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let board = board();
        assert!(board.turn("shop-9", None, true).unwrap_err().to_string().contains("shop-1, shop-2"));
        assert!(board.turn("shop-1", Some(Region::Oc), true).unwrap_err().to_string().contains("ENAM, WEU"));
        let alike = Switchboard::new(["shop-1".to_owned()], Vec::new());
        assert_eq!(alike.turn("shop-1", Some(Region::Weu), true), Err(NoSuchSwitch::RegionsLookAlike));
    }
}
