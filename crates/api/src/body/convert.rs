//! From a JSON value to a typed one. `label` is how a message calls the value: `origins[0].weight`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use quorate_core::validate::{FieldError, not_in_range, pointer_token};
use schemars::{Schema, json_schema};
use serde_json::{Number, Value};

use super::told::{self, wanted};
use super::{Fields, PROBLEMS_MAX, Problems};

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Bad {
    /// It was refused; pointers are relative to it.
    Refused(Vec<FieldError>),
    /// None was sent: the question was what would be legal.
    Asked(Schema),
}

impl Bad {
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self::Refused(vec![FieldError::new("", detail)])
    }

    /// What is wrong with a value that was sent.
    pub(super) fn problems(self) -> Vec<FieldError> {
        match self {
            Self::Refused(problems) => problems,
            Self::Asked(_) => Vec::new(),
        }
    }

    /// The value is not what it should be: `note 3 is not a string`.
    fn not(label: &str, value: &Value, what: impl Display) -> Self {
        Self::new(format!("{label} {} is not {what}", shown(value)))
    }

    fn below(self, step: &str) -> Self {
        let prefixed = |problem: FieldError| FieldError::new(format!("/{}{}", pointer_token(step), problem.pointer), problem.detail);
        Self::Refused(self.problems().into_iter().map(prefixed).collect())
    }
}

/// Ends a conversion with the schema of what it takes, where that is the question. The first line of each converter
/// that is not made of others.
///
/// # Errors
/// [`Bad::Asked`], where it is.
pub(crate) fn asked(value: &Value, schema: impl FnOnce() -> Schema) -> Result<(), Bad> {
    if told::is_question(value) { Err(Bad::Asked(schema())) } else { Ok(()) }
}

/// A value in a message, cut short.
pub(crate) fn shown(value: &Value) -> String {
    const CHARS_MAX: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(crate) fn text(label: &str, value: &Value) -> Result<String, Bad> {
    asked(value, || json_schema!({"type": "string"}))?;
    value.as_str().map(str::to_owned).ok_or_else(|| Bad::not(label, value, "a string"))
}

/// A text of at most so many characters.
pub(crate) fn at_most(chars_max: usize) -> impl Fn(&str, &Value) -> Result<String, Bad> {
    move |label, value| {
        asked(value, || json_schema!({"type": "string", "maxLength": chars_max}))?;
        let text = text(label, value)?;
        let chars = text.chars().count();
        if chars > chars_max { Err(Bad::new(format!("{label} has {chars} characters and may have at most {chars_max}"))) } else { Ok(text) }
    }
}

pub(crate) fn flag(label: &str, value: &Value) -> Result<bool, Bad> {
    asked(value, || json_schema!({"type": "boolean"}))?;
    value.as_bool().ok_or_else(|| Bad::not(label, value, "true or false"))
}

/// A whole number; `30.0` is one too, since some clients have only floating point.
pub(crate) fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&str, &Value) -> Result<T, Bad>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |label, value| {
        let (low, high) = (range.start(), range.end());
        asked(value, || json_schema!({"type": "integer", "minimum": number_of(low), "maximum": number_of(high)}))?;
        let whole = || value.as_i64().or_else(|| whole_float(value.as_f64()?));
        let Some(number) = value.is_number().then(whole).flatten() else {
            return Err(Bad::not(label, value, format_args!("an integer in range [{low}, {high}]")));
        };
        let legal = T::try_from(number).ok().filter(|number| range.contains(number));
        legal.ok_or_else(|| Bad::new(not_in_range(label, number, low, high)))
    }
}

/// A bound as JSON has it.
fn number_of(bound: &impl Display) -> Number {
    bound.to_string().parse().expect("the bounds of a range of numbers are numbers")
}

/// A whole number that came as a float, where it fits.
fn whole_float(number: f64) -> Option<i64> {
    // Beyond 2^53 a float does not name one integer.
    let exact = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    exact.then_some(number as i64)
}

