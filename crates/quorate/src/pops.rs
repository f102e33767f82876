//! The PoPs that `up` and `init` register unless they are told others.

use std::str::FromStr;

use anyhow::{Context as _, ensure};
use quorate_core::pop::PopCode;
use quorate_core::region::Region;
use quorate_store::worker_tokens::NewPop;

/// Three regions with three PoPs each: code, region, city, country.
pub const DEFAULT_POPS: [&str; 9] = [
    "lhr:WEU:London:GB",
    "fra:WEU:Frankfurt:DE",
    "cdg:WEU:Paris:FR",
    "iad:ENAM:Ashburn:US",
    "ord:ENAM:Chicago:US",
    "yyz:ENAM:Toronto:CA",
    "sin:SEAS:Singapore:SG",
    "bkk:SEAS:Bangkok:TH",
    "cgk:SEAS:Jakarta:ID",
];

/// A PoP as one argument: `lhr:WEU:London:GB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopArgument(pub NewPop);

impl FromStr for PopArgument {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [code, region, city, country] = parts[..] else { anyhow::bail!("a PoP is CODE:REGION:CITY:COUNTRY, as lhr:WEU:London:GB") };
        Ok(Self(NewPop {
            code: PopCode::from_str(code)?,
            region: region.parse()?,
            city: valid_city(city)?,
            country: valid_country(country)?,
        }))
    }
}

/// A city's name, as people will read it.
pub fn valid_city(text: &str) -> anyhow::Result<String> {
    let text = text.trim();
    ensure!((1..=64).contains(&text.chars().count()), "a city has 1 to 64 characters");
    ensure!(!text.contains(char::is_control), "a city has no control characters");
    Ok(text.to_owned())
}

/// ISO 3166-1 alpha-2, upper case.
pub fn valid_country(text: &str) -> anyhow::Result<String> {
    ensure!(text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()), "a country is two capital letters, as GB");
    Ok(text.to_owned())
}

/// The nine of [`DEFAULT_POPS`].
pub fn default_pops() -> anyhow::Result<Vec<NewPop>> {
    DEFAULT_POPS
        .iter()
        .map(|text| text.parse::<PopArgument>().map(|pop| pop.0).with_context(|| format!("the built-in PoP {text}")))
        .collect()
}

/// The regions of some PoPs, each once, in order.
pub fn regions_of(pops: &[NewPop]) -> Vec<Region> {
    let mut regions: Vec<Region> = pops.iter().map(|pop| pop.region).collect();
    regions.sort_unstable();
    regions.dedup();
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pops_are_three_in_each_of_three_regions() {
        let pops = default_pops().unwrap();
        for region in regions_of(&pops) {
            assert_eq!(pops.iter().filter(|pop| pop.region == region).count(), 3, "{region}");
        }
        assert_eq!(regions_of(&pops).len(), 3);
    }

    #[test]
    fn a_pop_of_another_form_is_refused_with_the_reason() {
        for (text, part) in [
            ("lhr:WEU:London", "CODE:REGION:CITY:COUNTRY"),
            ("LHR:WEU:London:GB", "PoP code"),
            ("lhr:XYZ:London:GB", "not a region"),
            ("lhr:WEU::GB", "city"),
            ("lhr:WEU:London:gb", "country"),
        ] {
            let error = text.parse::<PopArgument>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
