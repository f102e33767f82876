//! Certificates that nobody has signed but their owner.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use openssl::x509::X509;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// A self-signed certificate with its key, ready to accept connections.
#[derive(Clone)]
pub struct Certificate(Arc<SslAcceptor>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

impl Certificate {
    /// For one name or address.
    pub fn self_signed(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a name makes a certificate");
        let certificate = X509::from_der(made.cert.der()).expect("a certificate just made can be read");
        let key = PKey::private_key_from_der(&made.signing_key.serialize_der()).expect("a key just made can be read");
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("the library knows its own profile");
        acceptor.set_certificate(&certificate).expect("the certificate is whole");
        acceptor.set_private_key(&key).expect("the key belongs to the certificate");
        Self(Arc::new(acceptor.build()))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
        let mut stream = SslStream::new(Ssl::new(self.0.context())?, stream)?;
        Pin::new(&mut stream).accept().await?;
        Ok(stream)
    }
}
