//! Two tenants on every route: what is another's answers exactly like what does not exist.

use serde_json::{Value, json};

use crate::world::{Tenant, World, id_of, pool_body};

/// One tenant's objects.
#[derive(Clone, Debug)]
struct Objects {
    account: String,
    zone: String,
    monitor: String,
    pool: String,
    balancer: String,
    group: String,
}

/// A body of mine that names something of another's.
type Body = fn(&Objects, &Objects) -> Value;

impl Objects {
    /// Identifiers that nobody has.
    fn absent() -> Self {
        let id = |digit: &str| digit.repeat(32);
        Self { account: id("1"), zone: id("2"), monitor: id("3"), pool: id("4"), balancer: id("5"), group: id("6") }
    }

    async fn make(world: &World, tenant: &Tenant) -> Self {
        let monitor = id_of(&world.make(tenant, &tenant.lb("monitors"), json!({})).await);
        let pool = id_of(&world.make(tenant, &tenant.lb("pools"), pool_body("eu", json!({"monitor": monitor}))).await);
        let body = json!({"name": format!("www.{}", tenant.zone_name), "default_pools": [pool], "fallback_pool": pool});
        let balancer = id_of(&world.make(tenant, &tenant.in_zone("load_balancers"), body).await);
        let member = json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false});
        let body = json!({"description": "", "members": [member]});
        let group = id_of(&world.make(tenant, &tenant.lb("monitor_groups"), body).await);
        Self { account: tenant.account.to_string(), zone: tenant.zone.to_string(), monitor, pool, balancer, group }
    }

    fn fill(&self, template: &str) -> String {
        template
            .replace("{account_id}", &self.account)
            .replace("{zone_id}", &self.zone)
            .replace("{monitor_id}", &self.monitor)
            .replace("{pool_id}", &self.pool)
            .replace("{load_balancer_id}", &self.balancer)
            .replace("{monitor_group_id}", &self.group)
    }
}

/// Every route that names something in its path, with a body that is legal where one is read.
fn routes() -> Vec<(&'static str, String, Option<Value>)> {
    let pool = || pool_body("x", json!({}));
    let mut routes = Vec::new();
    for below in ["/accounts/{account_id}/load_balancers", "/user/load_balancers"] {
        let mut add = |method, path: &str, body| routes.push((method, format!("{below}{path}"), body));
        add("GET", "/monitors", None);
        add("POST", "/monitors", Some(json!({})));
        add("GET", "/monitors/{monitor_id}", None);
        add("PUT", "/monitors/{monitor_id}", Some(json!({"timeout": 9})));
        add("PATCH", "/monitors/{monitor_id}", Some(json!({"timeout": 9})));
        add("DELETE", "/monitors/{monitor_id}", None);
        add("GET", "/pools", None);
        add("POST", "/pools", Some(pool()));
        add("GET", "/pools/{pool_id}", None);
        add("PUT", "/pools/{pool_id}", Some(pool()));
        add("PATCH", "/pools/{pool_id}", Some(json!({"description": "taken"})));
        add("DELETE", "/pools/{pool_id}", None);
        add("GET", "/pools/{pool_id}/health", None);
        add("GET", "/pools/{pool_id}/quorum", None);
        add("GET", "/pools/{pool_id}/references", None);
        add("GET", "/monitors/{monitor_id}/references", None);
        add("PATCH", "/pools", Some(json!({"notification_email": ""})));
    }
    let mut add = |method, path: &str, body| routes.push((method, path.to_owned(), body));
    add("GET", "/accounts/{account_id}/load_balancers/monitor_groups", None);
    add("POST", "/accounts/{account_id}/load_balancers/monitor_groups", Some(json!({})));
    add("GET", "/accounts/{account_id}/load_balancers/monitor_groups/{monitor_group_id}", None);
    add("PUT", "/accounts/{account_id}/load_balancers/monitor_groups/{monitor_group_id}", Some(json!({})));
    add("PATCH", "/accounts/{account_id}/load_balancers/monitor_groups/{monitor_group_id}", Some(json!({"description": "taken"})));
    add("DELETE", "/accounts/{account_id}/load_balancers/monitor_groups/{monitor_group_id}", None);
    add("GET", "/accounts/{account_id}/load_balancers/monitor_groups/{monitor_group_id}/references", None);
    add("GET", "/accounts/{account_id}/load_balancers/usage", None);
    add("GET", "/accounts/{account_id}/load_balancers/search", None);
    add("GET", "/accounts/{account_id}/load_balancers/regions", None);
    add("GET", "/accounts/{account_id}/load_balancers/regions/WEU", None);
    add("GET", "/accounts/{account_id}/load_balancing_analytics/events", None);
    add("GET", "/accounts/{account_id}", None);
    add("GET", "/zones/{zone_id}", None);
    add("DELETE", "/zones/{zone_id}", None);
    for below in ["/zones/{zone_id}/load_balancers", "/accounts/{account_id}/load_balancers"] {
        let one = format!("{below}/{{load_balancer_id}}");
        add("GET", below, None);
        add("POST", below, Some(json!({})));
        add("GET", &one, None);
        add("PUT", &one, Some(json!({})));
        add("PATCH", &one, Some(json!({"enabled": false})));
        add("DELETE", &one, None);
    }
    routes
}

