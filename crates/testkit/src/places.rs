//! Where the stories' workers pretend to be.

/// A PoP before it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub region: &'static str,
    pub code: &'static str,
    pub city: &'static str,
    pub country: &'static str,
}

const PLACES: [Place; 12] = [
    place("WEU", "lhr", "London", "GB"),
    place("WEU", "ams", "Amsterdam", "NL"),
    place("WEU", "fra", "Frankfurt", "DE"),
    place("ENAM", "iad", "Ashburn", "US"),
    place("ENAM", "ewr", "Newark", "US"),
    place("ENAM", "yyz", "Toronto", "CA"),
    place("SEAS", "sin", "Singapore", "SG"),
    place("SEAS", "bkk", "Bangkok", "TH"),
    place("SEAS", "cgk", "Jakarta", "ID"),
    place("WNAM", "sjc", "San Jose", "US"),
    place("WNAM", "sea", "Seattle", "US"),
    place("WNAM", "lax", "Los Angeles", "US"),
];

const fn place(region: &'static str, code: &'static str, city: &'static str, country: &'static str) -> Place {
    Place { region, code, city, country }
}

/// The first `count` places of a region.
///
/// # Panics
/// Where it has fewer.
pub fn places_in(region: &str, count: usize) -> Vec<Place> {
    let places: Vec<_> = PLACES.into_iter().filter(|place| place.region == region).take(count).collect();
    assert_eq!(places.len(), count, "the stories know no {count} places in {region}");
    places
}
