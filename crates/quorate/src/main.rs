use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anyone makes a TLS connection; an error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    quorate::cli::run(std::env::args_os())
}