pub(crate) fn number(range: RangeInclusive<f64>) -> impl Fn(&str, &Value) -> Result<f64, Bad> {
    move |label, value| {
        let (low, high) = (range.start(), range.end());
        asked(value, || json_schema!({"type": "number", "minimum": number_of(low), "maximum": number_of(high)}))?;
        let number = value.as_f64().ok_or_else(|| Bad::not(label, value, format_args!("a number in range [{low}, {high}]")))?;
        if range.contains(&number) { Ok(number) } else { Err(Bad::new(not_in_range(label, number, low, high))) }
    }
}

/// A number with at most so many decimals. Judged in decimal: in binary no step of a hundredth is exact.
pub(crate) fn in_steps(range: RangeInclusive<f64>, decimals: usize) -> impl Fn(&str, &Value) -> Result<f64, Bad> {
    move |label, value| {
        let (low, high) = (range.start(), range.end());
        let step = format!("0.{:0>decimals$}", 1);
        asked(
            value,
            || json_schema!({"type": "number", "minimum": number_of(low), "maximum": number_of(high), "multipleOf": number_of(&step)}),
        )?;
        let found = number(range.clone())(label, value)?;
        let fits = found.to_string().split_once('.').is_none_or(|(_, fraction)| fraction.len() <= decimals);
        if fits {
            return Ok(found);
        }
        Err(Bad::new(format!("{label} {} is not in range [{low}, {high}] in steps of {step}", shown(value))))
    }
}

/// A text of a closed list.
pub(crate) fn one_of(legal: &'static [&'static str]) -> impl Fn(&str, &Value) -> Result<String, Bad> {
    move |label, value| {
        asked(value, || json_schema!({"type": "string", "enum": legal}))?;
        let listed = || legal.iter().map(|text| if text.is_empty() { "\"\"" } else { text }).collect::<Vec<_>>().join(", ");
        match value.as_str() {
            Some(text) if legal.contains(&text) => Ok(text.to_owned()),
            _ => Err(Bad::not(label, value, format_args!("one of {}", listed()))),
        }
    }
}

/// A text that says itself why it is refused.
pub(crate) fn parsed<T: FromStr<Err: Display>>(label: &str, value: &Value) -> Result<T, Bad> {
    text(label, value)?.parse().map_err(|error: T::Err| Bad::new(error.to_string()))
}

/// An identifier: 32 lower-case hexadecimal characters.
pub(crate) fn id<T: FromStr>(label: &str, value: &Value) -> Result<T, Bad> {
    asked(value, quorate_core::ids::schema)?;
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Bad::not(label, value, "an identifier of 32 lower-case hexadecimal characters"))
}

/// Whether a text stands for the absence of an identifier.
pub(crate) fn is_absent(value: &Value) -> bool {
    value.as_str() == Some("")
}

pub(crate) fn list_of<T>(item: impl Fn(&str, &Value) -> Result<T, Bad>) -> impl Fn(&str, &Value) -> Result<Vec<T>, Bad> {
    move |label, value| {
        asked(value, || json_schema!({"type": "array", "items": wanted(&item)}))?;
        let items = value.as_array().ok_or_else(|| Bad::not(label, value, "an array"))?;
        let (mut read, mut bad) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, value) in items.iter().enumerate() {
            match item(&format!("{label}[{index}]"), value) {
                Ok(value) => read.push(value),
                Err(refused) if bad.len() < PROBLEMS_MAX => bad.extend(refused.below(&index.to_string()).problems()),
                Err(_) => {}
            }
        }
        if bad.is_empty() { Ok(read) } else { Err(Bad::Refused(bad)) }
    }
}

