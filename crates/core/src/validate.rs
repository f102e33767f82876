//! Why a setting was refused: which field, and what would be legal.

use std::fmt;

mod healthcheck;
mod load_balancer;
mod monitor;
mod monitor_group;
mod pool;
mod zone;

pub use load_balancer::{PlaceKind, is_pop};
pub use pool::PoolRules;
pub use zone::domain;

/// One bad field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer into the request body: `/origins/0/address`.
    pub pointer: String,
    /// Names field, value and legal range: `interval is not in range [10, 3600]`.
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.detail)
    }
}

/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 1024;
/// Characters of the name of a pool or an origin.
pub const NAME_CHARS_MAX: usize = 100;

/// Whether a text is a DNS host name: labels of 1 to 63 letters, digits, `-` and `_`, none of which begins
/// or ends with `-`; 253 characters in all; the last label is not a number (that would be a misspelt address).
pub fn is_host_name(text: &str) -> bool {
    let legal = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last_is_a_word = text.rsplit('.').next().is_some_and(|label| label.bytes().any(|byte| !byte.is_ascii_digit()));
    text.len() <= 253 && last_is_a_word && text.split('.').all(legal)
}

/// `timeout 61 is not in range [1, 60]`.
pub fn not_in_range(field: &str, value: impl fmt::Display, low: impl fmt::Display, high: impl fmt::Display) -> String {
    format!("{field} {value} is not in range [{low}, {high}]")
}

/// A key as one step of a JSON pointer.
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The problem of a description, if it has one.
fn description(text: &str) -> Option<FieldError> {
    let length = text.chars().count();
    (length > DESCRIPTION_CHARS_MAX).then(|| {
        FieldError::new("/description", format!("description has {length} characters and may have at most {DESCRIPTION_CHARS_MAX}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_made_of_labels_and_does_not_end_in_a_number() {
        for good in ["example.com", "a", "xn--bcher-kva.example", "_dmarc.example.com", "1.example.com", "A-1.Example.COM"] {
            assert!(is_host_name(good), "{good}");
        }
        let long_label = format!("{}.com", "a".repeat(64));
        let long_name = format!("{}com", "a.".repeat(126));
        for bad in [
            "",
            ".",
            "example.com.",
            "-a.com",
            "a-.com",
            "a..com",
            "bücher.example",
            "a b.com",
            "192.0.2.1",
            "2130706433",
            &long_label,
            &long_name,
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
