//! One method of one path, and how a handler's type tells of it.

use std::fmt;

use axum::response::Response;
use http::{Method, StatusCode};
use quorate_store::tokens::Permission;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::Written;
use crate::answer::Answer;
use crate::body::Told;

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// `monitors::create`.
    pub(crate) handler: &'static str,
    /// Instead of the one that follows from the handler's name.
    pub(super) summary: Option<&'static str>,
    pub(crate) credentials: Credentials,
    /// Permissions of which one is enough; empty: any token will do.
    pub(crate) any_of: &'static [Permission],
    pub(super) query: Vec<Query>,
    /// Reads parameters of the query string, so it must say which.
    pub(super) reads_query: bool,
    pub(super) payload: Payload,
    pub(super) answers: Answers,
}

/// What proves to an operation who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    None,
    Token,
    /// A token, or an e-mail address with its key.
    TokenOrKey,
}

/// What an operation does with a body.
#[derive(Clone, Copy)]
pub(super) enum Payload {
    /// It reads none.
    None,
    /// It reads one, and nobody said what may be in it.
    Undescribed,
    Described(fn() -> Told),
}

/// What an operation answers when it succeeds.
#[derive(Clone, Copy)]
pub(crate) enum Answers {
    /// An envelope around a result.
    Result(fn(&mut SchemaGenerator) -> Schema),
    /// A text without an envelope.
    Text,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.method, self.handler)
    }
}

/// A parameter of the query string.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) schema: Schema,
}

impl Query {
    pub(crate) fn new(name: &'static str, says: &'static str, schema: Schema) -> Self {
        Self { name, says, schema }
    }
}

/// A handler whose arguments and answer tell of the operation.
#[diagnostic::on_unimplemented(
    message = "this handler cannot be described",
    note = "its arguments must implement `openapi::operation::Part`, and what it answers must derive `schemars::JsonSchema`"
)]
pub(crate) trait Handled<I, O> {
    fn operation(method: Method) -> Operation;
}

/// An argument of a handler.
pub(crate) trait Part {
    /// Adds what follows from it.
    fn tell(operation: &mut Operation);
}

/// What a handler returns.
pub(crate) trait Output {
    const ANSWERS: Answers;
}

impl<T: JsonSchema> Output for Answer<T> {
    const ANSWERS: Answers = Answers::Result(SchemaGenerator::subschema_for::<T>);
}

impl Output for &'static str {
    const ANSWERS: Answers = Answers::Text;
}

impl Output for (StatusCode, String) {
    const ANSWERS: Answers = Answers::Text;
}

impl Output for Response {
    const ANSWERS: Answers = Answers::Text;
}

impl Output for Written {
    const ANSWERS: Answers = Answers::Text;
}

macro_rules! handled {
    ($($part:ident),*) => {
        impl<F, Fut, O, $($part),*> Handled<($($part,)*), O> for F
        where
            F: Fn($($part),*) -> Fut,
            Fut: Future<Output = O>,
            O: Output,
            $($part: Part,)*
        {
            fn operation(method: Method) -> Operation {
                #[allow(unused_mut, clippy::allow_attributes, reason = "a handler without arguments adds nothing")]
                let mut operation = Operation {
                    method,
                    handler: handler_name::<F>(),
                    summary: None,
                    credentials: Credentials::None,
                    any_of: &[],
                    query: Vec::new(),
                    reads_query: false,
                    payload: Payload::None,
                    answers: O::ANSWERS,
                };
                $($part::tell(&mut operation);)*
                operation
            }
        }
    };
}

handled!();
handled!(A);
handled!(A, B);
handled!(A, B, C);
handled!(A, B, C, D);
handled!(A, B, C, D, E);

/// `monitors::create`, of `quorate_api::monitors::create`; the same for whatever types it is made for.
fn handler_name<F>() -> &'static str {
    let full = std::any::type_name::<F>();
    let full = full.split_once('<').map_or(full, |(name, _)| name);
    full.split_once("::").map_or(full, |(_, below)| below)
}
