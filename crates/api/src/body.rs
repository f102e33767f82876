//! Reads a JSON object field by field, and collects everything that is wrong with it.
//!
//! A resource declares each field once, with a base value: the default for POST and PUT, what is
//! stored for PATCH. Presence, `null`, type, range, read-only and unknown fields follow from that.
//! What is legal across fields is the domain's to say (`problems` in `quorate_core`).
//!
//! The same declaration says what a body may hold: see [`told`].

mod convert;
mod told;

use quorate_core::validate::{FieldError, pointer_token};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::patch::Patch;

pub(crate) use convert::{
    Bad, asked, at_most, flag, id, in_steps, integer, is_absent, list_of, map_of, number, object_of, one_of, parsed, shape_of, text,
};

pub(crate) use told::{Told, told};

use told::{Presence, Shape};

/// A JSON object as sent.
pub(crate) type Object = Map<String, Value>;

/// Reads a whole body: `read` declares the fields, `check` says what is not legal about the result.
///
/// # Errors
/// [`ApiError::Invalid`] with one entry a bad field.
pub(crate) fn read<T>(
    object: Object,
    read: impl FnOnce(&mut Fields<'_>) -> T,
    check: impl FnOnce(&T) -> Vec<FieldError>,
) -> Result<T, ApiError> {
    let mut problems = Problems::default();
    let mut fields = Fields::new(object, String::new(), &mut problems);
    let value = read(&mut fields);
    fields.finish();
    for problem in check(&value) {
        problems.add(problem);
    }
    if problems.0.is_empty() { Ok(value) } else { Err(ApiError::Invalid(problems.0)) }
}

/// Bad fields that one answer tells of.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// What is wrong so far, one entry a field: the first one found stays.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<FieldError>);

impl Problems {
    fn is_full(&self) -> bool {
        self.0.len() >= PROBLEMS_MAX
    }

    fn add(&mut self, problem: FieldError) {
        if self.is_full() {
            return;
        }
        let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let told = |known: &FieldError| within(&known.pointer, &problem.pointer) || within(&problem.pointer, &known.pointer);
        if !self.0.iter().any(told) {
            self.0.push(problem);
        }
    }
}

/// An object being read. Every field is asked for by name, once; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Object,
    /// How messages call a field of this object: empty at the top, `origins[0].` inside.
    label: String,
    known: Vec<&'static str>,
    problems: &'a mut Problems,
    /// What is declared, where that is the question and nothing was sent.
    shape: Option<Shape>,
}

impl<'a> Fields<'a> {
    fn new(object: Object, label: String, problems: &'a mut Problems) -> Self {
        Self { object, label, known: Vec::new(), problems, shape: None }
    }

    /// A field with a value always: `null` is refused, absence gives `base`.
    pub(crate) fn read<T>(&mut self, name: &'static str, base: T, convert: impl FnOnce(&str, &Value) -> Result<T, Bad>) -> T {
        if let Some(shape) = &mut self.shape {
            shape.declare(name, Presence::Optional, convert);
            return base;
        }
        match self.take(name) {
            Patch::Keep => base,
            Patch::Clear => self.converted(name, &Value::Null, convert).unwrap_or(base),
            Patch::Set(value) => self.converted(name, &value, convert).unwrap_or(base),
        }
    }

