//! The operator's commands against a Postgres of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_pg::{Binaries, Install, Server, Wanted, folder, server};
use serde_json::Value;
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A migrated database, and a data folder with the secrets.
struct Installation {
    server: Server,
    dir: TempDir,
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Installation {
    async fn new() -> Self {
        let cache = folder::default_programs().expect("a home folder");
        let wanted = Wanted { major: None, cache, install: Install::Forbidden };
        let binaries = Binaries::find_or_get(&wanted, &|_| {}).await.expect("Postgres is installed");
        let server = Server::throw_away(&binaries).await.expect("Postgres starts");
        let installation = Self { server, dir: tempfile::tempdir().expect("a folder") };
        installation.does(&["migrate"]).await;
        installation
    }

    async fn run(&self, args: &[&str]) -> Ended {
        let admin_url = self.server.admin_url(server::DATABASE);
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(args)
            .env_clear()
            .env("QUORATE_DATA_DIR", self.dir.path())
            .env("QUORATE_DATABASE_URL", quorate_store::schema::service_url(&admin_url, None).expect("a URL"))
            .env("QUORATE_DATABASE_ADMIN_URL", admin_url)
            .output()
            .await
            .expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs a command that has to succeed; answers what it prints.
    async fn does(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        ended.stdout.trim().to_owned()
    }

    async fn fails(&self, args: &[&str], code: i32, part: &str) {
        let ended = self.run(args).await;
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{args:?}: {part:?} is missing in {}", ended.stderr);
    }

    /// Starts a replica with the data folder `dir`.
    fn control(&self, dir: &Path) -> tokio::process::Child {
        let admin_url = self.server.admin_url(server::DATABASE);
        tokio::process::Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(["control", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
            .env_clear()
            .env("QUORATE_DATA_DIR", dir)
            .env("QUORATE_DATABASE_URL", quorate_store::schema::service_url(&admin_url, None).expect("a URL"))
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts")
    }

    /// Lets a first replica make the secrets.
    async fn make_secrets(&self) {
        let mut control = self.control(self.dir.path());
        let made = async {
            // The last of them.
            while !self.path("secrets/control.pem").exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), made).await.expect("the first start makes the secrets");
        control.kill().await.expect("the replica ends");
    }

    async fn lists(&self, what: &str) -> Vec<Value> {
        let text = self.does(&[what, "list", "--json"]).await;
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn an_operator_makes_lists_changes_and_ends_accounts_zones_tokens_and_pops() {
    let here = Installation::new().await;

    let account = here.does(&["account", "create", "shop", "--pools", "3", "--minimum-monitor-interval", "1"]).await;
    here.does(&["account", "set", "shop", "--origins", "7", "--load-balancing", "off"]).await;
    let [listed] = &here.lists("account").await[..] else { panic!("one account") };
    assert_eq!(listed["id"], account);
    assert_eq!(listed["load_balancing_enabled"], false);
    let limits = &listed["limits"];
    assert_eq!((&limits["pools"], &limits["origins"], &limits["monitors"]), (&3.into(), &7.into(), &30.into()), "what is not given stays");
    assert_eq!(limits["minimum_monitor_interval"], 1);
    here.fails(&["account", "set", "nobody", "--pools", "1"], 1, "nobody").await;
    here.fails(&["account", "create", " "], 2, "name").await;

    let zone = here.does(&["zone", "create", "Example.COM.", "--account", "shop"]).await;
    here.does(&["zone", "set", &zone, "--load-balancing", "off"]).await;
    let [listed] = &here.lists("zone").await[..] else { panic!("one zone") };
    assert_eq!((&listed["name"], &listed["load_balancing_enabled"]), (&"example.com".into(), &false.into()));
    here.fails(&["zone", "create", "example.com", "--account", "shop"], 1, "not unique").await;
    here.does(&["zone", "delete", &zone]).await;
    here.fails(&["zone", "delete", &zone], 1, &zone).await;

    here.make_secrets().await;
    let secret = here.does(&["token", "create", "ci", "--account", &account, "--scope", "read", "--expires-in", "30"]).await;
    assert!(secret.starts_with("qrt_") && !secret.contains(char::is_whitespace), "only the secret, for a script to take: {secret}");
    let file = here.path("token");
    assert_eq!(here.does(&["token", "create", "tf", "--account", "shop", "--out", file.to_str().expect("UTF-8")]).await, "");
    assert_eq!(mode(&file), 0o600);
    let tokens = here.lists("token").await;
    let permissions = [
        r#"["monitors-and-pools:read","load-balancers:read","analytics:read"]"#,
        r#"["monitors-and-pools:edit","load-balancers:edit","analytics:read"]"#,
    ];
    assert_eq!(tokens.iter().map(|token| token["permissions"].to_string()).collect::<Vec<_>>(), permissions);
    assert!(tokens[0]["expires_on"].is_string() && tokens[1]["expires_on"].is_null(), "{tokens:#?}");
    let first = tokens[0]["id"].as_str().expect("an id");
    here.does(&["token", "revoke", first]).await;
    here.fails(&["token", "revoke", first], 1, "revoked already").await;
    assert!(here.lists("token").await[0]["revoked_on"].is_string());

    let create = ["worker-token", "create", "lhr", "--region", "WEU", "--city", "London", "--country", "GB"];
    let (old, new) = (here.does(&create).await, here.does(&create).await);
    assert!(old.starts_with("qwt_") && old != new, "a PoP that is there gets a new token");
    here.fails(&["worker-token", "create", "lhr", "--region", "ENAM", "--city", "London", "--country", "GB"], 1, "lhr").await;
    here.fails(&["worker-token", "create", "lhr", "--region", "WEU", "--city", "London", "--country", "uk"], 2, "capital letters").await;
    let [pop] = &here.lists("worker-token").await[..] else { panic!("one PoP") };
    assert_eq!((&pop["pop"], &pop["region"], &pop["connected"]), (&"lhr".into(), &"WEU".into(), &Value::Null));
    assert_eq!(here.lists("worker").await.len(), 1, "`worker list` is the same");
    here.does(&["worker-token", "revoke", "lhr"]).await;
    here.fails(&["worker-token", "revoke", "lhr"], 1, "revoked already").await;

    here.does(&["account", "create", "blog"]).await;
    here.does(&["token", "create", "both", "--account", "shop", "--account", "blog"]).await;
    here.does(&["account", "set", "shop", "--load-balancing", "on"]).await;
    here.does(&["account", "revoke", "shop"]).await;
    assert_eq!(here.lists("account").await[0]["load_balancing_enabled"], false);
    let live: Vec<Value> = here.lists("token").await.into_iter().filter(|token| token["revoked_on"].is_null()).collect();
    assert_eq!(live.iter().map(|token| &token["name"]).collect::<Vec<_>>(), ["both"], "what also reaches another account goes on");
    here.fails(&["account", "revoke", "nobody"], 1, "nobody").await;

    here.server.stop().await.expect("Postgres stops");
}

#[tokio::test]
async fn what_the_operator_does_is_in_the_audit_log_and_a_change_of_the_log_is_found() {
    let here = Installation::new().await;
    here.make_secrets().await;
    let account = here.does(&["account", "create", "shop"]).await;
    let zone = here.does(&["zone", "create", "example.com", "--account", "shop"]).await;
    here.does(&["zone", "set", &zone, "--load-balancing", "off"]).await;
    here.does(&["token", "create", "ci", "--account", "shop"]).await;
    here.does(&["worker-token", "create", "lhr", "--region", "WEU", "--city", "London", "--country", "GB"]).await;

    let text = here.does(&["audit", "list", "--account", "shop", "--json"]).await;
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let did: Vec<String> =
        rows.iter().map(|row| format!("{} {} {}", row["actor"]["kind"], row["action"], row["resource"]["name"])).collect();
    let expected = [("create", "ci"), ("update", "example.com"), ("create", "example.com"), ("create", "shop")];
    assert_eq!(did, expected.map(|(action, name)| format!("\"operator\" \"{action}\" \"{name}\"")));
    assert_eq!(rows[1]["changed"], serde_json::json!(["load_balancing_enabled"]));
    let installation = here.does(&["audit", "list"]).await;
    assert!(installation.contains("worker_token") && installation.contains("lhr"), "{installation}");

    let whole = here.does(&["audit", "verify"]).await;
    let hash = rows[0]["hash"].as_str().expect("a hash");
    assert!(whole.lines().any(|line| line.contains(&account) && line.contains(hash)), "{whole}");
    let mut owner = sqlx::PgConnection::connect(&here.server.admin_url(server::DATABASE)).await.expect("connects");
    owner.execute("update audit_log set object_name = 'harmless' where object_name = 'example.com' and seq = 3").await.expect("tampers");
    owner.close().await.expect("closes");
    here.fails(&["audit", "verify", "--account", "shop"], 1, "1 of 1 chains are broken").await;
    assert!(here.run(&["audit", "verify"]).await.stdout.contains("BROKEN: row 3: it was changed"));

    here.server.stop().await.expect("Postgres stops");
}

#[tokio::test]
async fn rows_taken_from_the_end_of_the_audit_log_are_missed_by_what_was_signed() {
    let here = Installation::new().await;
    here.make_secrets().await;
    let account = here.does(&["account", "create", "shop"]).await;
    here.does(&["zone", "create", "example.com", "--account", "shop"]).await;
    let mut control = here.control(here.dir.path());
    let mut log = BufReader::new(control.stderr.take().expect("it is piped")).lines();
    let head = async {
        loop {
            let line = log.next_line().await.expect("it can be read").expect("it goes on");
            if line.contains("audit_head") && line.contains(&account) {
                return line;
            }
        }
    };
    let head = tokio::time::timeout(Duration::from_secs(30), head).await.expect("the end of the chain is signed and told");
    control.kill().await.expect("the replica ends");
    let kept = here.path("control.log");
    std::fs::write(&kept, format!("{head}\n")).expect("the log is kept");
    let verify = ["audit", "verify", "--heads", kept.to_str().expect("UTF-8")];
    let table = here.does(&verify).await;
    assert!(table.lines().any(|line| line.contains(&account) && !line.contains("never")), "{table}");
    assert_eq!(here.does(&["audit", "key"]).await.len(), 64);

    let mut owner = sqlx::PgConnection::connect(&here.server.admin_url(server::DATABASE)).await.expect("connects");
    owner.execute("delete from audit_log where object_name = 'example.com'").await.expect("tampers");
    here.fails(&["audit", "verify", "--account", "shop"], 1, "1 of 1 chains are broken").await;
    let told = here.run(&["audit", "verify"]).await.stdout;
    assert!(told.contains("BROKEN: row 2: it is missing, and a signed head tells of it"), "{told}");

    // Whoever also takes the signed heads away leaves a log that is whole, but for those who kept one.
    owner.execute("delete from audit_head").await.expect("tampers");
    here.does(&["audit", "verify"]).await;
    here.fails(&verify, 1, "1 of 2 chains are broken").await;
    owner.close().await.expect("closes");
    here.server.stop().await.expect("Postgres stops");
}

#[tokio::test]
async fn only_the_first_replica_makes_secrets_and_no_other_command_does() {
    let here = Installation::new().await;
    here.does(&["account", "create", "shop"]).await;
    let pop = ["worker-token", "create", "lhr", "--region", "WEU", "--city", "London", "--country", "GB"];
    for command in [&["token", "create", "ci", "--account", "shop"][..], &pop] {
        here.fails(command, 2, "QUORATE_SECRETS__DIR").await;
    }
    assert!(!here.path("secrets").exists(), "a refusal leaves nothing");

    here.make_secrets().await;
    here.does(&["token", "create", "ci", "--account", "shop"]).await;
    here.does(&pop).await;

    let elsewhere = tempfile::tempdir().expect("a folder");
    let second = here.control(elsewhere.path()).wait_with_output();
    let second = tokio::time::timeout(Duration::from_secs(30), second).await.expect("it ends").expect("it ran");
    let told = String::from_utf8(second.stderr).expect("the program prints UTF-8");
    assert_eq!(second.status.code(), Some(2), "{told}");
    assert!(told.contains("no token pepper in") && told.contains("QUORATE_SECRETS__DIR"), "{told}");
    assert!(!elsewhere.path().join("secrets").exists(), "a second pepper would end every token");

    here.server.stop().await.expect("Postgres stops");
}

#[tokio::test]
async fn init_makes_what_is_missing_and_leaves_what_is_there() {
    let here = Installation::new().await;
    let (tokens, env) = (here.path("worker-tokens"), here.path("env"));
    let [tokens_arg, env_arg] = [&tokens, &env].map(|path| path.to_str().expect("UTF-8"));
    let init = ["init", "--worker-tokens", tokens_arg, "--env", env_arg, "--pop", "lhr:WEU:London:GB", "--pop", "iad:ENAM:Ashburn:US"];
    let init = [&init[..], &["--demo-origin", "shop-1=origin.internal:9001"]].concat();
    let read = |name: &str| std::fs::read_to_string(tokens.join(name)).expect("init wrote it");

    here.does(&init).await;
    let (first_env, lhr) = (std::fs::read_to_string(&env).expect("init wrote it"), read("lhr.token"));
    assert_eq!((mode(&env), mode(&tokens), mode(&tokens.join("lhr.token"))), (0o600, 0o700, 0o600));

    std::fs::remove_file(tokens.join("iad.token")).expect("it was there");
    here.does(&init).await;
    assert_eq!(std::fs::read_to_string(&env).expect("it is there"), first_env, "the same account, zone and token");
    assert_eq!(read("lhr.token"), lhr, "a token that joins is kept");
    assert!(read("iad.token").starts_with("qwt_"), "a lost one is made anew");
    assert_eq!(here.lists("account").await.len(), 1);
    assert_eq!(here.lists("token").await.len(), 1);
    assert_eq!(here.lists("worker-token").await.len(), 2);

    // Whoever loses the file gets a new token for the same account.
    std::fs::remove_file(&env).expect("it was there");
    here.does(&init).await;
    let again = std::fs::read_to_string(&env).expect("init wrote it");
    assert_ne!(again, first_env);
    let account = |text: &str| text.lines().find(|line| line.starts_with("QUORATE_ACCOUNT_ID=")).map(str::to_owned);
    assert_eq!(account(&again), account(&first_env));

    here.server.stop().await.expect("Postgres stops");
}
