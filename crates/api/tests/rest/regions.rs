//! The map of regions: every country once, or twice where it lies in two of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::{Tenant, World};

async fn regions(world: &World, tenant: &Tenant, query: &str) -> Vec<Value> {
    let result = world.ask(tenant, "GET", &tenant.lb(&format!("regions{query}")), None).await.result();
    assert_eq!(result["iso_standard"], "ISO 3166-1 alpha-2 for countries, ISO 3166-2 for subdivisions");
    result["regions"].as_array().expect("a list").clone()
}

/// Region code to the codes of its countries.
fn countries(regions: &[Value]) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let codes =
        |region: &Value| region["countries"].as_array().expect("a list").iter().map(|country| text(&country["country_code_a2"])).collect();
    regions.iter().map(|region| (text(&region["region_code"]), codes(region))).collect()
}

#[tokio::test]
async fn the_map_has_thirteen_regions_and_every_country() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let all = regions(&world, &tenant, "").await;
    let codes: Vec<&str> = all.iter().filter_map(|region| region["region_code"].as_str()).collect();
    assert_eq!(codes, ["WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS"]);
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for code in countries(&all).into_values().flatten() {
        *times.entry(code).or_default() += 1;
    }
    assert_eq!(times.len(), 249);
    let twice: Vec<&str> = times.iter().filter(|(_, times)| **times == 2).map(|(code, _)| code.as_str()).collect();
    assert_eq!(twice, ["BR", "CA", "DE", "IT", "RU", "US"]);
    assert!(times.values().all(|times| *times <= 2));
    for code in codes {
        let one = world.ask(&tenant, "GET", &tenant.lb(&format!("regions/{code}")), None).await.result();
        assert_eq!(one["regions"], json!([all.iter().find(|region| region["region_code"] == code).expect("listed")]), "{code}");
    }
    world.end().await;
}

#[tokio::test]
async fn filters_leave_the_part_of_the_map_that_was_asked_for() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let haiti = json!([{"region_code": "ENAM", "countries": [{"country_code_a2": "HT", "country_name": "Haiti"}]}]);
    for query in ["?country_code_a2=HT", "?country_code_a2=ht", "?country_code=HT"] {
        assert_eq!(json!(regions(&world, &tenant, query).await), haiti, "{query}");
    }
    let california = json!([{"region_code": "WNAM", "countries": [{
        "country_code_a2": "US", "country_name": "United States",
        "country_subdivisions": [{"subdivision_code_a2": "CA", "subdivision_name": "California"}],
    }]}]);
    for query in
        ["?subdivision_code_a2=CA", "?subdivision_code=CA", "?subdivision_code_a2=US-CA", "?country_code_a2=US&subdivision_code_a2=ca"]
    {
        assert_eq!(json!(regions(&world, &tenant, query).await), california, "{query}");
    }
    let halves = regions(&world, &tenant, "?country_code_a2=CA").await;
    let parts: Vec<(&Value, usize)> = halves
        .iter()
        .map(|region| (&region["region_code"], region["countries"][0]["country_subdivisions"].as_array().map_or(0, Vec::len)))
        .collect();
    assert_eq!(parts, [(&json!("WNAM"), 4), (&json!("ENAM"), 9)]);
    for nothing in ["?country_code_a2=XX", "?country_code_a2=CA&subdivision_code_a2=NY", "?country_code_a2=DE&subdivision_code_a2=CA"] {
        assert_eq!(json!(regions(&world, &tenant, nothing).await), json!([]), "{nothing}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_unknown_region_and_a_code_that_is_none_are_refused() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    for unknown in ["ALL_REGIONS", "EU", "wnam"] {
        let refused = world.ask(&tenant, "GET", &tenant.lb(&format!("regions/{unknown}")), None).await.refused();
        assert_eq!(refused, (404, json!([{"code": 1001, "message": "region not found"}])), "{unknown}");
    }
    for (query, detail) in [
        ("country_code_a2=USA", "country_code_a2 \"USA\" is not a country code of two letters"),
        ("country_code_a2=US&country_code=null", "country_code \"null\" is not a country code of two letters"),
        ("subdivision_code=California", "subdivision_code \"California\" is not a subdivision code, such as CA or US-CA"),
    ] {
        let refused = world.ask(&tenant, "GET", &tenant.lb(&format!("regions?{query}")), None).await.refused();
        assert_eq!(refused, (400, json!([{"code": 1002, "message": format!("{detail}: validation failed")}])));
    }
    world.end().await;
}
