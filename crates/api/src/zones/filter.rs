//! Which zones a list is asked for.

use std::cmp::Ordering;

use quorate_core::ids::AccountId;
use quorate_store::zones::Zone;

use crate::error::ApiError;
use crate::extract::Params;

/// Every zone here has this status.
pub(super) const STATUS: &str = "active";
pub(super) const STATUSES: [&str; 4] = ["initializing", "pending", "active", "moved"];
pub(super) const MATCHES: [&str; 2] = ["all", "any"];
pub(super) const ORDERS: [&str; 4] = ["name", "status", "account.id", "account.name"];
pub(super) const DIRECTIONS: [&str; 2] = ["asc", "desc"];

/// What a zone has to be, and in which order the list is.
#[derive(Debug)]
pub(super) struct Filter {
    name: Option<Wanted>,
    account_name: Option<Wanted>,
    account_id: Option<AccountId>,
    status: Option<String>,
    /// One of the wishes is enough.
    any: bool,
    order: Option<Order>,
    descending: bool,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Name,
    /// All have one status, so this leaves them in creation order.
    Status,
    AccountId,
    AccountName,
}

impl Filter {
    pub(super) fn of(params: &Params) -> Result<Self, ApiError> {
        let one_of = |name: &str, legal: &[&str]| match params.text(name) {
            Some(text) if !legal.contains(&text) => {
                Err(ApiError::InvalidQuery(format!("{name} {text:?} is not one of {}", legal.join(", "))))
            }
            found => Ok(found),
        };
        let order = match one_of("order", &ORDERS)? {
            None => None,
            Some("name") => Some(Order::Name),
            Some("account.id") => Some(Order::AccountId),
            Some("account.name") => Some(Order::AccountName),
            Some(_) => Some(Order::Status),
        };
        Ok(Self {
            name: params.text("name").map(Wanted::of),
            account_name: params.text("account.name").map(Wanted::of),
            account_id: params.parsed("account.id", "an identifier of 32 lower-case hexadecimal characters")?,
            status: one_of("status", &STATUSES)?.map(str::to_owned),
            any: one_of("match", &MATCHES)? == Some("any"),
            order,
            descending: one_of("direction", &DIRECTIONS)? == Some("desc"),
        })
    }

    /// The zones that are wanted, in order; without an order as they come.
    pub(super) fn apply(&self, mut zones: Vec<Zone>) -> Vec<Zone> {
        zones.retain(|zone| self.wants(zone));
        if let Some(order) = self.order {
            zones.sort_by(|one, other| order.compare(one, other));
        }
        if self.descending {
            zones.reverse();
        }
        zones
    }

    fn wants(&self, zone: &Zone) -> bool {
        let wishes = [
            self.name.as_ref().map(|wanted| wanted.is(&zone.name)),
            self.account_name.as_ref().map(|wanted| wanted.is(&zone.account_name)),
            self.account_id.map(|wanted| wanted == zone.account_id),
            self.status.as_deref().map(|wanted| wanted == STATUS),
        ];
        let mut told = wishes.into_iter().flatten().peekable();
        if self.any && told.peek().is_some() { told.any(|met| met) } else { told.all(|met| met) }
    }
}

impl Order {
    fn compare(self, one: &Zone, other: &Zone) -> Ordering {
        match self {
            Self::Name => one.name.cmp(&other.name),
            Self::Status => Ordering::Equal,
            Self::AccountId => one.account_id.cmp(&other.account_id),
            Self::AccountName => one.account_name.cmp(&other.account_name),
        }
    }
}

/// A text, or an operator and a text: `contains:dev`. Case counts only where the operator says so.
#[derive(Debug)]
struct Wanted {
    operator: &'static str,
    text: String,
    exact_case: bool,
}

impl Wanted {
    fn of(text: &str) -> Self {
        const OPERATORS: [&str; 5] = ["equal", "not_equal", "starts_with", "ends_with", "contains"];
        if let Some((operator, rest)) = text.split_once(':') {
            let (operator, exact_case) = operator.strip_suffix("_case_sensitive").map_or((operator, false), |operator| (operator, true));
            if let Some(operator) = OPERATORS.into_iter().find(|known| *known == operator) {
                return Self { operator, text: rest.to_owned(), exact_case };
            }
        }
        Self { operator: "equal", text: text.to_owned(), exact_case: false }
    }

    fn is(&self, value: &str) -> bool {
        let (value, text) =
            if self.exact_case { (value.to_owned(), self.text.clone()) } else { (value.to_lowercase(), self.text.to_lowercase()) };
        match self.operator {
            "not_equal" => value != text,
            "starts_with" => value.starts_with(&text),
            "ends_with" => value.ends_with(&text),
            "contains" => value.contains(&text),
            _ => value == text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_text_or_an_operator_with_one() {
        for (wanted, value, expected) in [
            ("example.com", "example.com", true),
            ("EXAMPLE.com", "example.com", true),
            ("equal:example.com", "example.com", true),
            ("not_equal:example.com", "example.com", false),
            ("starts_with:exam", "Example", true),
            ("starts_with_case_sensitive:exam", "Example", false),
            ("ends_with:.com", "example.com", true),
            ("contains:MPL", "example.com", true),
            ("contains_case_sensitive:MPL", "example.com", false),
            // No operator: the account is called so.
            ("team:one", "team:one", true),
        ] {
            assert_eq!(Wanted::of(wanted).is(value), expected, "{wanted} {value}");
        }
    }
}
