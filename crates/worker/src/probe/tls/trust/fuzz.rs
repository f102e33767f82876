//! Attacks on the judgement of a chain: whatever is changed of what an authority has signed is not believed.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::probe::tests::fuzz::{attack, corpus};

const NAME: &str = "origin.example";

/// As TLS has them: each with its length in three bytes before it. What does not add up ends the chain.
fn chain(mut bytes: &[u8]) -> Vec<CertificateDer<'_>> {
    let mut certificates = Vec::new();
    while let Some((&[high, middle, low], rest)) = bytes.split_first_chunk() {
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let (certificate, rest) = rest.split_at(length.min(rest.len()));
        certificates.push(CertificateDer::from(certificate));
        bytes = rest;
    }
    certificates
}

#[test]
fn only_what_the_authority_has_signed_is_believed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/chain-authority.pem");
    let authority = X509::from_pem(&std::fs::read(path).expect("readable")).expect("a certificate");
    // Its certificates are of 2020 to 2120.
    let now = UnixTime::since_unix_epoch(Duration::from_hours(500_000));
    // A new one each time: what is remembered has been judged before.
    let judge = |bytes: &[u8]| {
        let trust = Trust::new(std::slice::from_ref(&authority), false).expect("OpenSSL");
        let chain = chain(bytes);
        let _days_left = trust.look(&chain, now);
        // As it is read: what follows the certificate is not looked at.
        trust.judge(&chain, NAME, now).ok().map(|_validity| X509::from_der(&chain[0]).and_then(|leaf| leaf.to_der()).expect("just read"))
    };
    let good: BTreeSet<Vec<u8>> = corpus("chain").iter().filter_map(|file| judge(file)).collect();
    assert_eq!(good.len(), 5, "an issuer between, a wildcard, another kind of subject, two other keys");
    attack("chain", |bytes| {
        if let Some(leaf) = judge(bytes) {
            assert!(good.contains(&leaf), "a certificate that was never signed is believed: {leaf:02x?}");
        }
    });
}
