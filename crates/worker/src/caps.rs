//! How much of this worker one account may use: what goes beyond is not taken up, and says so.
//!
//! Pure: rates are those of the configuration. How often one address is asked is counted where probes
//! connect, by [`crate::probe`].

use std::collections::HashMap;

use quorate_core::check::Check;

use crate::probe::rate;

/// Probes in a thousand seconds.
type Rate = u64;

#[derive(Debug)]
pub(crate) struct Caps {
    account_max: Rate,
    accounts: HashMap<[u8; 16], Rate>,
}

/// What a probe takes of the caps, until it is given back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    account: [u8; 16],
    rate: Rate,
}

impl Share {
    pub(crate) const fn account(self) -> [u8; 16] {
        self.account
    }
}

/// Why a check is not taken up: its account uses as many probes a second as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this worker makes at most {0} probes a second for one account")]
pub(crate) struct Capped(u64);

impl Caps {
    /// In probes a second.
    pub(crate) fn new(account_max: u32) -> Self {
        Self { account_max: Rate::from(account_max.max(1)) * 1_000, accounts: HashMap::new() }
    }

    pub(crate) fn take(&mut self, check: &Check) -> Result<Share, Capped> {
        let share = Share { account: check.sharing_key, rate: rate(check.interval) };
        let used = self.accounts.entry(share.account).or_default();
        if *used + share.rate > self.account_max {
            return Err(Capped(self.account_max / 1_000));
        }
        *used += share.rate;
        Ok(share)
    }

    pub(crate) fn give_back(&mut self, share: Share) {
        if let Some(left) = self.accounts.get_mut(&share.account) {
            *left = left.saturating_sub(share.rate);
            if *left == 0 {
                self.accounts.remove(&share.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::probe::tests::checks::tcp_check;

    fn taking(caps: &mut Caps, account: u8, interval_s: u64) -> Result<Share, Capped> {
        caps.take(&Check { sharing_key: [account; 16], interval: Duration::from_secs(interval_s), ..tcp_check("a.example", 443) })
    }

    #[test]
    fn an_account_has_its_share_and_gets_back_what_it_no_longer_uses() {
        let mut caps = Caps::new(3);
        let shares: Vec<Share> = (0..3).map(|_| taking(&mut caps, 1, 1).expect("room")).collect();
        assert_eq!(taking(&mut caps, 1, 60).expect_err("used up"), Capped(3));
        assert!(taking(&mut caps, 2, 1).is_ok(), "another account");
        caps.give_back(shares[0]);
        for _ in 0..60 {
            taking(&mut caps, 1, 60).expect("sixty a minute are one a second");
        }
        caps.give_back(shares[1]);
        caps.give_back(shares[2]);
        assert!(taking(&mut caps, 1, 1).is_ok());
    }
}
