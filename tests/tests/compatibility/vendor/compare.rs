//! Where two descriptions of the API differ, as far as a client can notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::facts::{Fact, Facts, facts, resolved};

/// Ours has it in its paths, the vendor in its server's URL.
const BASE: &str = "/client/v4";

/// One difference: `| operation | place | what |`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Difference {
    /// `POST /zones/{zone_id}/load_balancers`.
    pub(super) operation: String,
    /// `request`, `result` or `query`, and the field; or `operation`.
    pub(super) place: String,
    pub(super) what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| `{}` | {} | {} |", self.operation, self.place, self.what)
    }
}

/// All differences, sorted. What is outside `/client/v4` is ours alone and no part of the contract.
pub(super) fn differences(vendor: &Value, ours: &Value) -> Vec<Difference> {
    let (theirs, own) = (operations(vendor, ""), operations(ours, BASE));
    let names: BTreeSet<&String> = theirs.keys().chain(own.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        let mut add = |place: String, what: String| found.push(Difference { operation: name.clone(), place, what });
        match (theirs.get(name), own.get(name)) {
            (Some(_), None) => add("operation".to_owned(), "absent".to_owned()),
            (None, Some(_)) => add("operation".to_owned(), "ours".to_owned()),
            (Some(theirs), Some(own)) => {
                compare("query", &query(vendor, theirs), &query(ours, own), &mut add);
                compare("request", &body(vendor, theirs), &body(ours, own), &mut add);
                compare("result", &result(vendor, theirs), &result(ours, own), &mut add);
            }
            (None, None) => unreachable!("the name is of one of them"),
        }
    }
    found.sort();
    found
}

/// Operations by method and path below the base.
fn operations<'a>(document: &'a Value, base: &str) -> BTreeMap<String, &'a Value> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .filter_map(|(path, item)| Some((path.strip_prefix(base)?, item)))
        .flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |(method, one)| (method, path, one)))
        .filter(|(method, _, _)| ["get", "post", "put", "patch", "delete"].contains(&method.as_str()))
        .map(|(method, path, one)| (format!("{} {path}", method.to_uppercase()), one))
        .collect()
}

fn query(document: &Value, operation: &Value) -> Facts {
    let mut found = Facts::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten().map(|parameter| resolved(document, parameter)) {
        if parameter["in"] == "query" {
            let name = parameter["name"].as_str().expect("a parameter has a name");
            found.extend(facts(document, &parameter["schema"]).into_iter().map(|(place, fact)| (format!("{name}{place}"), fact)));
        }
    }
    found
}

fn body(document: &Value, operation: &Value) -> Facts {
    facts(document, &resolved(document, &operation["requestBody"])["content"]["application/json"]["schema"])
}

/// What stands below `result` in the envelope.
fn result(document: &Value, operation: &Value) -> Facts {
    let whole = facts(document, &operation["responses"]["200"]["content"]["application/json"]["schema"]);
    let below = |(place, fact): (String, Fact)| Some((place.strip_prefix("result")?.trim_start_matches('.').to_owned(), fact));
    whole.into_iter().filter(|(place, _)| place != "result_info" && !place.starts_with("result_info.")).filter_map(below).collect()
}

/// Fields of one place. What is below a field that one of them lacks is not told again.
fn compare(side: &str, theirs: &Facts, ours: &Facts, add: &mut impl FnMut(String, String)) {
    let lacks = |facts: &Facts, place: &str| !facts.contains_key(place);
    let parent_is_there = |facts: &Facts, place: &str| parents(place).all(|parent| facts.contains_key(parent));
    let name = |place: &str| if place.is_empty() { side.to_owned() } else { format!("{side} `{place}`") };
    for (place, fact) in theirs {
        match ours.get(place) {
            Some(own) => notes(side, fact, own).into_iter().for_each(|what| add(name(place), what)),
            None if parent_is_there(ours, place) => add(name(place), "absent".to_owned()),
            None => {}
        }
    }
    // Where the vendor says of an object nothing but that it is one, nothing in it is an addition.
    let is_told = |place: &str| {
        let parent = parents(place).last().unwrap_or_default();
        theirs.keys().any(|other| {
            other != parent && other.strip_prefix(parent).is_some_and(|rest| parent.is_empty() || rest.starts_with(['.', '[', '{']))
        })
    };
    for place in ours.keys().filter(|place| lacks(theirs, place) && parent_is_there(theirs, place) && is_told(place)) {
        add(name(place), "ours".to_owned());
    }
}

