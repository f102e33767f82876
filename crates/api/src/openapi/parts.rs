//! What each argument of a handler says of its operation.

use axum::extract::State;
use schemars::json_schema;

use super::operation::{Credentials, Operation, Part, Payload, Query};
use crate::Shared;
use crate::auth::{Access, Caller, InAccount, InZone, Permitted};
use crate::extract::{Body, Id, Named, Params};
use crate::page::{PAGE_MAX, PER_PAGE_MAX, Page};
use crate::user::Verifiable;

impl Part for Caller {
    fn tell(operation: &mut Operation) {
        operation.credentials = Credentials::TokenOrKey;
    }
}

macro_rules! permitted {
    ($($extractor:ident),*) => {$(
        impl<A: Access> Part for $extractor<A> {
            fn tell(operation: &mut Operation) {
                operation.credentials = Credentials::TokenOrKey;
                operation.any_of = A::ANY_OF;
            }
        }
    )*};
}

/// Any token will do, expired ones too.
impl Part for Verifiable {
    fn tell(operation: &mut Operation) {
        operation.credentials = Credentials::Token;
    }
}

permitted!(InAccount, InZone, Permitted);

/// The path itself tells of it.
impl<T> Part for Id<T> {
    fn tell(_: &mut Operation) {}
}

/// As with an identifier.
impl Part for Named {
    fn tell(_: &mut Operation) {}
}

impl Part for Body {
    fn tell(operation: &mut Operation) {
        operation.payload = Payload::Undescribed;
    }
}

impl Part for Params {
    fn tell(operation: &mut Operation) {
        operation.reads_query = true;
    }
}

impl Part for Page {
    fn tell(operation: &mut Operation) {
        let from_one = |max: u64| json_schema!({"type": "integer", "minimum": 1, "maximum": max});
        operation.query.extend([
            Query::new("page", "Which page, from 1.", from_one(PAGE_MAX)),
            Query::new(
                "per_page",
                "Items of a page. Without it a list is whole, up to 1,000 items of those that never end.",
                from_one(PER_PAGE_MAX),
            ),
        ]);
    }
}

impl Part for State<Shared> {
    fn tell(_: &mut Operation) {}
}
