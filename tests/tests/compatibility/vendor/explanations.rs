//! The table of `docs/compatibility.md` that explains differences.

use std::fmt;
use std::path::Path;

use super::compare::Difference;

/// The heading above the table.
const HEADING: &str = "## Where our description and the vendor's differ";

/// A row: patterns in which `*` stands for anything, and why.
#[derive(Debug)]
pub(super) struct Explanation {
    operation: String,
    place: String,
    what: String,
    why: String,
}

/// All rows.
pub(super) fn read() -> Vec<Explanation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let text = std::fs::read_to_string(&path).expect("docs/compatibility.md");
    let (_, below) = text.split_once(HEADING).unwrap_or_else(|| panic!("{HEADING} is missing"));
    let section = below.split("\n## ").next().expect("a section");
    let rows: Vec<Explanation> = section.lines().filter(|line| line.starts_with('|')).skip(2).map(row).collect();
    assert!(!rows.is_empty(), "the table below {HEADING} is empty");
    rows
}

fn row(line: &str) -> Explanation {
    let cells: Vec<String> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect();
    let [operation, place, what, why] = <[String; 4]>::try_from(cells).unwrap_or_else(|cells| panic!("not four cells: {cells:?}"));
    assert!(!why.is_empty(), "no reason: {line}");
    Explanation { operation, place, what, why }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} | {} | {} |", self.operation, self.place, self.what, self.why)
    }
}

impl Explanation {
    /// What is not there yet may come at any time, and its row then goes with the next change.
    pub(super) fn is_of_what_may_come(&self) -> bool {
        self.why.starts_with("not yet")
    }

    pub(super) fn explains(&self, difference: &Difference) -> bool {
        matches(&self.operation, &difference.operation)
            && matches(&self.place, &difference.place.replace('`', ""))
            && matches(&self.what, &difference.what)
    }
}

/// Whether a text is as the pattern says; alternatives are separated by ` or `.
fn matches(pattern: &str, text: &str) -> bool {
    pattern.split(" or ").any(|pattern| one_matches(pattern, text))
}

fn one_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_star_stands_for_anything() {
    for (pattern, text) in [("a", "a"), ("*", ""), ("a*c", "abbc"), ("*/pools*", "GET /x/pools/y"), ("x or a*", "ab"), ("a*b*c", "a1b2c")] {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("a", "ab"), ("a*c", "ab"), ("a*b*c", "acb"), ("", "a"), ("x or y", "z")] {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
}
