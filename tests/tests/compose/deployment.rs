//! The services of docker-compose.yml as processes on this machine. What a container would have of its own, a process gets
//! through a map, which is printed: hosts become loopback addresses, subnets become ranges of them, volumes become folders.
//! Whatever has no place in the map fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use quorate_pg::{Binaries, Server, folder};
use quorate_testkit::net::Net;
use quorate_testkit::process::{Finished, Launch, Process};
use quorate_testkit::until::{holds, until};
use tempfile::TempDir;
use url::Url;

use crate::file::{Compose, Condition, Service, image_environment};

/// A busy machine starts sixteen processes.
const START_MAX: Duration = Duration::from_mins(1);
/// Workers of one network: a block of four addresses each, so that a subnet becomes a prefix.
const BLOCK: u8 = 4;
const BLOCK_PREFIX: u8 = 30;
/// What a worker in a container of its own need not be told.
const WORKER_LISTEN: &str = "127.0.0.1:8082";

pub(crate) struct Deployment {
    compose: Compose,
    net: Net,
    /// Stands in for the service `postgres`.
    database: Server,
    dir: TempDir,
    addresses: BTreeMap<String, IpAddr>,
    subnets: BTreeMap<String, IpNet>,
    processes: BTreeMap<String, Process>,
}

impl Deployment {
    /// Starts all services in the order of their dependencies; healthy when this returns.
    pub(crate) async fn start(compose: Compose) -> Self {
        let net = Net::claim();
        let binaries = Binaries::find(None, folder::default_programs().as_deref()).expect("QUORATE_PG_BIN is of use");
        let database = Server::throw_away(&binaries.expect("Postgres is here; `cargo xtask test` gets it")).await.expect("Postgres starts");
        let dir = tempfile::Builder::new().prefix("quorate-compose-").tempdir().expect("the temporary folder is writable");
        let (addresses, subnets) = places(&compose, &net);
        let mut deployment = Self { compose, net, database, dir, addresses, subnets, processes: BTreeMap::new() };
        deployment.print_map();
        for volume in deployment.compose.volumes.keys() {
            std::fs::create_dir_all(deployment.volume(volume)).expect("the folder is ours");
        }
        for name in deployment.order() {
            deployment.start_service(&name).await;
        }
        let ours: Vec<String> = deployment.ours().map(|(name, _)| name.to_owned()).collect();
        for name in ours {
            deployment.healthy(&name).await;
        }
        deployment
    }

    /// `docker compose exec SERVICE quorate ARGS`
    pub(crate) async fn exec(&self, service: &str, arguments: &[&str]) -> Finished {
        let words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        self.launch(service, &format!("{service}-exec"), &words).run().await
    }

