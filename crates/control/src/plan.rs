//! The plan of a bucket: its configuration as of one snapshot, made ready for manifests and verdicts.
//! Pure: no clock, no database.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::bucket::Bucket;
use quorate_core::check::Check;
use quorate_core::electorate::{CheckRegions, Electorate, electorate, seat_region};
use quorate_core::ids::CheckId;
use quorate_core::monitor::MonitorSettings;
use quorate_core::monitor_group::{Monitoring, Voice};
use quorate_core::pool::Origin;
use quorate_core::pop::{Pop, PopNo};
use quorate_core::region::Region;
use quorate_store::verdicts::{BucketConfig, PoolConfig};

use crate::manifests::Manifest;
use crate::probed::Probed;
use crate::session::wire;

/// Bytes of checks in one manifest, so that it fits in one message with room for the frame. What is
/// beyond is not probed in this bucket, and told.
const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;

/// Who sits where.
pub(crate) type Seats = Vec<(Region, Vec<PopNo>)>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) bucket: Bucket,
    pub(crate) config_seq: u64,
    pub(crate) seats: Seats,
    pub(crate) pools: Vec<PoolPlan>,
    /// What is probed, sorted by id: of an origin under a monitor group, each member has an entry, with an id of
    /// its own. Where a vote is kept is an index into this.
    pub(crate) checks: Vec<CheckPlan>,
    /// By the pools whose checks they hold, in order.
    manifests: HashMap<Vec<usize>, Arc<Manifest>>,
}

#[derive(Debug)]
pub(crate) struct PoolPlan {
    pub(crate) config: PoolConfig,
    regions: CheckRegions,
    pub(crate) electorate: Electorate,
    /// By origin.
    pub(crate) probed: Vec<Probed>,
}

#[derive(Debug)]
pub(crate) struct CheckPlan {
    pub(crate) check: Arc<Check>,
    /// Index in [`Plan::pools`].
    pub(crate) pool: usize,
    /// Index in the pool's origins.
    pub(crate) origin: usize,
    /// The member of the pool's monitor group that it is of.
    voice: Option<Voice>,
}

impl PoolPlan {
    /// Whether a connected PoP is asked to probe this pool. Where all registered PoPs are, it is: nobody else connects.
    fn asks(&self, pop: PopNo) -> bool {
        match self.regions {
            CheckRegions::AllPops => true,
            CheckRegions::Regions(_) => self.electorate.seat_of(pop).is_some(),
        }
    }
}

impl Plan {
    /// The plan of a configuration. Checks that `old` has in the same form are shared with it.
    pub(crate) fn new(config: BucketConfig, registered: &[Pop], old: Option<&Self>) -> Self {
        let mut plan = Self {
            bucket: config.bucket,
            config_seq: config.config_seq,
            seats: config.seats,
            pools: Vec::with_capacity(config.pools.len()),
            checks: Vec::new(),
            manifests: HashMap::new(),
        };
        for (number, config) in config.pools.into_iter().enumerate() {
            for (origin, voice, check) in asked(&config) {
                let kept = old.and_then(|old| old.find(check.id)).map(|index| &old.expect("found in it").checks[index].check);
                let check = kept.filter(|kept| ***kept == check).map_or_else(|| Arc::new(check), Arc::clone);
                plan.checks.push(CheckPlan { check, pool: number, origin, voice });
            }
            let regions = config.pool.settings.check_regions.meaning();
            let probed = vec![Probed::Not; config.pool.origins.len()];
            plan.pools.push(PoolPlan { regions, electorate: Electorate::default(), probed, config });
        }
        plan.checks.sort_by_key(|plan| plan.check.id);
        for (index, check) in plan.checks.iter().enumerate() {
            plan.pools[check.pool].probed[check.origin].add(check.voice, index);
        }
        plan.elect(registered);
        plan
    }

    /// Whether this is `old` or what became of it. A lower number, or other content under the same one, is of
    /// another history: of a database that was restored.
    pub(crate) fn follows(&self, old: &Self) -> bool {
        let same = || {
            let checks = || self.checks.iter().zip(&old.checks).all(|(ours, theirs)| ours.check == theirs.check);
            self.seats == old.seats && self.checks.len() == old.checks.len() && checks()
        };
        self.config_seq > old.config_seq || (self.config_seq == old.config_seq && same())
    }

    /// Who votes, after the seats or the registry changed.
    pub(crate) fn elect(&mut self, registered: &[Pop]) {
        let seats = &self.seats;
        let seats_of = |region| seats.iter().find(|(seated, _)| *seated == region).map(|(_, pops)| pops.clone()).unwrap_or_default();
        for pool in &mut self.pools {
            pool.electorate = electorate(&pool.regions, registered, seats_of);
        }
    }

    /// The same configuration with other seats, as of another `config_seq`.
    pub(crate) fn seat(&mut self, seats: Seats, config_seq: u64, registered: &[Pop]) {
        self.seats = seats;
        self.config_seq = config_seq;
        self.manifests.clear();
        self.elect(registered);
    }

