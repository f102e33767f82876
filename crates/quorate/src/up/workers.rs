//! The workers of `up`: tasks of this process, each probing from an address of its own where the system allows.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use ipnet::IpNet;
use quorate_core::region::Region;
use quorate_store::worker_tokens::NewPop;

/// Where the worker of each PoP probes from: `127.0.<region>.<n>`. `None` for all where the system has only one loopback
/// address, as macOS has.
pub(super) fn source_addresses(pops: &[NewPop]) -> Vec<Option<IpAddr>> {
    let mut sources = Vec::with_capacity(pops.len());
    for (index, pop) in pops.iter().enumerate() {
        let before = pops[..index].iter().filter(|earlier| earlier.region == pop.region).count();
        let host = u8::try_from(before + 1).ok();
        sources.push(host.map(|host| IpAddr::V4(Ipv4Addr::new(127, 0, pop.region.number(), host))));
    }
    let usable = |source: &Option<IpAddr>| source.is_some_and(|source| TcpListener::bind((source, 0)).is_ok());
    if sources.iter().all(usable) { sources } else { vec![None; pops.len()] }
}

/// Which addresses are whose, for the demo origins. Empty where all workers share one.
pub(super) fn regions_by_source(pops: &[NewPop], sources: &[Option<IpAddr>]) -> Vec<(IpNet, Region)> {
    pops.iter().zip(sources).filter_map(|(pop, source)| source.map(|source| (IpNet::from(source), pop.region))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::pops::default_pops;

    #[test]
    fn each_worker_has_an_address_that_tells_its_region() {
        let pops = default_pops().unwrap();
        let sources = source_addresses(&pops);
        // A system with one loopback address gives none of its own.
        if sources.iter().any(Option::is_some) {
            assert_eq!(sources.iter().collect::<HashSet<_>>().len(), pops.len(), "{sources:?}");
            let regions = regions_by_source(&pops, &sources);
            for (pop, source) in pops.iter().zip(&sources) {
                let found: Vec<_> = regions.iter().filter(|(net, _)| net.contains(&source.unwrap())).collect();
                assert!(matches!(found[..], [(_, region)] if *region == pop.region), "{pop:?}: {found:?}");
            }
        }
    }
}
