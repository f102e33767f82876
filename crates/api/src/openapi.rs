//! The API's own description: `/openapi.json` and the page at `/docs`, from the routes and their handlers.
//!
//! A room registers its handlers through [`routes`], as with axum. From a handler's arguments follow parameters, body
//! and errors, from its answer the schema of the result, from its name the operation's id and summary. A room adds
//! `.reads(…)` to what reads a body and `.query(…)` to what reads parameters; its answers derive `JsonSchema`.

mod document;
mod errors;
mod operation;
mod page;
mod parts;
mod reconcile;
pub(crate) mod routes;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;

#[cfg(test)]
pub(crate) use operation::Credentials;
pub(crate) use operation::{Part, Query};

use operation::Operation;
use routes::{Routes, get};

/// What the two routes answer, made at the first request.
#[derive(Clone, Debug)]
struct Published {
    document: Bytes,
    page: Bytes,
}

impl Published {
    fn of(operations: &[(String, Operation)]) -> Self {
        let document = document::document(operations);
        let text = serde_json::to_vec(&document).expect("a JSON value has string keys");
        Self { document: text.into(), page: page::page(&document).into() }
    }
}

/// The routes with those of their description.
pub(crate) fn described(routes: Routes) -> Routes {
    let published = Arc::new(OnceLock::new());
    // The description holds its own two routes too, so these are made once to be told of and once to answer.
    let own = own_routes(Routes::new(), &published, &[]);
    let all = [routes.operations(), own.operations()].concat();
    own_routes(routes, &published, &all)
}

/// The document as a value.
pub(crate) fn document_of(routes: Routes) -> Value {
    document::document(described(routes).operations())
}

fn own_routes(routes: Routes, published: &Arc<OnceLock<Published>>, all: &[(String, Operation)]) -> Routes {
    let answer = |pick: fn(&Published) -> Written| {
        let (published, all) = (Arc::clone(published), all.to_vec());
        move || std::future::ready(pick(published.get_or_init(|| Published::of(&all))))
    };
    let document = get(answer(|published| Written(published.document.clone(), "application/json")));
    let page = get(answer(|published| Written(published.page.clone(), "text/html; charset=utf-8")));
    let document = document.named("openapi::document", "This description");
    let page = page.named("openapi::page", "This description, to read");
    routes.route("/openapi.json", document).route("/docs", page)
}

/// A text that is always the same, with its media type.
struct Written(Bytes, &'static str);

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        // The page has its style inside and nothing else: no script, no frame, no request.
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        ([(CONTENT_TYPE, self.1), (CONTENT_SECURITY_POLICY, policy)], self.0).into_response()
    }
}
