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
    preview: String,
    healthcheck: String,
    /// A preview of a health check.
    previewed: String,
}

/// A body of mine that names something of another's.
type Body = fn(&Objects, &Objects) -> Value;

impl Objects {
    /// Identifiers that nobody has.
    fn absent() -> Self {
        let id = |digit: &str| digit.repeat(32);
        Self {
            account: id("1"),
            zone: id("2"),
            monitor: id("3"),
            pool: id("4"),
            balancer: id("5"),
            group: id("6"),
            preview: id("7"),
            healthcheck: id("8"),
            previewed: id("9"),
        }
    }

    async fn make(world: &World, tenant: &Tenant) -> Self {
        let monitor = id_of(&world.make(tenant, &tenant.lb("monitors"), json!({})).await);
        let pool = id_of(&world.make(tenant, &tenant.lb("pools"), pool_body("eu", json!({"monitor": monitor}))).await);
        let body = json!({"name": format!("www.{}", tenant.zone_name), "default_pools": [pool], "fallback_pool": pool});
        let balancer = id_of(&world.make(tenant, &tenant.in_zone("load_balancers"), body).await);
        let member = json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false});
        let body = json!({"description": "", "members": [member]});
        let group = id_of(&world.make(tenant, &tenant.lb("monitor_groups"), body).await);
        let preview = world.make(tenant, &tenant.lb(&format!("pools/{pool}/preview")), json!({})).await;
        let preview = preview["preview_id"].as_str().expect("an id").to_owned();
        let [healthcheck, previewed] = [tenant.in_zone("healthchecks"), tenant.in_zone("healthchecks/preview")];
        let check = || json!({"name": "shop", "address": "192.0.2.1"});
        let healthcheck = id_of(&world.make(tenant, &healthcheck, check()).await);
        let previewed = id_of(&world.make(tenant, &previewed, check()).await);
        let (account, zone) = (tenant.account.to_string(), tenant.zone.to_string());
        Self { account, zone, monitor, pool, balancer, group, preview, healthcheck, previewed }
    }

    /// What stands for a parameter of that path.
    fn value(&self, path: &str, place: &str) -> &str {
        match place {
            "{account_id}" => &self.account,
            "{zone_id}" => &self.zone,
            "{monitor_id}" => &self.monitor,
            "{pool_id}" => &self.pool,
            "{load_balancer_id}" => &self.balancer,
            "{monitor_group_id}" => &self.group,
            "{preview_id}" => &self.preview,
            "{healthcheck_id}" if path.contains("/healthchecks/preview/") => &self.previewed,
            "{healthcheck_id}" => &self.healthcheck,
            "{region_id}" => "WEU",
            other => panic!("{path} asks for {other}: let a tenant have one"),
        }
    }
}

/// The parameters of a path.
fn places(path: &str) -> Vec<&str> {
    path.split('/').filter(|step| step.starts_with('{')).collect()
}

/// What is answered for one that is foreign or absent.
fn refusal(path: &str, place: &str) -> (u16, Value) {
    let (status, code, message) = match place {
        "{account_id}" => (403, 9109, "Unauthorized to access requested resource"),
        "{zone_id}" => (404, 1001, "zone not found"),
        "{monitor_id}" => (404, 1001, "monitor not found"),
        "{pool_id}" => (404, 1001, "pool not found"),
        "{load_balancer_id}" => (404, 1001, "load balancer not found"),
        "{monitor_group_id}" => (404, 1001, "monitor group not found"),
        "{preview_id}" => (404, 1001, "preview not found"),
        "{healthcheck_id}" if path.contains("/healthchecks/preview/") => (404, 1001, "health check preview not found"),
        "{healthcheck_id}" => (404, 1001, "object does not exist: health check not found"),
        other => panic!("{path} asks for {other}: say how it is refused"),
    };
    (status, json!([{"code": code, "message": message}]))
}

/// A body that would change something where it was let.
fn harmful(path: &str) -> Value {
    let of_pool = path.contains("/pools");
    if of_pool { pool_body("taken", json!({})) } else { json!({"timeout": 9, "description": "taken"}) }
}

#[tokio::test]
async fn what_is_foreign_answers_like_what_is_absent_on_every_route() {
    let world = World::start().await;
    let (mine, theirs) = (world.tenant("mine.example").await, world.tenant("theirs.example").await);
    let (my, their, absent) = (Objects::make(&world, &mine).await, Objects::make(&world, &theirs).await, Objects::absent());
    let before = snapshot(&world, &theirs, &their).await;
    // Every route that there is, so none can be forgotten here.
    let description = world.send_raw("GET", "/openapi.json", &[], "").await.body;
    let mut compared = 0;
    for (path, methods) in description["paths"].as_object().expect("paths") {
        let Some(path) = path.strip_prefix("/client/v4") else { continue };
        for method in methods.as_object().expect("methods").keys().map(|method| method.to_uppercase()) {
            let body = ["POST", "PUT", "PATCH"].contains(&method.as_str()).then(|| harmful(path));
            // Each place of the path in turn is foreign, then absent; the others are mine.
            for place in places(path).into_iter().filter(|place| *place != "{region_id}") {
                let ask = |objects: &Objects| {
                    let value = |known| if known == place { objects.value(path, known) } else { my.value(path, known) };
                    let concrete = places(path).into_iter().fold(path.to_owned(), |path, known| path.replace(known, value(known)));
                    let (world, mine, method, body) = (&world, &mine, &method, body.clone());
                    async move { world.ask(mine, method, &concrete, body).await }
                };
                let (foreign, missing) = (ask(&their).await, ask(&absent).await);
                assert_eq!((foreign.status, &foreign.text), (missing.status, &missing.text), "{method} {path}, {place}");
                assert_eq!(foreign.refused(), refusal(path, place), "{method} {path}, {place}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
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
        (mine.in_zone("healthchecks"), &my.healthcheck),
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
        tenant.in_zone("healthchecks"),
        tenant.in_zone(&format!("healthchecks/preview/{}", objects.previewed)),
        tenant.lb(&format!("preview/{}", objects.preview)),
        tenant.lb(&format!("pools/{}/quorum", objects.pool)),
        tenant.lb("usage"),
    ] {
        texts.push(world.ask(tenant, "GET", &path, None).await.text);
    }
    texts
}
