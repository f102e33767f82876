//! `/accounts/{account_id}/load_balancers/regions`: which countries lie in which region.

use quorate_core::country::{COUNTRIES, Country, Subdivision};
use quorate_core::region::Region;
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{InAccount, Read};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Named, Params};
use crate::openapi::Query;

/// The map, or the part of it that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RegionsBody {
    iso_standard: &'static str,
    regions: Vec<RegionBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RegionBody {
    region_code: Region,
    countries: Vec<CountryBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct CountryBody {
    country_code_a2: &'static str,
    country_name: &'static str,
    /// Of the US and Canada those in this region; absent elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    country_subdivisions: Vec<SubdivisionBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SubdivisionBody {
    subdivision_code_a2: &'static str,
    subdivision_name: &'static str,
}

/// What of the map is wanted. Upper case.
#[derive(Debug, Default)]
struct Filter {
    country: Option<String>,
    subdivision: Option<String>,
}

impl Filter {
    fn of(params: &Params) -> Result<Self, ApiError> {
        let code = |names: &[&str], legal: fn(&str) -> bool, what: &str| {
            let given = || names.iter().filter_map(|name| Some((name, params.text(name)?)));
            // Each that is given, also the one that another goes before.
            match given().find(|(_, text)| !legal(text)) {
                Some((name, text)) => Err(ApiError::InvalidQuery(format!("{name} {text:?} is not {what}"))),
                None => Ok(given().next().map(|(_, text)| text.to_ascii_uppercase())),
            }
        };
        let letters = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let part = |text: &str| {
            let (country, code) = text.split_once('-').unwrap_or(("US", text));
            let is_code = (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_code && country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic())
        };
        Ok(Self {
            country: code(&["country_code_a2", "country_code"], letters, "a country code of two letters")?,
            subdivision: code(&["subdivision_code_a2", "subdivision_code"], part, "a subdivision code, such as CA or US-CA")?,
        })
    }

    /// The country as far as it lies in the region and is wanted.
    fn part_of(&self, country: &Country, region: Region) -> Option<CountryBody> {
        if !country.regions.contains(&region) || self.country.as_deref().is_some_and(|wanted| wanted != country.code) {
            return None;
        }
        let is_wanted = |part: &&Subdivision| {
            let named = |wanted: &str| match wanted.split_once('-') {
                Some((of, code)) => of == country.code && code == part.code,
                None => wanted == part.code,
            };
            part.region == region && self.subdivision.as_deref().is_none_or(named)
        };
        let country_subdivisions: Vec<SubdivisionBody> = country
            .subdivisions
            .iter()
            .filter(is_wanted)
            .map(|part| SubdivisionBody { subdivision_code_a2: part.code, subdivision_name: part.name })
            .collect();
        if self.subdivision.is_some() && country_subdivisions.is_empty() {
            return None;
        }
        Some(CountryBody { country_code_a2: country.code, country_name: country.name, country_subdivisions })
    }
}

pub(crate) fn query() -> Vec<Query> {
    let part = || json_schema!({"type": "string", "pattern": "^([A-Za-z]{2}-)?[A-Za-z0-9]{1,3}$"});
    let country = || json_schema!({"type": "string", "pattern": "^[A-Za-z]{2}$"});
    vec![
        Query::new("country_code_a2", "Only this country, by its code of ISO 3166-1.", country()),
        Query::new("country_code", "The same.", country()),
        Query::new("subdivision_code_a2", "Only this state or province, by its code of ISO 3166-2: `CA` or `US-CA`.", part()),
        Query::new("subdivision_code", "The same.", part()),
    ]
}

/// `place` is asked for what it proves: that the caller may read in the account.
pub(crate) async fn list(_place: InAccount<Read>, params: Params) -> Answer<RegionsBody> {
    let filter = Filter::of(&params)?;
    let mut regions: Vec<RegionBody> = Region::ALL.into_iter().map(|region| map_of(region, &filter)).collect();
    regions.retain(|region| !region.countries.is_empty());
    Ok(Envelope::of(told(regions)))
}

pub(crate) async fn show(_place: InAccount<Read>, Named(region): Named) -> Answer<RegionsBody> {
    let region: Region = region.parse().map_err(|_| ApiError::NotFound { resource: "region" })?;
    Ok(Envelope::of(told(vec![map_of(region, &Filter::default())])))
}

fn map_of(region: Region, filter: &Filter) -> RegionBody {
    RegionBody { region_code: region, countries: COUNTRIES.iter().filter_map(|country| filter.part_of(country, region)).collect() }
}

fn told(regions: Vec<RegionBody>) -> RegionsBody {
    RegionsBody { iso_standard: "ISO 3166-1 alpha-2 for countries, ISO 3166-2 for subdivisions", regions }
}
