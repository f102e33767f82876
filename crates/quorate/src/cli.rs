//! The command line: what there is to run, and how it ends.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

use crate::admin::{accounts, audit, header_keys, tokens, worker_tokens, zones};
use crate::config::{self, Config, Flags};
use crate::failure::Result;
use crate::telemetry::{Sink, start_logging};
use crate::{control_role, demo_commands, init, output, ready_command, up, worker_role};

/// Health checks by quorum: monitors, pools and load balancers behind a REST API, probed from many regions.
///
/// Settings: flags win over the environment (`QUORATE_…`), that over the file of --config, that over the defaults.
/// Exit codes: 0, 1 for a failure, 2 for wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, arg_required_else_help = true)]
struct Cli {
    /// TOML file of settings; `check-config --example` prints one
    #[arg(long, global = true, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for all that this machine keeps [default: /var/lib/quorate as root, else ~/.local/state/quorate]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: Postgres, control plane, nine workers, demo origins
    Up {
        #[command(flatten)]
        listen: ListenFlags,
        #[command(flatten)]
        arguments: up::Arguments,
    },
    /// Run a replica of the control plane: REST, and gRPC for workers
    #[command(after_help = CONTROL_HELP)]
    Control {
        #[command(flatten)]
        listen: ListenFlags,
        /// Where workers reach this replica: `https://control-1.example.net:8081`
        #[arg(long, value_name = "URL")]
        advertise_url: Option<String>,
    },
    /// Run a worker, which probes from one PoP; or list all workers
    #[command(after_help = WORKER_HELP, args_conflicts_with_subcommands = true)]
    Worker {
        #[command(subcommand)]
        command: Option<WorkerCommand>,
        #[command(flatten)]
        flags: WorkerFlags,
    },
    /// Create the database's roles and bring its schema up to date
    #[command(after_help = MIGRATE_HELP)]
    Migrate,
    /// Make all that has to be there before control and workers start: schema, secrets, account, zone, tokens
    #[command(after_help = MIGRATE_HELP)]
    Init(init::Arguments),
    /// Accounts, their limits and their load balancing
    #[command(subcommand)]
    Account(accounts::Command),
    /// Zones of accounts
    #[command(subcommand)]
    Zone(zones::Command),
    /// Tokens of the REST API
    #[command(subcommand)]
    Token(tokens::Command),
    /// PoPs and the tokens of their workers
    #[command(subcommand)]
    WorkerToken(worker_tokens::Command),
    /// The keys that seal secret headers of monitors
    #[command(subcommand)]
    HeaderKey(header_keys::Command),
    /// Who changed what, and whether the log of it is whole
    #[command(subcommand)]
    Audit(audit::Command),
    /// Break and heal the demo origins of a running `up` or `demo-origins`
    #[command(subcommand)]
    Demo(demo_commands::Command),
    /// Run demo origins without the rest
    DemoOrigins(demo_commands::OriginsArguments),
    /// Ask a role on this machine whether it is ready; for health checks
    Ready(ready_command::Arguments),
    /// Check the configuration and print what is in force, without secrets
    CheckConfig {
        /// Print a commented file of all settings with their defaults instead
        #[arg(long)]
        example: bool,
    },
}

#[derive(Debug, Subcommand)]
enum WorkerCommand {
    /// Show all PoPs: connected, last round, version, checks (as `worker-token list`)
    List(worker_tokens::ListArguments),
}