#[tokio::test]
async fn what_is_foreign_answers_like_what_is_absent_on_every_route() {
    let world = World::start().await;
    let (mine, theirs) = (world.tenant("mine.example").await, world.tenant("theirs.example").await);
    let (my, their, absent) = (Objects::make(&world, &mine).await, Objects::make(&world, &theirs).await, Objects::absent());
    let before = snapshot(&world, &theirs, &their).await;
    let mut compared = 0;
    for (method, template, body) in routes() {
        // Each place of the path in turn is foreign, then absent; the others are mine.
        for place in ["{account_id}", "{zone_id}", "{monitor_id}", "{pool_id}", "{load_balancer_id}", "{monitor_group_id}"] {
            if !template.contains(place) {
                continue;
            }
            let ask = |objects: &Objects| {
                let path = my.fill(&template.replace(place, &objects.fill(place)));
                let (world, mine, body) = (&world, &mine, body.clone());
                async move { world.ask(mine, method, &path, body).await }
            };
            let (foreign, missing) = (ask(&their).await, ask(&absent).await);
            assert_eq!((foreign.status, &foreign.text), (missing.status, &missing.text), "{method} {template}, {place}");
            let expected = match place {
                "{account_id}" => (403, 9109, "Unauthorized to access requested resource"),
                "{zone_id}" => (404, 1001, "zone not found"),
                "{monitor_id}" => (404, 1001, "monitor not found"),
                "{pool_id}" => (404, 1001, "pool not found"),
                "{monitor_group_id}" => (404, 1001, "monitor group not found"),
                _ => (404, 1001, "load balancer not found"),
            };
            let (status, code, message) = expected;
            assert_eq!(foreign.refused(), (status, json!([{"code": code, "message": message}])), "{method} {template}, {place}");
            compared += 1;
        }
    }
    assert_eq!(compared, 81, "every place of every route");
    assert_eq!(snapshot(&world, &theirs, &their).await, before, "nothing of theirs changed");
    world.end().await;
}

#[tokio::test]
async fn a_body_that_names_what_is_foreign_is_refused_like_one_that_names_nothing() {
    let world = World::start().await;
    let (mine, theirs) = (world.tenant("mine.example").await, world.tenant("theirs.example").await);
    let (my, their, absent) = (Objects::make(&world, &mine).await, Objects::make(&world, &theirs).await, Objects::absent());
    let bodies: [(&str, Body); 5] = [
        ("pools", |_, other| pool_body("x", json!({"monitor": other.monitor}))),
        ("pools", |_, other| pool_body("x", json!({"monitor_group": other.group}))),
        ("load_balancers", |my, other| json!({"name": "x.mine.example", "default_pools": [other.pool], "fallback_pool": my.pool})),
        ("load_balancers", |my, other| json!({"name": "x.mine.example", "default_pools": [my.pool], "fallback_pool": other.pool})),
        (
            "load_balancers",
            |my, other| json!({"name": "x.mine.example", "default_pools": [my.pool], "fallback_pool": my.pool, "rules": [{"overrides": {"default_pools": [other.pool]}}]}),
        ),
    ];
    for (route, body) in bodies {
        let path = if route == "pools" { mine.lb(route) } else { mine.in_zone(route) };
        let foreign = world.ask(&mine, "POST", &path, Some(body(&my, &their))).await;
        let missing = world.ask(&mine, "POST", &path, Some(body(&my, &absent))).await;
        assert_eq!(foreign.status, 400, "{}", foreign.text);
        let anonymous = |text: &str, objects: &Objects| {
            [&objects.monitor, &objects.pool, &objects.group].into_iter().fold(text.to_owned(), |text, id| text.replace(id, "ID"))
        };
        assert_eq!(anonymous(&foreign.text, &their), anonymous(&missing.text, &absent));
    }
    let listed = world.ask(&mine, "GET", &mine.lb(&format!("pools?monitor={}", their.monitor)), None).await;
    assert_eq!(listed.result(), json!([]));
    world.end().await;
}

#[tokio::test]
async fn lists_hold_what_is_ones_own_and_nothing_else() {
    let world = World::start().await;
    let (mine, theirs) = (world.tenant("mine.example").await, world.tenant("theirs.example").await);
    let (my, their) = (Objects::make(&world, &mine).await, Objects::make(&world, &theirs).await);
    for (path, own) in [
        (mine.lb("monitors"), &my.monitor),
        ("/user/load_balancers/monitors".to_owned(), &my.monitor),
        (mine.lb("monitor_groups"), &my.group),
        (mine.lb("pools"), &my.pool),
        ("/user/load_balancers/pools".to_owned(), &my.pool),
        (mine.in_zone("load_balancers"), &my.balancer),
        ("/zones".to_owned(), &my.zone),
        ("/accounts".to_owned(), &my.account),
    ] {
        let found = world.ask(&mine, "GET", &path, None).await.result();
        let ids: Vec<String> = found.as_array().expect("a list").iter().map(id_of).collect();
        assert_eq!(ids, [own.as_str()], "{path}");
    }
    let both = world.token(quorate_store::tokens::Scope::Read, &[mine.account, theirs.account], None).await.1;
    let both = Tenant { secret: both, ..mine.clone() };
    let zones = world.ask(&both, "GET", "/zones", None).await.result();
    assert_eq!(zones.as_array().expect("a list").iter().map(id_of).collect::<Vec<_>>(), [my.zone, their.zone]);
    world.end().await;
}

/// Everything of a tenant, as texts.
async fn snapshot(world: &World, tenant: &Tenant, objects: &Objects) -> Vec<String> {
    let mut texts = Vec::new();
    for path in [
        tenant.lb("monitors"),
        tenant.lb("monitor_groups"),
        tenant.lb("pools"),
        tenant.in_zone("load_balancers"),
        tenant.lb(&format!("pools/{}/quorum", objects.pool)),
        tenant.lb("usage"),
    ] {
        texts.push(world.ask(tenant, "GET", &path, None).await.text);
    }
    texts
}
