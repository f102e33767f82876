//! A unix socket in front of the server that can swallow the answer to a commit: it arrives and is
//! executed, its answer does not come back, and the connection is gone.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

pub(crate) struct Proxy {
    folder: TempDir,
    port: u16,
    swallow: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn in_front_of(server: &PgConnectOptions) -> Self {
        let folder = TempDir::new().unwrap();
        let port = server.get_port();
        let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{port}"))).unwrap();
        let swallow = Arc::new(AtomicBool::new(false));
        let (server, armed) = (server.clone(), Arc::clone(&swallow));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if let Some(path) = server.get_socket() {
                    let upstream = UnixStream::connect(path.join(format!(".s.PGSQL.{port}"))).unwrap();
                    let back = upstream.try_clone().unwrap();
                    relay(&client, upstream, back, &armed, |stream| stream.shutdown(Shutdown::Both));
                } else {
                    let upstream = TcpStream::connect((server.get_host(), port)).unwrap();
                    let back = upstream.try_clone().unwrap();
                    relay(&client, upstream, back, &armed, |stream| stream.shutdown(Shutdown::Both));
                }
            }
        });
        Self { folder, port, swallow }
    }

    /// The same server, through the proxy.
    pub(crate) fn options(&self, server: &PgConnectOptions) -> PgConnectOptions {
        server.clone().socket(self.folder.path()).port(self.port)
    }

    /// The answer to the next commit is swallowed.
    pub(crate) fn swallow_next_answer(&self) {
        self.swallow.store(true, Ordering::SeqCst);
    }
}

/// What a message has in it that carries the body of an event: the arguments of a commit.
const COMMIT: &[u8] = b"\"minimum_origins\"";

/// Copies both ways until one side ends.
fn relay<S: Read + Write + Send + 'static>(
    client: &UnixStream,
    mut upstream: S,
    mut back: S,
    armed: &Arc<AtomicBool>,
    end: fn(&S) -> std::io::Result<()>,
) {
    let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client.try_clone().unwrap());
    let armed = Arc::clone(armed);
    let swallow = Arc::new(AtomicBool::new(false));
    let swallowing = Arc::clone(&swallow);
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut bytes) {
            let is_commit = bytes[..read].windows(COMMIT.len()).any(|window| window == COMMIT);
            if is_commit && armed.swap(false, Ordering::SeqCst) {
                swallow.store(true, Ordering::SeqCst);
            }
            if upstream.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        // The other direction may have ended it already.
        end(&upstream).ok();
    });
    thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = back.read(&mut bytes) {
            if swallowing.load(Ordering::SeqCst) || to_client.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        to_client.shutdown(Shutdown::Both).ok();
    });
}
