//! Attacks on the handshake: a server that does not know the secrets of ours is never let through.

use quorate_core::failure::FailureReason as R;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::probe::Finding;
use crate::probe::classify::classify;
use crate::probe::tests::fuzz::attack;

#[test]
fn no_bytes_alone_make_a_handshake() {
    let tls = Clients::new(None, &[], TlsPolicy::default()).expect("OpenSSL");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let name = Host::Name("origin.example".into());
    let peer = Peer::new(&name, true, None, None);
    attack("handshake", |bytes| {
        for library in [Library::Modern, Library::Broad] {
            let fault = runtime.block_on(async {
                let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
                let serving = async {
                    // The probe may have heard enough and gone.
                    let _rest = theirs.write_all(bytes).await;
                    let _closed = theirs.shutdown().await;
                    let _said = theirs.read(&mut [0; 16]).await;
                };
                // Whatever is said of certificates, the keys cannot be right.
                let (done, ()) = tokio::join!(tls.handshake(ours, &peer, library), serving);
                done.err().unwrap_or_else(|| panic!("a handshake by {bytes:?}"))
            });
            let finding = classify(&fault);
            assert!(
                matches!(finding, Finding::Failed(R::TlsHandshakeFailure | R::TlsProtocolError | R::TlsUnrecognizedName)),
                "{finding:?} of {fault:?} by {bytes:?}"
            );
        }
    });
}
