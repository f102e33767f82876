//! `/accounts/{account_id}/load_balancers/search`: load balancers, pools and monitors by name.

use quorate_store::references::{self, Resource};
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{InAccount, Read};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::Params;
use crate::openapi::Query;
use crate::page::Page;
use crate::references::{ReferenceBody, ReferenceType, seen_from};

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FoundBody {
    /// By kind: load balancers, pools, monitors; each in creation order.
    resources: Vec<ResourceBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ResourceBody {
    resource_id: String,
    /// Of a monitor its description.
    resource_name: String,
    /// `load_balancer`, `pool` or `monitor`.
    resource_type: &'static str,
    /// Absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Vec<ReferenceBody>>,
}

/// Which references are to stand beside what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    None,
    All,
    Only(ReferenceType),
}

impl Wanted {
    fn of(params: &Params) -> Result<Self, ApiError> {
        match params.text("references") {
            None => Ok(Self::None),
            Some("*") => Ok(Self::All),
            Some("referral") => Ok(Self::Only(ReferenceType::Referral)),
            Some("referrer") => Ok(Self::Only(ReferenceType::Referrer)),
            Some(other) => Err(ApiError::InvalidQuery(format!("references {other:?} is not one of \"\", *, referral, referrer"))),
        }
    }

    fn has(self, reference: &ReferenceBody) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(kind) => reference.reference_type() == kind,
        }
    }
}

pub(crate) fn query() -> Vec<Query> {
    let kinds = json_schema!({"type": "string", "enum": ["", "*", "referral", "referrer"]});
    vec![
        Query::new("query", "A part of the name, in whatever case, or the whole identifier.", json_schema!({"type": "string"})),
        Query::new("references", "Which references stand beside what is found: none, all, or one kind.", kinds),
    ]
}

pub(crate) async fn search(place: InAccount<Read>, params: Params, page: Page) -> Answer<FoundBody> {
    let wanted = Wanted::of(&params)?;
    let mut db = place.begin().await?;
    let (found, info) = page.cut_items(references::search(&mut db, place.account, params.text("query").unwrap_or_default()).await?);
    let links = if wanted == Wanted::None { Vec::new() } else { references::all(&mut db, place.account).await? };
    let resource = |found: Resource| {
        let references =
            (wanted != Wanted::None).then(|| seen_from(&found.id, &links).into_iter().filter(|reference| wanted.has(reference)).collect());
        ResourceBody { resource_id: found.id, resource_name: found.name, resource_type: found.kind.name(), references }
    };
    Ok(Envelope::page(FoundBody { resources: found.into_iter().map(resource).collect() }, info))
}