pub(crate) fn map_of<T>(item: impl Fn(&str, &Value) -> Result<T, Bad>) -> impl Fn(&str, &Value) -> Result<BTreeMap<String, T>, Bad> {
    move |label, value| {
        asked(value, || json_schema!({"type": "object", "additionalProperties": wanted(&item)}))?;
        let entries = value.as_object().ok_or_else(|| Bad::not(label, value, "an object"))?;
        let (mut read, mut bad) = (BTreeMap::new(), Vec::new());
        for (key, value) in entries {
            match item(&format!("{label}.{key}"), value) {
                Ok(value) => drop(read.insert(key.clone(), value)),
                Err(refused) if bad.len() < PROBLEMS_MAX => bad.extend(refused.below(key).problems()),
                Err(_) => {}
            }
        }
        if bad.is_empty() { Ok(read) } else { Err(Bad::Refused(bad)) }
    }
}

/// An object of declared fields.
pub(crate) fn object_of<T>(read: impl Fn(&mut Fields<'_>) -> T) -> impl Fn(&str, &Value) -> Result<T, Bad> {
    move |label, value| {
        asked(value, || told::shape_of_object(&read))?;
        let object = value.as_object().ok_or_else(|| Bad::not(label, value, "an object"))?;
        let mut problems = Problems::default();
        let mut fields = Fields::new(object.clone(), format!("{label}."), &mut problems);
        let value = read(&mut fields);
        fields.finish();
        if problems.0.is_empty() { Ok(value) } else { Err(Bad::Refused(problems.0)) }
    }
}

/// A value kept as it was sent, once `read` finds nothing wrong with it.
pub(crate) fn shape_of<T>(read: impl Fn(&str, &Value) -> Result<T, Bad>) -> impl Fn(&str, &Value) -> Result<Value, Bad> {
    move |label, value| read(label, value).map(|_| value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told<T: std::fmt::Debug>(result: Result<T, Bad>) -> Vec<(String, String)> {
        result.expect_err("refused").problems().into_iter().map(|problem| (problem.pointer, problem.detail)).collect()
    }

    #[test]
    fn a_number_is_whole_and_in_range_or_told_with_its_range() {
        let timeout = integer::<u16>(1..=60);
        assert_eq!(timeout("timeout", &json!(30)).expect("legal"), 30);
        assert_eq!(timeout("timeout", &json!(30.0)).expect("legal"), 30);
        for (bad, detail) in [
            (json!(0), "timeout 0 is not in range [1, 60]"),
            (json!(-1), "timeout -1 is not in range [1, 60]"),
            (json!(70_000), "timeout 70000 is not in range [1, 60]"),
            (json!(1.5), "timeout 1.5 is not an integer in range [1, 60]"),
            (json!("30"), "timeout \"30\" is not an integer in range [1, 60]"),
            (json!(1e30), "timeout 1e+30 is not an integer in range [1, 60]"),
            (json!(u64::MAX), "timeout 18446744073709551615 is not an integer in range [1, 60]"),
        ] {
            assert_eq!(told(timeout("timeout", &bad)), [(String::new(), detail.to_owned())]);
        }
    }

    #[test]
    fn pointers_and_labels_lead_into_lists_and_objects() {
        let origins = list_of(object_of(|fields| fields.read("weight", 1.0, number(0.0..=1.0))));
        assert_eq!(
            told(origins("origins", &json!([{"weight": 1}, {"weight": 2, "wait": 1}, 3]))),
            [
                ("/1/weight".to_owned(), "origins[1].weight 2 is not in range [0, 1]".to_owned()),
                ("/1/wait".to_owned(), "unknown field \"origins[1].wait\"".to_owned()),
                ("/2".to_owned(), "origins[2] 3 is not an object".to_owned()),
            ]
        );
        let pools = map_of(list_of(text));
        assert_eq!(
            told(pools("region_pools", &json!({"a/b": [1]}))),
            [("/a~1b/0".to_owned(), "region_pools.a/b[0] 1 is not a string".to_owned())]
        );
    }

    #[test]
    fn a_long_value_is_cut_in_messages() {
        let shown = shown(&json!("é".repeat(200)));
        assert_eq!(shown.chars().count(), 81);
    }
}
