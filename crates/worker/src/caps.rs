//! How much of this worker one account may use, and how often one address may be asked: what goes
//! beyond is not taken up, and says so.
//!
//! Pure: rates are those of the configuration. What a name or a redirect leads to is counted when it
//! has led there, by [`crate::probe`].

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::Check;

use crate::probe::Target;

/// Probes in a thousand seconds.
type Rate = u64;

#[derive(Debug)]
pub(crate) struct Caps {
    account_max: Rate,
    address_max: Rate,
    policy: AddressPolicy,
    accounts: HashMap<[u8; 16], Rate>,
    addresses: HashMap<IpAddr, Rate>,
}

/// What a probe takes of the caps, until it is given back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    account: [u8; 16],
    /// Where it is known beforehand, and not the operator's own.
    address: Option<IpAddr>,
    rate: Rate,
}

/// Why a check is not taken up. Numbers are probes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Capped {
    #[error("this worker makes at most {0} probes a second for one account")]
    Account(u64),
    #[error("this worker asks one address at most {0} times a second, all accounts together")]
    Address(u64),
}

impl Caps {
    /// Both in probes a second. Addresses in ranges that the operator has named have no cap.
    pub(crate) fn new(account_max: u32, address_max: u32, policy: AddressPolicy) -> Self {
        let rate = |per_second: u32| Rate::from(per_second.max(1)) * 1_000;
        Self { account_max: rate(account_max), address_max: rate(address_max), policy, accounts: HashMap::new(), addresses: HashMap::new() }
    }

    pub(crate) fn take(&mut self, check: &Check, target: &Target) -> Result<Share, Capped> {
        let address = target.literal().filter(|address| !self.policy.names(*address));
        let share = Share { account: check.sharing_key, address, rate: rate(check.interval) };
        let sum = |used: Option<&Rate>| used.copied().unwrap_or(0) + share.rate;
        if sum(self.accounts.get(&share.account)) > self.account_max {
            return Err(Capped::Account(self.account_max / 1_000));
        }
        if address.is_some_and(|address| sum(self.addresses.get(&address)) > self.address_max) {
            return Err(Capped::Address(self.address_max / 1_000));
        }
        *self.accounts.entry(share.account).or_default() += share.rate;
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += share.rate;
        }
        Ok(share)
    }

    pub(crate) fn give_back(&mut self, share: Share) {
        lower(&mut self.accounts, &share.account, share.rate);
        if let Some(address) = share.address {
            lower(&mut self.addresses, &address, share.rate);
        }
    }
}

fn rate(interval: Duration) -> Rate {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(Rate::MAX).max(1);
    (1_000_000 / interval_ms).max(1)
}

fn lower<K: Eq + Hash>(used: &mut HashMap<K, Rate>, key: &K, rate: Rate) {
    if let Some(left) = used.get_mut(key) {
        *left = left.saturating_sub(rate);
        if *left == 0 {
            used.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::checks::tcp_check;

    fn taking(caps: &mut Caps, account: u8, address: &str, interval_s: u64) -> Result<Share, Capped> {
        let check = Check { sharing_key: [account; 16], interval: Duration::from_secs(interval_s), ..tcp_check(address, 443) };
        caps.take(&check, &Target::new(&check).expect("runnable"))
    }

    #[test]
    fn an_account_has_its_share_and_gets_back_what_it_no_longer_uses() {
        let mut caps = Caps::new(3, 1_000, AddressPolicy::default());
        let shares: Vec<Share> = (0..3).map(|_| taking(&mut caps, 1, "a.example", 1).expect("room")).collect();
        assert_eq!(taking(&mut caps, 1, "a.example", 60).expect_err("used up"), Capped::Account(3));
        assert!(taking(&mut caps, 2, "a.example", 1).is_ok(), "another account");
        caps.give_back(shares[0]);
        for _ in 0..60 {
            taking(&mut caps, 1, "a.example", 60).expect("sixty a minute are one a second");
        }
        caps.give_back(shares[1]);
        caps.give_back(shares[2]);
        assert!(taking(&mut caps, 1, "a.example", 1).is_ok());
    }

    #[test]
    fn an_address_has_one_cap_for_all_accounts_unless_it_is_the_operators_own() {
        let own = "10.0.0.0/8".parse().expect("a range");
        let mut caps = Caps::new(1_000, 2, AddressPolicy::new(vec![own]));
        for account in 0..2 {
            taking(&mut caps, account, "9.9.9.9", 1).expect("room");
        }
        assert_eq!(taking(&mut caps, 3, "9.9.9.9", 3600).expect_err("used up"), Capped::Address(2));
        assert!(taking(&mut caps, 3, "9.9.9.8", 1).is_ok());
        for _ in 0..100 {
            taking(&mut caps, 1, "10.1.2.3", 1).expect("no cap");
            taking(&mut caps, 1, "name.example", 1).expect("counted when it has led somewhere");
        }
    }
}
