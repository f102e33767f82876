//! Trust in one authority, known by its fingerprint from the worker token.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};

/// Takes the certificate with the fingerprint out of what the server presents, and verifies the
/// server's own certificate against it alone. Presenting the authority proves nothing; being signed
/// by it does.
#[derive(Debug)]
pub(super) struct PinnedAuthority {
    sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl PinnedAuthority {
    pub(super) fn new(sha256: [u8; 32], provider: Arc<CryptoProvider>) -> Self {
        Self { sha256, provider }
    }
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_pinned = |certificate: &&CertificateDer<'_>| <[u8; 32]>::from(Sha256::digest(certificate)) == self.sha256;
        let authority = intermediates.iter().find(is_pinned).ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    struct World {
        authority: CertifiedIssuer<'static, KeyPair>,
    }

    impl World {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self { authority: CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA") }
        }

        fn leaf(&self, name: &str) -> CertificateDer<'static> {
            let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            params.signed_by(&KeyPair::generate().expect("a key"), &self.authority).expect("signed").der().clone()
        }

        fn ca(&self) -> CertificateDer<'static> {
            self.authority.der().clone()
        }
    }

    fn verify(pinned: &CertificateDer<'_>, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> bool {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = PinnedAuthority::new(Sha256::digest(pinned).into(), provider);
        let name = ServerName::try_from("control.quorate.internal").expect("a name");
        verifier.verify_server_cert(leaf, chain, &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn only_a_certificate_of_the_pinned_authority_for_the_fixed_name_is_trusted() {
        let (ours, theirs) = (World::new(), World::new());
        let good = ours.leaf("control.quorate.internal");
        assert!(verify(&ours.ca(), &good, &[ours.ca()]));
        assert!(!verify(&ours.ca(), &good, &[]), "the authority is taken from the chain");
        assert!(!verify(&theirs.ca(), &good, &[ours.ca()]), "another authority is pinned");
        assert!(!verify(&ours.ca(), &theirs.leaf("control.quorate.internal"), &[theirs.ca(), ours.ca()]), "shown is not signed");
        assert!(!verify(&ours.ca(), &ours.leaf("control.example"), &[ours.ca()]), "another name");
    }
}
