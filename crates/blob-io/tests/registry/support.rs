//! Clients of the scripted servers.

use std::time::Duration;

use image_model::Digest;
use lazyoci_blob_io::registry::{
    Client, ClientOptions, Reference, RegistryError, RemoteBlob, Repository,
};
use lazyoci_blob_io::{ReadError, bytes::Bytes};
use registry_double::Server;

/// Options with three attempts and short delays.
pub(crate) fn options(server: &Server) -> ClientOptions {
    ClientOptions::default()
        .plain_http(server.host())
        .attempts(3)
        .backoff(Duration::from_millis(1))
        .max_wait(Duration::from_secs(1))
        .read_timeout(Duration::from_secs(5))
}

pub(crate) fn repository_with(server: &Server, options: ClientOptions) -> Repository {
    let reference: Reference = format!("{}/team/app", server.host()).parse().unwrap();
    Client::new(options)
        .unwrap()
        .repository(&reference)
        .unwrap()
}

pub(crate) fn repository(server: &Server) -> Repository {
    repository_with(server, options(server))
}

/// A blob that is too long to be fetched whole.
pub(crate) fn large() -> Bytes {
    let bytes = (0..100_000_u32).flat_map(|n| (n % 65_521).to_le_bytes());
    bytes.collect::<Vec<_>>().into()
}

/// `bytes` as a blob of the server.
pub(crate) fn blob(server: &Server, bytes: &[u8]) -> RemoteBlob {
    repository(server).blob(verify::sha256(bytes), bytes.len() as u64)
}

/// The path of a blob, or of another kind of object with that digest.
pub(crate) fn path(kind: &str, digest: &Digest) -> String {
    format!("/v2/team/app/{kind}/{digest}")
}

/// The registry error that caused a read error.
pub(crate) fn cause(error: &ReadError) -> &RegistryError {
    let ReadError::Source { source, .. } = error else {
        panic!("{error:?}");
    };
    source.downcast_ref().unwrap()
}

/// The message of an error, with `HOST` for the server.
pub(crate) fn text(error: &RegistryError, server: &Server) -> String {
    error.to_string().replace(&server.host(), "HOST")
}
