//! What a legal monitor group is.

use std::collections::BTreeMap;

use super::{FieldError, description};
use crate::monitor_group::{MEMBERS, MonitorGroupSettings};

impl MonitorGroupSettings {
    /// What is not legal, one entry a field. Whether the monitors exist is the caller's to ask.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = description(&self.description).into_iter().collect();
        if !MEMBERS.contains(&self.members.len()) {
            let (low, high) = (MEMBERS.start(), MEMBERS.end());
            problems.push(FieldError::new("/members", format!("the member list length must be in range [{low}, {high}]")));
        }
        let mut monitors = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate() {
            if let Some(first) = monitors.insert(member.monitor, index) {
                problems.push(FieldError::new(
                    format!("/members/{index}/monitor_id"),
                    format!("monitor_id \"{}\" is that of members[{first}] and must be unique in the group", member.monitor),
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MonitorId;
    use crate::monitor_group::MemberSettings;

    fn check(description: &str, monitors: impl IntoIterator<Item = u8>, expected: &[(&str, &str)]) {
        let member =
            |id| MemberSettings { monitor: MonitorId::from_bytes([id; 16]), enabled: true, monitoring_only: false, must_be_healthy: false };
        let settings = MonitorGroupSettings { description: description.to_owned(), members: monitors.into_iter().map(member).collect() };
        let found: Vec<(String, String)> = settings.problems().into_iter().map(|problem| (problem.pointer, problem.detail)).collect();
        let expected: Vec<(String, String)> = expected.iter().map(|(p, d)| ((*p).to_owned(), (*d).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_group_has_one_to_ten_members_and_each_monitor_once() {
        check("", 0..1, &[]);
        check("shop", 0..10, &[]);
        let length = "the member list length must be in range [1, 10]";
        check("", [], &[("/members", length)]);
        check("", 0..11, &[("/members", length)]);
        check(&"x".repeat(1025), 0..1, &[("/description", "description has 1025 characters and may have at most 1024")]);
        let twice = "monitor_id \"07070707070707070707070707070707\" is that of members[0] and must be unique in the group";
        check("", [7, 8, 7], &[("/members/2/monitor_id", twice)]);
    }
}