    /// A field that may be absent: `null` clears it, absence gives `base`.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        base: Option<T>,
        convert: impl FnOnce(&str, &Value) -> Result<T, Bad>,
    ) -> Option<T> {
        if let Some(shape) = &mut self.shape {
            shape.declare(name, Presence::Nullable, convert);
            return base;
        }
        match self.take(name) {
            Patch::Keep => base,
            Patch::Clear => None,
            Patch::Set(value) => self.converted(name, &value, convert),
        }
    }

    /// Like [`optional`](Self::optional), where `null` changes nothing.
    pub(crate) fn unless_null<T>(
        &mut self,
        name: &'static str,
        base: Option<T>,
        convert: impl FnOnce(&str, &Value) -> Result<T, Bad>,
    ) -> Option<T> {
        if let Some(shape) = &mut self.shape {
            shape.declare(name, Presence::Nullable, convert);
            return base;
        }
        match self.take(name) {
            Patch::Keep | Patch::Clear => base,
            Patch::Set(value) => self.converted(name, &value, convert),
        }
    }

    /// A field that must be given unless something is stored. `None` where it was not, or was refused:
    /// the read as a whole then fails.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        base: Option<T>,
        convert: impl FnOnce(&str, &Value) -> Result<T, Bad>,
    ) -> Option<T> {
        if let Some(shape) = &mut self.shape {
            shape.declare(name, Presence::Required, convert);
            return base;
        }
        match (self.take(name), base) {
            (Patch::Keep, Some(base)) => Some(base),
            (Patch::Keep, None) => {
                let detail = format!("{}{name} is required", self.label);
                self.problems.add(FieldError::new(format!("/{name}"), detail));
                None
            }
            (Patch::Clear, _) => self.converted(name, &Value::Null, convert),
            (Patch::Set(value), _) => self.converted(name, &value, convert),
        }
    }

    /// Fields that answers carry and requests may repeat: accepted whatever they hold, and ignored.
    pub(crate) fn read_only(&mut self, names: &[&'static str]) {
        if let Some(shape) = &mut self.shape {
            shape.ignore(names);
            return;
        }
        for name in names {
            self.take(name);
        }
    }

    fn take(&mut self, name: &'static str) -> Patch<Value> {
        self.known.push(name);
        self.object.shift_remove(name).into()
    }

    fn converted<T>(&mut self, name: &'static str, value: &Value, convert: impl FnOnce(&str, &Value) -> Result<T, Bad>) -> Option<T> {
        match convert(&format!("{}{name}", self.label), value) {
            Ok(value) => Some(value),
            Err(bad) => {
                for FieldError { pointer, detail } in bad.problems() {
                    self.problems.add(FieldError::new(format!("/{name}{pointer}"), detail));
                }
                None
            }
        }
    }

    /// Refuses what nobody asked for.
    fn finish(self) {
        for name in self.object.keys() {
            if self.problems.is_full() {
                return;
            }
            let guess = self.known.iter().map(|known| (distance(name, known), known)).min().filter(|(distance, _)| *distance <= 2);
            let hint = guess.map_or_else(String::new, |(_, known)| format!("; did you mean {:?}?", format!("{}{known}", self.label)));
            let detail = format!("unknown field {:?}{hint}", format!("{}{name}", self.label));
            self.problems.add(FieldError::new(format!("/{}", pointer_token(name)), detail));
        }
    }
}

/// Letters to insert, delete or replace to get from one name to another. Names longer than 64 bytes are far from all.
fn distance(from: &str, to: &str) -> usize {
    if from.len() > 64 {
        return usize::MAX;
    }
    let to = to.as_bytes();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for column in 0..to.len() {
            let replaced = diagonal + usize::from(letter != to[column]);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A number that must be there, and a text that may be.
    type Sample = (i64, Option<String>);

    /// Reads an object of a few fields; answers the value or the pointers with details.
    fn sample(body: Value, stored: Option<Sample>) -> Result<Sample, Vec<(String, String)>> {
        let Value::Object(object) = body else { panic!("an object") };
        let (number, note) = stored.unwrap_or((5, None));
        let read = |fields: &mut Fields<'_>| {
            fields.read_only(&["id"]);
            (fields.read("timeout", number, integer(1..=60)), fields.optional("note", note, text))
        };
        super::read(object, read, |(timeout, _)| if *timeout == 13 { vec![FieldError::new("/timeout", "unlucky")] } else { vec![] })
            .map_err(|error| match error {
                ApiError::Invalid(problems) => problems.into_iter().map(|problem| (problem.pointer, problem.detail)).collect(),
                other => panic!("{other:?}"),
            })
    }

    #[test]
    fn absent_null_and_a_value_are_three_requests() {
        let stored = || Some((7, Some("old".to_owned())));
        assert_eq!(sample(json!({}), None), Ok((5, None)), "defaults");
        assert_eq!(sample(json!({}), stored()), Ok((7, Some("old".to_owned()))), "kept");
        assert_eq!(sample(json!({"note": null, "id": [1]}), stored()), Ok((7, None)), "cleared");
        assert_eq!(sample(json!({"note": "new", "timeout": 9}), stored()), Ok((9, Some("new".to_owned()))));
    }

    #[test]
    fn every_bad_field_is_told_once_and_a_misspelt_one_gets_a_hint() {
        let problem = |pointer: &str, detail: &str| (pointer.to_owned(), detail.to_owned());
        assert_eq!(
            sample(json!({"timeout": null, "nota": 1, "a/b": 1}), None),
            Err(vec![
                problem("/timeout", "timeout null is not an integer in range [1, 60]"),
                problem("/nota", "unknown field \"nota\"; did you mean \"note\"?"),
                problem("/a~1b", "unknown field \"a/b\""),
            ])
        );
        assert_eq!(sample(json!({"timeout": 13}), None), Err(vec![problem("/timeout", "unlucky")]));
        assert_eq!(
            sample(json!({"timeout": 61, "note": 3}), None),
            Err(vec![problem("/timeout", "timeout 61 is not in range [1, 60]"), problem("/note", "note 3 is not a string")])
        );
    }

    #[test]
    fn a_flood_of_bad_fields_is_told_of_in_part() {
        let flood: Object = (0..100_000).map(|number| (format!("field-{number}"), Value::Null)).collect();
        assert_eq!(sample(Value::Object(flood), None).expect_err("refused").len(), PROBLEMS_MAX);
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("expected_code", "expected_codes"), 1);
        assert_eq!(distance("follow_redirect", "follow_redirects"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
