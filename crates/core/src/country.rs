//! The countries of ISO 3166-1 and the region of each; for the US and Canada also their subdivisions (ISO 3166-2).

mod table;

use crate::region::Region;

/// A country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// Two upper-case letters, ISO 3166-1 alpha-2: `DE`.
    pub code: &'static str,
    pub name: &'static str,
    /// One region, or two for the countries that lie in both: BR, CA, DE, IT, RU and US.
    pub regions: &'static [Region],
    /// Of US and CA; empty elsewhere.
    pub subdivisions: &'static [Subdivision],
}

/// A state or province.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subdivision {
    /// The part after the country's code, ISO 3166-2: `CA` of `US-CA`.
    pub code: &'static str,
    pub name: &'static str,
    pub region: Region,
}

/// Every country, by code.
pub const COUNTRIES: &[Country] = &table::COUNTRIES;

/// The country with that code, in upper case.
pub fn find(code: &str) -> Option<&'static Country> {
    COUNTRIES.binary_search_by(|country| country.code.cmp(code)).ok().map(|index| &COUNTRIES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_once_and_no_other() {
        assert!(COUNTRIES.is_sorted_by(|one, next| one.code < next.code), "sorted, and none twice");
        assert_eq!(COUNTRIES.len(), 249, "as many as ISO 3166-1 has");
        for country in COUNTRIES {
            assert_eq!(find(country.code), Some(country));
            assert!(country.code.len() == 2 && country.code.bytes().all(|byte| byte.is_ascii_uppercase()), "{country:?}");
        }
        for unknown in ["", "de", "XX", "EU", "UK", "DEU"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_subdivision_lies_in_a_region_of_its_country() {
        let divided: Vec<&str> = COUNTRIES.iter().filter(|country| !country.subdivisions.is_empty()).map(|country| country.code).collect();
        assert_eq!(divided, ["CA", "US"]);
        let split: Vec<&str> = COUNTRIES.iter().filter(|country| country.regions.len() == 2).map(|country| country.code).collect();
        assert_eq!(split, ["BR", "CA", "DE", "IT", "RU", "US"]);
        for country in COUNTRIES {
            assert!((1..=2).contains(&country.regions.len()), "{country:?}");
            assert!(country.subdivisions.is_sorted_by(|one, next| one.code < next.code));
            assert!(country.subdivisions.iter().all(|part| country.regions.contains(&part.region)), "{country:?}");
        }
        let region = |country: &str, code: &str| {
            find(country).and_then(|country| country.subdivisions.iter().find(|part| part.code == code)).map(|part| part.region)
        };
        assert_eq!(
            (region("US", "CA"), region("US", "NY"), region("US", "DC")),
            (Some(Region::Wnam), Some(Region::Enam), Some(Region::Enam))
        );
        assert_eq!((region("CA", "BC"), region("CA", "ON"), region("CA", "XX")), (Some(Region::Wnam), Some(Region::Enam), None));
    }

    #[test]
    fn no_region_is_empty() {
        for region in Region::ALL {
            assert!(COUNTRIES.iter().any(|country| country.regions.contains(&region)), "{region}");
        }
    }
}
