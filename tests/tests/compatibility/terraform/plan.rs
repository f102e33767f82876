//! What the provider's framework makes of a configuration and a state: a plan, a body to send, a new state.
//!
//! The rules are those of the framework and of the provider; `docs/compatibility.md` tells them in short.

use serde_json::{Map, Value, json};

use super::schema::{Attribute, Flow, Shape, UNKNOWN, typed};

/// What shall be: the configuration, over the state, over defaults. `state` is null before there is an object.
pub(super) fn planned(attributes: &[Attribute], config: &Value, state: &Value) -> Value {
    let plan = proposed(attributes, config, state);
    if state.is_null() || plan == *state { plan } else { with_unknowns(attributes, config, &plan) }
}

fn proposed(attributes: &[Attribute], config: &Value, state: &Value) -> Value {
    let left_to_the_server = |name: &str| if state.is_null() { json!(UNKNOWN) } else { state[name].clone() };
    each(attributes, |of| {
        let (config, before) = (&config[of.name], &state[of.name]);
        match &of.flow {
            Flow::Computed => left_to_the_server(of.name),
            Flow::Settable(default) if config.is_null() => default.clone().unwrap_or_else(|| left_to_the_server(of.name)),
            Flow::Configured | Flow::Settable(_) => within(&of.shape, config, before),
        }
    })
}

fn within(shape: &Shape, config: &Value, state: &Value) -> Value {
    match (shape, config) {
        (Shape::Object(attributes), Value::Object(_)) => proposed(attributes, config, state),
        (Shape::Objects(attributes), Value::Array(items)) => {
            items.iter().enumerate().map(|(at, item)| proposed(attributes, item, &state[at])).collect()
        }
        (Shape::Set(attributes), Value::Array(items)) => {
            items.iter().map(|item| proposed(attributes, item, same_member(attributes, item, state))).collect()
        }
        _ => typed(shape, config, "the configuration"),
    }
}

/// The member of a set that has all that is configured of this one.
fn same_member<'a>(attributes: &[Attribute], config: &Value, state: &'a Value) -> &'a Value {
    let has = |member: &Value| attributes.iter().all(|of| config[of.name].is_null() || config[of.name] == member[of.name]);
    state.as_array().into_iter().flatten().find(|member| has(member)).unwrap_or(&Value::Null)
}

/// A change makes everything unknown that the server computes and nobody configured.
fn with_unknowns(attributes: &[Attribute], config: &Value, plan: &Value) -> Value {
    each(attributes, |of| {
        let (config, plan) = (&config[of.name], &plan[of.name]);
        match (&of.flow, &of.shape) {
            (Flow::Computed | Flow::Settable(None), _) if config.is_null() => {
                if of.stays && !plan.is_null() {
                    plan.clone()
                } else {
                    json!(UNKNOWN)
                }
            }
            (_, Shape::Object(inner)) if plan.is_object() => with_unknowns(inner, config, plan),
            (_, Shape::Objects(inner)) if plan.is_array() => {
                let items = plan.as_array().into_iter().flatten().enumerate();
                items.map(|(at, item)| with_unknowns(inner, &config[at], item)).collect()
            }
            // What is configured of a member is not found again under the member's own name, which is all of it.
            (_, Shape::Set(inner)) if plan.is_array() => {
                plan.as_array().into_iter().flatten().map(|item| with_unknowns(inner, &Value::Null, item)).collect()
            }
            _ => plan.clone(),
        }
    })
}

/// What is sent: everything known, nothing that is null, and null for what was there and shall not be.
pub(super) fn body(attributes: &[Attribute], plan: &Value, state: &Value) -> Value {
    let mut sent = Map::new();
    for of in attributes.iter().filter(|of| !matches!(of.flow, Flow::Computed)) {
        let (value, before) = (&plan[of.name], &state[of.name]);
        if value != UNKNOWN && !(value.is_null() && before.is_null()) {
            sent.insert(of.name.to_owned(), sent_value(&of.shape, value, before));
        }
    }
    Value::Object(sent)
}

fn sent_value(shape: &Shape, value: &Value, before: &Value) -> Value {
    match (shape, value) {
        (Shape::Object(attributes), Value::Object(_)) => body(attributes, value, before),
        (Shape::Objects(attributes) | Shape::Set(attributes), Value::Array(items)) => {
            items.iter().map(|item| body(attributes, item, item)).collect()
        }
        (Shape::Map(of), Value::Object(entries)) => {
            Value::Object(entries.iter().map(|(key, item)| (key.clone(), sent_value(of, item, item))).collect())
        }
        (Shape::List(of), Value::Array(items)) => items.iter().map(|item| sent_value(of, item, item)).collect(),
        // Without a point where there is no fraction.
        (Shape::Number, Value::Number(number)) => {
            let number = number.as_f64().expect("a number");
            #[expect(clippy::cast_possible_truncation, reason = "it has no fraction, and no attribute goes beyond 604,800")]
            if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
        }
        _ => value.clone(),
    }
}

/// The state after the answer to a create or an update: only what was unknown or null and the server computes is read from it.
pub(super) fn applied(attributes: &[Attribute], plan: &Value, answer: &Value, place: &str) -> Value {
    each(attributes, |of| {
        let (plan, answer) = (&plan[of.name], &answer[of.name]);
        let place = format!("{place}.{}", of.name);
        let is_open = plan.is_null() || plan == UNKNOWN;
        match (&of.flow, &of.shape) {
            (Flow::Computed, _) => {
                let told = typed(&of.shape, answer, &place);
                assert!(plan == UNKNOWN || *plan == told, "{place} was planned to stay {plan} and is {told}");
                told
            }
            (Flow::Settable(_), shape) if is_open => typed(shape, answer, &place),
            (_, Shape::Object(inner)) if plan.is_object() => applied(inner, plan, answer, &place),
            (_, Shape::Objects(inner) | Shape::Set(inner)) if plan.is_array() => {
                let items = plan.as_array().into_iter().flatten().enumerate();
                items.map(|(at, item)| applied(inner, item, &answer[at], &place)).collect()
            }
            _ => plan.clone(),
        }
    })
}

/// Attributes whose values differ, with both.
pub(super) fn differences(attributes: &[Attribute], left: &Value, right: &Value) -> Vec<String> {
    let differing = attributes.iter().filter(|of| left[of.name] != right[of.name]);
    differing.map(|of| format!("{}: {} -> {}", of.name, left[of.name], right[of.name])).collect()
}

fn each(attributes: &[Attribute], value: impl Fn(&Attribute) -> Value) -> Value {
    Value::Object(attributes.iter().map(|of| (of.name.to_owned(), value(of))).collect())
}