    /// The seats as they should be; `None` where they are so already. Seats of regions that no pool asks for stay.
    pub(crate) fn seats_due(&self, registered: &[Pop], dead: impl Fn(PopNo) -> bool) -> Option<Seats> {
        let mut wanted: Vec<Region> = Vec::new();
        for pool in &self.pools {
            if let CheckRegions::Regions(regions) = &pool.regions {
                wanted.extend(regions);
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut due = self.seats.clone();
        let mut changed = false;
        for region in wanted {
            let held = due.iter().position(|(seated, _)| *seated == region);
            let before = held.map_or(&[][..], |index| &due[index].1);
            let after = seat_region(self.bucket, region, registered, &dead, before);
            if after != before {
                changed = true;
                match held {
                    Some(index) => due[index].1 = after,
                    None => due.push((region, after)),
                }
            }
        }
        changed.then_some(due)
    }

    pub(crate) fn find(&self, id: CheckId) -> Option<usize> {
        self.checks.binary_search_by_key(&id, |plan| plan.check.id).ok()
    }

    /// The places of everything that is probed for the origin of a check.
    pub(crate) fn places_of(&self, check: CheckId) -> impl Iterator<Item = usize> + '_ {
        let origins = self.pools.iter().flat_map(|pool| pool.config.pool.origins.iter().zip(&pool.probed));
        origins.filter(move |(origin, _)| origin.check_id == check).flat_map(|(_, probed)| probed.places())
    }

    /// Whether a connected PoP is asked to probe a check.
    pub(crate) fn asks(&self, pop: PopNo, check: usize) -> bool {
        self.pools[self.checks[check].pool].asks(pop)
    }

    /// What a connected PoP is asked to probe.
    pub(crate) fn manifest(&mut self, pop: PopNo) -> Arc<Manifest> {
        let pools: Vec<usize> = (0..self.pools.len()).filter(|number| self.pools[*number].asks(pop)).collect();
        if let Some(known) = self.manifests.get(&pools) {
            return Arc::clone(known);
        }
        let (mut checks, mut bytes, mut left_out) = (Vec::new(), 0, 0_u64);
        for plan in self.checks.iter().filter(|plan| pools.binary_search(&plan.pool).is_ok()) {
            bytes += wire::size(&plan.check);
            if bytes > MANIFEST_BYTES_MAX {
                left_out += 1;
            } else {
                checks.push(Arc::clone(&plan.check));
            }
        }
        if left_out > 0 {
            metrics::counter!("quorate_checks_left_out_total").increment(left_out);
            tracing::error!(
                bucket = self.bucket.number(),
                checks.left_out = left_out,
                "a bucket asks for more than fits in one manifest; the checks with the highest ids are not probed"
            );
        }
        let manifest = Arc::new(Manifest::new(self.config_seq, checks));
        self.manifests.insert(pools, Arc::clone(&manifest));
        manifest
    }
}

/// What is asked of the origins of a pool, each with the index of its origin and the member of the group that
/// asks: in an enabled pool, of the enabled origins.
fn asked(config: &PoolConfig) -> Vec<(usize, Option<Voice>, Check)> {
    let pool = &config.pool;
    // Probes are shared within an account, and an account is no secret from itself.
    let sharing_key = *pool.account_id.as_bytes();
    let check = |id: CheckId, origin: &Origin, monitor: &MonitorSettings| {
        Check::new(id, origin.config_gen, pool.id, sharing_key, monitor, &origin.settings)
    };
    let enabled = |(_, origin): &(usize, &Origin)| pool.settings.enabled && origin.settings.enabled;
    let origins = pool.origins.iter().enumerate().filter(enabled);
    match &config.monitoring {
        Monitoring::Nothing => Vec::new(),
        Monitoring::Monitor(monitor) => origins.map(|(index, origin)| (index, None, check(origin.check_id, origin, monitor))).collect(),
        Monitoring::Group(members) => origins
            .flat_map(|(index, origin)| {
                let of_member = |voice: Voice, monitor| check(origin.check_id.of_member(voice.monitor), origin, monitor);
                members.iter().map(move |(voice, monitor)| (index, Some(*voice), of_member(*voice, monitor)))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::ids::MonitorId;

    use crate::sample::{bucket_config, grouped, monitoring_only, must_be_healthy, pool, pop, voting, with_origins};

    #[test]
    fn only_enabled_origins_of_enabled_pools_with_a_monitor_are_probed() {
        let origins_probed = |change: fn(&mut PoolConfig)| {
            let mut config = pool(1, &["WEU"], &with_origins(3));
            config.pool.origins[1].settings.enabled = false;
            change(&mut config);
            let plan = Plan::new(bucket_config(4, vec![config]), &[], None);
            plan.pools[0].probed.iter().map(|probed| *probed != Probed::Not).collect::<Vec<_>>()
        };
        assert_eq!(origins_probed(|_| {}), [true, false, true]);
        assert_eq!(origins_probed(|config| config.pool.settings.enabled = false), [false; 3]);
        assert_eq!(origins_probed(|config| config.monitoring = Monitoring::Nothing), [false; 3]);
    }

    #[test]
    fn under_a_group_each_enabled_member_has_an_entry_of_its_own() {
        let group = grouped(pool(1, &["WEU"], &with_origins(2)), &[(1, voting), (2, must_be_healthy), (3, monitoring_only)]);
        let plan = Plan::new(bucket_config(4, vec![group.clone()]), &[], None);
        assert!(plan.checks.is_sorted_by_key(|entry| entry.check.id));
        for (origin, probed) in group.pool.origins.iter().zip(&plan.pools[0].probed) {
            let Probed::Group(members) = probed else { panic!("{probed:?}") };
            let told: Vec<_> = members.iter().map(|(voice, place)| (voice.monitor, plan.checks[*place].check.id)).collect();
            let expected = [1, 2, 3].map(|id| MonitorId::from_bytes([id; 16])).map(|id| (id, origin.check_id.of_member(id)));
            assert_eq!(told, expected);
            let intervals: Vec<u64> = members.iter().map(|(_, place)| plan.checks[*place].check.interval.as_secs()).collect();
            assert_eq!(intervals, [11, 12, 13], "each as its own monitor says");
        }
        let mut empty = group;
        empty.monitoring = Monitoring::Group(Vec::new());
        assert_eq!(Plan::new(bucket_config(5, vec![empty]), &[], None).pools[0].probed, [Probed::Not, Probed::Not]);
    }

    #[test]
    fn a_pop_gets_the_checks_of_the_pools_in_which_it_has_a_seat() {
        let pops = [pop(1, Region::Weu), pop(2, Region::Enam), pop(3, Region::Enam), pop(4, Region::Enam), pop(5, Region::Enam)];
        let pools = vec![pool(1, &["WEU"], &with_origins(1)), pool(2, &["WEU", "ENAM"], &with_origins(2))];
        let mut config = bucket_config(4, pools);
        config.seats = vec![(Region::Weu, vec![PopNo(1)]), (Region::Enam, vec![PopNo(2), PopNo(3), PopNo(4)])];
        let mut plan = Plan::new(config, &pops, None);
        let count = |plan: &mut Plan, no| plan.manifest(PopNo(no)).checks.len();
        assert_eq!([1, 2, 5].map(|no| count(&mut plan, no)), [3, 2, 0]);
        assert!(Arc::ptr_eq(&plan.manifest(PopNo(2)), &plan.manifest(PopNo(4))), "PoPs that are asked the same share it");
        assert!(plan.manifest(PopNo(1)).checks.is_sorted_by_key(|check| check.id));
    }

    #[test]
    fn every_connected_pop_is_asked_where_all_pops_are() {
        let mut all = pool(1, &[], &with_origins(2));
        all.pool.settings.check_regions.0 = None;
        let mut plan = Plan::new(bucket_config(4, vec![all]), &[pop(1, Region::Weu)], None);
        // PoP 9 proved who it is a moment ago, and the registry of this plan does not have it yet: the
        // manifest of a version must not depend on that.
        assert_eq!(plan.manifest(PopNo(9)).checks.len(), 2);
        assert_eq!(plan.pools[0].electorate.seats(), 1);
        plan.elect(&[pop(1, Region::Weu), pop(9, Region::Oc)]);
        assert_eq!(plan.pools[0].electorate.seats(), 2);
    }

    #[test]
    fn seats_are_due_for_the_regions_that_pools_ask_for() {
        let pops: Vec<Pop> = (1..=4).map(|no| pop(no, Region::Weu)).collect();
        let mut plan = Plan::new(bucket_config(4, vec![pool(1, &["WEU", "OC"], &with_origins(1))]), &pops, None);
        let due = plan.seats_due(&pops, |_| false).expect("never seated");
        assert_eq!(due.len(), 1, "nobody is registered in OC: {due:?}");
        assert_eq!(due[0].1.len(), 3);
        plan.seat(due.clone(), 5, &pops);
        assert_eq!((plan.config_seq, plan.pools[0].electorate.seats()), (5, 3));
        assert_eq!(plan.seats_due(&pops, |_| false), None);
        let (dead, spare) = (due[0].1[0], (1..=4).map(PopNo).find(|no| !due[0].1.contains(no)).unwrap());
        let moved = plan.seats_due(&pops, |no| no == dead).expect("a seat of the dead moves to the living");
        assert!(moved[0].1.contains(&spare) && !moved[0].1.contains(&dead), "{moved:?}");
        assert_eq!(plan.seats_due(&pops, |_| true), None, "silence of all moves nothing");
    }

    #[test]
    fn a_check_that_did_not_change_is_the_same_one_in_the_next_plan() {
        let config = || bucket_config(4, vec![pool(1, &["WEU"], &with_origins(2))]);
        let first = Plan::new(config(), &[], None);
        let mut changed = config();
        changed.pools[0].pool.origins[1].config_gen = 2;
        let second = Plan::new(changed, &[], Some(&first));
        let same: Vec<bool> = first.checks.iter().zip(&second.checks).map(|(one, other)| Arc::ptr_eq(&one.check, &other.check)).collect();
        assert_eq!(same.iter().filter(|same| **same).count(), 1, "{same:?}");
    }
}