    /// Where a path inside a service's container is on this machine.
    pub(crate) fn path(&self, service: &str, path: &str) -> PathBuf {
        let mounts = self.service(service).volumes.iter().map(|mount| {
            let mut parts = mount.split(':');
            (parts.next().unwrap_or_default(), parts.next().expect("a mount has a target"))
        });
        let mut places: Vec<(String, PathBuf)> = mounts.map(|(volume, target)| (target.to_owned(), self.volume(volume))).collect();
        // The image's own volume, for services that mount nothing there.
        places.push((image_environment()["QUORATE_DATA_DIR"].clone(), self.dir.path().join(service)));
        let below = |target: &str| path.strip_prefix(target).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned);
        let (place, rest) = places
            .into_iter()
            .find_map(|(target, place)| Some((place, below(&target)?)))
            .unwrap_or_else(|| panic!("{service}: {path} is on no volume, so it would not outlive the container"));
        PathBuf::from(format!("{}{rest}", place.display()))
    }

    /// Where a published port of the host leads: `127.0.0.1:8080:8080`.
    pub(crate) fn published(&self, host: &str) -> SocketAddr {
        let found = self.ours().find_map(|(name, service)| {
            service.ports.iter().find_map(|port| Some((name, port.strip_prefix(host)?.strip_prefix(':')?.parse::<u16>().ok()?)))
        });
        let (service, port) = found.unwrap_or_else(|| panic!("{host} is not published"));
        SocketAddr::new(self.addresses[service], port)
    }

    pub(crate) fn logs(&self) -> String {
        self.processes.values().map(Process::log_tail).collect()
    }

    async fn start_service(&mut self, name: &str) {
        let dependencies: Vec<(String, Condition)> =
            self.service(name).depends_on.iter().map(|(other, dependency)| (other.clone(), dependency.condition)).collect();
        for (other, condition) in dependencies {
            match condition {
                Condition::Started => {}
                Condition::Healthy => self.healthy(&other).await,
                Condition::CompletedSuccessfully => {
                    let process = self.processes.get_mut(&other).expect("it started before");
                    let status = process.ends(START_MAX).await;
                    assert!(status.success(), "{other} ended with {status}\n{}", process.log_tail());
                }
            }
        }
        if self.service(name).is_ours() {
            std::fs::create_dir_all(self.dir.path().join(name)).expect("the folder is ours");
            let launch = self.launch(name, name, &self.service(name).command.clone());
            self.processes.insert(name.to_owned(), launch.start());
        } else {
            self.check_database(name);
        }
    }

    /// Runs the service's own health check until it passes.
    async fn healthy(&mut self, name: &str) {
        let check = &self.service(name).healthcheck;
        // The throw-away server was ready before anything else started.
        if check.disable || !self.service(name).is_ours() {
            return;
        }
        let [how, program, words @ ..] = check.test.as_slice() else { panic!("{name} has no health check") };
        assert_eq!((how.as_str(), program.as_str()), ("CMD", "quorate"), "{name}: the image holds no other program");
        let launch = self.launch(name, &format!("{name}-health"), words);
        until(&format!("{name} is healthy"), START_MAX, async || {
            let process = self.processes.get_mut(name).expect("it was started");
            assert!(process.is_running(), "{name} has ended\n{}", process.log_tail());
            let finished = launch.run().await;
            holds(finished.code == Some(0), format!("{finished:?}\n{}", process.log_tail()))
        })
        .await;
    }

    /// The service that is not ours is the database that the others name.
    fn check_database(&self, name: &str) {
        let service = self.service(name);
        assert_eq!(name, "postgres", "{name}: this test has no stand-in for {}", service.image);
        let known = ["POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_USER"];
        assert_eq!(service.environment.keys().map(String::as_str).collect::<Vec<_>>(), known);
        assert!(service.ports.is_empty(), "the database is not for the outside");
    }

    fn launch(&self, service: &str, log: &str, words: &[String]) -> Launch {
        let mapped = self.command(service, words);
        let mut launch = Launch::new(log, &mapped.iter().map(String::as_str).collect::<Vec<_>>(), self.dir.path());
        let mut environment = image_environment();
        environment.extend(self.service(service).environment.clone());
        for (name, value) in environment {
            let value = self.variable(service, &name, &value);
            launch = launch.env(&name, value);
        }
        if self.service(service).command == ["worker"] {
            let address = self.addresses[service];
            launch =
                launch.env("QUORATE_WORKER__LISTEN", self.bound(service, WORKER_LISTEN)).env("QUORATE_WORKER__SOURCE_ADDRESS", address);
        }
        launch
    }

    /// One variable through the map.
    fn variable(&self, service: &str, name: &str, value: &str) -> String {
        match name {
            "QUORATE_DATA_DIR" | "QUORATE_WORKER_TOKEN_FILE" => self.path(service, value).display().to_string(),
            "QUORATE_DATABASE_URL" | "QUORATE_DATABASE_ADMIN_URL" => self.database_url(service, value),
            "QUORATE_DATABASE_SERVICE_PASSWORD" | "QUORATE_ACCOUNTS__MINIMUM_MONITOR_INTERVAL" => value.to_owned(),
            "QUORATE_CONTROL__LISTEN" | "QUORATE_CONTROL__GRPC_LISTEN" => self.bound(service, value),
            // Where workers reach it; all of them must.
            "QUORATE_CONTROL__ADVERTISE_URL" => {
                self.workers().map(|worker| self.reachable_url(worker, value)).last().expect("there are workers")
            }
            "QUORATE_CONTROL_URLS" => value.split(',').map(|url| self.reachable_url(service, url)).collect::<Vec<_>>().join(","),
            "QUORATE_WORKER_ALLOW_CIDRS" => self.allowed(value),
            other => panic!("{service}: nobody maps the variable {other}"),
        }
    }

    /// A command line through the map.
    fn command(&self, service: &str, words: &[String]) -> Vec<String> {
        let command = words.first().map_or("", String::as_str);
        let mut mapped = vec![command.to_owned()];
        for word in &words[1..] {
            mapped.push(match (command, word.split_once('=')) {
                ("init", Some((flag @ ("--worker-tokens" | "--env"), path))) => format!("{flag}={}", self.path(service, path).display()),
                ("init", Some((flag @ "--demo-origin", origin))) => format!("{flag}={}", self.origin(origin)),
                ("demo-origins", Some((flag @ "--listen", listen))) => {
                    let (name, address) = listen.split_once('=').expect("NAME=ADDRESS");
                    format!("{flag}={name}={}", self.bound(service, address))
                }
                ("demo-origins", Some((flag @ "--region", source))) => {
                    let (region, subnet) = source.split_once('=').expect("REGION=CIDR");
                    format!("{flag}={region}={}", self.range(subnet))
                }
                ("ready", None) => self.bound(service, word),
                ("demo", None) => word.clone(),
                _ => panic!("{service}: nobody maps {word:?} of `{}`", words.join(" ")),
            });
        }
        assert!(
            ["init", "control", "worker", "demo-origins", "ready", "demo"].contains(&command),
            "{service}: nobody maps the command {command:?}"
        );
        mapped
    }

    /// An address to listen on inside the container.
    fn bound(&self, service: &str, address: &str) -> String {
        let inside: SocketAddr = address.parse().unwrap_or_else(|_| panic!("{service}: {address} is no address"));
        assert!(inside.ip().is_unspecified() || inside.ip().is_loopback(), "{service}: {address} is not in its container");
        SocketAddr::new(self.addresses[service], inside.port()).to_string()
    }

    fn reachable_url(&self, from: &str, url: &str) -> String {
        let mut parsed: Url = url.parse().unwrap_or_else(|problem| panic!("{url}: {problem}"));
        let address = self.resolve(from, parsed.host_str().unwrap_or_default());
        parsed.set_ip_host(address).expect("the URL has a host");
        parsed.as_str().trim_end_matches('/').to_owned()
    }

    /// `NAME=HOST:PORT` of a demo origin, which every worker must reach.
    fn origin(&self, text: &str) -> String {
        let (name, place) = text.split_once('=').expect("NAME=HOST:PORT");
        let (host, port) = place.split_once(':').expect("HOST:PORT");
        let found: BTreeSet<IpAddr> = self.workers().map(|worker| self.resolve(worker, host)).collect();
        assert_eq!(found.len(), 1, "{host} is one service for all workers");
        format!("{name}={}:{port}", found.first().expect("counted"))
    }

    /// What a name means in a service: a service that shares a network with it, by its name or an alias there.
    fn resolve(&self, from: &str, host: &str) -> IpAddr {
        let networks = self.service(from).attachments();
        let knows = |name: &str, service: &Service| {
            service
                .attachments()
                .iter()
                .any(|(network, aliases)| networks.contains_key(network) && (name == host || aliases.iter().any(|alias| alias == host)))
        };
        let found = self.compose.services.iter().find(|(name, service)| knows(name, service));
        let (name, _) = found.unwrap_or_else(|| panic!("{from} finds no {host} on its networks"));
        self.addresses[name]
    }

    fn database_url(&self, service: &str, text: &str) -> String {
        let inside: Url = text.parse().unwrap_or_else(|problem| panic!("{text}: {problem}"));
        self.resolve(service, inside.host_str().unwrap_or_default());
        let server = &self.service("postgres").environment;
        let init = &self.service("init").environment;
        let (user, password) = (inside.username(), inside.password().unwrap_or_default());
        if user == server["POSTGRES_USER"] {
            assert_eq!(password, server["POSTGRES_PASSWORD"], "{service}: the administrator's password");
        } else {
            assert_eq!(user, "quorate_service", "{service}: a role that nobody makes");
            assert_eq!(password, init["QUORATE_DATABASE_SERVICE_PASSWORD"], "{service}: the service's password");
        }
        assert_eq!(inside.path(), format!("/{}", server["POSTGRES_DB"]), "{service}: a database that nobody makes");
        assert_eq!(inside.port(), Some(5432), "{service}: the port of {text}");

        let mut outside: Url = self.database.admin_url(inside.path().trim_start_matches('/')).parse().expect("our own URL");
        outside.set_username(user).expect("the URL has a host");
        outside.set_password(Some(password)).expect("the URL has a host");
        outside.into()
    }

    fn range(&self, subnet: &str) -> IpNet {
        let network = self.compose.networks.iter().find(|(_, network)| network.subnet() == Some(subnet));
        let (name, _) = network.unwrap_or_else(|| panic!("{subnet} is the subnet of no network"));
        self.subnets[name]
    }

    /// Ranges that workers may probe: with all networks that have origins in them, the origins' range here.
    fn allowed(&self, text: &str) -> String {
        let range: IpNet = text.parse().unwrap_or_else(|problem| panic!("{text}: {problem}"));
        for subnet in self.compose.networks.values().filter_map(|network| network.subnet()) {
            assert!(range.contains(&subnet.parse::<IpNet>().expect("a subnet")), "{text} leaves out {subnet}");
        }
        self.net.origins().to_string()
    }

    fn volume(&self, name: &str) -> PathBuf {
        assert!(self.compose.volumes.contains_key(name), "{name} is not among the volumes");
        self.dir.path().join("volumes").join(name)
    }

    fn service(&self, name: &str) -> &Service {
        &self.compose.services[name]
    }

    fn ours(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.compose.services.iter().filter(|(_, service)| service.is_ours()).map(|(name, service)| (name.as_str(), service))
    }

    fn workers(&self) -> impl Iterator<Item = &str> {
        self.ours().filter(|(_, service)| service.command == ["worker"]).map(|(name, _)| name)
    }

    /// Services, each after those that it depends on.
    fn order(&self) -> Vec<String> {
        let mut order: Vec<String> = Vec::new();
        while order.len() < self.compose.services.len() {
            let ready =
                |name: &String, service: &Service| !order.contains(name) && service.depends_on.keys().all(|other| order.contains(other));
            let next = self.compose.services.iter().find(|(name, service)| ready(name, service));
            let (name, _) = next.unwrap_or_else(|| panic!("dependencies in a circle, or on nothing; in order so far: {order:?}"));
            order.push(name.clone());
        }
        order
    }

    fn print_map(&self) {
        for (name, address) in &self.addresses {
            println!("host    {name:<12} {address}");
        }
        for (name, range) in &self.subnets {
            println!("network {name:<12} {range}");
        }
        for name in self.compose.volumes.keys() {
            println!("volume  {name:<12} {}", self.volume(name).display());
        }
        println!("host    {:<12} {}", "postgres:5432", self.database.socket_folder().display());
    }
}