/// Every place above one: of `a.b[].c`: `a.b[]`, `a.b`, `a`.
fn parents(place: &str) -> impl Iterator<Item = &str> {
    place.char_indices().filter(|(at, letter)| *at > 0 && ['.', '[', '{'].contains(letter)).map(|(at, _)| &place[..at])
}

/// What a client notices of one field: a request that we refuse and the vendor takes, an answer that the vendor's never is.
fn notes(side: &str, theirs: &Fact, ours: &Fact) -> Vec<String> {
    if side == "result" { of_answer(theirs, ours) } else { of_request(theirs, ours) }
}

fn of_request(theirs: &Fact, ours: &Fact) -> Vec<String> {
    let mut notes = Vec::new();
    // To us every integer is a number, and the vendor calls some of its integers numbers.
    let takes = |fact: &Fact, kind: &str| {
        fact.types.is_empty() || fact.types.contains(kind) || (kind == "integer" && fact.types.contains("number"))
    };
    for kind in theirs.types.iter().filter(|kind| !takes(ours, kind)) {
        if kind != "number" || !ours.types.contains("integer") {
            notes.push(format!("refuses {kind}"));
        }
    }
    if let (Some(legal), Some(own)) = (&theirs.values, &ours.values) {
        notes.extend(legal.difference(own).filter(|value| *value != "null").map(|value| format!("refuses {}", shown(value))));
        notes.extend(own.difference(legal).filter(|value| *value != "null").map(|value| format!("takes {} too", shown(value))));
    }
    match (theirs.minimum, ours.minimum) {
        (Some(low), Some(own)) if differ(low, own) => notes.push(format!("at least {own}, not {low}")),
        _ => {}
    }
    match (theirs.maximum, ours.maximum) {
        (Some(high), Some(own)) if differ(high, own) => notes.push(format!("at most {own}, not {high}")),
        _ => {}
    }
    match (&theirs.default, &ours.default) {
        (Some(default), Some(own)) if !same(default, own) => notes.push(format!("default {own}, not {default}")),
        _ => {}
    }
    match (theirs.required, ours.required) {
        (false, true) => notes.push("required".to_owned()),
        (true, false) => notes.push("optional".to_owned()),
        _ => {}
    }
    notes
}

fn of_answer(theirs: &Fact, ours: &Fact) -> Vec<String> {
    let mut notes = Vec::new();
    if !theirs.types.is_empty() {
        let known = |kind: &str| theirs.types.contains(kind) || (kind == "integer" && theirs.types.contains("number"));
        for kind in ours.types.iter().filter(|kind| !known(kind)) {
            notes.push(if kind == "null" { "may be null".to_owned() } else { format!("may be {kind}") });
        }
    }
    if let (Some(known), Some(own)) = (&theirs.values, &ours.values) {
        notes.extend(own.difference(known).filter(|value| *value != "null").map(|value| format!("may be {}", shown(value))));
    }
    if theirs.required && !ours.required {
        notes.push("may be absent".to_owned());
    }
    notes
}

fn differ(left: f64, right: f64) -> bool {
    (left - right).abs() > f64::EPSILON
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// Equal as JSON values, where 1 and 1.0 are one.
fn same(left: &Value, right: &Value) -> bool {
    left == right || (left.as_f64().is_some() && left.as_f64() == right.as_f64()) || (left == "\"\"" && right == "")
}
