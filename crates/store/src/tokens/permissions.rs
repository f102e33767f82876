//! What a token may do: groups of routes, each to read or to edit.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One group of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    MonitorsAndPoolsRead,
    /// Includes reading, and reads secret headers.
    MonitorsAndPoolsEdit,
    LoadBalancersRead,
    /// Includes reading.
    LoadBalancersEdit,
    /// Events.
    AnalyticsRead,
    /// Everything, and alone the audit log, the workers, and making and removing zones.
    Admin,
}

impl Permission {
    pub const ALL: [Self; 6] = [
        Self::MonitorsAndPoolsRead,
        Self::MonitorsAndPoolsEdit,
        Self::LoadBalancersRead,
        Self::LoadBalancersEdit,
        Self::AnalyticsRead,
        Self::Admin,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::MonitorsAndPoolsRead => "monitors-and-pools:read",
            Self::MonitorsAndPoolsEdit => "monitors-and-pools:edit",
            Self::LoadBalancersRead => "load-balancers:read",
            Self::LoadBalancersEdit => "load-balancers:edit",
            Self::AnalyticsRead => "analytics:read",
            Self::Admin => "admin",
        }
    }

    /// Whether who has this one may do what `needed` allows.
    const fn includes(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::MonitorsAndPoolsEdit => matches!(needed, Self::MonitorsAndPoolsEdit | Self::MonitorsAndPoolsRead),
            Self::LoadBalancersEdit => matches!(needed, Self::LoadBalancersEdit | Self::LoadBalancersRead),
            Self::MonitorsAndPoolsRead => matches!(needed, Self::MonitorsAndPoolsRead),
            Self::LoadBalancersRead => matches!(needed, Self::LoadBalancersRead),
            Self::AnalyticsRead => matches!(needed, Self::AnalyticsRead),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is no permission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no permission; there are {names}", names = Permission::ALL.map(Permission::name).join(", "))]
pub struct InvalidPermission(pub String);

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        Self::ALL.into_iter().find(|permission| permission.name() == text).ok_or_else(|| InvalidPermission(text.to_owned()))
    }
}

/// The usual sets of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reading all but the audit log.
    Read,
    /// Editing all objects of an account, and reading what [`Scope::Read`] does.
    Edit,
    /// Everything.
    Admin,
}

impl From<Scope> for Permissions {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => [Permission::MonitorsAndPoolsRead, Permission::LoadBalancersRead, Permission::AnalyticsRead].into(),
            Scope::Edit => [Permission::MonitorsAndPoolsEdit, Permission::LoadBalancersEdit, Permission::AnalyticsRead].into(),
            Scope::Admin => [Permission::Admin].into(),
        }
    }
}

/// What a token may do, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Permission>);

impl Permissions {
    pub fn allow(&self, needed: Permission) -> bool {
        self.0.iter().any(|permission| permission.includes(needed))
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For a database that an older program wrote or reads.
    pub(super) fn may_edit(&self) -> bool {
        self.allow(Permission::MonitorsAndPoolsEdit) && self.allow(Permission::LoadBalancersEdit)
    }
}

impl<const N: usize> From<[Permission; N]> for Permissions {
    fn from(permissions: [Permission; N]) -> Self {
        permissions.into_iter().collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Permission::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: what a holder of `held` may do, by the first letters of group and verb, in the order of all.
    fn check(held: Permission, expected: &str) {
        let held = Permissions::from([held]);
        let may: String =
            Permission::ALL.iter().zip("mMlLaX".chars()).map(|(needed, letter)| if held.allow(*needed) { letter } else { '.' }).collect();
        assert_eq!(may, expected, "{held}");
    }

    #[test]
    fn editing_includes_reading_and_no_group_includes_another() {
        check(Permission::MonitorsAndPoolsRead, "m.....");
        check(Permission::MonitorsAndPoolsEdit, "mM....");
        check(Permission::LoadBalancersRead, "..l...");
        check(Permission::LoadBalancersEdit, "..lL..");
        check(Permission::AnalyticsRead, "....a.");
        check(Permission::Admin, "mMlLaX");
        assert!(Permission::ALL.iter().all(|needed| !Permissions::default().allow(*needed)));
    }

    #[test]
    fn a_permission_is_read_as_it_is_written_and_a_wrong_one_is_told_with_the_right_ones() {
        for permission in Permission::ALL {
            assert_eq!(permission.name().parse(), Ok(permission));
        }
        let told = "pools:edit".parse::<Permission>().unwrap_err().to_string();
        assert!(told.contains("\"pools:edit\"") && told.contains("monitors-and-pools:edit, load-balancers:read"), "{told}");
    }

    #[test]
    fn the_short_forms_are_what_they_say() {
        let [read, edit, admin] = [Scope::Read, Scope::Edit, Scope::Admin].map(Permissions::from);
        assert_eq!(read.to_string(), "monitors-and-pools:read,load-balancers:read,analytics:read");
        assert_eq!(edit.to_string(), "monitors-and-pools:edit,load-balancers:edit,analytics:read");
        assert!(edit.may_edit() && admin.may_edit() && !read.may_edit());
        assert!(!edit.allow(Permission::Admin));
    }
}