/// An address for each service, and a range for each network with a subnet that holds its workers' addresses.
fn places(compose: &Compose, net: &Net) -> (BTreeMap<String, IpAddr>, BTreeMap<String, IpNet>) {
    let (mut addresses, mut subnets) = (BTreeMap::new(), BTreeMap::new());
    let with_subnet = compose.networks.iter().filter(|(_, network)| network.subnet().is_some());
    for (block, (network, _)) in (0u8..).zip(with_subnet) {
        let range = IpNet::new(net.worker(block * BLOCK), BLOCK_PREFIX).expect("a prefix length");
        let workers = compose
            .services
            .iter()
            .filter(|(_, service)| service.command == ["worker"] && service.attachments().keys().copied().eq([network.as_str()]));
        for (place, (name, _)) in (0..BLOCK).zip(workers) {
            addresses.insert(name.clone(), net.worker(block * BLOCK + place));
        }
        subnets.insert(network.clone(), range.trunc());
    }
    let (mut origins, mut others) = (0, 0);
    for (name, service) in &compose.services {
        if addresses.contains_key(name) {
            continue;
        }
        let (count, place): (&mut u8, fn(&Net, u8) -> IpAddr) = if service.command.first().is_some_and(|command| command == "demo-origins")
        {
            (&mut origins, Net::origin)
        } else {
            (&mut others, Net::control)
        };
        addresses.insert(name.clone(), place(net, *count));
        *count += 1;
    }
    (addresses, subnets)
}
