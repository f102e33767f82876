//! What is asked for, and what was measured of it.

use std::fmt::Write as _;
use std::time::Duration;

use quorate_testkit::world::World;

use crate::client::{self, Target, Work};
use crate::seed::Seeded;
use crate::spent::Spent;

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    pub(crate) work: Work,
    postmaster: i32,
}

/// All kinds of requests.
pub(crate) fn all(world: &World, seeded: &Seeded) -> Vec<Row> {
    let target = Target {
        address: world.controls[0].url().trim_start_matches("http://").parse().expect("an address"),
        token: world.operator.token().to_owned(),
    };
    let base = "/client/v4";
    let pools = format!("{base}{}", world.operator.pools_path());
    let pool = &seeded.pools[3];
    let week = format!("since={}&until={}", seeded.days_ago(21), seeded.days_ago(14));
    let events = |filters: &str| Work::Get {
        path: format!("{base}/accounts/{}/load_balancing_analytics/events?per_page=50&{filters}", world.operator.account),
    };
    let create = r#"{"name": "bench-{}", "origins": [{"name": "a", "address": "192.0.2.1"}, {"name": "b", "address": "192.0.2.2"}]}"#;
    let rows: [(&'static str, Work); 9] = [
        ("list pools (20)", Work::Get { path: pools.clone() }),
        ("get pool", Work::Get { path: format!("{pools}/{pool}") }),
        ("events, newest 50", events("")),
        ("events of a pool in a week", events(&format!("pool_id={pool}&{week}"))),
        ("events of an origin", events("origin_name=origin-1")),
        ("events, origin down", events("origin_healthy=false")),
        ("events, named pool unhealthy", events("pool_name=pool-1&pool_healthy=false")),
        (
            "events, origin down since three weeks",
            events(&format!("origin_name=origin-1&origin_healthy=false&since={}", seeded.days_ago(21))),
        ),
        ("create and delete pool", Work::CreateAndDelete { path: pools, body: create.to_owned() }),
    ];
    rows.into_iter().map(|(name, work)| Row { name, target: target.clone(), work, postmaster: seeded.postmaster }).collect()
}

impl Row {
    /// Asks in a closed loop; `floor` is what the database alone does a second.
    pub(crate) async fn measure(&self, world: &World, connections: usize, window: Duration, floor: f64) -> Measured {
        let control = world.controls[0].process.pid().as_raw_nonzero().get();
        let now = || Spent::now(control, self.postmaster);
        let mut before = Spent::default();
        let seen = client::run(&self.target, &self.work, connections, window / 4, window, || before = now()).await;
        let spent = now().since(before);
        #[expect(clippy::cast_precision_loss, reason = "a window holds less than 2^52")]
        let count = seen.times.len() as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count.max(1.0);
        let at = |percent: usize| seen.times.get((seen.times.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or_default();
        Measured {
            name: self.name,
            connections,
            rate: count / window.as_secs_f64(),
            p50: at(50),
            p99: at(99),
            floor,
            bytes: seen.bytes,
            cpu_us: [each(spent.client), each(spent.control), each(spent.postgres)],
        }
    }
}

/// A row at a number of connections.
#[derive(Debug)]
pub(crate) struct Measured {
    name: &'static str,
    connections: usize,
    /// Units of work a second.
    rate: f64,
    p50: Duration,
    p99: Duration,
    /// Transactions of pgbench a second.
    floor: f64,
    /// Of the answer's body.
    bytes: usize,
    /// Microseconds of processor a unit of work: client, control, Postgres.
    cpu_us: [f64; 3],
}

impl Measured {
    pub(crate) fn line(&self) -> String {
        let Self { name, connections, rate, p50, p99, floor, bytes, cpu_us: [client, control, postgres] } = self;
        let (p50, p99, share) = (p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3, rate / floor * 100.0);
        format!(
            "| {name} | {connections} | {rate:.0} | {p50:.2} | {p99:.2} | {floor:.0} | {share:.0} % | {client:.0} | {control:.0} | {postgres:.0} | {bytes} |"
        )
    }

    pub(crate) fn table(measured: &[Self]) -> String {
        let mut text = String::from(
            "| request | connections | a second | p50 ms | p99 ms | floor a second | of the floor | client CPU us | control CPU us | Postgres CPU us | bytes |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for row in measured {
            writeln!(text, "{}", row.line()).expect("a string takes text");
        }
        text
    }
}
