//! A client of OCI registries: ranged reads of blobs, manifests, and pushes of both.
//!
//! | module part | holds |
//! |---|---|
//! | [`Client`], [`ClientOptions`], [`Mirror`] | settings and connections |
//! | [`Reference`], [`Repository`], [`PulledManifest`], [`Found`] | names and the objects that they refer to |
//! | [`RemoteBlob`], [`BlobStream`] | the bytes of a blob, by range or from front to end |
//! | [`Pushed`] | the result of pushing a blob |
//! | [`Credentials`], [`DockerConfig`], [`StaticCredentials`], [`Anonymous`] | credentials |
//! | [`RegistryError`] | the object, the bytes, the attempt, the server, and the remedy |
//!
//! Requests block; several threads may share a client. Failures are retried where that may help, and
//! interrupted transfers are resumed. Redirects are followed without credentials, and never from HTTPS to
//! HTTP. Everything that a server sends is bounded before it is kept, and objects that are read whole are
//! compared with their digest.
//!
//! Source: OCI distribution-spec v1.1; distribution's token authentication.

mod blob;
mod challenge;
mod client;
mod content_range;
mod credentials;
mod docker_config;
mod error;
mod exchange;
mod options;
mod pace;
mod pieces;
mod push;
mod reference;
mod repository;
mod retry;
mod stream;
mod token;
mod turns;
mod url;

pub use blob::RemoteBlob;
pub use client::{Client, ClientStats};
pub use credentials::{Anonymous, Credential, CredentialError, Credentials, StaticCredentials};
pub use docker_config::DockerConfig;
pub use error::{ErrorClass, RegistryError, RegistryErrorKind};
pub use options::{ClientOptions, Mirror};
pub use push::Pushed;
pub use reference::{ParseReferenceError, Reference};
pub use repository::{Found, PulledManifest, Repository};
pub use stream::BlobStream;
