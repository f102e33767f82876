//! What a legal zone is.

/// The name of a zone: lower case, without a trailing dot; two or more labels of letters, digits and hyphens.
/// `None`: the text is no domain name.
pub fn domain(text: &str) -> Option<String> {
    let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        let legal = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && legal && !label.starts_with('-') && !label.ends_with('-')
    };
    (name.len() <= 253 && name.contains('.') && name.split('.').all(is_label) && super::is_host_name(&name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_domain_name() {
        assert_eq!(domain("Example.COM.").as_deref(), Some("example.com"));
        for bad in ["", "com", "a..b", "-a.com", "a_b.com", "a b.com", "192.0.2.1", &format!("{}.com", "a".repeat(64))] {
            assert_eq!(domain(bad), None, "{bad}");
        }
    }
}