#[derive(Debug, Args)]
struct ListenFlags {
    /// REST, /healthz, /readyz, /metrics [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// gRPC for workers [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS:PORT")]
    grpc_listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
struct WorkerFlags {
    /// File that holds the worker token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where the control plane is; again for each replica [default: `https://127.0.0.1:8081`]
    #[arg(long = "control-url", value_name = "URL")]
    control_urls: Vec<String>,
    /// A range that may be probed beyond public addresses; again for each
    #[arg(long = "allow-cidr", value_name = "CIDR")]
    allow_cidrs: Vec<IpNet>,
    /// Address to probe from
    #[arg(long, value_name = "ADDRESS")]
    source_address: Option<IpAddr>,
    /// DNS server; again for each [default: the system's]
    #[arg(long = "resolver", value_name = "ADDRESS:PORT")]
    resolvers: Vec<SocketAddr>,
    /// /healthz, /readyz, /metrics [default: 127.0.0.1:8082]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

const CONTROL_HELP: &str = "\
Environment:
  QUORATE_DATABASE_URL        postgres://quorate_service:PASSWORD@HOST/quorate
  QUORATE_DATA_DIR            its secrets/ holds pepper, CA and key; all replicas need the same
  QUORATE_SECRETS__DIR        that folder, where it is elsewhere
  QUORATE_CONTROL__LISTEN, QUORATE_CONTROL__GRPC_LISTEN, QUORATE_CONTROL__ADVERTISE_URL
  QUORATE_LOG, QUORATE_LOG_FORMAT (text or json)
Every setting of `check-config --example` has a variable QUORATE_<SECTION>__<FIELD>.";

const WORKER_HELP: &str = "\
Environment:
  QUORATE_WORKER_TOKEN or QUORATE_WORKER_TOKEN_FILE   what `worker-token create` gave
  QUORATE_CONTROL_URLS                                comma-separated
  QUORATE_WORKER_ALLOW_CIDRS                          comma-separated
  QUORATE_DATA_DIR                                    its worker/ holds epoch and manifests
  QUORATE_WORKER__SOURCE_ADDRESS, QUORATE_WORKER__RESOLVER, QUORATE_WORKER__LISTEN
  QUORATE_LOG, QUORATE_LOG_FORMAT (text or json)";

const MIGRATE_HELP: &str = "\
Environment:
  QUORATE_DATABASE_ADMIN_URL          a role that may create roles and tables
  QUORATE_DATABASE_SERVICE_PASSWORD   the password that quorate_service gets";

/// Runs the command line. Errors are one line on standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Help and version go to standard output and end with 0.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(&format!("error: {failure}"));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(cli: Cli) -> Result<()> {
    let flags = flags(&cli);
    let config = Config::load(cli.config.as_deref(), &flags)?;
    if let Command::CheckConfig { example } = cli.command {
        return check_config(&config, example);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(dispatch(config, cli.command));
    // Whoever did not drain in time is left behind.
    runtime.shutdown_background();
    result
}

fn flags(cli: &Cli) -> Flags {
    let flags = Flags::default().with("data_dir", cli.data_dir.as_ref());
    let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    match &cli.command {
        Command::Up { listen, .. } => listen.over(flags),
        Command::Control { listen, advertise_url } => listen.over(flags).with("control.advertise_url", advertise_url.as_ref()),
        Command::Worker { flags: worker, .. } => flags
            .with("worker.token_file", worker.token_file.as_ref())
            .with("worker.control_urls", given(&worker.control_urls))
            .with("worker.allow_cidrs", given(&texts(&worker.allow_cidrs)))
            .with("worker.source_address", worker.source_address)
            .with("worker.resolver", given(&texts(&worker.resolvers)))
            .with("worker.listen", worker.listen),
        _ => flags,
    }
}

impl ListenFlags {
    fn over(&self, flags: Flags) -> Flags {
        flags.with("control.listen", self.listen).with("control.grpc_listen", self.grpc_listen)
    }
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

async fn dispatch(config: Config, command: Command) -> Result<()> {
    match command {
        Command::Up { arguments, .. } => Box::pin(up::run(config, arguments)).await,
        Command::Control { .. } => {
            log_to_stderr(&config)?;
            control_role::run(config).await
        }
        Command::Worker { command: None, .. } => {
            log_to_stderr(&config)?;
            worker_role::run(config).await
        }
        Command::DemoOrigins(arguments) => {
            log_to_stderr(&config)?;
            demo_commands::run_origins(&config, arguments).await
        }
        Command::Worker { command: Some(WorkerCommand::List(arguments)), .. } => worker_tokens::list(&config, arguments).await,
        Command::Migrate => init::migrate(&config).await.map(|_| ()),
        Command::Init(arguments) => init::run(&config, arguments).await,
        Command::Account(command) => accounts::run(&config, command).await,
        Command::Zone(command) => zones::run(&config, command).await,
        Command::Token(command) => tokens::run(&config, command).await,
        Command::HeaderKey(command) => header_keys::run(&config, command).await,
        Command::Audit(command) => audit::run(&config, command).await,
        Command::WorkerToken(command) => worker_tokens::run(&config, command).await,
        Command::Demo(command) => demo_commands::run(&config, command).await,
        Command::Ready(arguments) => ready_command::run(arguments).await,
        Command::CheckConfig { example } => check_config(&config, example),
    }
}

fn log_to_stderr(config: &Config) -> Result<()> {
    start_logging(&config.log, Sink::Stderr)?;
    warn_of_unknown_variables();
    Ok(())
}

/// Once logging runs.
pub(crate) fn warn_of_unknown_variables() {
    for name in config::unknown_variables() {
        tracing::warn!(variable = name, "an environment variable looks like a setting and is none");
    }
}

fn check_config(config: &Config, example: bool) -> Result<()> {
    if example {
        return output::line(config::EXAMPLE.trim_end());
    }
    for name in config::unknown_variables() {
        output::note(&format!("warning: {name} looks like a setting and is none"));
    }
    output::line(&serde_json::to_string_pretty(config)?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
