//! Authorities, certificates, and servers that show them.

use std::pin::Pin;
use std::sync::Arc;

use openssl::pkey::PKey;
use openssl::ssl::{NameType, Ssl, SslAcceptor, SslAcceptorBuilder, SslMethod};
use openssl::x509::X509;
use quorate_core::check::{Check, HttpProbe};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_openssl::SslStream;

use crate::probe::NetProber;
use crate::probe::tests::checks::http_check;
use crate::probe::tests::prober;
use crate::probe::tests::server::{Server, read_head, send};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

pub(in crate::probe::tests) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(in crate::probe::tests) fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than the leaves have, or they would look self-signed.
    params.distinguished_name.push(DnType::CommonName, "an authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// A certificate and its key, as PEM.
pub(in crate::probe::tests) struct Leaf {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Leaf {
    pub(in crate::probe::tests) fn of(authority: &Authority, name: &str) -> Self {
        Self::with(authority, name, |_| {})
    }

    pub(super) fn with(authority: &Authority, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name or an address");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, authority).expect("signed").pem();
        Self { certificate, key: key.serialize_pem() }
    }

    pub(in crate::probe::tests) fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec![name.to_owned()]).expect("a name").self_signed(&key).expect("signed").pem();
        Self { certificate, key: key.serialize_pem() }
    }

    pub(in crate::probe::tests) fn show(&self, builder: &mut SslAcceptorBuilder) {
        builder.set_certificate(&X509::from_pem(self.certificate.as_bytes()).expect("a certificate")).expect("taken");
        builder.set_private_key(&PKey::private_key_from_pem(self.key.as_bytes()).expect("a key")).expect("taken");
    }
}

/// An HTTPS origin, and the server names that it was asked for.
pub(in crate::probe::tests) async fn serve(
    leaf: &Leaf,
    change: impl FnOnce(&mut SslAcceptorBuilder),
) -> (Server, UnboundedReceiver<Option<String>>) {
    serve_on("127.0.0.1:0", leaf, OK, change).await
}

pub(super) async fn serve_on(
    address: &str,
    leaf: &Leaf,
    answer: impl Into<Arc<str>>,
    change: impl FnOnce(&mut SslAcceptorBuilder),
) -> (Server, UnboundedReceiver<Option<String>>) {
    let mut builder = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).expect("OpenSSL");
    // First, or a weak certificate would not be taken.
    builder.set_cipher_list("ALL:@SECLEVEL=0").expect("ciphers");
    leaf.show(&mut builder);
    builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1_3);
    let (sender, names) = unbounded_channel();
    builder.set_servername_callback(move |ssl, _| {
        // The test may have seen enough.
        let _unheard = sender.send(ssl.servername(NameType::HOST_NAME).map(str::to_owned));
        Ok(())
    });
    change(&mut builder);
    let acceptor = Arc::new(builder.build());
    let answer: Arc<str> = answer.into();
    let server = Server::start_on(address, move |stream| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            let ssl = Ssl::new(acceptor.context()).expect("OpenSSL");
            let mut stream = SslStream::new(ssl, stream).expect("OpenSSL");
            if Pin::new(&mut stream).accept().await.is_ok() {
                read_head(&mut stream).await;
                send(&mut stream, &[&answer]).await;
            }
        }
    })
    .await;
    (server, names)
}

pub(in crate::probe::tests) fn check(server: &Server, change: impl FnOnce(&mut HttpProbe)) -> Check {
    http_check("127.0.0.1", server.address.port(), |ask| {
        ask.tls = true;
        change(ask);
    })
}

pub(super) fn trusting(authority: &Authority) -> NetProber {
    prober(|config| config.extra_ca_pem = Some(authority.pem()))
}

pub(in crate::probe::tests) fn named(name: &'static str) -> impl FnOnce(&mut HttpProbe) {
    move |ask| ask.host = Some(name.to_owned())
}
